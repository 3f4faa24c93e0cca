"""HubSpot: contacts, tickets, notes and private files.

https://developers.hubspot.com/docs/api-reference/latest/overview
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from integrations.errors import ConfigurationError, PermanentError, TransientError
from integrations.hubspot.account import check_key, check_properties, check_stage
from integrations.hubspot.crm import Crm, record_of
from integrations.hubspot.files import Files
from integrations.hubspot.properties import REFERENCE_PROPERTY, creation_refusal, refused_properties
from integrations.hubspot.request import ask
from integrations.net.deadline import CALL_S
from integrations.net.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from typing import BinaryIO

    from integrations.hubspot.crm import Record

# The association types that HubSpot defines (hubspot/crm/association_type.py of the client).
_TICKET_TO_CONTACT = 16
_NOTE_TO_CONTACT = 202
_NOTE_TO_TICKET = 228

_NAMES = {"firstname", "lastname"}


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
        api_version: str = "2026-09",
        reference_property: bool = False,
        private_files: bool = False,
        calls_per_10s: int = 100,
        connect_timeout_s: float = 10.0,
        read_timeout_s: float = 30.0,
        deadline_s: float = CALL_S,
    ) -> None:
        """Set `reference_property` when `create_reference_property` has been run on this account.

        `api_version` is the date of the API of the CRM.

        `private_files` says that `upload_file` is used, for which `check` asks.
        """
        rate_limiter, timeout_s = RateLimiter(calls_per_10s, 10.0), (connect_timeout_s, read_timeout_s)
        call = partial(ask, rate_limiter, timeout_s, deadline_s)
        self._crm = Crm(api_key, base_url, api_version, call)
        self._files, self._private_files = Files(self._crm.client, call), private_files
        self._hub_id = hub_id
        self._pipeline_id = pipeline_id
        self._stage_new = stage_new
        self._reference_property = reference_property

    def find_or_create_contact(self, email: str, first_name: str, last_name: str) -> str:
        """Return the id of the contact with this address, created when there is none. An existing one is not changed.

        Safe to call again: HubSpot keeps e-mail addresses unique. The names may be empty. Where HubSpot refuses one of
        them, the contact has neither. Where the account requires one that is not given, it is made of the address.

        Raises:
            PermanentError: HubSpot does not accept the address as an e-mail address.
            ConfigurationError: the account requires something of contacts that comes from no mail.
        """
        if "@" not in email:
            # An empty id in the path would list every contact instead.
            raise PermanentError("HubSpot find contact: not an e-mail address", detail=email)
        if contact := self._crm.find("contacts", "email", email):
            return contact.id
        named = {"email": email, "firstname": first_name, "lastname": last_name}
        properties = {name: value for name, value in named.items() if value}
        status, answer = self._crm.create("contacts", properties, expect=(400, 409))
        if status == HTTPStatus.BAD_REQUEST and _is_about_name(properties, answer):
            # HubSpot refuses links and code in a name, and an account may have rules of its own.
            properties = {"email": email}
            status, answer = self._crm.create("contacts", properties, expect=(400, 409))
        if status == HTTPStatus.BAD_REQUEST and (required := _NAMES & set(refused_properties(answer))):
            properties |= dict.fromkeys(sorted(required - properties.keys()), _spoken(email))
            status, answer = self._crm.create("contacts", properties, expect=(400, 409))
        if status == HTTPStatus.BAD_REQUEST:
            raise creation_refusal("contacts", properties, answer)
        if status != HTTPStatus.CONFLICT:
            return str(answer["id"])
        # Another process created it first, or it is a contact's secondary address. The id comes in one of two forms.
        if existing := re.search(r"Existing ID:\s*(\d+)", str(answer.get("message"))):
            return existing[1]
        profile = answer.get("identityProfile")
        if isinstance(profile, dict) and profile.get("vid"):
            return str(profile["vid"])
        if contact := self._crm.find("contacts", "email", email):
            return contact.id
        raise TransientError("HubSpot create contact: HTTP 409 without the existing id", outcome_unknown=False)

    def find_contact(self, email: str) -> str | None:
        """Return the id of the contact with this address, or None. A secondary address may not be found."""
        contact = self._crm.find("contacts", "email", email) if "@" in email else None
        return contact.id if contact else None

    def create_ticket(
        self, subject: str, content: str, contact_id: str, reference: str, properties: Mapping[str, str] | None = None
    ) -> Ticket:
        """Open a ticket in the configured pipeline and stage, associated with the contact in the same call.

        `properties` are further ones, by internal name.

        Idempotent only when the account has the reference property. Otherwise the caller guards it with `find_ticket`,
        which needs `[ref: {reference}]` in the subject or the content.

        Raises:
            ConfigurationError: HubSpot refuses or misses a property that does not come from the mail.
        """
        sent = dict(properties or {}) | {
            "subject": subject,
            "content": content,
            "hs_pipeline": self._pipeline_id,
            "hs_pipeline_stage": self._stage_new,
        }
        if self._reference_property:
            sent[REFERENCE_PROPERTY] = reference
        status, answer = self._crm.create("tickets", sent, (_TICKET_TO_CONTACT, contact_id), expect=(400,))
        if status != HTTPStatus.BAD_REQUEST:
            return self._ticket(record_of(answer))
        if "CONFLICTING_UNIQUE_VALUE" in json.dumps(answer) and (ticket := self.find_ticket(contact_id, reference)):
            return ticket
        raise creation_refusal("tickets", sent, answer)

    def update_ticket(self, ticket_id: str, content: str) -> bool:
        """Replace a ticket's content, and nothing else of it. Return False when the ticket was deleted.

        Safe to call again.
        """
        return self._crm.update("tickets", ticket_id, {"content": content})

    def ticket_content(self, ticket_id: str) -> str | None:
        """Return a ticket's content, others' edits included. "" means empty, None that the ticket was deleted."""
        properties = self._crm.read("tickets", ticket_id, "content")
        return None if properties is None else str(properties.get("content") or "")

    def find_ticket(self, contact_id: str, reference: str) -> Ticket | None:
        """Return the ticket that was opened for this reference, or None.

        Reads the records themselves: the search index lags behind by up to half a minute.
        """
        if self._reference_property:
            ticket = self._crm.find("tickets", REFERENCE_PROPERTY, reference)
            return self._ticket(ticket) if ticket else None
        return next(self._marked_tickets(contact_id, reference), None)

    def has_ticket(self, ticket_id: str) -> bool:
        """Return True when the ticket exists and has not been deleted."""
        return self._crm.find("tickets", None, ticket_id) is not None

    def find_tickets(self, contact_id: str, reference: str) -> list[Ticket]:
        """Return all tickets of a contact that contain `[ref: {reference}]`, in no order.

        There is at most one, unless something went wrong.
        """
        return list(self._marked_tickets(contact_id, reference))

    def _marked_tickets(self, contact_id: str, reference: str) -> Iterator[Ticket]:
        ids = self._crm.associated("contacts", contact_id, "tickets")
        return map(self._ticket, self._crm.marked("tickets", ids, ("content", "subject"), reference))

    def untouched(self, ticket_ids: Sequence[str]) -> set[str]:
        """Return the ids of those tickets that no agent has answered or moved on, without any that was deleted.

        A hundred are read in one call. HubSpot sets the date of the first reply where an agent answers from it.
        """
        stage, reply = "hs_pipeline_stage", "first_agent_reply_date"
        rows = self._crm.rows("tickets", ticket_ids, (stage, reply))
        found = {str(row["id"]): row["properties"] for row in rows}
        return {id_ for id_, of in found.items() if of.get(stage) == self._stage_new and not of.get(reply)}

    def create_note(
        self, body_html: str, at: datetime, contact_id: str, ticket_id: str | None, file_ids: Sequence[str] = ()
    ) -> str:
        """Put a note on the contact's and the ticket's timelines at the time `at`, and return its id.

        Not idempotent: the caller guards it with `find_note`. `body_html` has at most 65,536 characters. `file_ids` are
        attached to the note.
        """
        properties = {"hs_timestamp": str(int(at.timestamp() * 1000)), "hs_note_body": body_html}
        if file_ids:
            properties["hs_attachment_ids"] = ";".join(file_ids)
        to_ticket = [(_NOTE_TO_TICKET, ticket_id)] if ticket_id else []
        to_contact = (_NOTE_TO_CONTACT, contact_id)
        status, answer = self._crm.create("notes", properties, to_contact, *to_ticket, expect=(400,))
        if status == HTTPStatus.BAD_REQUEST:
            raise creation_refusal("notes", properties, answer)
        return str(answer["id"])

    def find_file(self, folder: str, name: str) -> str | None:
        """Return the id of the private file of this name in the folder, or None. Both are as for `upload_file`."""
        return self._files.find(folder, name)

    def upload_file(self, folder: str, name: str, body: BinaryIO, size_bytes: int, content_type: str) -> str:
        """Store the whole stream as a private file, and return its id, which a note can attach.

        Not idempotent: the caller guards it with `find_file`. The parts of `folder`, which begins with "/", and `name`
        are `[A-Za-z0-9._-]`.
        """
        return self._files.upload(folder, name, body, size_bytes, content_type)

    def find_note(self, contact_id: str, ticket_id: str | None, reference: str) -> str | None:
        """Return the id of the note that contains `[ref: {reference}]`, or None.

        Reads the ticket's notes, which are few, or the contact's when there is no ticket.
        """
        return next(self._marked_notes(contact_id, ticket_id, reference), None)

    def find_notes(self, contact_id: str, ticket_id: str | None, reference: str) -> list[str]:
        """Return the ids of all notes that `find_note` might return, in no order.

        There is at most one, unless something went wrong.
        """
        return list(self._marked_notes(contact_id, ticket_id, reference))

    def _marked_notes(self, contact_id: str, ticket_id: str | None, reference: str) -> Iterator[str]:
        annotated = ("tickets", ticket_id) if ticket_id else ("contacts", contact_id)
        ids = self._crm.associated(*annotated, "notes")
        return (note.id for note in self._crm.marked("notes", ids, ("hs_note_body",), reference))

    def create_reference_property(self, label: str = "Figurative reference") -> bool:
        """Give tickets the unique property that makes `create_ticket` idempotent. Return False when it exists.

        Needs one of the ten unique properties an object may have.
        """
        text = {"groupName": "ticketinformation", "type": "string", "fieldType": "text"}
        definition = text | {"name": REFERENCE_PROPERTY, "label": label, "hasUniqueValue": True}
        return self._crm.create_property("tickets", definition)

    def has_reference_property(self) -> bool:
        """Return True when tickets have the unique property that `create_reference_property` creates."""
        definition = self._crm.read_property("tickets", REFERENCE_PROPERTY)
        return definition is not None and definition.get("hasUniqueValue") is True

    def check(self, ticket_properties: Mapping[str, Mapping[str, str]] | None = None) -> str:
        """Read the account, its ticket pipeline and its rules, and return a one-line summary. Nothing is changed.

        `ticket_properties` are those that tickets are created with, by the kind of ticket.

        Raises:
            ConfigurationError: the token, one of its scopes, HUBSPOT_HUB_ID, HUBSPOT_PIPELINE_ID or HUBSPOT_STAGE_NEW
                is wrong, or the reference property is configured and missing, or the account does not take the
                properties or requires others.
        """
        check_key(self._crm, self._hub_id)
        check_stage(self._crm, self._pipeline_id, self._stage_new)
        if self._reference_property and not self.has_reference_property():
            raise ConfigurationError(
                "HubSpot: tickets have no unique property figurative_reference: run poller setup-hubspot, or set "
                "[hubspot] reference_property = false"
            )
        check_properties(self._crm, ticket_properties or {})
        if self._private_files:
            self._files.check()
        return f"HubSpot account {self._hub_id}, ticket pipeline {self._pipeline_id}, stage {self._stage_new}"

    def _ticket(self, record: Record) -> Ticket:
        # An account lives on one of several hosts, which only its answers name.
        return Ticket(
            record.id, record.url or f"https://app.hubspot.com/contacts/{self._hub_id}/record/0-5/{record.id}"
        )


def _is_about_name(sent: Mapping[str, str], answer: dict[str, Any]) -> bool:
    """Return True if a 400 to the creation of a contact may be about the person's name."""
    refused = refused_properties(answer)
    return bool(_NAMES & sent.keys()) and (not refused or bool(_NAMES & sent.keys() & set(refused)))


def _spoken(email: str) -> str:
    """Return an address without its domain and its punctuation, which HubSpot might take for a link."""
    return " ".join(re.findall(r"\w+", email.partition("@")[0])) or "-"
