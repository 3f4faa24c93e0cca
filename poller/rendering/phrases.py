"""Provide the French words that tickets, notes, subtasks and mails share: labels, sizes, lists of files."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC
from typing import TYPE_CHECKING

from poller.escaping import http_url, one_line
from poller.model import ENCRYPTED_DEFECT, SERVICE_NAMES, Attachment, Category, Kind, UploadDecision
from poller.own_mail import FORM_HEADER
from poller.parsing import file_types
from poller.triage import attachment_policy
from poller.workflow.steps import StepName, service_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime, tzinfo

    from poller.model import Address, DispatchResult, Request, StoredFile

NBSP = "\xa0"  # French sets it before a colon, a percent sign or a unit, and inside guillemets

CATEGORIES = {Category.SUPPORT: "Support", Category.MODELISATION: "Modélisation"}

STEPS: dict[str, str] = {
    StepName.RECEIVE: "lecture du message",
    StepName.FIND_THREAD: "recherche du ticket d’origine",
    StepName.FIND_ORIGINAL: "recherche du ticket d’origine",
    StepName.CLASSIFY: "classement",
    StepName.UPLOAD_FILES: "dépôt des fichiers",
    StepName.ARCHIVE_FILES: "archive de tous les fichiers",
    StepName.FIND_OR_CREATE_CONTACT: "fiche contact",
    StepName.CREATE_TICKET: "ticket HubSpot",
    StepName.FIND_TICKET: "recherche du ticket HubSpot",
    StepName.UPDATE_TICKET: "mise à jour du ticket HubSpot",
    StepName.ATTACH_FILES: "dépôt des fichiers sur HubSpot",
    StepName.INSPECT_MODELS: "aperçus des fichiers",
    StepName.CREATE_NOTE: "note HubSpot",
    StepName.CREATE_SUBTASK: "sous-tâche ClickUp",
    StepName.ADD_COMMENT: "commentaire ClickUp",
    StepName.PREPARE_NOTIFICATION: "notification",
    StepName.SEND_NOTIFICATION: "notification",
    StepName.PREPARE_ACKNOWLEDGEMENT: "accusé de réception",
    StepName.SEND_ACKNOWLEDGEMENT: "accusé de réception",
    StepName.LABEL: "classement du message",
    StepName.SEND_RECEIPT: "reçu dans la boîte aux lettres",
}

UNREAD = "Une partie du message n’a pas pu être lue" + NBSP + ": consultez l’original dans la boîte aux lettres."
UNREADABLE = (
    f"Ce message n’a pas pu être lu automatiquement{NBSP}: seul son en-tête l’a été. L’original complet est joint."
)
ENCRYPTED = f"Message chiffré{NBSP}: son contenu n’a pas pu être lu. Ouvrez-le dans la boîte aux lettres, avec la clé."
OVERSIZE = (
    f"Message trop volumineux ({{}}){NBSP}: ses pièces jointes n’ont pas été téléchargées{NBSP}; "
    "ouvrez-le dans la boîte aux lettres."
)
LEFT = "Resté dans le message"
TO_FETCH = "Fichiers à récupérer à la main"

_DAYS = ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche")
_MONTHS = (
    *("janvier", "février", "mars", "avril", "mai", "juin"),
    *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
)
_FORM = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_LINK_LIMIT_CHARS = 2_000
_REASONS = {
    UploadDecision.INLINE: "image intégrée au texte",
    UploadDecision.REFUSED: "type refusé (peut contenir un programme)",
    UploadDecision.KEPT: "type de fichier non déposé",
    UploadDecision.OVER_CAP: "quota d’envoi de l’expéditeur atteint",
}


def marker(reference: str) -> str:
    """Return the marker that identifies a request in a ticket, a note, a subtask or a comment."""
    return f"[ref: {reference}]"


def step_title(step: str) -> str:
    """Return the French name of a step for the beginning of a line."""
    name = STEPS.get(step, step)
    return name[:1].upper() + name[1:]


def who_wrote(*, colleague: bool) -> str:
    """Return the French words that come before what was written."""
    return "Un collègue a écrit" if colleague else "Le client a écrit"


def whose_answer(*, colleague: bool) -> str:
    """Return the French title of an answer, by its writer."""
    return "Réponse d’un collègue" if colleague else "Réponse du client"


def who(address: Address) -> str:
    """Return a person on one line: « Jeanne Petit <jeanne@example.com> », or the known part of it."""
    name, addr_spec = one_line(address.display_name, 100), one_line(address.addr_spec, 320)
    if name and addr_spec and name != addr_spec:
        return f"{name} <{addr_spec}>"
    return name or addr_spec or "expéditeur inconnu"


def of(name: str) -> str:
    """Put « de » before a name: « de Jeanne », « d’Élise ». Before h and y, where both are in use, it stays « de »."""
    first = unicodedata.normalize("NFD", name[:1]).lower()[:1]
    return f"d’{name}" if first and first in "aeiouæœ" else f"de {name}"


def author_fact(request: Request) -> tuple[str, str] | None:
    """Return the French role of From and its address if it is not the customer, or None if it is."""
    author = request.author
    if author.addr_spec.casefold() == request.sender.addr_spec.casefold():
        return None
    # Any sender can write this field: only a plain form name is accepted, and the address is still shown.
    if _FORM.fullmatch(form := request.header(FORM_HEADER)):
        # The display name of a form's mail is the customer's name.
        return f"Formulaire «{NBSP}{form}{NBSP}»", one_line(author.addr_spec, 320) or who(author)
    return "Transféré par" if request.sender in request.original_senders else "Expéditeur affiché", who(author)


def unverified(request: Request) -> str:
    """Return a sentence if our own mail server does not vouch for From, or "" if it does or is not asked."""
    if request.verified is not False:
        return ""
    author = one_line(request.author.addr_spec, 320) or "cette adresse"
    return f"Expéditeur non vérifié{NBSP}: rien ne prouve que ce message vienne bien de {author}."


def moment(at: datetime, zone: tzinfo = UTC) -> str:
    """Return a moment in French, in the reader's time zone: « dimanche 22 novembre 2026 à 10 h 30 ». `at` is aware."""
    local = at.astimezone(zone)
    day = f"{local.day}er" if local.day == 1 else str(local.day)
    date = f"{_DAYS[local.weekday()]} {day}{NBSP}{_MONTHS[local.month - 1]} {local.year}"
    return f"{date} à {local.hour}{NBSP}h{NBSP}{local.minute:02}"


def size(size_bytes: int) -> str:
    """Format a size in French with decimal units: « 512 octets », « 240 ko », « 1,2 Mo »."""
    if size_bytes < 1000:  # noqa: PLR2004 - the unit's own definition
        return f"{size_bytes}{NBSP}octet{'s' if size_bytes > 1 else ''}"
    if size_bytes < 999_500:  # noqa: PLR2004 - from here it rounds to a megabyte
        return f"{size_bytes / 1000:.0f}{NBSP}ko"
    megabytes = size_bytes / 1_000_000
    return f"{megabytes:.{0 if megabytes >= 9.95 else 1}f}".replace(".", ",") + f"{NBSP}Mo"  # noqa: PLR2004


def file_label(file: StoredFile | Attachment) -> str:
    """Return a file's name and size on one line."""
    name = file_types.opens_as(file) if isinstance(file, Attachment) else file.filename
    return f"{one_line(name)} ({size(file.size_bytes) if file.size_bytes else 'vide'})"


def left_behind(request: Request, done: DispatchResult) -> list[tuple[UploadDecision, str]]:
    """Return the attachments that were not uploaded, in the mail's order, without those that no person sent.

    Each has its upload decision, and a line with name, size and reason.
    """
    return [
        (fate, f"{label}, {reason}" if reason else label)
        for number, (fate, label, reason) in _left(request, done).items()
        if not request.attachments[number].incidental
    ]


def attachments(request: Request, done: DispatchResult) -> list[tuple[str, str]]:
    """Return the attachments in the mail's order, without those that no person sent.

    Each has a line with name, size and result, and its URL or "".
    """
    ticket_url = done.ticket.url if done.ticket else ""
    urls, left = {number: ticket_url for number, _ in done.attached} | dict(done.uploads), _left(request, done)
    return [
        (f"{file_label(attachment)}, déposé", urls[number])
        if number in urls
        else (f"{left[number][1]}, {left[number][2] or 'dans le message'}", "")
        for number, attachment in enumerate(request.attachments)
        if not attachment.incidental
    ]


def _left(request: Request, done: DispatchResult) -> dict[int, tuple[UploadDecision, str, str]]:
    """Return the attachments that were not uploaded, keyed by their number.

    Each has its upload decision, its name and size, and the reason, "" if that is obvious.
    """
    uploaded = {number for number, _ in (*done.uploads, *done.attached)}
    kept = {}
    for number, (attachment, fate) in enumerate(zip(request.attachments, _fates(request, done), strict=True)):
        if number not in uploaded:
            # If only the beginning of the mail was fetched, the last file's size is unknown.
            label = (
                one_line(attachment.filename) if attachment_policy.oversize_bytes(request) else file_label(attachment)
            )
            kept[number] = (fate, label, _reason(request, done, number, fate))
    return kept


def to_fetch(request: Request) -> list[str]:
    """Return the links to files at transfer services, each on one line.

    They come from a stranger, so they must never be made clickable.
    """
    return [one_line(http_url(url), _LINK_LIMIT_CHARS) for url in request.links if http_url(url)]


def unread(request: Request) -> list[str]:
    """Return a sentence for each defect that the text and the list of files do not show."""
    sentences = [ENCRYPTED] if ENCRYPTED_DEFECT in request.defects else []
    if size_bytes := attachment_policy.oversize_bytes(request):
        # Other defects only follow from the missing end of the mail.
        return [*sentences, OVERSIZE.format(size(size_bytes))]
    return [*sentences, UNREAD] if set(request.defects) - {ENCRYPTED_DEFECT} else sentences


def empty(request: Request) -> list[str]:
    """Return the names of the 3D files and images that are empty, as far as their size is known."""
    if attachment_policy.oversize_bytes(request):
        return []
    files = (each for each in request.attachments if each.kind in {Kind.MODEL, Kind.IMAGE} and not each.size_bytes)
    return [one_line(each.filename) for each in files]


def services_off(done: DispatchResult) -> list[tuple[str, list[str]]]:
    """Return the services without credentials, in order, each with the French names of its skipped steps."""
    off: dict[str, list[str]] = {}
    for step in done.skipped:
        off.setdefault(SERVICE_NAMES.get(service_of(step), step), []).append(STEPS.get(step, step))
    return list(off.items())


def listed(lines: Iterable[str], room_chars: int, more: str = "{}") -> Iterator[str]:
    """Yield as many whole lines as fit, then one that counts the rest: half a link opens nothing."""
    hidden = 0
    for line in lines:
        room_chars -= len(line) + 1
        if room_chars < 0:
            hidden += 1
        else:
            yield line
    if hidden:
        yield more.format(f"et {hidden} de plus")


def _reason(request: Request, done: DispatchResult, number: int, fate: UploadDecision) -> str:
    """Return why an attachment was not uploaded, "" if no attachment would have been."""
    attachment = request.attachments[number]
    if fate is UploadDecision.LOGO:
        return "logo de signature" if attachment.logo else "image déjà reçue de cet expéditeur"
    if fate is UploadDecision.DUPLICATE:
        twin = attachment_policy.duplicate_of(request, _fates(request, done), number)
        return f"doublon de {one_line(twin.filename)}" if twin else "doublon"
    if fate in {UploadDecision.INLINE, UploadDecision.REFUSED}:
        return _REASONS[fate]
    return _why_it_stayed(request, done, attachment, fate)


def _why_it_stayed(request: Request, done: DispatchResult, attachment: Attachment, fate: UploadDecision) -> str:
    if attachment_policy.oversize_bytes(request):
        return "non téléchargé"
    if _nothing_goes(done):
        return ""
    if fate is UploadDecision.TOO_BIG:
        return "trop volumineux" + _limit(attachment, done)
    return _REASONS.get(fate, "R2 non configuré" if StepName.UPLOAD_FILES in done.skipped else "dépôt non effectué")


def _fates(request: Request, done: DispatchResult) -> tuple[UploadDecision, ...]:
    """Return the recorded upload decisions, one for each attachment.

    If there are none, or the mail parses differently today, decide by the mail alone.
    """
    return (
        done.upload_decisions
        if len(done.upload_decisions) == len(request.attachments)
        else attachment_policy.decide_uploads(request)
    )


def _nothing_goes(done: DispatchResult) -> bool:
    """Return True if no file is stored at all: for most support requests, but not for an answer to one."""
    is_stored = done.uploads or done.attached or done.classification.decided_by == "thread"
    return done.classification.category is Category.SUPPORT and not is_stored


def _limit(attachment: Attachment, done: DispatchResult) -> str:
    if done.max_file_bytes and attachment.size_bytes > done.max_file_bytes:
        return f" (limite{NBSP}: {size(done.max_file_bytes)})"
    return f" (limite par message{NBSP}: {size(done.max_mail_bytes)})" if done.max_mail_bytes else ""
