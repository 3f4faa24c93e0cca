"""HubSpot: contacts, tickets and notes.

https://developers.hubspot.com/docs/api-reference/crm-objects-v3/guide
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from hubspot import HubSpot as Client
from urllib3.util.retry import Retry

from integrations.deadline import CALL_S, watched_pools
from integrations.errors import ConfigurationError, PermanentError, TransientError
from integrations.hubspot_call import ask, refusal
from integrations.pace import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

# The association types that HubSpot defines (hubspot/crm/association_type.py of the client).
_TICKET_TO_CONTACT = 16
_NOTE_TO_CONTACT = 202
_NOTE_TO_TICKET = 228

_REFERENCE_PROPERTY = "figurative_reference"
_PAGE_ROWS = 500  # the most that an associations page may hold
_BATCH_ROWS = 100  # the most that a batch read may ask for


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket that exists."""

    id: str  # decimal digits
    url: str  # https, its page in HubSpot


class HubSpot:
    """A HubSpot account, through a private app's token or a service key. Safe to share between threads."""

    def __init__(
        self,
        api_key: str,
        hub_id: str,
        pipeline_id: str,
        stage_new: str,
        base_url: str | None = None,
        *,
        reference_property: bool = False,
        calls_per_10s: int = 100,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 30.0,
        deadline_s: float = CALL_S,
    ) -> None:
        """`reference_property` says that `create_reference_property` has been run on this account."""
        # The client retries on its own by default, and sleeps up to six hours when a Retry-After says so.
        client = Client(access_token=api_key, retry=Retry(0), host=base_url.rstrip("/") if base_url else None)
        # Each attribute of the client makes a new connection pool when it is read, so these are read once. They keep
        # no state between calls but that pool, which is made for threads.
        self._objects = client.crm.objects.basic_api
        self._batches = client.crm.objects.batch_api
        self._associations = client.crm.associations.v4.basic_api
        self._properties = client.crm.properties.core_api
        self._pipelines = client.crm.pipelines.pipelines_api
        for each in (self._objects, self._batches, self._associations, self._properties, self._pipelines):
            manager = each.api_client.rest_client.pool_manager
            manager.pool_classes_by_scheme = watched_pools(manager.pool_classes_by_scheme)
        self._hub_id = hub_id
        self._pipeline_id = pipeline_id
        self._stage_new = stage_new
        self._reference_property = reference_property
        self._ask = partial(ask, Pace(calls_per_10s, 10.0), (connect_timeout_s, read_timeout_s), deadline_s)

    def find_or_create_contact(self, email: str, first_name: str, last_name: str) -> str:
        """The id of the contact with this address, created when there is none; an existing one is left as it is.

        Safe to call again: HubSpot keeps e-mail addresses unique. The names may be empty.

        Raises:
            PermanentError: HubSpot does not take the address for one.
        """
        if "@" not in email:
            # An empty id in the path would list every contact instead.
            raise PermanentError("HubSpot find contact: not an e-mail address", detail=email)
        if contact_id := self._find("contacts", "email", email):
            return contact_id
        named = {"email": email, "firstname": first_name, "lastname": last_name}
        properties = {name: value for name, value in named.items() if value}
        status, answer = self._create("contacts", properties, expect=(409,))
        if status != HTTPStatus.CONFLICT:
            return str(answer["id"])
        # Someone was quicker, or it is the secondary address of a contact. The id is told in one of two ways.
        if existing := re.search(r"Existing ID:\s*(\d+)", str(answer.get("message"))):
            return existing[1]
        profile = answer.get("identityProfile")
        if isinstance(profile, dict) and profile.get("vid"):
            return str(profile["vid"])
        if contact_id := self._find("contacts", "email", email):
            return contact_id
        raise TransientError("HubSpot create contact: HTTP 409 without the existing id", outcome_unknown=False)

    def find_contact(self, email: str) -> str | None:
        """The id of the contact with this address, None when there is none; a secondary address may not be found."""
        return self._find("contacts", "email", email) if "@" in email else None

    def create_ticket(
        self,
        subject: str,
        content: str,
        contact_id: str,
        reference: str,
        confirm: Callable[[], object] | None = None,
    ) -> Ticket:
        """Open a ticket in the configured pipeline and stage, associated with the contact in the same call.

        Idempotent only when the account has the reference property: otherwise the caller guards it with `find_ticket`,
        which needs `[ref: {reference}]` to stand in the subject or the content. `confirm` is asked last of all before
        the call goes out; what it raises stops it.
        """
        properties = {
            "subject": subject,
            "content": content,
            "hs_pipeline": self._pipeline_id,
            "hs_pipeline_stage": self._stage_new,
        }
        if self._reference_property:
            properties[_REFERENCE_PROPERTY] = reference
        status, answer = self._create(
            "tickets", properties, (_TICKET_TO_CONTACT, contact_id), expect=(400,), confirm=confirm
        )
        if status != HTTPStatus.BAD_REQUEST:
            return self._ticket(str(answer["id"]))
        if "CONFLICTING_UNIQUE_VALUE" in json.dumps(answer) and (ticket := self.find_ticket(contact_id, reference)):
            return ticket
        raise refusal("create ticket", status, {}, answer)

    def update_ticket(
        self, ticket_id: str, subject: str, content: str, confirm: Callable[[], object] | None = None
    ) -> bool:
        """Replace a ticket's subject and content, and nothing else of it; False when somebody has deleted it.

        Safe to call again. `confirm` is as for a new ticket.
        """
        body = {"properties": {"subject": subject, "content": content}}
        update = partial(self._objects.update, "tickets", ticket_id, body)
        status, _ = self._ask("update ticket", update, expect=(404,), confirm=confirm)
        return status != HTTPStatus.NOT_FOUND

    def find_ticket(self, contact_id: str, reference: str) -> Ticket | None:
        """The ticket that was opened for this reference, None when there is none.

        Read from the records themselves: the search index lags behind by up to half a minute.
        """
        if self._reference_property:
            ticket_id = self._find("tickets", _REFERENCE_PROPERTY, reference)
            return self._ticket(ticket_id) if ticket_id else None
        return next(self._marked_tickets(contact_id, reference), None)

    def has_ticket(self, ticket_id: str) -> bool:
        """Whether the ticket is there, and was not deleted since."""
        return self._find("tickets", None, ticket_id) is not None

    def find_tickets(self, contact_id: str, reference: str) -> list[Ticket]:
        """All tickets of a contact that `[ref: {reference}]` stands in, in no order: one, where nothing went wrong."""
        return list(self._marked_tickets(contact_id, reference))

    def _marked_tickets(self, contact_id: str, reference: str) -> Iterator[Ticket]:
        ids = self._list_associated("contacts", contact_id, "tickets")
        return map(self._ticket, self._marked("tickets", ids, ("content", "subject"), reference))

    def create_note(
        self,
        body_html: str,
        at: datetime,
        contact_id: str,
        ticket_id: str | None,
        confirm: Callable[[], object] | None = None,
    ) -> str:
        """Put a note on the contact's and the ticket's timelines at the moment `at`; returns its id.

        Not idempotent: the caller guards it with `find_note`. At most 65,536 characters. `confirm` is as for a ticket.
        """
        properties = {"hs_timestamp": str(int(at.timestamp() * 1000)), "hs_note_body": body_html}
        to_ticket = [(_NOTE_TO_TICKET, ticket_id)] if ticket_id else []
        _, answer = self._create("notes", properties, (_NOTE_TO_CONTACT, contact_id), *to_ticket, confirm=confirm)
        return str(answer["id"])

    def find_note(self, contact_id: str, ticket_id: str | None, reference: str) -> str | None:
        """The id of the note that `[ref: {reference}]` stands in, None when there is none.

        Looks at the ticket's notes, which are few, or at the contact's when there is no ticket.
        """
        return next(self._marked_notes(contact_id, ticket_id, reference), None)

    def find_notes(self, contact_id: str, ticket_id: str | None, reference: str) -> list[str]:
        """The ids of all the notes that `find_note` might give, in no order: one, where nothing went wrong."""
        return list(self._marked_notes(contact_id, ticket_id, reference))

    def _marked_notes(self, contact_id: str, ticket_id: str | None, reference: str) -> Iterator[str]:
        annotated = ("tickets", ticket_id) if ticket_id else ("contacts", contact_id)
        return self._marked("notes", self._list_associated(*annotated, "notes"), ("hs_note_body",), reference)

    def create_reference_property(self, label: str = "Figurative reference") -> bool:
        """Give tickets the unique property that makes `create_ticket` idempotent; False when they had it already.

        Needs the scope crm.schemas.tickets.write, and one of the ten unique properties an object may have.
        """
        text = {"groupName": "ticketinformation", "type": "string", "fieldType": "text"}
        definition = text | {"name": _REFERENCE_PROPERTY, "label": label, "hasUniqueValue": True}
        create = self._properties.create
        status, _ = self._ask(
            "create property", create, "tickets", definition, creates=True, expect=(409,), yields="name"
        )
        return status != HTTPStatus.CONFLICT

    def has_reference_property(self) -> bool:
        """Whether tickets have the unique property that `create_reference_property` makes."""
        read = self._properties.get_by_name
        status, answer = self._ask("read property", read, "tickets", _REFERENCE_PROPERTY, expect=(404,), yields="name")
        return status != HTTPStatus.NOT_FOUND and answer.get("hasUniqueValue") is True

    def check(self) -> str:
        """Read the account and the ticket pipeline; returns what was seen, in a line.

        Raises:
            ConfigurationError: the token, HUBSPOT_HUB_ID, HUBSPOT_PIPELINE_ID or HUBSPOT_STAGE_NEW is wrong.
        """
        # The client has no module for account-info, but its generic call goes through the same pool and timeouts.
        call = partial(self._objects.api_client.call_api, "/account-info/v3/details", "GET", auth_settings=["oauth2"])
        _, account = self._ask("read account", call, yields="portalId")
        if str(account["portalId"]) != self._hub_id:
            raise ConfigurationError(
                f"HubSpot: the token belongs to account {account['portalId']}, HUBSPOT_HUB_ID says {self._hub_id}"
            )
        _, pipelines = self._ask("read pipelines", self._pipelines.get_all, "tickets", yields="results")
        stages = {str(each["id"]): {str(stage["id"]) for stage in each["stages"]} for each in pipelines["results"]}
        if self._pipeline_id not in stages:
            raise ConfigurationError(f"HubSpot: no ticket pipeline {self._pipeline_id}, look at HUBSPOT_PIPELINE_ID")
        if self._stage_new not in stages[self._pipeline_id]:
            raise ConfigurationError(
                f"HubSpot: pipeline {self._pipeline_id} has no stage {self._stage_new}, look at HUBSPOT_STAGE_NEW"
            )
        return f"HubSpot account {self._hub_id}, ticket pipeline {self._pipeline_id}, stage {self._stage_new}"

    def _create(
        self,
        object_type: str,
        properties: dict[str, str],
        *associations: tuple[int, str],
        expect: tuple[int, ...] = (),
        confirm: Callable[[], object] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Create an object with its associations, each a type and the id of the other object, in one call."""
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
            confirm=confirm,
        )

    def _find(self, object_type: str, property_name: str | None, value: str) -> str | None:
        """The id of the object with this value of a unique property, or with this id."""
        read = self._objects.get_by_id
        status, answer = self._ask(
            f"find {object_type.removesuffix('s')}", read, object_type, value, id_property=property_name, expect=(404,)
        )
        return str(answer["id"]) if status != HTTPStatus.NOT_FOUND else None

    def _list_associated(self, object_type: str, object_id: str, to_object_type: str) -> list[str]:
        """The ids of every object of a type that is associated with an object, in no order."""
        read = partial(self._associations.get_page, object_type, object_id, to_object_type, limit=_PAGE_ROWS)
        ids: list[str] = []
        after = None
        while True:
            _, page = self._ask(f"list {to_object_type}", read, after=after, yields="results")
            ids += [str(row["toObjectId"]) for row in page["results"]]
            after = page.get("paging", {}).get("next", {}).get("after")
            if not after:
                return ids

    def _marked(self, object_type: str, ids: list[str], properties: tuple[str, ...], reference: str) -> Iterator[str]:
        """Those of these objects that `[ref: {reference}]` stands in a property of; read as they are asked for."""
        marker = f"[ref: {reference}]"
        for start in range(0, len(ids), _BATCH_ROWS):
            inputs = [{"id": object_id} for object_id in ids[start : start + _BATCH_ROWS]]
            batch = {"inputs": inputs, "properties": list(properties), "propertiesWithHistory": []}
            _, answer = self._ask(f"read {object_type}", self._batches.read, object_type, batch, yields="results")
            for row in answer["results"]:
                if any(marker in (row["properties"].get(name) or "") for name in properties):
                    yield str(row["id"])

    def _ticket(self, ticket_id: str) -> Ticket:
        return Ticket(ticket_id, f"https://app.hubspot.com/contacts/{self._hub_id}/record/0-5/{ticket_id}")
