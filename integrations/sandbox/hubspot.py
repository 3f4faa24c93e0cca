"""A stand-in for the parts of HubSpot's API that we use: the CRM, under its dates alone, and files (v3)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from integrations.sandbox import hubspot_schema as schema
from integrations.sandbox.hubspot_crm import Crm, Record
from integrations.sandbox.hubspot_files import FileManager, StoredFile
from integrations.sandbox.loopback_server import Answer
from integrations.sandbox.stand_in import RateLimit, RejectedError, StandIn

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from integrations.sandbox.loopback_server import Recorded

_MAX_BATCH = 100
_VERSIONS = ("2026-09", "2026-03")


class HubSpot(StandIn):
    """An account on loopback.

    `crm` holds its objects, and the settings for behaviour that HubSpot does not document.
    """

    def __init__(self, token: str = "pat-eu1-sandbox", hub_id: str = "147000001") -> None:  # noqa: S107  a stand-in's
        super().__init__()
        self.token = token
        self.hub_id = hub_id
        self._forget()

    def _forget(self) -> None:
        self.crm = Crm()
        self.file_manager = FileManager()
        self.scopes = set(schema.SCOPES)  # of the token
        self.page_size = 500  # of the association lists, at most
        self.rate_limit: RateLimit | None = RateLimit(100, 10.0)  # None for no limit

    def reset(self) -> None:
        """Forget everything, including the settings and the custom properties."""
        super().reset()
        with self._lock:
            self._forget()

    @property
    def contacts(self) -> list[Record]:
        """Every contact, oldest first."""
        return self.crm.records("contacts")

    @property
    def tickets(self) -> list[Record]:
        """Every ticket, oldest first."""
        return self.crm.records("tickets")

    @property
    def notes(self) -> list[Record]:
        """Every note, oldest first."""
        return self.crm.records("notes")

    @property
    def files(self) -> list[StoredFile]:
        """Every file of the file manager, oldest first."""
        return list(self.file_manager.files.values())

    def associated(self, kind: str, id_: str, to_kind: str) -> list[str]:
        """Return the ids of an object's associated `to_kind` objects: `associated("tickets", id, "contacts")`."""
        return self.crm.associated(kind, id_, to_kind)

    def error(self, status: int) -> object:
        """Return HubSpot's error body for a status."""
        return schema.usual_error(status)

    def answer(self, request: Recorded) -> Answer:
        """Authenticate the request, apply the rate limit, and carry it out."""
        if request.headers.get("authorization") != f"Bearer {self.token}":
            raise RejectedError(401, self.error(401))
        admitted = self.rate_limit is None or self.rate_limit.admit()
        # The search API sends no rate headers.
        headers = {} if request.path.endswith("/search") else self._rate_headers()
        if not admitted:
            raise RejectedError(429, self.error(429), headers)
        if request.path.startswith("/files/"):
            self._require("files", headers)
            status, body = self.file_manager.answer(request)
        else:
            status, body = self._routed(request, _undated(request.segments))
        return Answer(status, body, headers)

    def _require(self, scope: str, headers: Mapping[str, str] | None = None) -> None:
        if scope not in self.scopes:
            raise RejectedError(403, schema.missing_scope(scope), headers)

    def _rate_headers(self) -> dict[str, str]:
        if self.rate_limit is None:
            return {}
        return {
            "X-HubSpot-RateLimit-Max": str(self.rate_limit.limit),
            "X-HubSpot-RateLimit-Remaining": str(self.rate_limit.remaining),
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(int(self.rate_limit.per_s * 1000)),
            "X-HubSpot-RateLimit-Daily": "250000",
            "X-HubSpot-RateLimit-Daily-Remaining": str(max(0, 250_000 - len(self.requests))),
        }

    def _routed(self, request: Recorded, path: tuple[str, ...]) -> tuple[int, Any]:
        match request.method, path:
            case _, ("crm", "objects", kind, *rest):
                return self._objects(request, schema.kind_of(kind), tuple(rest))
            case _, ("crm", "properties", kind, *rest):
                return self._properties(request, schema.kind_of(kind), tuple(rest))
            case "POST", ("crm", "associations", kind, to_kind, "batch", "read"):
                body = schema.mapping(request.body)
                return self._list_associated(schema.kind_of(kind), schema.kind_of(to_kind), body)
            case "GET", ("crm-object-schemas", "schemas", kind):
                kind = schema.kind_of(kind)
                definitions = list(self.crm.properties(kind).values())
                return 200, schema.object_schema(kind, definitions, self.crm.required_properties[kind])
            case "GET", ("crm", "pipelines", "tickets"):
                return 200, {"results": [schema.pipeline(id_, each) for id_, each in self.crm.pipelines.items()]}
            case "GET", ("account-info", "details"):
                return 200, self._account()
        raise RejectedError(404, self.error(404))

    def _objects(self, request: Recorded, kind: str, rest: tuple[str, ...]) -> tuple[int, Any]:
        reads = request.method == "GET" or rest[-1:] in {("search",), ("read",)}
        self._require("tickets" if kind == "tickets" else f"crm.objects.contacts.{'read' if reads else 'write'}")
        match request.method, rest:
            case "POST", ():
                body = schema.mapping(request.body)
                record = self.crm.create(kind, body.get("properties"), body.get("associations") or ())
                return 201, self._shown(kind, record, record.properties)
            case "POST", ("search",):
                return self._search(kind, schema.mapping(request.body))
            case "POST", ("batch", "read"):
                return self._batch_read(kind, schema.mapping(request.body))
            case "GET", (value,):
                record = self.crm.find(kind, value, request.query.get("idProperty", [""])[0])
                names = _listed(request, "properties") or schema.DEFAULTS[kind]
                shown = self._shown(kind, record, names)
                return 200, shown | self._shown_associations(kind, record, _listed(request, "associations"))
            case "PATCH", (value,):
                record = self.crm.find(kind, value, request.query.get("idProperty", [""])[0])
                self.crm.update(kind, record, schema.mapping(request.body).get("properties"))
                return 200, self._shown(kind, record, record.properties)
            case "PUT", (id_, "associations", "default", to_kind, to_id):
                return self._associate(kind, id_, schema.kind_of(to_kind), to_id)
        raise RejectedError(404, self.error(404))

    def _properties(self, request: Recorded, kind: str, rest: tuple[str, ...]) -> tuple[int, Any]:
        match request.method, rest:
            case "GET", ():
                return 200, {"results": list(self.crm.properties(kind).values())}
            case "GET", (name,) if name in self.crm.properties(kind):
                return 200, self.crm.properties(kind)[name]
            case "POST", ():
                return 201, self.crm.define_property(kind, schema.mapping(request.body))
        raise RejectedError(404, self.error(404))

    def _account(self) -> dict[str, Any]:
        return {
            "portalId": int(self.hub_id),
            "accountType": "STANDARD",
            "timeZone": "Europe/Paris",
            "companyCurrency": "EUR",
            "additionalCurrencies": [],
            "utcOffset": "+01:00",
            "utcOffsetMilliseconds": 3_600_000,
            "uiDomain": "app-eu1.hubspot.com",
            "dataHostingLocation": "eu1",
        }

    def _shown(self, kind: str, record: Record, names: Iterable[str]) -> dict[str, Any]:
        at = schema.iso(record.created_at)
        properties = {name: record.properties.get(name) for name in names}
        properties |= {name: record.id if name == "hs_object_id" else at for name in schema.READ_ONLY[kind]}
        return {
            "id": record.id,
            "properties": properties,
            "createdAt": at,
            "updatedAt": at,
            "archived": False,
            "url": f"https://app-eu1.hubspot.com/contacts/{self.hub_id}/record/{schema.KINDS[kind]}/{record.id}",
        }

    def _shown_associations(self, kind: str, record: Record, to_kinds: Iterable[str]) -> dict[str, Any]:
        linked = {to_kind: self.crm.associated(kind, record.id, schema.kind_of(to_kind)) for to_kind in to_kinds}
        shown = {
            schema.kind_of(to_kind): {"results": [{"id": id_, "type": f"{kind[:-1]}_to_{to_kind}"} for id_ in ids]}
            for to_kind, ids in linked.items()
            if ids
        }
        return {"associations": shown} if shown else {}

    def _batch_read(self, kind: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        inputs = body.get("inputs") or []
        if not 0 < len(inputs) <= _MAX_BATCH:
            raise RejectedError(400, schema.validation_error(f"A batch takes 1 to {_MAX_BATCH} inputs"))
        names = body.get("properties") or schema.DEFAULTS[kind]
        results, missing = [], []
        for id_ in (str(each["id"]) for each in inputs):
            try:
                results.append(self._shown(kind, self.crm.find(kind, id_, body.get("idProperty") or ""), names))
            except RejectedError:
                missing.append(id_)
        return _batch(results, [schema.batch_error("Could not get some objects", missing)] if missing else [])

    def _search(self, kind: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        found = self.crm.search(kind, body)
        names = body.get("properties") or schema.DEFAULTS[kind]
        page, paging = _page(found, int(body.get("after") or 0), int(body.get("limit") or 10))
        return 200, {"total": len(found), "results": [self._shown(kind, each, names) for each in page]} | paging

    def _list_associated(self, kind: str, to_kind: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        type_id = schema.ASSOCIATION_TYPES.get((kind, to_kind), 0)
        types = [{"category": "HUBSPOT_DEFINED", "typeId": type_id}]
        results, errors = [], []
        for each in body["inputs"]:
            id_ = str(each["id"])
            found = self.crm.associated(kind, id_, to_kind) if self.crm.exists(kind, id_) else []
            page, paging = _page(found, int(each.get("after") or 0), self.page_size)
            to = [{"toObjectId": to_id, "associationTypes": types} for to_id in page]
            if to:
                results.append({"from": {"id": id_}, "to": to} | paging)
            else:
                errors.append(schema.batch_error(f"No {to_kind} is associated with {kind} {id_}.", [id_]))
        return _batch(results, errors)

    def _associate(self, kind: str, id_: str, to_kind: str, to_id: str) -> tuple[int, Any]:
        self.crm.associate(kind, id_, to_kind, to_id)
        type_id = schema.ASSOCIATION_TYPES[kind, to_kind]
        spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": type_id}
        return 200, _complete([{"from": {"id": id_}, "to": {"id": to_id}, "associationSpec": spec}])


def _listed(request: Recorded, name: str) -> tuple[str, ...]:
    """Return the values of a parameter that is repeated, or given once with commas."""
    return tuple(one for value in request.query.get(name, []) for one in value.split(",") if one)


def _page(found: list[Any], after: int, limit: int) -> tuple[list[Any], dict[str, Any]]:
    end = after + limit
    paging = {"paging": {"next": {"after": str(end), "link": f"?after={end}"}}} if end < len(found) else {}
    return found[after:end], paging


def _complete(results: list[Any]) -> dict[str, Any]:
    now = schema.iso(time.time())
    return {"status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now}


def _batch(results: list[Any], errors: list[Any]) -> tuple[int, Any]:
    if not errors:
        return 200, _complete(results)
    return 207, _complete(results) | {"numErrors": len(errors), "errors": errors}


def _undated(path: tuple[str, ...]) -> tuple[str, ...]:
    """Return a path without its date. There is nothing under a path that has none, such as one of v3."""
    at = 2 if path[0] == "crm" else 1
    if path[at : at + 1] not in {(version,) for version in _VERSIONS}:
        raise RejectedError(404, schema.usual_error(404))
    return path[:at] + path[at + 1 :]
