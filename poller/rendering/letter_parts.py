"""Make the parts that notifications and receipts share: what to check, who asks, what they wrote and sent."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from poller.escaping import http_url, one_line
from poller.model import Acknowledgement, Category
from poller.parsing.file_types import opens_as
from poller.rendering.excerpt import first_sentence, quotation
from poller.rendering.mail_page import LEFT, FileEntry, Thumbnail, Tone
from poller.rendering.phrases import (
    CATEGORIES,
    NBSP,
    TO_FETCH,
    UNREADABLE,
    author_fact,
    empty,
    left_behind,
    listed,
    moment,
    services_off,
    size,
    to_fetch,
    unread,
    unverified,
    who,
    who_wrote,
)
from poller.rendering.phrases import LEFT as LEFT_TITLE
from poller.rendering.previews import portraits, urgent
from poller.rendering.stored_files import all_files_label
from poller.triage import attachment_policy
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from datetime import tzinfo

    from poller.model import Classification, DispatchResult, Request
    from poller.rendering.mail_page import Line

NOT_DELIVERED = (
    f"L’adresse du client est peut-être fausse, ou sa boîte pleine{NBSP}: une réponse ne lui parviendrait pas non "
    "plus. Joignez-le autrement."
)
_DECIDED_BY = {
    "rules": "Décidé par les règles.",
    "learned": "Décidé par le modèle appris.",
    "claude": "Décidé par Claude.",
    "rules without claude": "Décidé par les règles, sans l’avis de Claude.",
    "learned without claude": "Décidé par le modèle appris, sans l’avis de Claude.",
    "thread": "",  # an answer to a ticket needs no decision
    "person": "",
}
_TONES = {Category.SUPPORT: Tone.SUPPORT, Category.MODELISATION: Tone.MODELISATION}
_NAMES_LIMIT_CHARS = 2_000
_LINKS_LIMIT_CHARS = 4_000


def tone(done: DispatchResult) -> Tone:
    """Return the colour of a letter about a request."""
    return _TONES[done.classification.category]


def sureness(classification: Classification) -> str:
    """Return the category, and how sure it is, or that a person chose it."""
    is_chosen = classification.decided_by == "person"
    sure = "catégorie choisie par une personne" if is_chosen else _confidence(classification)
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


def opinion(classification: Classification) -> list[tuple[str, str]]:
    """Return the opinion of the learnt model, where another decided."""
    found = classification.opinion
    if found is None or classification.decided_by in {"learned", "learned without claude"}:
        return []
    confidence = f"{found.confidence:.0%}".replace("%", f"{NBSP}%")
    agrees = "même avis" if found.category is classification.category else CATEGORIES[found.category]
    sure = "" if found.sure else ", pas assez pour décider"
    return [("Avis appris", f"{agrees} (confiance{NBSP}: {confidence}{sure})")]


def people(request: Request, zone: tzinfo = UTC) -> list[tuple[str, str]]:
    """Return who asks, who wrote if that is another person, and when the message arrived, in the reader's `zone`."""
    author = author_fact(request)
    return [
        ("Client", who(request.sender)),
        *([author] if author else []),
        ("Reçu le", moment(request.received_at, zone)),
    ]


def quoted(request: Request, *, colleague: bool = False) -> tuple[str, str]:
    """Return who wrote, and the words. No words for a message that could not be read.

    `colleague`: one of ours wrote it.
    """
    words = "" if UNREADABLE in request.newest else quotation(request.newest)
    return who_wrote(colleague=colleague), words


def preview(request: Request) -> str:
    """Return the line that a list of messages shows of the letter."""
    return "" if UNREADABLE in request.newest else first_sentence(request.newest)


def thumbnails(request: Request, done: DispatchResult) -> list[Thumbnail]:
    """Return the pictures of the stored files, in the mail's order."""
    stored = [(opens_as(request.attachments[n]), url) for n, url in done.uploads if n < len(request.attachments)]
    found = [portrait for name, url in stored for portrait in portraits(name, url, done)]
    return [Thumbnail(each.picture, each.url, each.alt) for each in found if each.picture]


def files(done: DispatchResult) -> list[FileEntry]:
    """Return the stored files, each with its facts and warnings."""
    known = [(file, portraits(file.filename, file.url, done)) for file in done.files]
    return [
        FileEntry(
            one_line(file.filename),
            size(file.size_bytes),
            file.url,
            facts=[each.caption for each in found if each.caption],
            warnings=[warning for each in found for warning in each.warnings],
        )
        for file, found in known
    ]


def all_files(done: DispatchResult) -> tuple[str, str]:
    """Return the label and the URL of the link to all files, "" if there is none."""
    return (all_files_label(done.all_files), done.all_files.url) if done.all_files else ("", "")


def buttons(done: DispatchResult) -> list[tuple[str, str]]:
    """Return the buttons to what was created: label and URL."""
    created = (("Ouvrir le ticket HubSpot", done.ticket), ("Ouvrir la sous-tâche ClickUp", done.subtask))
    return [(label, link.url) for label, link in created if link is not None and http_url(link.url)]


def left_in_message(request: Request, done: DispatchResult) -> list[tuple[str, list[Line]]]:
    """Return the list of the attachments that were not uploaded, under its heading, if there are any."""
    is_support = done.classification.category is Category.SUPPORT
    lines: list[Line] = [(LEFT, label, "") for _, label in left_behind(request, done)]
    return [("Pièces jointes, dans le message" if is_support else LEFT_TITLE, lines)] if lines else []


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
    if StepName.SEND_NOTIFICATION in done.refused:
        lines.append(
            f"Le serveur d’envoi refuse tout message à l’adresse des notifications{NBSP}: vous n’en recevez plus. "
            "Videz cette boîte si elle est pleine, ou corrigez NOTIFICATION_EMAIL."
        )
    if done.acknowledgement is Acknowledgement.REFUSED:
        lines.append(
            f"Le serveur d’envoi refuse l’adresse du client{NBSP}: une réponse ne lui parviendrait sans doute pas non "
            "plus."
        )
    if done.acknowledgement is Acknowledgement.BOUNCED:
        lines.append(NOT_DELIVERED)
    for service, steps in services_off(done):
        lines.append(f"{service} n’est pas configuré. Non fait{NBSP}: {', '.join(steps)}.")
    lines += listed((f"«{NBSP}{name}{NBSP}» est vide." for name in empty(request)), _NAMES_LIMIT_CHARS)
    lines += listed(urgent(request, done), _NAMES_LIMIT_CHARS)
    lines += [f"{TO_FETCH}{NBSP}: {url}" for url in listed(to_fetch(request), _LINKS_LIMIT_CHARS)]
    if done.classification.category is Category.MODELISATION:
        missed = sum(fate not in attachment_policy.ASIDE for fate, _ in left_behind(request, done))
        if missed:
            stayed = f"{missed} fichiers sont restés" if missed > 1 else "Un fichier est resté"
            lines.append(f"{stayed} dans le message{NBSP}: la liste est plus bas.")
    return lines + unread(request)


def to_check_of_reply(request: Request, done: DispatchResult) -> list[str]:
    """Return what a person should check in an answer to an existing ticket, one sentence each."""
    lost = f"La demande n’a pas (ou plus) de sous-tâche ClickUp{NBSP}: transmettez la réponse à l’équipe 3D."
    is_lost = done.classification.category is Category.MODELISATION and done.subtask is None
    return ([lost] if is_lost else []) + to_check(request, done)
