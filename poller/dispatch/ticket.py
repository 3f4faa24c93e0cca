"""The steps that make something at a service, each with its look where an earlier try may have made it already."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from integrations.clickup.client import TaskGoneError
from poller import escaping
from poller.model import Dispatched, Fate, Link, StoredFile
from poller.parsing import file_types
from poller.rendering import tickets
from poller.workflow.errors import UnusableMessageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.dispatch.job import Job
    from poller.model import Request
    from poller.workflow.retry import Attempt

CLOCKS = timedelta(minutes=15)  # that ours and a service's may be apart
GONE = "gone"  # in the journal: what something was to be put on was deleted
FILE_FACT = "file-secret"  # under which the secret of the file keys is remembered


def upload_files(job: Job, done: Dispatched) -> Dispatched:
    """Put the 3D files and images on R2; one entry in the memory and one PUT a file."""
    r2 = job.services.r2
    uploads = []
    for number in (number for number, fate in enumerate(job.fates) if fate is Fate.FILE):

        def act(_: Attempt, number: int = number) -> str | None:
            if r2 is None:
                return None
            attachment = job.message.request.attachments[number]
            # The key is the same at each try, and R2 refuses to write it twice: no need to look first.
            with attachment.content.open() as body:
                return r2.upload(
                    file_key(job.message.request, number, _secret(job)),
                    body,
                    attachment.size_bytes,
                    attachment.content_type,
                    escaping.content_disposition(file_types.opens_as(attachment)),
                )

        url = job.journal.step("upload_files", act, "r2")
        if url is None:
            return skip(done, "upload_files")
        uploads.append((number, url))
    return replace(done, uploads=tuple(uploads))


def with_files(request: Request, done: Dispatched) -> Dispatched:
    """The same, with the names and sizes of the files, which stand in the mail alone."""
    stored = [(request.attachments[number], url) for number, url in done.uploads]
    return replace(
        done, files=tuple(StoredFile(file_types.opens_as(file), url, file.size_bytes) for file, url in stored)
    )


def file_key(request: Request, number: int, secret: str) -> str:
    """Where a file lies on R2: date, 128 bits that nobody can guess, and a name fit for a URL; the same at each try."""
    digest = hmac.new(secret.encode(), f"{request.reference}/{number}".encode(), hashlib.sha256).hexdigest()[:32]
    day = request.received_at.strftime("%Y/%m/%d")
    return f"{day}/{digest}/{escaping.key_name(file_types.opens_as(request.attachments[number]))}"


def _secret(job: Job) -> str:
    """What file keys are made with: not the service's own, which may be replaced between a PUT and its next try."""
    new = secrets.token_hex(16)
    return job.journal.memory.remember(FILE_FACT, new) if job.journal.memory else new


def find_or_create_contact(job: Job, done: Dispatched) -> Dispatched:
    """The customer's contact at HubSpot, by e-mail; an existing one is left as it is."""
    hubspot = job.services.hubspot

    def act(_: Attempt) -> str | None:
        # An address is unique at HubSpot: doing it again finds what was done.
        if hubspot is None:
            return None
        sender = job.message.request.sender
        if not sender.addr_spec:
            raise UnusableMessageError("the message has no sender address")
        return hubspot.find_or_create_contact(sender.addr_spec, *person_name(sender.display_name))

    contact_id = job.journal.step("find_or_create_contact", act, "hubspot")
    return replace(done, contact_id=contact_id) if contact_id else skip(done, "find_or_create_contact")


def person_name(display_name: str) -> tuple[str, str]:
    """First and last name; "" where there is none.

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


def create_ticket(job: Job, done: Dispatched) -> Dispatched:
    """The ticket, on the contact."""
    hubspot = job.services.hubspot

    def act(attempt: Attempt) -> dict[str, str] | None:
        if hubspot is None or not done.contact_id:
            return None
        request = job.message.request
        reference = request.reference
        ticket = hubspot.find_ticket(done.contact_id, reference) if attempt.doubts else None
        if ticket is None:
            content = tickets.ticket_content(request, with_files(request, done))
            ticket = hubspot.create_ticket(
                tickets.ticket_subject(request), content, done.contact_id, reference, job.journal.confirm
            )
        return {"id": ticket.id, "url": ticket.url}

    ticket = job.journal.step("create_ticket", act, "hubspot", looks=True)
    return replace(done, ticket=Link(**ticket)) if ticket else skip(done, "create_ticket")


def create_note(job: Job, done: Dispatched, *, look: bool = False) -> Dispatched:
    """The note with the clickable links, on the contact and the ticket.

    `look` asks whether there is one also where no try of this step may have made it.
    """
    hubspot = job.services.hubspot
    ticket_id = done.ticket.id if done.ticket else None

    def act(attempt: Attempt) -> str | None:
        if hubspot is None or not done.contact_id:
            return None
        request = job.message.request
        looks = look or attempt.doubts
        found = hubspot.find_note(done.contact_id, ticket_id, request.reference) if looks else None
        if found is None:
            html = tickets.note_html(request, with_files(request, done))
            found = hubspot.create_note(html, request.received_at, done.contact_id, ticket_id, job.journal.confirm)
        return found

    note_id = job.journal.step("create_note", act, "hubspot", looks=True)
    return replace(done, note_id=note_id) if note_id else skip(done, "create_note")


def create_subtask(job: Job, done: Dispatched, *, look: bool = False) -> Dispatched:
    """The 3D team's subtask; `look` is as for the note."""
    clickup = job.services.clickup

    def act(attempt: Attempt) -> dict[str, str] | None:
        if clickup is None:
            return None
        request = job.message.request
        since = request.received_at if look else attempt.since
        found = clickup.find_subtask(request.reference, since - CLOCKS) if look or attempt.doubts else None
        if found is None:
            markdown = tickets.subtask_markdown(request, with_files(request, done))
            found = clickup.create_subtask(tickets.subtask_name(request), markdown, job.journal.confirm)
        return {"id": found.id, "url": found.url}

    subtask = job.journal.step("create_subtask", act, "clickup", looks=True)
    return replace(done, subtask=Link(**subtask)) if subtask else skip(done, "create_subtask")


def add_comment(job: Job, done: Dispatched, mark: str, write: Callable[[], str], *, look: bool = False) -> Dispatched:
    """Tell the 3D team, on the request's subtask if it has one; without it where somebody has deleted that.

    `mark` stands in the text that `write` gives, and is what the comment is found by; `look` is as for the note.
    """
    clickup, subtask = job.services.clickup, done.subtask
    if subtask is None:
        return done

    def act(attempt: Attempt) -> str | None:
        if clickup is None:
            return None
        try:
            found = clickup.find_comment(subtask.id, mark) if look or attempt.doubts else None
            return found or clickup.add_comment(subtask.id, write(), job.journal.confirm)
        except TaskGoneError:
            return GONE

    comment_id = job.journal.step("add_comment", act, "clickup", looks=True)
    if comment_id == GONE:
        return replace(done, subtask=None)
    return done if comment_id else skip(done, "add_comment")


def skip(done: Dispatched, step: str) -> Dispatched:
    """Note that a step was not done, for its service has no credentials."""
    return done if step in done.skipped else replace(done, skipped=(*done.skipped, step))
