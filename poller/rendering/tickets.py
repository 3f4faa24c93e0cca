"""Render the French texts that people read in HubSpot and ClickUp.

Every text ends with the marker of its request. A step that lost its response finds its earlier result by that marker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller.escaping import (
    html,
    http_url,
    markdown,
    markdown_address,
    one_line,
    plain_text,
    unlinked,
)
from poller.model import Category, UploadDecision
from poller.rendering import stored_files
from poller.rendering.phrases import (
    CATEGORIES,
    LEFT,
    NBSP,
    TO_FETCH,
    author_fact,
    left_behind,
    listed,
    marker,
    of,
    services_off,
    to_fetch,
    unread,
    unverified,
    who,
    whose_answer,
)
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from poller.model import DispatchResult, Request

HUBSPOT_LIMIT_CHARS = 60_000  # a property holds 65,536
SUBTASK_TEXT_LIMIT_CHARS = 40_000  # ClickUp documents no limit
COMMENT_TEXT_LIMIT_CHARS = 10_000  # no documented limit either, but people read a comment among others

_ABRIDGED = f"(Texte abrégé{NBSP}: la suite se trouve dans le message d’origine.)"
_NEWEST = f"(Sans l’historique ni la signature{NBSP}: le texte complet se trouve dans le message d’origine.)"
_FILES_LIMIT_CHARS = 30_000
_LINKS_LIMIT_CHARS = 5_000
_LEFT_LIMIT_CHARS = 5_000
_COMMENT_FILES_LIMIT_CHARS = 5_000
_COMMENT_LEFT_LIMIT_CHARS = 2_000


def ticket_subject(request: Request) -> str:
    """Return the ticket's subject: one line of at most 200 characters, « (sans objet) » if the mail has none."""
    return one_line(request.subject) or "(sans objet)"


def ticket_content(request: Request, done: DispatchResult) -> str:
    """Return the ticket's content as plain text of at most 60,000 characters.

    A long mail is abridged, a link never is.
    """
    head = [f"À vérifier{NBSP}: {_doubt(done)}\n"] if done.classification.needs_review else []
    head.append(f"Demande{NBSP}: {CATEGORIES[done.classification.category].lower()}")
    head.append(f"Client{NBSP}: {who(request.sender)}")
    if author := author_fact(request):
        head.append(f"{author[0]}{NBSP}: {author[1]} (les réponses vont au client ci-dessus)")
    if doubt := unverified(request):
        head.append(doubt)

    tail = []
    if done.files:
        tail.append("\n".join([f"Fichiers{NBSP}:", *listed(stored_files.ticket_lines(done), _FILES_LIMIT_CHARS)]))
    if links := to_fetch(request):
        tail.append("\n".join([f"{TO_FETCH}{NBSP}:", *listed((f"- {url}" for url in links), _LINKS_LIMIT_CHARS)]))
    if left := left_behind(request, done):
        lines = (f"- {label}" for _, label in left)
        tail.append("\n".join([f"{LEFT}{NBSP}:", *listed(lines, _LEFT_LIMIT_CHARS)]))
    tail.extend(f"{service} non configuré{NBSP}: {', '.join(steps)}." for service, steps in services_off(done))
    tail.extend(unread(request))
    tail.append(marker(request.reference))

    frame = ["\n".join(head), "", "\n\n".join(tail)]
    frame[1] = _within(request.text, HUBSPOT_LIMIT_CHARS - len("\n\n".join(frame)), plain_text)
    return "\n\n".join(frame)


def note_html(request: Request, done: DispatchResult) -> str:
    """Render the note on the contact and the ticket: simple HTML of at most 60,000 characters.

    It links to our own files only.
    """
    category = CATEGORIES[done.classification.category].lower()
    head = f"<p><strong>Demande de {category}</strong> {html(of(who(request.sender)))}</p>"
    if done.classification.needs_review:
        head += f"\n<p><strong>À vérifier{NBSP}:</strong> {html(_doubt(done))}</p>"
    return _note(head + _author_html(request), request.text, request, done)


def files_note_html(request: Request, done: DispatchResult) -> str:
    """Render the note with the links to the files, on a ticket whose first note has none of them."""
    head = "<p><strong>Demande de modélisation</strong></p>"
    return "\n".join([head, *_files(done), f"<p>{marker(links_of(request))}</p>"])


def links_of(request: Request) -> str:
    """Return the reference of the note of `files_note_html`."""
    return f"{request.reference}/fichiers"


def _files(done: DispatchResult) -> list[str]:
    if not done.files:
        return []
    items = listed(stored_files.note_items(done), _FILES_LIMIT_CHARS, more="<li>{}</li>")
    return [_html_list("Fichiers", items), *stored_files.all_files_html(done)]


def reply_note_html(request: Request, done: DispatchResult, *, colleague: bool = False) -> str:
    """Render an answer as a note on its ticket: like `note_html`, from the text written for this mail only."""
    head = f"<p><strong>{whose_answer(colleague=colleague)}</strong>{NBSP}: {html(who(request.sender))}</p>"
    return _note(head + _author_html(request), request.newest, request, done)


def _author_html(request: Request) -> str:
    author, doubt = author_fact(request), unverified(request)
    line = f"\n<p>{author[0]}{NBSP}: {html(author[1])}</p>" if author else ""
    return line + (f"\n<p><strong>{html(doubt)}</strong></p>" if doubt else "")


def _note(head: str, text: str, request: Request, done: DispatchResult) -> str:
    tail = [f"<p>{_NEWEST}</p>"] if _is_part(text, request) else []
    tail += _files(done)
    if links := to_fetch(request):
        lines = (f"<li>{html(url)}</li>" for url in links)
        tail.append(_html_list(TO_FETCH, listed(lines, _LINKS_LIMIT_CHARS, more="<li>{}</li>")))
    if left := left_behind(request, done):
        lines = (f"<li>{html(label)}</li>" for _, label in left)
        tail.append(_html_list(LEFT, listed(lines, _LEFT_LIMIT_CHARS, more="<li>{}</li>")))
    tail.extend(f"<p>{sentence}</p>" for sentence in unread(request))
    tail.append(f"<p>{marker(request.reference)}</p>")

    frame = [head, "<p></p>", "\n".join(tail)]
    room = HUBSPOT_LIMIT_CHARS - len("\n".join(frame))
    frame[1] = f"<p>{_within(text, room, html)}</p>"
    return "\n".join(frame)


def subtask_name(request: Request) -> str:
    """Return the subtask's name: the subject, else the customer's address, as one line of 1 to 120 characters."""
    asker = f" de {request.sender.addr_spec}" if request.sender.addr_spec else ""
    return one_line(request.subject, 120) or one_line(f"Demande de modélisation{asker}", 120)


def subtask_markdown(request: Request, done: DispatchResult) -> str:
    """Render the subtask's description in Markdown, with at most 40,000 characters of the mail's text, inert."""
    files = list(listed(stored_files.subtask_lines(done), _FILES_LIMIT_CHARS))
    fetch = listed((f"- {markdown(url)}" for url in to_fetch(request)), _LINKS_LIMIT_CHARS)
    left = listed((f"- {markdown(label)}" for label in _of_use(request, done)), _LEFT_LIMIT_CHARS)
    for title, lines in ((TO_FETCH, list(fetch)), (LEFT, list(left))):
        if lines:
            files += [*([""] if files else []), f"{title}{NBSP}:", "", *lines]
    for sentence in unread(request):
        files += [*([""] if files else []), sentence]
    head = [
        f"**Client**: {markdown_address(request.sender.addr_spec) or 'inconnu'}",
        f"**Objet**: {markdown(ticket_subject(request))}",
        f"**Ticket HubSpot**: {_ticket(done)}",
        *([markdown(doubt)] if (doubt := unverified(request)) else []),
    ]
    content = [
        "**Demande de modélisation**",
        "",
        "  \n".join(head),  # hard breaks: CommonMark would make one paragraph of the lines
        "",
        "## Description de la demande",
        _within(request.text, SUBTASK_TEXT_LIMIT_CHARS, markdown),
        "",
        "## Fichiers joints",
        *(files or ["Aucun fichier joint."]),
        "",
        "\n\n".join([*_details(request, done), marker(request.reference)]),
    ]
    return "\n".join(content)


def _details(request: Request, done: DispatchResult) -> list[str]:
    """Return blocks of Markdown that follow the agreed text: doubt, customer, all files, each file with its picture."""
    doubt = [f"À vérifier{NBSP}: {markdown(_doubt(done))}"] if done.classification.needs_review else []
    name = one_line(request.sender.display_name, 100)
    client = [f"Nom du client{NBSP}: {markdown(name)}"] if name else []
    taken = sum(map(len, stored_files.subtask_lines(done)))
    portraits = listed(stored_files.subtask_portraits(done), max(0, _FILES_LIMIT_CHARS - taken))
    return [*doubt, *client, *stored_files.all_files_markdown(done), *portraits]


def reply_comment(request: Request, done: DispatchResult, *, colleague: bool = False) -> str:
    """Render an answer as a comment on its subtask: inert plain text of at most 20,000 characters.

    Hair spaces keep ClickUp from turning the mail's URLs and addresses into links, so they can be read but not copied.
    """
    blocks = [
        f"{whose_answer(colleague=colleague)} {unlinked(one_line(request.sender.addr_spec, 320))}".rstrip(),
        *([unlinked(doubt)] if (doubt := unverified(request)) else []),
        _within(request.newest, COMMENT_TEXT_LIMIT_CHARS, unlinked),
    ]
    if _is_part(request.newest, request):
        blocks.append(_NEWEST)
    fetch = (f"- {unlinked(url)}" for url in to_fetch(request))
    left = (f"- {unlinked(label)}" for label in _of_use(request, done))
    for title, lines, limit_chars in (
        ("Fichiers", stored_files.comment_lines(done), _COMMENT_FILES_LIMIT_CHARS),
        (TO_FETCH, fetch, _COMMENT_LEFT_LIMIT_CHARS),
        (LEFT, left, _COMMENT_LEFT_LIMIT_CHARS),
    ):
        if shown := list(listed(lines, limit_chars)):
            blocks.append("\n".join([f"{title}{NBSP}:", *shown]))
    return "\n\n".join([*blocks, *unread(request), marker(request.reference)])


def correction_comment(category: Category, correction: str) -> str:
    """Render the comment on the subtask of a reclassified request, with nothing of the mail in it."""
    said = {
        Category.SUPPORT: (
            f"Reclassé en support{NBSP}: cette demande n’est plus à modéliser. Elle est suivie dans son ticket HubSpot."
        ),
        Category.MODELISATION: f"Reclassé en modélisation{NBSP}: cette demande est de nouveau à modéliser.",
    }
    return f"{said[category]}\n\n{marker(correction)}"


def _of_use(request: Request, done: DispatchResult) -> list[str]:
    """Return what stayed in the mail and the 3D team may need: a picture in the text may be a sketch, unlike a logo."""
    return [
        label
        for fate, label in left_behind(request, done)
        if fate not in {UploadDecision.LOGO, UploadDecision.DUPLICATE}
    ]


def _is_part(text: str, request: Request) -> bool:
    return text.strip() != request.text.strip()


def _within(text: str, room_chars: int, escape: Callable[[str], str]) -> str:
    """Return the mail's text, escaped, in at most `room_chars`. A last line says so if its end was left out."""
    kept = plain_text(text[:room_chars]).strip()
    if not kept:
        return "(message sans texte)"
    shown = escape(kept)
    if len(text) <= room_chars and len(shown) <= room_chars:
        return shown
    note = escape("\n\n" + _ABRIDGED)
    # Escaping lengthens some texts more than others. The cut is made before it: half an escape would be markup.
    while len(shown) > room_chars - len(note):
        kept = kept[: len(kept) * (room_chars - len(note)) // len(shown)].rstrip()
        shown = escape(kept)
    return shown + note


def _doubt(done: DispatchResult) -> str:
    return f"classement incertain. {one_line(done.classification.reason, 500)}".rstrip()


def _ticket(done: DispatchResult) -> str:
    if done.ticket is not None:
        return http_url(done.ticket.url) or f"n°{NBSP}{markdown(one_line(done.ticket.id))}"
    return "non créé (HubSpot non configuré)" if StepName.CREATE_TICKET in done.skipped else "non créé"


def _html_list(title: str, items: Iterable[str]) -> str:
    return f"<p><strong>{title}</strong></p>\n<ul>\n" + "\n".join(items) + "\n</ul>"
