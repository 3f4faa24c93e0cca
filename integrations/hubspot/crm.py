"""HubSpot's CRM through its client: objects of any type, their associations, their properties and pipelines.

https://developers.hubspot.com/docs/api-reference/crm-objects-v3/guide
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from hubspot import HubSpot as Client
from urllib3.util.retry import Retry

from integrations.net.deadline import watched_pools
from integrations.net.edge import blocks_told_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PAGE_ROWS = 500  # the most that an associations page may hold
_BATCH_ROWS = 100  # the most that a batch read may ask for


class Crm:
    """The objects of an account. Safe to share between threads.

    An object type is HubSpot's name in the plural: contacts, tickets, notes.
    """

    def __init__(self, api_key: str, base_url: str | None, ask: Callable[..., tuple[int, dict[str, Any]]]) -> None:
        """Send every call through `ask`: `request.ask` with its rate limiter, timeouts and deadline."""
        # The client retries on its own by default, and sleeps up to six hours when a Retry-After says so.
        client = Client(access_token=api_key, retry=Retry(0), host=base_url.rstrip("/") if base_url else None)
        # Each attribute of the client makes a new connection pool when it is read, so these are read once. They keep
        # no state between calls but that pool, which is thread-safe.
        self._objects = client.crm.objects.basic_api
        self._batches = client.crm.objects.batch_api
        self._associations = client.crm.associations.v4.basic_api
        self._properties = client.crm.properties.core_api
        self._pipelines = client.crm.pipelines.pipelines_api
        for each in (self._objects, self._batches, self._associations, self._properties, self._pipelines):
            manager = each.api_client.rest_client.pool_manager
            manager.pool_classes_by_scheme = watched_pools(manager.pool_classes_by_scheme)
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

    def find(self, object_type: str, property_name: str | None, value: str) -> str | None:
        """Return the id of the object with this value of a unique property, or None.

        Without a `property_name` the value is the object's id.
        """
        read = self._objects.get_by_id
        status, answer = self._ask(
            f"find {object_type.removesuffix('s')}", read, object_type, value, id_property=property_name, expect=(404,)
        )
        return str(answer["id"]) if status != HTTPStatus.NOT_FOUND else None

    def read(self, object_type: str, object_id: str, *properties: str) -> dict[str, Any] | None:
        """Return these properties of an object, each None when it has no value. None: there is no such object."""
        read = partial(self._objects.get_by_id, object_type, object_id, properties=list(properties))
        status, answer = self._ask(f"read {object_type.removesuffix('s')}", read, expect=(404,), yields="properties")
        return dict(answer["properties"]) if status != HTTPStatus.NOT_FOUND else None

    def associated(self, object_type: str, object_id: str, to_object_type: str) -> list[str]:
        """Return the ids of all objects of a type that are associated with an object, in no order."""
        read = partial(self._associations.get_page, object_type, object_id, to_object_type, limit=_PAGE_ROWS)
        ids: list[str] = []
        after = None
        while True:
            _, page = self._ask(f"list {to_object_type}", read, after=after, yields="results")
            ids += [str(row["toObjectId"]) for row in page["results"]]
            after = page.get("paging", {}).get("next", {}).get("after")
            if not after:
                return ids

    def marked(self, object_type: str, ids: list[str], properties: tuple[str, ...], reference: str) -> Iterator[str]:
        """Yield the ids of these objects that contain `[ref: {reference}]` in a property. Batches are read lazily."""
        marker = f"[ref: {reference}]"
        for start in range(0, len(ids), _BATCH_ROWS):
            inputs = [{"id": object_id} for object_id in ids[start : start + _BATCH_ROWS]]
            batch = {"inputs": inputs, "properties": list(properties), "propertiesWithHistory": []}
            _, answer = self._ask(f"read {object_type}", self._batches.read, object_type, batch, yields="results")
            for row in answer["results"]:
                if any(marker in (row["properties"].get(name) or "") for name in properties):
                    yield str(row["id"])

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
        call = partial(self.client.call_api, "/account-info/v3/details", "GET", auth_settings=["oauth2"])
        _, account = self._ask_once("read account", call, yields="portalId")
        return str(account["portalId"])
