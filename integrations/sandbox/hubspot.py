"""A stand-in for the parts of HubSpot's API that we use: the CRM (v3, and the v4 associations) and files (v3)."""

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
        self.has_files_scope = True  # whether the token may use the Files API
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
            if not self.has_files_scope:
                raise RejectedError(403, self.error(403), headers)
            status, body = self.file_manager.answer(request)
        else:
            is_object = request.path.startswith("/crm/v3/objects/")
            status, body = self._objects(request) if is_object else self._others(request)
        return Answer(status, body, headers)

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

    def _objects(self, request: Recorded) -> tuple[int, Any]:
        kind = schema.kind_of(request.segments[3])
        match request.method, request.segments[4:]:
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
        raise RejectedError(404, self.error(404))

    def _others(self, request: Recorded) -> tuple[int, Any]:  # noqa: PLR0911  one a route
        match request.method, request.segments:
            case "GET", ("account-info", "v3", "details"):
                return 200, self._account()
            case "GET", ("crm", "v3", "pipelines", "tickets"):
                return 200, {"results": [_pipeline(id_, stages) for id_, stages in self.crm.pipelines.items()]}
            case "GET", ("crm", "v3", "properties", kind):
                return 200, {"results": list(self.crm.properties(schema.kind_of(kind)).values())}
            case "GET", ("crm", "v3", "properties", kind, name) if name in self.crm.properties(schema.kind_of(kind)):
                return 200, self.crm.properties(schema.kind_of(kind))[name]
            case "POST", ("crm", "v3", "properties", kind):
                self.crm.define_property(schema.kind_of(kind), schema.mapping(request.body))
                return 201, request.body
            case "GET", ("crm", "v4", "objects", kind, id_, "associations", to_kind):
                return self._list_associated(schema.kind_of(kind), id_, schema.kind_of(to_kind), request)
            case "PUT", ("crm", "v4", "objects", kind, id_, "associations", "default", to_kind, to_id):
                return self._associate(schema.kind_of(kind), id_, schema.kind_of(to_kind), to_id)
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
        if not missing:
            return 200, _complete(results)
        error = schema.usual_error(404) | {"message": "Could not get some objects", "context": {"ids": missing}}
        return 207, _complete(results) | {"numErrors": 1, "errors": [error]}

    def _search(self, kind: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        found = self.crm.search(kind, body)
        names = body.get("properties") or schema.DEFAULTS[kind]
        page, paging = _page(found, int(body.get("after") or 0), int(body.get("limit") or 10))
        return 200, {"total": len(found), "results": [self._shown(kind, each, names) for each in page]} | paging

    def _list_associated(self, kind: str, id_: str, to_kind: str, request: Recorded) -> tuple[int, Any]:
        self.crm.find(kind, id_)
        limit = min(int(request.query.get("limit", ["500"])[0]), self.page_size)
        after = int(request.query.get("after", ["0"])[0])
        page, paging = _page(self.crm.associated(kind, id_, to_kind), after, limit)
        type_id = schema.ASSOCIATION_TYPES.get((kind, to_kind), 0)
        types = [{"category": "HUBSPOT_DEFINED", "typeId": type_id, "label": None}]
        return 200, {"results": [{"toObjectId": int(each), "associationTypes": types} for each in page]} | paging

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


def _pipeline(id_: str, stages: Iterable[str]) -> dict[str, Any]:
    shown = [{"id": stage, "label": f"Stage {stage}", "displayOrder": at} for at, stage in enumerate(stages)]
    return {"id": id_, "label": "Support Pipeline", "displayOrder": 0, "archived": False, "stages": shown}
