"""A customer's answer about a ticket there is: it goes to that ticket, and none is opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from integrations.errors import TransientError
from poller import notification, texts
from poller.request import Category, Classification, Dispatched, Link
from poller.steps import create_note, find_or_create_contact, send, skip, upload_files, with_files

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import EmailMessage

    from poller.job import Job
    from poller.journal import Attempt


@dataclass(frozen=True, slots=True)
class Thread:
    """The ticket that a mail's forebears led to."""

    reference: str  # of the mail that opened it
    outcome: str  # "support" or "modelisation"
    contact_id: str
    ticket: Link
    subtask: Link | None


def find_thread(job: Job, keys: list[str]) -> Thread | None:
    """The ticket that one of these messages opened, None when none of them did."""
    memory = job.journal.memory
    if not keys or memory is None:
        return None

    def act(_: Attempt) -> dict[str, Any] | None:
        known = memory.recall(keys)
        reference = next((known[each] for each in keys if each in known), "")
        if not reference:
            request = job.message.request
            if job.message.waits_behind([*request.in_reply_to, *request.references]):
                raise TransientError("the message that it answers still waits", outcome_unknown=False)
            return None
        result = memory.result(reference)
        if result.get("outcome", "waiting") == "waiting":
            raise TransientError("the message that it answers is still at work", outcome_unknown=False)
        names = ("outcome", "contact_id", "ticket", "subtask")
        return {"reference": reference} | {name: result[name] for name in names} if result.get("ticket") else None

    found = job.journal.step("find_thread", act)
    if found is None:
        return None
    subtask = Link(**found["subtask"]) if found["subtask"] else None
    return Thread(**found | {"ticket": Link(**found["ticket"]), "subtask": subtask})


def answer(job: Job, thread: Thread) -> Dispatched | None:
    """Add the mail to the ticket; None when it is not from the ticket's contact: anybody may quote a Message-ID."""
    category = Category(thread.outcome.upper())
    known = Classification(category, 1.0, "thread", "Réponse à une demande en cours.", needs_review=False)
    done = find_or_create_contact(job, Dispatched(known))
    if done.contact_id != thread.contact_id:
        return None
    done = upload_files(job, replace(done, ticket=thread.ticket, subtask=thread.subtask))
    done = create_note(job, done, texts.reply_note_html)
    if thread.subtask:
        done = add_comment(job, done, thread.subtask)
    return send_reply_notification(job, done)


def add_comment(job: Job, done: Dispatched, subtask: Link) -> Dispatched:
    """Tell the 3D team, on its subtask."""
    clickup = job.services.clickup

    def act(attempt: Attempt) -> str | None:
        if clickup is None:
            return None
        request = job.message.request
        found = clickup.find_comment(subtask.id, request.reference) if attempt.doubts else None
        if found is None:
            text = texts.reply_comment(request, with_files(request, done))
            job.journal.confirm()
            found = clickup.add_comment(subtask.id, text)
        return found

    return done if job.journal.step("add_comment", act, "clickup") else skip(done, "add_comment")


def send_reply_notification(job: Job, done: Dispatched) -> Dispatched:
    """Tell the admin where the answer was put."""

    def letter(sender: str, recipient: str, now: datetime) -> EmailMessage:
        request = job.message.request
        told = with_files(request, done)
        return notification.reply_notification(request, told, sender=sender, recipient=recipient, now=now)

    return done if send(job, "send_notification", letter) else skip(done, "send_notification")
