"""Write the mails to the admin: what became of a request, or why nothing could."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller.escaping import http_url, one_line, plain_text
from poller.model import Category
from poller.rendering.mail_page import Page, mail
from poller.rendering.phrases import (
    CATEGORIES,
    LEFT,
    NBSP,
    TO_FETCH,
    author_fact,
    empty,
    left_behind,
    listed,
    services_off,
    size,
    step_title,
    to_fetch,
    unread,
    unverified,
    who,
    whose_answer,
)
from poller.rendering.tickets import ticket_subject
from poller.triage import attachment_policy
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import EmailMessage

    from poller.model import Classification, DispatchResult, Request

# Kinds of mail, see `mail_page.mail`.
DISPATCHED, ANSWERED = "notification", "reply"
_DECIDED_BY = {
    "rules": "Décidé par les règles.",
    "claude": "Décidé par Claude.",
    "rules without claude": "Décidé par les règles, sans l’avis de Claude.",
    "thread": "",  # an answer to a ticket needs no decision
    "person": "",
}
_LEFT_LIMIT_CHARS = 2_000
_LINKS_LIMIT_CHARS = 4_000
_DETAIL_LIMIT_CHARS = 2_000


def notification(request: Request, done: DispatchResult, *, sender: str, recipient: str, now: datetime) -> EmailMessage:
    """Write the mail about a request: its content, its classification, and the links to all that was made of it."""
    classification = done.classification
    category = CATEGORIES[classification.category]
    page = Page(
        kicker=sureness(classification),
        title=ticket_subject(request),
        box=("À vérifier", to_check(request, done)),
        facts=_facts(request, done, ("Pourquoi", why(classification))),
        buttons=_buttons(done),
        files=_files(done),
        reference=request.reference,
    )
    flag = ", à vérifier" if classification.needs_review else ""
    subject = f"[{category}{flag}] {_about(request)}"
    return mail(page, subject, DISPATCHED, sender=sender, recipient=recipient, now=now)


def reply_notification(
    request: Request, done: DispatchResult, *, sender: str, recipient: str, now: datetime, colleague: bool = False
) -> EmailMessage:
    """Write the mail about an answer to an existing ticket: where it was put, and the links to it.

    `colleague`: one of ours wrote it.
    """
    placed = []
    if done.ticket is not None and StepName.CREATE_NOTE not in done.skipped:
        placed.append(f"ticket HubSpot n°{NBSP}{one_line(done.ticket.id)}, en note")
    if done.subtask is not None and StepName.ADD_COMMENT not in done.skipped:
        placed.append("sous-tâche ClickUp, en commentaire")
    page = Page(
        kicker=f"{whose_answer(colleague=colleague)}, {CATEGORIES[done.classification.category].lower()}",
        title=ticket_subject(request),
        box=("À vérifier", to_check_of_reply(request, done)),
        facts=_facts(request, done, ("Ajoutée à", "\n".join(placed) or "rien")),
        buttons=_buttons(done),
        files=_files(done),
        reference=request.reference,
    )
    return mail(page, f"[Réponse] {_about(request)}", ANSWERED, sender=sender, recipient=recipient, now=now)


# Why a step is given up, in a sentence.
REASONS = {
    "refused": "Le service a refusé cette demande, et la refuserait encore telle quelle.",
    "blocked": (
        "Un pare-feu placé devant le service bloque cette demande, sans doute à cause d’un mot ou d’un fichier de ce "
        "message. Les autres messages passent."
    ),
    "unusable": "Ce message n’a pas d’adresse d’expéditeur : aucun ticket ne peut être ouvert à son nom.",
    "unanswered": "Le service n’a pas répondu pendant plusieurs jours.",
    "crashed": "Le traitement de ce message s’est interrompu plusieurs fois à cette étape.",
}


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
) -> EmailMessage:
    """Write the mail about a failure: what could not be done, at which step, why, and how to try it again.

    `request` is None when the message was unreadable. `kind` is a key of REASONS. `detail` is what the service or the
    program said, in its own words.
    """
    facts = failure_facts(step, kind, detail)
    if request is not None:
        facts += [("Client", who(request.sender)), ("Objet", ticket_subject(request))]
    page = Page(
        kicker="Échec",
        title="Un message n’a pas pu être traité",
        box=("Que faire", to_do(reference, kind)),
        facts=facts,
        buttons=(),
        files=(),
        reference=reference,
    )
    subject = f"[Échec] {_about(request)}" if request is not None else f"[Échec] Message illisible ({reference})"
    return mail(page, subject, "failure", sender=sender, recipient=recipient, now=now)


def failure_facts(step: str, kind: str, detail: str) -> list[tuple[str, str]]:
    """Return what could not be done, and why. The arguments are those of `failure_notification`."""
    facts = [("Étape", step_title(step)), ("Raison", REASONS[kind])]
    # The reason already says what makes a message unusable.
    if kind != "unusable" and (detail := plain_text(detail[:_DETAIL_LIMIT_CHARS]).strip()):
        facts.append(("Détail", detail))
    return facts


def to_do(reference: str, kind: str) -> tuple[str, ...]:
    """Return what to do about a failure, a sentence each. The arguments are those of `failure_notification`."""
    again = (
        "Une fois la cause corrigée, remettez le message dans la boîte de réception, "
        f"ou lancez «{NBSP}poller retry {reference}{NBSP}»."
    )
    by_hand = (
        f"Un nouvel essai n’y changerait rien{NBSP}: lisez-le, et s’il dit comment joindre son auteur (signature, "
        "téléphone), contactez-le vous-même."
    )
    filed = f"Rien n’est perdu{NBSP}: le message est classé dans la boîte des échecs."
    return (filed, by_hand if kind == "unusable" else again)


def flood_alert(request: Request, max_per_h: int, *, sender: str, recipient: str, now: datetime) -> EmailMessage:
    """Write the alert about a sender over the limit of messages an hour.

    Its mail waits, and a person may want to act.
    """
    lines = (
        (
            f"Rien n’est perdu{NBSP}: ses messages au-delà de {max_per_h} par heure attendent dans la boîte de "
            "réception, et sont traités à ce rythme."
        ),
        "S’ils sont indésirables, bloquez l’expéditeur et retirez-les de la boîte de réception.",
        (
            "S’ils sont légitimes, augmentez IMAP_MAX_PER_SENDER_PER_H, puis redémarrez le service"
            f"{NBSP}: les suivants n’attendront plus."
        ),
    )
    client = one_line(request.sender.addr_spec, 60) or "expéditeur inconnu"
    page = Page(
        kicker="Alerte",
        title=f"Un expéditeur dépasse {max_per_h} messages par heure",
        box=("Que faire", lines),
        facts=[("Expéditeur", who(request.sender)), ("Premier message en attente", ticket_subject(request))],
        buttons=(),
        files=(),
        reference=request.reference,
    )
    subject = f"[Alerte] Trop de messages de {client}"
    return mail(page, subject, "flood", sender=sender, recipient=recipient, now=now)


def sureness(classification: Classification) -> str:
    """Return the category, and how sure it is, or that a person chose it."""
    is_chosen = classification.decided_by == "person"
    sure = "choisi par une personne" if is_chosen else _confidence(classification)
    return f"{CATEGORIES[classification.category]} ({sure})"


def _confidence(classification: Classification) -> str:
    return f"confiance{NBSP}: {classification.confidence:.0%}".replace("%", f"{NBSP}%")


def why(classification: Classification) -> str:
    """Return the reason for the category, and who decided it."""
    reason = one_line(classification.reason, 500)
    if classification.decided_by == "claude" and not reason:  # Claude's reason is not kept while a message waits
        return f"Classé par Claude ({_confidence(classification)})."
    decided_by = _DECIDED_BY.get(classification.decided_by, classification.decided_by)
    return f"{reason} {decided_by}".strip()


def _about(request: Request) -> str:
    client = request.sender.addr_spec or "expéditeur inconnu"
    return f"{one_line(ticket_subject(request), 120)} ({one_line(client, 60)})"


def _facts(request: Request, done: DispatchResult, said: tuple[str, str]) -> list[tuple[str, str]]:
    """Return who asks, the given fact, and the attachments left in the message that are no problem."""
    facts = [("Client", who(request.sender))]
    if author := author_fact(request):
        facts.append(author)
    facts.append(said)
    support = done.classification.category is Category.SUPPORT
    calm = [label for fate, label in left_behind(request, done) if support or fate in attachment_policy.ASIDE]
    if calm:
        title = "Pièces jointes, dans le message" if support else "Non déposé"
        facts.append((title, "\n".join(listed(calm, _LEFT_LIMIT_CHARS))))
    return facts


def _buttons(done: DispatchResult) -> list[tuple[str, str]]:
    created = (("Ouvrir le ticket HubSpot", done.ticket), ("Ouvrir la sous-tâche ClickUp", done.subtask))
    return [(label, link.url) for label, link in created if link is not None and http_url(link.url)]


def _files(done: DispatchResult) -> list[tuple[str, str, str]]:
    return [(one_line(file.filename), size(file.size_bytes), file.url) for file in done.files]


def to_check(request: Request, done: DispatchResult) -> list[str]:
    """Return what a person should check, one sentence each."""
    lines = []
    if done.classification.needs_review:
        lines.append(f"Le classement n’est pas certain{NBSP}: relisez la demande.")
    if doubt := unverified(request):
        lines.append(doubt)
    if StepName.SEND_NOTIFICATION in done.in_doubt:
        lines.append(
            f"Le serveur d’envoi n’a pas confirmé la notification{NBSP}: vous l’avez peut-être reçue en double, ou pas "
            "du tout."
        )
    for service, steps in services_off(done):
        lines.append(f"{service} n’est pas configuré. Non fait{NBSP}: {', '.join(steps)}.")
    lines += listed((f"«{NBSP}{name}{NBSP}» est vide." for name in empty(request)), _LEFT_LIMIT_CHARS)
    lines += [f"{TO_FETCH}{NBSP}: {url}" for url in listed(to_fetch(request), _LINKS_LIMIT_CHARS)]
    if done.classification.category is Category.MODELISATION:
        left = [label for fate, label in left_behind(request, done) if fate not in attachment_policy.ASIDE]
        lines += [f"{LEFT}{NBSP}: {label}." for label in listed(left, _LEFT_LIMIT_CHARS)]
    return lines + unread(request)


def to_check_of_reply(request: Request, done: DispatchResult) -> list[str]:
    """Return what a person should check in an answer to an existing ticket, one sentence each."""
    lost = f"La demande n’a pas (ou plus) de sous-tâche ClickUp{NBSP}: transmettez la réponse à l’équipe 3D."
    is_lost = done.classification.category is Category.MODELISATION and done.subtask is None
    return ([lost] if is_lost else []) + to_check(request, done)
