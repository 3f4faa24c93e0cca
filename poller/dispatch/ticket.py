"""Create contact, ticket, note, subtask, comment and files at the services, one step each.

Before it creates anything, a step makes sure that an earlier try has not created it already.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poller.dispatch.job import skip
from poller.dispatch.upload import with_file_names
from poller.model import TICKETS, DispatchResult, Link
from poller.rendering import tickets
from poller.workflow.errors import UnusableMessageError
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.dispatch.job import StepContext
    from poller.model import Request
    from poller.workflow.retry import Attempt


def find_or_create_contact(job: StepContext, done: DispatchResult) -> DispatchResult:
    """Find or create the customer's contact at HubSpot, by e-mail. An existing one is left as it is."""
    hubspot = job.services.hubspot

    def act(_: Attempt) -> str | None:
        # An address is unique at HubSpot, so a second call finds the contact of the first.
        if hubspot is None:
            return None
        sender = job.message.request.sender
        if not sender.addr_spec:
            raise UnusableMessageError("the message has no sender address")
        return hubspot.find_or_create_contact(sender.addr_spec, *person_name(sender.display_name))

    contact_id = job.journal.step(StepName.FIND_OR_CREATE_CONTACT, act)
    return replace(done, contact_id=contact_id) if contact_id else skip(done, StepName.FIND_OR_CREATE_CONTACT)


def person_name(display_name: str) -> tuple[str, str]:
    """Split a display name into first and last name. "" where there is none.

    "Dupont, Jeanne" and "DUPONT Jeanne" put the last name first, as French administration does.
    """
    if "@" in display_name:
        return "", ""
    if "," in display_name:
        last, _, first = display_name.partition(",")
        return first.strip(), last.strip()
    first, _, last = display_name.partition(" ")
    if len(first) > 1 and first.isupper() and not last.isupper():
        return last.strip(), first
    return first, last.strip()


def create_ticket(job: StepContext, done: DispatchResult) -> DispatchResult:
    """Create the HubSpot ticket on the contact. Its properties may be refused for its category alone."""
    hubspot = job.services.hubspot

    def act(attempt: Attempt) -> dict[str, str] | None:
        if hubspot is None or not done.contact_id:
            return None
        request = job.message.request
        reference = request.reference
        ticket = hubspot.find_ticket(done.contact_id, reference) if attempt.doubts else None
        if ticket is None:
            content = tickets.ticket_content(request, with_file_names(request, done))
            properties = job.settings.hubspot.ticket_properties.of(done.classification.category)
            subject = tickets.ticket_subject(request)
            ticket = hubspot.create_ticket(subject, content, done.contact_id, reference, properties)
        return {"id": ticket.id, "url": ticket.url}

    ticket = job.journal.step(StepName.CREATE_TICKET, act, part=TICKETS[done.classification.category])
    return replace(done, ticket=Link(**ticket)) if ticket else skip(done, StepName.CREATE_TICKET)


def create_note(job: StepContext, done: DispatchResult, *, look: bool = False) -> DispatchResult:
    """Create the HubSpot note with the clickable links, on the contact and the ticket.

    With `look`, an existing note is searched for even where no try of this step may have made one.
    """
    file_ids = [file_id for _, file_id in done.attached]
    note_id = _write_note(job, done, lambda request: request.reference, tickets.note_html, file_ids, look=look)
    return replace(done, note_id=note_id) if note_id else skip(done, StepName.CREATE_NOTE)


def create_note_of_links(job: StepContext, done: DispatchResult) -> None:
    """Create a note with the links to the files, beside one that has none. One that exists is searched for first."""
    _write_note(job, done, tickets.links_of, tickets.files_note_html, [], look=True)


def _write_note(
    job: StepContext,
    done: DispatchResult,
    reference_of: Callable[[Request], str],
    write: Callable[[Request, DispatchResult], str],
    file_ids: list[str],
    *,
    look: bool,
) -> str | None:
    """Create a note unless there is one of its reference, and return its id, None without HubSpot or a contact."""
    hubspot = job.services.hubspot
    ticket_id = done.ticket.id if done.ticket else None

    def act(attempt: Attempt) -> str | None:
        if hubspot is None or not done.contact_id:
            return None
        request = job.message.request
        reference = reference_of(request)
        found = hubspot.find_note(done.contact_id, ticket_id, reference) if look or attempt.doubts else None
        if found is None:
            html = write(request, with_file_names(request, done))
            found = hubspot.create_note(html, request.received_at, done.contact_id, ticket_id, file_ids)
        return found

    note_id: str | None = job.journal.step(StepName.CREATE_NOTE, act)
    return note_id


def create_note_of_files(job: StepContext, done: DispatchResult) -> DispatchResult:
    """Create the note on a support ticket if there are files to link to or to attach."""
    return create_note(job, done) if done.uploads or done.attached else done
