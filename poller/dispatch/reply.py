"""Add a customer's answer to the existing ticket instead of opening a new one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from integrations.errors import PermanentError
from poller.dispatch import conversation
from poller.dispatch.classify import initial_result
from poller.dispatch.inspect_models import inspect_models
from poller.dispatch.job import GONE, skip
from poller.dispatch.notify import send_notification
from poller.dispatch.subtask import add_comment
from poller.dispatch.ticket import person_name
from poller.dispatch.upload import attach_files, upload_files, with_file_names
from poller.model import Category, Classification, Link, Outcome
from poller.own_mail import notification_id
from poller.rendering import notification, tickets
from poller.triage import sender
from poller.workflow.corrections import category_of, message_of
from poller.workflow.errors import DependencyPendingError
from poller.workflow.results import Participants
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from poller.dispatch.job import StepContext
    from poller.model import DispatchResult
    from poller.workflow.facts import FactStore
    from poller.workflow.results import Received, WorkResult
    from poller.workflow.retry import Attempt


@dataclass(frozen=True, slots=True)
class Conversation:
    """A ticket that one of the mail's parent messages opened."""

    reference: str  # of the mail that opened it
    category: Category  # even if that mail failed after its ticket was created
    contact_id: str
    ticket: Link
    subtask: Link | None
    people: Participants  # of the mail that opened it; empty if that was before people were recorded


def find_threads(job: StepContext, keys: Sequence[str]) -> list[Conversation]:
    """Return the tickets that these messages opened, the nearest first."""
    store = job.journal.store
    if not keys:
        return []

    def act(_: Attempt) -> list[dict[str, Any]]:
        request = job.message.request
        # Check the mailbox first: a message that no longer waits there has its ticket in the state store by now.
        waits = job.source.older(request.reference, [*request.in_reply_to, *request.references])
        known = store.recall(keys)
        # Some mails reference themselves, and a correction finds its own message. A message must not wait for itself.
        own = message_of(job.journal.reference)
        references = [each for each in dict.fromkeys(known[key] for key in keys if key in known) if each != own]
        if waits and not references:
            raise DependencyPendingError("the message that it answers still waits", waits)
        results = {reference: store.result(reference) for reference in references}
        # A message that only waits for its receipt is done and labelled.
        for reference, result in results.items():
            if result.final_outcome.is_open:
                raise DependencyPendingError("the message that it answers is still at work", message_of(reference))
        opened = {each: _opened(result) for each, result in results.items() if result.ticket}
        return [
            {"reference": each} | found | {"subtask": found["subtask"] or _brought(store, each)}
            for each, found in opened.items()
        ]

    found = job.journal.step(StepName.FIND_THREAD, act) or []
    # An earlier release recorded only the nearest one.
    return [_thread(each) for each in (found if isinstance(found, list) else [found])]


def _opened(result: WorkResult) -> dict[str, Any]:
    """Return the facts about a ticket as JSON, from the result of the message that opened it."""
    outcome = category_of(result)
    if not outcome.is_dispatched and result.category:
        outcome = result.category.outcome  # A correction stopped half-way: its ticket is of the category asked for.
    # As support, where a person has reclassified it, the 3D team no longer works on it.
    subtask = result.subtask if outcome is not Outcome.SUPPORT else None
    return {
        "contact_id": result.contact_id,
        "ticket": asdict(result.ticket) if result.ticket else None,
        "subtask": asdict(subtask) if subtask else None,
        "outcome": str(outcome),
        "people": asdict(result.people),
    }


def _brought(store: FactStore, reference: str) -> dict[str, str] | None:
    """Return the subtask of a thread that had none until a person reclassified one of its answers as modelling."""
    key = conversation.subtask_key(reference)
    brought_by = store.recall([key]).get(key)
    result = store.result(brought_by) if brought_by else None
    if result is None or result.subtask is None or category_of(result) is not Outcome.MODELISATION:
        return None
    return asdict(result.subtask)


def _thread(found: dict[str, Any]) -> Conversation:
    outcome = Outcome(found["outcome"])
    if not outcome.is_dispatched:  # recorded by an earlier release, of a correction that stopped half-way
        outcome = Outcome.MODELISATION if found["subtask"] else Outcome.SUPPORT
    return Conversation(
        reference=found["reference"],
        category=outcome.category,
        contact_id=found["contact_id"],
        ticket=Link(**found["ticket"]),
        subtask=Link(**found["subtask"]) if found["subtask"] else None,
        people=Participants(**found.get("people", {})),
    )


def remember(job: StepContext, key: str, reference: str, *told: str) -> None:
    """Record that later answers to this message belong to the message that opened the ticket.

    Answers to our letters about it belong there too. `told` are the kinds of those.
    """
    letters = [conversation.key(job.source.account, notification_id(job.journal.reference, each)) for each in told]
    for each in (key, *letters):
        job.journal.store.remember(each, reference)


def answer(
    job: StepContext, named: list[Conversation], received: Received, *, look: bool = False
) -> tuple[Conversation, DispatchResult] | None:
    """Add the mail to the nearest ticket that its writer may answer, and return the thread and the result.

    The writer is the ticket's customer, or a colleague who writes about that customer: a Message-ID alone proves
    nothing, because anyone may quote it. Return None if there is no such ticket, or a person has deleted it. `look`
    searches the services for existing results even if no attempt of this work may have made them.
    """
    if not named:
        return None
    people = received.people
    known = [thread for thread in named if people.may_answer(thread.people)]
    if known and people.colleague:
        contact_id = known[0].contact_id
    else:
        contact_id = find_contact(job, people, known, needed=not received.ignored)
    thread = next((each for each in named if each in known or each.contact_id == contact_id), None)
    if thread is None:
        return None
    sure = Classification(thread.category, 1.0, "thread", "Réponse à une demande en cours.", needs_review=False)
    if thread.category is Category.SUPPORT and received.support_files == "none" and received.support_decisions:
        job = replace(job, upload_decisions=received.support_decisions)
    done = replace(initial_result(job, sure), contact_id=contact_id, ticket=thread.ticket, subtask=thread.subtask)
    is_private = thread.category is Category.SUPPORT and received.support_files == "hubspot"
    stored = attach_files(job, done, look=look) if is_private else inspect_models(job, upload_files(job, done))
    noted = add_note(job, stored, people, look=look)
    if noted is None:
        return None
    remember(job, received.thread_key, thread.reference, notification.ANSWERED)

    def comment() -> str:
        request = job.message.request
        return tickets.reply_comment(request, with_file_names(request, noted), colleague=people.colleague)

    return thread, add_comment(job, noted, message_of(job.journal.reference), comment, look=look)


def send_answered(job: StepContext, done: DispatchResult, received: Received, thread: Conversation) -> DispatchResult:
    """Notify the admin which ticket an answer was added to."""
    colleague = received.people.colleague
    write = partial(notification.reply_notification, colleague=colleague, answers=thread.reference)
    return send_notification(job, done, write)


def find_contact(job: StepContext, people: Participants, known: list[Conversation], *, needed: bool) -> str:
    """Return the contact id of the writer (of the ticket's customer if `known` has threads), "" if none.

    For an unknown writer a contact is created only if it is `needed` for a ticket of the writer's own.
    """
    hubspot = job.services.hubspot

    def act(_: Attempt) -> str | None:
        if hubspot is None:
            return None
        request = job.message.request
        writer = sender.writer(request, sender.own_domains(job.settings.imap))
        customer = request.sender if known and people == known[0].people else writer
        same = customer.addr_spec.casefold() == request.sender.addr_spec.casefold()
        if known or (needed and same and customer.addr_spec):
            return hubspot.find_or_create_contact(customer.addr_spec, *person_name(customer.display_name))
        return hubspot.find_contact(customer.addr_spec)

    return job.journal.step(StepName.FIND_OR_CREATE_CONTACT, act) or ""


def add_note(job: StepContext, done: DispatchResult, people: Participants, *, look: bool) -> DispatchResult | None:
    """Add the answer to the ticket as a note. Return None if the ticket was deleted. `look` is as for `answer`."""
    hubspot, ticket = job.services.hubspot, done.ticket

    def act(attempt: Attempt) -> str | None:
        if hubspot is None or ticket is None:
            return None
        request = job.message.request
        try:
            found = hubspot.find_note(done.contact_id, ticket.id, request.reference) if look or attempt.doubts else None
            if found is None:
                html = tickets.reply_note_html(request, with_file_names(request, done), colleague=people.colleague)
                file_ids = [file_id for _, file_id in done.attached]
                found = hubspot.create_note(html, request.received_at, done.contact_id, ticket.id, file_ids)
        except PermanentError:
            if hubspot.has_ticket(ticket.id):
                raise
            return GONE
        return found

    note_id = job.journal.step(StepName.CREATE_NOTE, act)
    if note_id == GONE:
        return None
    return replace(done, note_id=note_id) if note_id else skip(done, StepName.CREATE_NOTE)
