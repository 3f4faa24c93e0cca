"""The words that tickets, notes, subtasks and mails share, in French: labels, sizes, lists of files."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from poller.escaping import one_line
from poller.request import Category, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from poller.request import Address, Attachment, Dispatched, Request, StoredFile

NBSP = "\xa0"  # French sets it before a colon, a percent sign or a unit, and inside guillemets

CATEGORIES = {Category.SUPPORT: "Support", Category.MODELISATION: "Modélisation"}

STEPS = {
    "receive": "lecture du message",
    "find_thread": "recherche du ticket d’origine",
    "classify": "classement",
    "upload_files": "dépôt des fichiers",
    "find_or_create_contact": "fiche contact",
    "create_ticket": "ticket HubSpot",
    "create_note": "note HubSpot",
    "create_subtask": "sous-tâche ClickUp",
    "add_comment": "commentaire ClickUp",
    "send_notification": "notification",
    "label": "classement du message",
}

_SERVICES = {
    "upload_files": "R2",
    "find_or_create_contact": "HubSpot",
    "create_ticket": "HubSpot",
    "create_note": "HubSpot",
    "create_subtask": "ClickUp",
    "add_comment": "ClickUp",
    "send_notification": "SMTP",
}

UNREAD = "Une partie du message n’a pas pu être lue" + NBSP + ": consultez l’original dans la boîte aux lettres."


def marker(reference: str) -> str:
    """What a request is found by in a ticket, a note, a subtask or a comment."""
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


def _why_kept(attachment: Attachment, done: Dispatched) -> str:
    if attachment.inline:
        return "image intégrée au texte"
    if done.classification.category is Category.SUPPORT and not done.files and "upload_files" not in done.skipped:
        return ""  # of a support request nothing is uploaded; of an answer about one everything is
    if attachment.kind is Kind.OTHER:
        return "ni fichier 3D ni image"
    return "R2 non configuré" if "upload_files" in done.skipped else "dépôt non effectué"
