"""The mails the admin gets: what became of a request, or why nothing could."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

from poller.escaping import header_text, html, html_link, http_url, one_line, plain_text
from poller.request import Category
from poller.texts import (
    CATEGORIES,
    NBSP,
    STEPS,
    UNREAD,
    kept_attachments,
    kept_label,
    listed,
    marker,
    other_author,
    services_off,
    size,
    ticket_subject,
    who,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from poller.request import Dispatched, Request

HEADER = "X-Figurative-Poller"  # screening knows our own mail by it

_DECIDED_BY = {
    "rules": "Décidé par les règles.",
    "claude": "Décidé par Claude.",
    "rules without claude": "Décidé par les règles, sans l’avis de Claude.",
}
_FILES_LIMIT_CHARS = 20_000
_KEPT_LIMIT_CHARS = 2_000
_DETAIL_LIMIT_CHARS = 2_000
_POLICY = SMTP.clone(cte_type="7bit")  # not every relay announces 8BITMIME (RFC 6152)

# Colours that stand on white and on black alike: a mail client's dark mode changes the page, and not always the rest.
_PAGE = "margin:0;padding:24px 16px;font:16px/1.5 -apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_COLUMN = "max-width:600px;margin:0 auto;overflow-wrap:anywhere"
_TITLE = "font-size:22px;line-height:1.3;margin:4px 0 20px"
_SMALL = "font-size:14px;margin:0;opacity:.75"
_BOX = "border-left:4px solid #d97706;background:rgba(217,119,6,.12);padding:12px 16px;margin:0 0 20px"
_LABEL = "font-size:14px;opacity:.75"
_BUTTON = (
    "display:inline-block;background:#1d4ed8;color:#ffffff;text-decoration:none;font-weight:600;"
    "padding:10px 18px;border-radius:6px;margin:0 8px 8px 0"
)
_LINK = "color:inherit"
_LIST = "margin:4px 0 0;padding-left:20px"
_FOOT = "font-size:13px;margin:28px 0 0;padding-top:12px;border-top:1px solid rgba(128,128,128,.4);opacity:.75"

_FRAME = """<!DOCTYPE html>
<html lang="fr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{title}</title>
</head>
<body style="{page}">
<div style="{column}">
{body}
</div>
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class _Page:
    """A mail's content, before it is set as text and as HTML; every word of it raw."""

    kicker: str
    title: str
    box: tuple[str, Sequence[str]]  # its title and its lines; no box without lines
    facts: Sequence[tuple[str, str]]  # label and value; several lines allowed in a value
    buttons: Sequence[tuple[str, str]]  # label and URL
    files: Sequence[tuple[str, str, str]]  # name, size, URL
    reference: str


def notification_id(reference: str, what: str) -> str:
    """The Message-ID of a mail of ours: the same each time, so that a second copy is known for one."""
    return f"<{reference}.{what}@figurative-poller.invalid>"


def notification(request: Request, done: Dispatched, *, sender: str, recipient: str, now: datetime) -> EmailMessage:
    """What was asked, how it was understood, and the links to all that was made of it."""
    classification = done.classification
    category = CATEGORIES[classification.category]
    reason = one_line(classification.reason, 500)
    decided_by = _DECIDED_BY.get(classification.decided_by, classification.decided_by)
    facts = [("Client", who(request.sender))]
    if other_author(request):
        facts.append(("Expéditeur affiché", who(request.author)))
    facts.append(("Pourquoi", f"{reason} {decided_by}".strip()))
    if classification.category is Category.SUPPORT and (kept := list(listed(_kept(request, done), _KEPT_LIMIT_CHARS))):
        facts.append(("Pièces jointes, dans le message", "\n".join(kept)))
    created = (("Ouvrir le ticket HubSpot", done.ticket), ("Ouvrir la sous-tâche ClickUp", done.subtask))
    page = _Page(
        kicker=f"{category}, sûr à {classification.confidence:.0%}".replace("%", f"{NBSP}%"),
        title=ticket_subject(request),
        box=("À vérifier", _to_check(request, done)),
        facts=facts,
        buttons=[(label, link.url) for label, link in created if link is not None and http_url(link.url)],
        files=[(one_line(file.filename), size(file.size_bytes), file.url) for file in done.files],
        reference=request.reference,
    )
    flag = ", à vérifier" if classification.needs_review else ""
    subject = f"[{category}{flag}] {_about(request)}"
    return _mail(page, subject, "notification", sender=sender, recipient=recipient, now=now)


# Why a step is given up, in a sentence.
REASONS = {
    "refused": "Le service a refusé cette demande, et la refuserait encore telle quelle.",
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
    page = _Page(
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
    return _mail(page, subject, "failure", sender=sender, recipient=recipient, now=now)


def _about(request: Request) -> str:
    client = request.sender.addr_spec or "expéditeur inconnu"
    return f"{one_line(ticket_subject(request), 120)} ({one_line(client, 60)})"


def _to_check(request: Request, done: Dispatched) -> list[str]:
    """What a person should look at, a sentence each."""
    lines = []
    if done.classification.needs_review:
        lines.append(f"Le classement n’est pas certain{NBSP}: relisez la demande.")
    for service, steps in services_off(done):
        lines.append(f"{service} n’est pas configuré. Non fait{NBSP}: {', '.join(steps)}.")
    if done.classification.category is Category.MODELISATION:
        lines += [f"Resté dans le message{NBSP}: {label}." for label in listed(_kept(request, done), _KEPT_LIMIT_CHARS)]
    if request.defects:
        lines.append(UNREAD)
    return lines


def _kept(request: Request, done: Dispatched) -> list[str]:
    # A signature's logo is nothing to look for.
    return [kept_label(file, reason) for file, reason in kept_attachments(request, done) if not file.inline]


def _mail(page: _Page, subject: str, what: str, *, sender: str, recipient: str, now: datetime) -> EmailMessage:
    message = EmailMessage(policy=_POLICY)
    message["From"] = one_line(sender)
    message["To"] = one_line(recipient)
    message["Subject"] = header_text(subject)
    message["Date"] = now
    message["Message-ID"] = notification_id(page.reference, what)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: nobody's absence notice answers it
    message[HEADER] = "notification"
    message.set_content(_as_text(page))
    message.add_alternative(_as_html(page), subtype="html")
    return message


def _as_text(page: _Page) -> str:
    box_title, box_lines = page.box
    blocks = [f"{page.kicker}\n{page.title}"]
    if box_lines:
        blocks.append("\n".join([f"{box_title}{NBSP}:", *(f"- {line}" for line in box_lines)]))
    blocks.append("\n".join(f"{label}{NBSP}: {value}" for label, value in page.facts))
    if page.buttons:
        blocks.append("\n".join(f"{label}{NBSP}: {http_url(url)}" for label, url in page.buttons))
    if page.files:
        lines = listed(
            (f"- {name} ({size_}){NBSP}: {http_url(url)}" for name, size_, url in page.files), _FILES_LIMIT_CHARS
        )
        blocks.append("\n".join([f"Fichiers{NBSP}:", *lines]))
    blocks.append(marker(page.reference))
    return "\n\n".join(blocks) + "\n"


def _as_html(page: _Page) -> str:
    box_title, box_lines = page.box
    blocks = [f'<p style="{_SMALL}">{html(page.kicker)}</p>', f'<h1 style="{_TITLE}">{html(page.title)}</h1>']
    if box_lines:
        lines = "\n".join(f"<li>{html(line)}</li>" for line in box_lines)
        blocks.append(
            f'<div style="{_BOX}"><strong>{html(box_title)}</strong>\n<ul style="{_LIST}">\n{lines}\n</ul></div>'
        )
    blocks += [
        f'<p style="margin:0 0 12px"><span style="{_LABEL}">{html(label)}</span><br>\n{html(value)}</p>'
        for label, value in page.facts
    ]
    if page.buttons:
        buttons = "\n".join(html_link(label, url, style=_BUTTON) for label, url in page.buttons)
        blocks.append(f'<p style="margin:20px 0 12px">{buttons}</p>')
    if page.files:
        items = (f"<li>{html_link(name, url, style=_LINK)} ({size_})</li>" for name, size_, url in page.files)
        lines = "\n".join(listed(items, _FILES_LIMIT_CHARS, more="<li>{}</li>"))
        blocks.append(f'<p style="margin:0"><span style="{_LABEL}">Fichiers</span></p>')
        blocks.append(f'<ul style="{_LIST}">\n{lines}\n</ul>')
    blocks.append(f'<p style="{_FOOT}">{marker(page.reference)}</p>')
    return _FRAME.format(title=html(page.title), page=_PAGE, column=_COLUMN, body="\n".join(blocks))
