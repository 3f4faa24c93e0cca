"""Write the mails to the admin: what became of a request, or why nothing could."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from poller.escaping import one_line, reply_address
from poller.own_mail import notification_id
from poller.rendering import letter_parts
from poller.rendering.failure import FAILED_MAILBOX, failure_facts, origin, to_do
from poller.rendering.mail_page import Page, Tone, mail
from poller.rendering.phrases import CATEGORIES, NBSP, whose_answer
from poller.rendering.tickets import ticket_subject
from poller.workflow.corrections import message_of
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from datetime import datetime, tzinfo
    from email.message import EmailMessage

    from poller.model import DispatchResult, Request

# Kinds of mail, see `mail_page.mail`.
DISPATCHED, ANSWERED = "notification", "reply"


def notification(
    request: Request,
    done: DispatchResult,
    *,
    sender: str,
    recipient: str,
    now: datetime,
    zone: tzinfo = UTC,
    reply_to_customer: bool = False,
) -> EmailMessage:
    """Write the mail about a request: its content, its classification, and the links to all that was made of it.

    `zone` is the reader's. With `reply_to_customer` an answer to the mail goes to the customer.
    """
    category = CATEGORIES[done.classification.category]
    checks = letter_parts.to_check(request, done)
    page = Page(
        kicker=letter_parts.sureness(done.classification),
        title=ticket_subject(request),
        box=("À vérifier", checks),
        facts=[*letter_parts.people(request, zone), ("Pourquoi", letter_parts.why(done.classification))],
        buttons=letter_parts.buttons(done),
        files=letter_parts.files(done),
        reference=request.reference,
        lists=letter_parts.left_in_message(request, done),
        tone=letter_parts.tone(done),
        preview=letter_parts.preview(request),
        quotation=letter_parts.quoted(request),
        thumbnails=letter_parts.thumbnails(request, done),
        all_files=letter_parts.all_files(done),
    )
    flag = ", à vérifier" if done.classification.needs_review else ""
    return mail(
        page,
        f"[{category}{flag}] {_about(request)}",
        DISPATCHED,
        sender=sender,
        recipient=recipient,
        now=now,
        name=f"{category} · {'à vérifier' if checks else 'nouvelle demande'}",
        reply_to=reply_address(request.sender.addr_spec) if reply_to_customer else "",
        thread=[request.message_id] if reply_to_customer else (),
    )


def reply_notification(
    request: Request,
    done: DispatchResult,
    *,
    sender: str,
    recipient: str,
    now: datetime,
    zone: tzinfo = UTC,
    colleague: bool = False,
    answers: str = "",
    reply_to_customer: bool = False,
) -> EmailMessage:
    """Write the mail about an answer to an existing ticket: where it was put, and the links to it.

    `colleague`: one of ours wrote it. `answers` is the reference of the message that opened the ticket, whose letters
    it goes with. The other arguments are those of `notification`.
    """
    placed = []
    if done.ticket is not None and StepName.CREATE_NOTE not in done.skipped:
        placed.append(f"ticket HubSpot n°{NBSP}{one_line(done.ticket.id)}, en note")
    if done.subtask is not None and StepName.ADD_COMMENT not in done.skipped:
        placed.append("sous-tâche ClickUp, en commentaire")
    category, whose = CATEGORIES[done.classification.category], whose_answer(colleague=colleague)
    page = Page(
        kicker=f"{whose} · {category}",
        title=ticket_subject(request),
        box=("À vérifier", letter_parts.to_check_of_reply(request, done)),
        facts=[*letter_parts.people(request, zone), ("Ajoutée à", "\n".join(placed) or "rien")],
        buttons=letter_parts.buttons(done),
        files=letter_parts.files(done),
        reference=request.reference,
        lists=letter_parts.left_in_message(request, done),
        tone=letter_parts.tone(done),
        preview=letter_parts.preview(request),
        quotation=letter_parts.quoted(request, colleague=colleague),
        thumbnails=letter_parts.thumbnails(request, done),
        all_files=letter_parts.all_files(done),
    )
    thread = conversation(answers or request.reference)
    return mail(
        page,
        f"[Réponse] {_about(request)}",
        ANSWERED,
        sender=sender,
        recipient=recipient,
        now=now,
        name=f"{category} · {whose[:1].lower()}{whose[1:]}",
        reply_to=reply_address(request.sender.addr_spec) if reply_to_customer else "",
        thread=[request.message_id, *thread] if reply_to_customer else thread,
    )


def failure_notification(
    request: Request | None,
    reference: str,
    *,
    step: str,
    kind: str,
    detail: str,
    sender: str,
    recipient: str,
    now: datetime,
    zone: tzinfo = UTC,
    done: DispatchResult | None = None,
    mailbox: str = FAILED_MAILBOX,
    message_url: str = "",
    answers: str = "",
) -> EmailMessage:
    """Write the mail about a failure: what could not be done, at which step, why, and how to try it again.

    `request` is None when the message was unreadable. `kind` is a key of `failure.REASONS`. `detail` is what the
    service or the program said, in its own words. `done` is what was done before. `mailbox` is where the message and
    its receipt lie, and `message_url` opens them in a browser, "" if no page does. `answers` is the reference of the
    message whose letters it goes with, "" for its own.
    """
    facts = failure_facts(step, kind)
    if request is not None:
        facts += [*letter_parts.people(request, zone), ("Objet", ticket_subject(request))]
    buttons = letter_parts.buttons(done) if done else []
    page = Page(
        kicker="Échec",
        title="Un message n’a pas pu être traité",
        box=("Que faire", to_do(reference, step, kind, mailbox)),
        facts=facts,
        buttons=[*buttons, *([("Ouvrir le message et son reçu", message_url)] if message_url else [])],
        files=(),
        reference=reference,
        tone=Tone.FAILURE,
        preview=letter_parts.preview(request) if request else "",
        quotation=letter_parts.quoted(request) if request else ("", ""),
        origin=origin(kind, detail),
    )
    return mail(
        page,
        f"[Échec] {_about(request)}" if request is not None else f"[Échec] Message illisible ({reference})",
        "failure",
        sender=sender,
        recipient=recipient,
        now=now,
        name="Échec · à reprendre",
        thread=conversation(answers or reference),
    )


def conversation(reference: str) -> list[str]:
    """Return the Message-ID that all letters about a request refer to: that of its notification, sent or not."""
    return [notification_id(message_of(reference), DISPATCHED)]


def _about(request: Request) -> str:
    client = request.sender.addr_spec or "expéditeur inconnu"
    return f"{one_line(ticket_subject(request), 120)} ({one_line(client, 60)})"
