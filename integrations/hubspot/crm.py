"""HubSpot's CRM through its client: objects of any type, their associations, their properties and pipelines.

https://developers.hubspot.com/docs/api-reference/latest/crm/understanding-the-crm
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial, wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from hubspot import HubSpot as Client
from urllib3.util.retry import Retry

from integrations.errors import TransientError
from integrations.net.deadline import watched_pools
from integrations.net.edge import blocks_told_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_MAX_PAGES = 100  # of the associations of one object; a page holds up to 500
_BATCH_ROWS = 100  # the most that a batch read may ask for
_NOT_THERE = {"OBJECT_NOT_FOUND", "VALIDATION_ERROR"}  # the errors of a batch about ids of which there is nothing
_UNDATED = re.compile(r"^/crm/v[34]/(\w+)")


@dataclass(frozen=True, slots=True)
class Record:
    """An object that exists."""

    id: str  # decimal digits
    url: str  # https, its page in HubSpot; "" where the answer names none


class Crm:
    """The objects of an account. Safe to share between threads.

    An object type is HubSpot's name in the plural: contacts, tickets, notes.
    """

    def __init__(
        self, api_key: str, base_url: str | None, version: str, ask: Callable[..., tuple[int, dict[str, Any]]]
    ) -> None:
        """Send every call through `ask`: `request.ask` with its rate limiter, timeouts and deadline.

        `version` is the date of the API, such as 2026-09.
        """
        # The client retries on its own by default, and sleeps up to six hours when a Retry-After says so.
        client = Client(access_token=api_key, retry=Retry(0), host=base_url.rstrip("/") if base_url else None)
        # Each attribute of the client makes a new connection pool when it is read, so these are read once. They keep
        # no state between calls but that pool, which is thread-safe.
        self._objects = client.crm.objects.basic_api
        self._batches = client.crm.objects.batch_api
        self._associations = client.crm.associations.v4.batch_api
        self._properties = client.crm.properties.core_api
        self._pipelines = client.crm.pipelines.pipelines_api
        for each in (self._objects, self._batches, self._associations, self._properties, self._pipelines):
            manager = each.api_client.rest_client.pool_manager
            manager.pool_classes_by_scheme = watched_pools(manager.pool_classes_by_scheme)
            _date(each.api_client, version)
        self._version = version
        self.client = self._objects.api_client  # for calls that no module of the client has
        self._ask_once = ask

    def _ask(self, *arguments: Any, **options: Any) -> tuple[int, dict[str, Any]]:
        """Make a call. See `request.ask`."""
        with blocks_told_apart(self.account_id):
            return self._ask_once(*arguments, **options)

    def create(
        self,
        object_type: str,
        properties: dict[str, str],
        *associations: tuple[int, str],
        expect: tuple[int, ...] = (),
    ) -> tuple[int, dict[str, Any]]:
        """Create an object with its associations, each a type and the id of the other object, in one call.

        Returns the status and the answer, which has the `id` unless the status is one of `expect`. Not idempotent.
        """
        category = "HUBSPOT_DEFINED"
        body = {
            "properties": properties,
            "associations": [
                {"to": {"id": to_id}, "types": [{"associationCategory": category, "associationTypeId": type_id}]}
                for type_id, to_id in associations
            ],
        }
        return self._ask(
            f"create {object_type.removesuffix('s')}",
            self._objects.create,
            object_type,
            body,
            creates=True,
            expect=expect,
        )

    def update(self, object_type: str, object_id: str, properties: dict[str, str]) -> bool:
        """Replace these properties of an object. Return False when no object has that id."""
        update = partial(self._objects.update, object_type, object_id, {"properties": properties})
        status, _ = self._ask(f"update {object_type.removesuffix('s')}", update, replaces=True, expect=(404,))
        return status != HTTPStatus.NOT_FOUND

    def find(self, object_type: str, property_name: str | None, value: str) -> Record | None:
        """Return the object with this value of a unique property, or None.

        Without a `property_name` the value is the object's id.
        """
        asked = {"id_property": property_name} if property_name else {}
        read = partial(self._objects.get_by_id, object_type, value, **asked)
        status, answer = self._ask(f"find {object_type.removesuffix('s')}", read, expect=(404,))
        return record_of(answer) if status != HTTPStatus.NOT_FOUND else None

    def read(self, object_type: str, object_id: str, *properties: str) -> dict[str, Any] | None:
        """Return these properties of an object, each None when it has no value. None: there is no such object."""
        read = partial(self._objects.get_by_id, object_type, object_id, properties=list(properties))
        status, answer = self._ask(f"read {object_type.removesuffix('s')}", read, expect=(404,), yields="properties")
        return dict(answer["properties"]) if status != HTTPStatus.NOT_FOUND else None

    def associated(self, object_type: str, object_id: str, to_object_type: str) -> list[str]:
        """Return the ids of all objects of a type that are associated with an object, in no order.

        Raises:
            TransientError: also if every one of 100 pages names a next one, or the answer is not a whole one.
        """
        call = f"list {to_object_type}"
        read = partial(self._associations.get_page, object_type, to_object_type)
        ids: list[str] = []
        wanted = {"id": object_id}
        for _ in range(_MAX_PAGES):
            # A 207 without results says that there are none.
            _, answer = self._ask(call, read, {"inputs": [wanted]}, yields="results")
            results = _whole(call, answer)
            ids += [str(row["toObjectId"]) for result in results for row in result["to"]]
            pages = ((result.get("paging") or {}).get("next") or {} for result in results)
            after = next((page["after"] for page in pages if page.get("after")), None)
            if not after:
                return ids
            wanted = {"id": object_id, "after": after}
        raise TransientError(f"HubSpot {call}: more than {_MAX_PAGES} pages", outcome_unknown=False)

    def marked(self, object_type: str, ids: list[str], properties: tuple[str, ...], reference: str) -> Iterator[Record]:
        """Yield those of these objects that contain `[ref: {reference}]` in a property. Batches are read lazily.

        Raises:
            TransientError: also if the answer is not a whole one.
        """
        marker = f"[ref: {reference}]"
        for row in self.rows(object_type, ids, properties):
            if any(marker in (row["properties"].get(name) or "") for name in properties):
                yield record_of(row)

    def rows(self, object_type: str, ids: Sequence[str], properties: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yield these objects with these properties, as HubSpot gives them, without those that do not exist.

        Raises:
            TransientError: also if the answer is not a whole one.
        """
        call = f"read {object_type}"
        for start in range(0, len(ids), _BATCH_ROWS):
            inputs = [{"id": object_id} for object_id in ids[start : start + _BATCH_ROWS]]
            batch = {"inputs": inputs, "properties": list(properties), "propertiesWithHistory": []}
            _, answer = self._ask(call, self._batches.read, object_type, batch, yields="results")
            yield from _whole(call, answer)

    def required(self, object_type: str) -> list[str]:
        """Return the properties that the account requires of new objects, none if it does not tell our key."""
        path = f"/crm-object-schemas/{self._version}/schemas/{object_type}"
        call = partial(self.client.call_api, path, "GET", auth_settings=["oauth2"])
        status, answer = self._ask("read schema", call, expect=(403, 404), yields="requiredProperties")
        return list(answer["requiredProperties"]) if status == HTTPStatus.OK else []

    def properties(self, object_type: str) -> dict[str, dict[str, Any]]:
        """Return the definition of every property of an object type, by name."""
        _, answer = self._ask("read properties", self._properties.get_all, object_type, yields="results")
        return {str(each["name"]): each for each in answer["results"]}

    def lacks_scope(self, object_type: str, *, to_write: bool = False) -> bool:
        """Return True if the key may not read, or else write, objects of a type. None has the id that is asked for."""
        call = partial(self._objects.get_by_id, object_type, "0")
        if to_write:
            call = partial(self._objects.update, object_type, "0", {"properties": {}})
        status, _ = self._ask(f"find {object_type.removesuffix('s')}", call, expect=(400, 403, 404))
        return status == HTTPStatus.FORBIDDEN

    def create_property(self, object_type: str, definition: dict[str, Any]) -> bool:
        """Define a property of an object type. Return False when one of that name exists."""
        create = self._properties.create
        status, _ = self._ask(
            "create property", create, object_type, definition, creates=True, expect=(409,), yields="name"
        )
        return status != HTTPStatus.CONFLICT

    def read_property(self, object_type: str, name: str) -> dict[str, Any] | None:
        """Return the definition of a property, or None when there is none of that name."""
        read = self._properties.get_by_name
        status, answer = self._ask("read property", read, object_type, name, expect=(404,), yields="name")
        return answer if status != HTTPStatus.NOT_FOUND else None

    def stages(self, object_type: str) -> dict[str, set[str]]:
        """Return the stage ids of each pipeline, by pipeline id."""
        _, answer = self._ask("read pipelines", self._pipelines.get_all, object_type, yields="results")
        return {str(each["id"]): {str(stage["id"]) for stage in each["stages"]} for each in answer["results"]}

    def account_id(self) -> str:
        """Return the number of the account that the token belongs to."""
        # The client has no module for account-info, but its generic call goes through the same pool and timeouts.
        call = partial(self.client.call_api, f"/account-info/{self._version}/details", "GET", auth_settings=["oauth2"])
        _, account = self._ask_once("read account", call, yields="portalId")
        return str(account["portalId"])


def record_of(answer: dict[str, Any]) -> Record:
    """Return the object that an answer describes."""
    url = answer.get("url")
    return Record(str(answer["id"]), url if isinstance(url, str) and url.startswith("https://") else "")


def _whole(call: str, answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the results of a batch, which HubSpot answers even where it could not read all of them.

    Raises:
        TransientError: some were not read, though they may be there. What was created would be created again.
    """
    categories = {str(each["category"]) for each in answer.get("errors") or () if each.get("category")}
    if categories - _NOT_THERE:
        raise TransientError(f"HubSpot {call}: not all was read", outcome_unknown=False)
    return list(answer["results"])


def _date(api_client: Any, version: str) -> None:
    """Let a client of the vendor's call the API of a date in place of v3 and v4, whose bodies are the same.

    https://developers.hubspot.com/docs/developer-tooling/platform/versioning
    """
    call_api = api_client.call_api

    @wraps(call_api)
    def call_dated(path: str, *arguments: Any, **options: Any) -> Any:
        return call_api(_UNDATED.sub(rf"/crm/\g<1>/{version}", path), *arguments, **options)

    api_client.call_api = call_dated
