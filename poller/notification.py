"""The mails the admin gets: what became of a request, or why nothing could."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller import fates
from poller.escaping import http_url, one_line, plain_text
from poller.letter import Page, mail
from poller.request import Category
from poller.texts import ticket_subject
from poller.wording import (
    CATEGORIES,
    LEFT,
    NBSP,
    STEPS,
    TO_FETCH,
    author_label,
    left_behind,
    listed,
    services_off,
    size,
    to_fetch,
    unread,
    unverified,
    who,
)

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import EmailMessage

    from poller.request import Dispatched, Request

_DECIDED_BY = {
    "rules": "Décidé par les règles.",
    "claude": "Décidé par Claude.",
    "rules without claude": "Décidé par les règles, sans l’avis de Claude.",
}
_LEFT_LIMIT_CHARS = 2_000
_LINKS_LIMIT_CHARS = 4_000
_DETAIL_LIMIT_CHARS = 2_000


def notification(request: Request, done: Dispatched, *, sender: str, recipient: str, now: datetime) -> EmailMessage:
    """What was asked, how it was understood, and the links to all that was made of it."""
    classification = done.classification
    category = CATEGORIES[classification.category]
    reason = one_line(classification.reason, 500)
    decided_by = _DECIDED_BY.get(classification.decided_by, classification.decided_by)
    page = Page(
        kicker=f"{category} (confiance{NBSP}: {classification.confidence:.0%})".replace("%", f"{NBSP}%"),
        title=ticket_subject(request),
        box=("À vérifier", _to_check(request, done)),
        facts=_facts(request, done, ("Pourquoi", f"{reason} {decided_by}".strip())),
        buttons=_buttons(done),
        files=_files(done),
        reference=request.reference,
    )
    flag = ", à vérifier" if classification.needs_review else ""
    subject = f"[{category}{flag}] {_about(request)}"
    return mail(page, subject, "notification", sender=sender, recipient=recipient, now=now)


def reply_notification(
    request: Request, done: Dispatched, *, sender: str, recipient: str, now: datetime
) -> EmailMessage:
    """Where a customer's answer about a ticket there is was put, and the links to it."""
    placed = []
    if done.ticket is not None and "create_note" not in done.skipped:
        placed.append(f"ticket HubSpot n°{NBSP}{one_line(done.ticket.id)}, en note")
    if done.subtask is not None and "add_comment" not in done.skipped:
        placed.append("sous-tâche ClickUp, en commentaire")
    to_check = _to_check(request, done)
    if done.classification.category is Category.MODELISATION and done.subtask is None:
        lost = f"La demande n’a pas (ou plus) de sous-tâche ClickUp{NBSP}: transmettez la réponse à l’équipe 3D."
        to_check.insert(0, lost)
    page = Page(
        kicker=f"Réponse du client, {CATEGORIES[done.classification.category].lower()}",
        title=ticket_subject(request),
        box=("À vérifier", to_check),
        facts=_facts(request, done, ("Ajoutée à", "\n".join(placed) or "rien")),
        buttons=_buttons(done),
        files=_files(done),
        reference=request.reference,
    )
    return mail(page, f"[Réponse] {_about(request)}", "reply", sender=sender, recipient=recipient, now=now)


# Why a step is given up, in a sentence.
REASONS = {
    "refused": "Le service a refusé cette demande, et la refuserait encore telle quelle.",
    "unusable": "Ce message ne peut pas être traité automatiquement : lisez-le et répondez-y à la main.",
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
    """What could not be done, at which step, why, and how to have it tried again; no request when it was unreadable.

    `kind` is a key of REASONS, `detail` what the service or the program said, in its own words.
    """
    name = STEPS.get(step, step)
    facts = [("Étape", name[:1].upper() + name[1:]), ("Raison", REASONS[kind])]
    if detail := plain_text(detail[:_DETAIL_LIMIT_CHARS]).strip():
        facts.append(("Détail", detail))
    if request is not None:
        facts += [("Client", who(request.sender)), ("Objet", ticket_subject(request))]
    page = Page(
        kicker="Échec",
        title="Un message n’a pas pu être traité",
        box=(
            "Que faire",
            (
                f"Rien n’est perdu{NBSP}: le message est classé dans la boîte des échecs.",
                (
                    "Une fois la cause corrigée, remettez le message dans la boîte de réception, "
                    f"ou lancez «{NBSP}poller retry {reference}{NBSP}»."
                ),
            ),
        ),
        facts=facts,
        buttons=(),
        files=(),
        reference=reference,
    )
    subject = f"[Échec] {_about(request)}" if request is not None else f"[Échec] Message illisible ({reference})"
    return mail(page, subject, "failure", sender=sender, recipient=recipient, now=now)


def flood_alert(request: Request, max_per_h: int, *, sender: str, recipient: str, now: datetime) -> EmailMessage:
    """A sender writes more than is worked on in an hour: its mail waits, and a person may want to do something."""
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


def _about(request: Request) -> str:
    client = request.sender.addr_spec or "expéditeur inconnu"
    return f"{one_line(ticket_subject(request), 120)} ({one_line(client, 60)})"


def _facts(request: Request, done: Dispatched, said: tuple[str, str]) -> list[tuple[str, str]]:
    """Who asks, what is to be said of it, and what lies in the message where that alarms nobody."""
    facts = [("Client", who(request.sender))]
    if label := author_label(request):
        facts.append((label, who(request.author)))
    facts.append(said)
    support = done.classification.category is Category.SUPPORT
    calm = [label for fate, label in left_behind(request, done) if support or fate in fates.ASIDE]
    if calm:
        title = "Pièces jointes, dans le message" if support else "Non déposé"
        facts.append((title, "\n".join(listed(calm, _LEFT_LIMIT_CHARS))))
    return facts


def _buttons(done: Dispatched) -> list[tuple[str, str]]:
    created = (("Ouvrir le ticket HubSpot", done.ticket), ("Ouvrir la sous-tâche ClickUp", done.subtask))
    return [(label, link.url) for label, link in created if link is not None and http_url(link.url)]


def _files(done: Dispatched) -> list[tuple[str, str, str]]:
    return [(one_line(file.filename), size(file.size_bytes), file.url) for file in done.files]


def _to_check(request: Request, done: Dispatched) -> list[str]:
    """What a person should look at, a sentence each."""
    lines = []
    if done.classification.needs_review:
        lines.append(f"Le classement n’est pas certain{NBSP}: relisez la demande.")
    if doubt := unverified(request):
        lines.append(doubt)
    for service, steps in services_off(done):
        lines.append(f"{service} n’est pas configuré. Non fait{NBSP}: {', '.join(steps)}.")
    lines += [f"{TO_FETCH}{NBSP}: {url}" for url in listed(to_fetch(request), _LINKS_LIMIT_CHARS)]
    if done.classification.category is Category.MODELISATION:
        left = [label for fate, label in left_behind(request, done) if fate not in fates.ASIDE]
        lines += [f"{LEFT}{NBSP}: {label}." for label in listed(left, _LEFT_LIMIT_CHARS)]
    return lines + unread(request)
