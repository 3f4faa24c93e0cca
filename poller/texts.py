"""What people read in HubSpot and ClickUp, in French, and the words that the notification shares with them.

Every text ends with the marker of its request, by which a step that lost its answer finds what it had done.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from poller.escaping import html, html_link, http_url, markdown, markdown_address, markdown_link, one_line, plain_text
from poller.request import Category, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from poller.request import Address, Attachment, Dispatched, Request, StoredFile

NBSP = "\xa0"  # French sets it before a colon, a percent sign or a unit, and inside guillemets

CATEGORIES = {Category.SUPPORT: "Support", Category.MODELISATION: "Modélisation"}

STEPS = {
    "receive": "lecture du message",
    "classify": "classement",
    "upload_files": "dépôt des fichiers",
    "find_or_create_contact": "fiche contact",
    "create_ticket": "ticket HubSpot",
    "create_note": "note HubSpot",
    "create_subtask": "sous-tâche ClickUp",
    "send_notification": "notification",
    "label": "classement du message",
}

_SERVICES = {
    "upload_files": "R2",
    "find_or_create_contact": "HubSpot",
    "create_ticket": "HubSpot",
    "create_note": "HubSpot",
    "create_subtask": "ClickUp",
    "send_notification": "SMTP",
}

HUBSPOT_LIMIT_CHARS = 60_000  # a property holds 65,536
SUBTASK_TEXT_LIMIT_CHARS = 40_000  # ClickUp documents no limit

UNREAD = "Une partie du message n’a pas pu être lue" + NBSP + ": consultez l’original dans la boîte aux lettres."
_ABRIDGED = f"(Texte abrégé{NBSP}: la suite se trouve dans le message d’origine.)"
_FILES_LIMIT_CHARS = 30_000
_KEPT_LIMIT_CHARS = 5_000


def ticket_subject(request: Request) -> str:
    """The ticket's subject: one line of at most 200 characters, « (sans objet) » when the mail has none."""
    return one_line(request.subject) or "(sans objet)"


def ticket_content(request: Request, done: Dispatched) -> str:
    """The ticket's content: plain text of at most 60,000 characters; a long mail is abridged, a link never is."""
    head = [f"À vérifier{NBSP}: {_doubt(done)}\n"] if done.classification.needs_review else []
    head.append(f"Demande{NBSP}: {CATEGORIES[done.classification.category].lower()}")
    head.append(f"Client{NBSP}: {who(request.sender)}")
    if other_author(request):
        head.append(f"Expéditeur affiché{NBSP}: {who(request.author)} (les réponses vont au client ci-dessus)")

    tail = []
    if done.files:
        files = (f"- {file_label(file)}{NBSP}: {http_url(file.url)}" for file in done.files)
        tail.append("\n".join([f"Fichiers{NBSP}:", *listed(files, _FILES_LIMIT_CHARS)]))
    if kept := kept_attachments(request, done):
        lines = (f"- {kept_label(attachment, reason)}" for attachment, reason in kept)
        tail.append("\n".join([f"Conservé dans le message{NBSP}:", *listed(lines, _KEPT_LIMIT_CHARS)]))
    tail.extend(f"{service} non configuré{NBSP}: {', '.join(steps)}." for service, steps in services_off(done))
    if request.defects:
        tail.append(UNREAD)
    tail.append(marker(request.reference))

    frame = ["\n".join(head), "", "\n\n".join(tail)]
    frame[1] = _within(request.text, HUBSPOT_LIMIT_CHARS - len("\n\n".join(frame)), plain_text)
    return "\n\n".join(frame)


def note_html(request: Request, done: Dispatched) -> str:
    """The note on the contact and the ticket: simple HTML of at most 60,000 characters, links to our files only."""
    category = CATEGORIES[done.classification.category].lower()
    head = f"<p><strong>Demande de {category}</strong> de {html(who(request.sender))}</p>"
    if done.classification.needs_review:
        head += f"\n<p><strong>À vérifier{NBSP}:</strong> {html(_doubt(done))}</p>"
    tail = []
    if done.files:
        files = (f"<li>{html_link(file.filename, file.url)} ({size(file.size_bytes)})</li>" for file in done.files)
        tail.append(_html_list("Fichiers", listed(files, _FILES_LIMIT_CHARS, more="<li>{}</li>")))
    if kept := kept_attachments(request, done):
        lines = (f"<li>{html(kept_label(attachment, reason))}</li>" for attachment, reason in kept)
        tail.append(_html_list("Conservé dans le message", listed(lines, _KEPT_LIMIT_CHARS, more="<li>{}</li>")))
    if request.defects:
        tail.append(f"<p>{UNREAD}</p>")
    tail.append(f"<p>{marker(request.reference)}</p>")

    frame = [head, "<p></p>", "\n".join(tail)]
    room = HUBSPOT_LIMIT_CHARS - len("\n".join(frame))
    frame[1] = f"<p>{_within(request.text, room, html)}</p>"
    return "\n".join(frame)


def subtask_name(request: Request) -> str:
    """The subtask's name: the subject, else who asks; one line of 1 to 120 characters."""
    asker = f" de {request.sender.addr_spec}" if request.sender.addr_spec else ""
    return one_line(request.subject, 120) or one_line(f"Demande de modélisation{asker}", 120)


def subtask_markdown(request: Request, done: Dispatched) -> str:
    """The subtask's description in Markdown; of the mail's text, inert, at most 40,000 characters."""
    links = (f"- {markdown_link(file.filename, file.url)}" for file in done.files)
    kept = (
        f"- {markdown(kept_label(attachment, reason))}"
        for attachment, reason in kept_attachments(request, done)
        if not attachment.inline
    )
    files = list(listed(links, _FILES_LIMIT_CHARS))
    if stayed := list(listed(kept, _KEPT_LIMIT_CHARS)):
        files += [*([""] if files else []), f"Dans le message seulement{NBSP}:", "", *stayed]
    lines = [
        "**Demande de modélisation**",
        "",
        f"**Client**: {markdown_address(request.sender.addr_spec) or 'inconnu'}",
        f"**Objet**: {markdown(ticket_subject(request))}",
        f"**Ticket HubSpot**: {_ticket(done)}",
        "",
        "## Description de la demande",
        _within(request.text, SUBTASK_TEXT_LIMIT_CHARS, markdown),
        "",
        "## Fichiers joints",
        *(files or ["Aucun fichier joint."]),
        "",
        marker(request.reference),
    ]
    return "\n".join(lines)


def marker(reference: str) -> str:
    """What a request is found by in a ticket, a note or a subtask."""
    return f"[ref: {reference}]"


def who(address: Address) -> str:
    """A person on one line: « Jeanne Petit <jeanne@example.com> », or what is known of it."""
    name, addr_spec = one_line(address.display_name, 100), one_line(address.addr_spec, 320)
    if name and addr_spec and name != addr_spec:
        return f"{name} <{addr_spec}>"
    return name or addr_spec or "expéditeur inconnu"


def other_author(request: Request) -> bool:
    """Whether the mail shows another From than the address that is to be answered."""
    return request.author.addr_spec.casefold() != request.sender.addr_spec.casefold()


def size(size_bytes: int) -> str:
    """A size as French writes it, in decimal units: « 512 octets », « 240 ko », « 1,2 Mo »."""
    if size_bytes < 1000:  # noqa: PLR2004 - the unit's own definition
        return f"{size_bytes}{NBSP}octet{'s' if size_bytes > 1 else ''}"
    if size_bytes < 999_500:  # noqa: PLR2004 - from here it rounds to a megabyte
        return f"{size_bytes / 1000:.0f}{NBSP}ko"
    megabytes = size_bytes / 1_000_000
    return f"{megabytes:.{0 if megabytes >= 9.95 else 1}f}".replace(".", ",") + f"{NBSP}Mo"  # noqa: PLR2004 - two digits


def file_label(file: StoredFile | Attachment) -> str:
    """A file's name and size on one line."""
    return f"{one_line(file.filename)} ({size(file.size_bytes)})"


def kept_label(attachment: Attachment, reason: str) -> str:
    """The name, the size and why it was not uploaded, on one line."""
    return file_label(attachment) + (f", {reason}" if reason else "")


def kept_attachments(request: Request, done: Dispatched) -> list[tuple[Attachment, str]]:
    """The attachments that are in the mail only, in its order, each with the reason; "" where none is ever uploaded."""
    stored = Counter((file.filename, file.size_bytes) for file in done.files)
    kept = []
    for attachment in request.attachments:
        file = (attachment.filename, attachment.size_bytes)
        if stored[file]:
            stored[file] -= 1
        else:
            kept.append((attachment, _why_kept(attachment, done)))
    return kept


def services_off(done: Dispatched) -> list[tuple[str, list[str]]]:
    """The services without credentials, in the order met, each with the French names of the steps it skipped."""
    off: dict[str, list[str]] = {}
    for step in done.skipped:
        off.setdefault(_SERVICES.get(step, step), []).append(STEPS.get(step, step))
    return list(off.items())


def listed(lines: Iterable[str], room_chars: int, more: str = "{}") -> Iterator[str]:
    """As many whole lines as there is room for, then one that counts the others: half a link opens nothing."""
    hidden = 0
    for line in lines:
        room_chars -= len(line) + 1
        if room_chars < 0:
            hidden += 1
        else:
            yield line
    if hidden:
        yield more.format(f"et {hidden} de plus")


def _within(text: str, room_chars: int, escape: Callable[[str], str]) -> str:
    """The mail's text, escaped, in at most `room_chars`; the last line says so when the end was left out."""
    kept = plain_text(text[:room_chars]).strip()
    if not kept:
        return "(message sans texte)"
    shown = escape(kept)
    if len(text) <= room_chars and len(shown) <= room_chars:
        return shown
    note = escape("\n\n" + _ABRIDGED)
    # Escaping grows some texts more than others, so the cut is made before it: half an escape would be markup.
    while len(shown) > room_chars - len(note):
        kept = kept[: len(kept) * (room_chars - len(note)) // len(shown)].rstrip()
        shown = escape(kept)
    return shown + note


def _why_kept(attachment: Attachment, done: Dispatched) -> str:
    if attachment.inline:
        return "image intégrée au texte"
    if done.classification.category is Category.SUPPORT:
        return ""
    if attachment.kind is Kind.OTHER:
        return "ni fichier 3D ni image"
    return "R2 non configuré" if "upload_files" in done.skipped else "dépôt non effectué"


def _doubt(done: Dispatched) -> str:
    return f"classement incertain. {one_line(done.classification.reason, 500)}".rstrip()


def _ticket(done: Dispatched) -> str:
    if done.ticket is not None:
        return http_url(done.ticket.url) or f"n°{NBSP}{markdown(one_line(done.ticket.id))}"
    return "non créé (HubSpot non configuré)" if "create_ticket" in done.skipped else "non créé"


def _html_list(title: str, items: Iterable[str]) -> str:
    return f"<p><strong>{title}</strong></p>\n<ul>\n" + "\n".join(items) + "\n</ul>"
