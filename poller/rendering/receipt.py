"""Render the receipt of a message: a small mail beside it in its mailbox that says what was done."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from poller.escaping import one_line
from poller.model import Acknowledgement, Category, Outcome, Receipt
from poller.own_mail import HEADER, notification_id
from poller.rendering import letter_parts
from poller.rendering.failure import FAILED_MAILBOX, failure_facts, origin, to_do
from poller.rendering.mail_page import DONE, FAILED, LEFT, Page, Tone, mail, thread_of
from poller.rendering.phrases import (
    CATEGORIES,
    NBSP,
    STEPS,
    attachments,
    services_off,
    step_title,
    whose_answer,
)
from poller.rendering.previews import portraits
from poller.rendering.tickets import ticket_subject
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from poller.model import DispatchResult, Request
    from poller.rendering.mail_page import Line
    from poller.workflow.errors import StepFailedError
    from poller.workflow.results import WorkResult

KIND = "receipt"  # in our own header field and in the Message-ID
_TITLES = {"thread": "Réponse ajoutée", "person": "Demande reclassée"}  # keyed by `decided_by`
_IS_ANSWER = re.compile(r"re\s*:", re.IGNORECASE)  # RFC 5322 section 3.6.5, and as French writes it
_NO_LETTER = {
    Acknowledgement.FAILED: "il n’a pas pu être rédigé",
    Acknowledgement.OFF: "il est désactivé",
    Acknowledgement.NO_TICKET: "aucun ticket n’a été ouvert",
    Acknowledgement.IN_CONVERSATION: "le message fait partie d’un échange connu",
    Acknowledgement.OURS: "l’expéditeur est de la maison",
    Acknowledgement.NO_ANSWER: "cette adresse ne reçoit pas de réponse",
    Acknowledgement.AUTOMATIC: "le message vient peut-être d’un programme ou d’une liste",
    Acknowledgement.UNPROVEN: "rien ne prouve l’adresse de l’expéditeur",
    Acknowledgement.NOT_TO_US: "aucune de nos adresses n’est parmi les destinataires",
    Acknowledgement.OLD: "le message a plus d’un jour",
    Acknowledgement.OFTEN: "l’expéditeur en a déjà reçu assez aujourd’hui",
    Acknowledgement.FORMS: "les visiteurs des formulaires en ont déjà reçu assez aujourd’hui",
}


def receipt_id(reference: str, outcome: str, stamp: str = "") -> str:
    """Return the Message-ID of a receipt, the same at each attempt.

    `stamp` distinguishes several receipts of one message with the same outcome.
    """
    return notification_id(reference, ".".join(filter(None, (KIND, outcome, stamp))))


def receipts_begin(reference: str) -> str:
    """Return the common beginning of the Message-IDs of all receipts of a message."""
    return receipt_id(reference, "").partition("@")[0] + "."


def receipt(
    request: Request,
    done: DispatchResult,
    *,
    sender: str,
    zone: tzinfo = UTC,
    correction: int = 0,
    colleague: bool = False,
    corrects_answer: bool = False,
) -> Receipt:
    """Render what was done for a request, or which ticket an answer was added to.

    `zone` is the reader's. `correction` is its number, 0 for none. `corrects_answer`: the corrected message was an
    answer. `colleague`: a colleague wrote the answer.
    """
    found = done.classification
    is_answer = found.decided_by == "thread"
    title = "Réponse reclassée" if corrects_answer else _TITLES.get(found.decided_by, "Demande traitée")
    checks = (letter_parts.to_check_of_reply if is_answer else letter_parts.to_check)(request, done)
    category = CATEGORIES[found.category]
    kicker = f"{whose_answer(colleague=colleague)} · {category}" if is_answer else letter_parts.sureness(found)
    page = Page(
        kicker=kicker,
        title=title + (", à vérifier" if checks else ""),
        box=("À vérifier", checks),
        facts=[
            *letter_parts.people(request, zone),
            ("Pourquoi", letter_parts.why(found)),
            *letter_parts.opinion(found),
        ],
        buttons=(),
        files=(),
        reference=request.reference,
        lists=_lists([*_steps(done), *_told(done), *_answered(done), *_skipped(done)], request, done),
        tone=letter_parts.tone(done),
        preview=letter_parts.preview(request),
        quotation=letter_parts.quoted(request, colleague=colleague),
        thumbnails=letter_parts.thumbnails(request, done),
        all_files=letter_parts.all_files(done),
    )
    name = f"{category} · {'à vérifier' if checks else 'fait'}"
    message_id = receipt_id(request.reference, found.category.outcome, str(correction or ""))
    return Receipt(message_id, _raw(page, request, message_id, name, sender), needs_person=bool(checks))


def bounce_receipt(request: Request, answered: WorkResult, *, sender: str, zone: tzinfo = UTC) -> Receipt:
    """Render that the letter to the customer came back. `answered` is the result of the work on the request."""
    title = step_title(StepName.SEND_ACKNOWLEDGEMENT)
    category = CATEGORIES[answered.final_outcome.category]
    page = Page(
        kicker=category,
        title=f"{title} non remis",
        box=("À vérifier", [letter_parts.NOT_DELIVERED]),
        facts=letter_parts.people(request, zone),
        buttons=[("Ouvrir le ticket HubSpot", answered.ticket.url)] if answered.ticket else (),
        files=(),
        reference=request.reference,
        tone=Tone.WARNING,
    )
    message_id = receipt_id(request.reference, "bounce")
    return Receipt(message_id, _raw(page, request, message_id, f"{category} · à vérifier", sender), needs_person=True)


def failure_receipt(
    request: Request | None,
    reference: str,
    failure: StepFailedError,
    done: DispatchResult | None,
    left: Sequence[str],
    *,
    detail: str,
    stamp: str,
    sender: str,
    zone: tzinfo = UTC,
    mailbox: str = FAILED_MAILBOX,
) -> Receipt:
    """Render what failed, why, what to do about it, and what was done before.

    `request` is None if the message was unreadable. `left` names the steps after the failed one. `detail` is the
    message of the service or the program, without secrets. `zone` is the reader's. `mailbox` is where the receipt lies.
    """
    steps = [
        *([*_steps(done), *_answered(done)] if done else ()),
        (FAILED, f"{step_title(failure.step)}{NBSP}: échec", ""),
    ]
    steps += [(LEFT, f"{step_title(step)}{NBSP}: reste à faire", "") for step in left]
    facts = failure_facts(failure.step, failure.kind)[1:]  # the title names the step
    if request is not None:
        facts = [*letter_parts.people(request, zone), *facts]
    page = Page(
        kicker="Échec",
        title=f"À reprendre{NBSP}: {STEPS.get(failure.step, failure.step)}",
        box=("Que faire", to_do(reference, failure.step, failure.kind, mailbox)),
        facts=facts,
        buttons=letter_parts.buttons(done) if done else (),
        files=(),
        reference=reference,
        lists=_lists(steps, request, done),
        tone=Tone.FAILURE,
        preview=letter_parts.preview(request) if request else "",
        quotation=letter_parts.quoted(request) if request else ("", ""),
        origin=origin(failure.kind, detail),
    )
    message_id = receipt_id(reference, Outcome.FAILED, stamp)
    return Receipt(message_id, _raw(page, request, message_id, "Échec · à reprendre", sender), needs_person=True)


def _steps(done: DispatchResult) -> list[Line]:
    """Return a line for each completed step, with the URL of its result."""
    is_answer = done.classification.decided_by == "thread"
    # An answer has no subtask of its own, and a request reclassified as support no longer has one.
    comments = is_answer or done.classification.category is Category.SUPPORT
    ticket = one_line(done.ticket.id) if done.ticket else ""
    ticket_url, subtask_url = (link.url if link else "" for link in (done.ticket, done.subtask))
    count, pictures = len(done.uploads), sum(bool(each.url) for each in done.previews)
    steps = (
        (count > 0, f"{count} fichiers déposés" if count > 1 else "1 fichier déposé", ""),
        (done.contact_id, "Fiche contact HubSpot", ""),
        (ticket and not is_answer, f"Ticket HubSpot n°{NBSP}{ticket}", ticket_url),
        (pictures > 0, f"{pictures} aperçus des fichiers" if pictures > 1 else "1 aperçu de fichier", ""),
        (done.note_id, f"Note sur le ticket HubSpot n°{NBSP}{ticket}", ticket_url),
        (done.subtask and not comments, "Sous-tâche ClickUp", subtask_url),
        (
            done.subtask and comments and StepName.ADD_COMMENT not in done.skipped,
            "Commentaire sur la sous-tâche ClickUp",
            subtask_url,
        ),
    )
    return [(DONE, label, url) for is_done, label, url in steps if is_done]


def _told(done: DispatchResult) -> list[Line]:
    if done.classification.decided_by == "person" or StepName.SEND_NOTIFICATION in done.skipped:
        return []
    if StepName.SEND_NOTIFICATION in done.in_doubt:
        return [(LEFT, f"Notification{NBSP}: envoi non confirmé", "")]
    if StepName.SEND_NOTIFICATION in done.refused:
        return [(FAILED, f"Notification{NBSP}: refusée par le serveur d’envoi", "")]
    return [(DONE, "Notification envoyée", "")]


def _answered(done: DispatchResult) -> list[Line]:
    """Return a line about the letter to the customer, if one was asked for."""
    title = step_title(StepName.SEND_ACKNOWLEDGEMENT)
    match done.acknowledgement:
        case None:
            return []
        case Acknowledgement.SENT:
            return [(DONE, f"{title} envoyé au client", "")]
        case Acknowledgement.IN_DOUBT:
            return [(LEFT, f"{title}{NBSP}: peut-être envoyé au client", "")]
        case Acknowledgement.REFUSED:
            return [(FAILED, f"{title}{NBSP}: refusé par le serveur d’envoi", "")]
        case Acknowledgement.BOUNCED:
            return [(FAILED, f"{title}{NBSP}: non remis au client", "")]
    return [(LEFT, f"Pas d’{title[:1].lower()}{title[1:]}{NBSP}: {_NO_LETTER[done.acknowledgement]}", "")]


def _skipped(done: DispatchResult) -> list[Line]:
    return [
        (LEFT, f"{step[:1].upper()}{step[1:]}{NBSP}: {service} n’est pas configuré", "")
        for service, steps in services_off(done)
        for step in steps
    ]


def _lists(
    steps: Sequence[Line], request: Request | None, done: DispatchResult | None
) -> list[tuple[str, Sequence[Line]]]:
    lists: list[tuple[str, Sequence[Line]]] = [("Étapes", steps)]
    if request and done and (files := attachments(request, done)):
        lists.append(("Pièces jointes", [_attachment(label, url, done) for label, url in files]))
    return lists


def _attachment(label: str, url: str, done: DispatchResult) -> Line:
    known = portraits("", url, done) if url else []
    details = [words for each in known for words in (each.caption, *each.warnings) if words]
    return (DONE if url else LEFT, label, url, details)


def _raw(page: Page, request: Request | None, message_id: str, name: str, sender: str) -> bytes:
    """Return the receipt as a message that mail clients show in the thread of the original.

    The sender's display name is the outcome, so that every list of messages shows it. The subject stays the original's:
    Gmail and Outlook join two messages into a conversation only if the subjects agree, whatever References says.
    """
    subject = f"Message illisible ({page.reference})"
    if request:
        subject = ticket_subject(request)
        subject = subject if _IS_ANSWER.match(subject) else f"Re: {subject}"
    thread = thread_of(request) if request else ()
    now = datetime.now(UTC)
    message = mail(page, subject, KIND, sender=sender, recipient=sender, now=now, name=name, thread=thread)
    message.replace_header("Message-ID", message_id)
    message.replace_header(HEADER, KIND)
    return bytes(message)
