"""Update a ticket's text for the category that a person chose, and keep what people wrote there since."""

from __future__ import annotations

import re
from itertools import takewhile
from typing import TYPE_CHECKING

from poller.rendering.phrases import CATEGORIES, LEFT, NBSP, file_label, listed, marker
from poller.rendering.stored_files import ticket_lines

if TYPE_CHECKING:
    from poller.model import DispatchResult, Request

LIMIT_CHARS = 65_000  # a property of HubSpot's holds 65,536
_GAP = r"[^\S\n]*"  # within a line: an editor may have replaced our spaces, which do not break
_CATEGORY = re.compile(
    rf"^Demande{_GAP}:{_GAP}(?:{'|'.join(map(str.lower, CATEGORIES.values()))}){_GAP}$", re.MULTILINE
)
_DOUBT = re.compile(rf"^À vérifier{_GAP}:{_GAP}classement incertain\.", re.MULTILINE)
_CERTAIN = f"Vérifié{NBSP}: classement fait à la main."


def updated_ticket_content(content: str, request: Request, done: DispatchResult) -> str:
    """Return a ticket's content with today's category, and with links to the files if it has none of them.

    Only lines that we wrote ourselves change: the category, the doubt about it, and the files that had stayed in the
    mail. Lines that people have removed or edited are left as they are. Doing it twice gives the same.
    """
    category = f"Demande{NBSP}: {CATEGORIES[done.classification.category].lower()}"
    content = _CATEGORY.sub(category, _DOUBT.sub(_CERTAIN, content, count=1), count=1)
    if not done.files or any(file.url in content for file in done.files):
        return content
    files = ["Fichiers" + NBSP + ":", *listed(ticket_lines(done), LIMIT_CHARS - len(content))]
    before, mark, after = _without_uploaded(content, request, done).rpartition(marker(request.reference))
    # Where a person has removed the marker, the links go to the end.
    right = "\n".join([before + files[0], *files[1:], "", mark + after] if mark else [after, "", *files])
    # A full ticket gets no links. They are in the note.
    return right if len(right) <= LIMIT_CHARS else content


def _without_uploaded(content: str, request: Request, done: DispatchResult) -> str:
    """Return the content without the lines which say that a file stayed in the mail, where it is uploaded by now."""
    lines = content.split("\n")
    # Take the last such line: the mail's own text stands above it, and may quote another ticket.
    first = max((number for number, line in enumerate(lines) if _spaced(line) == f"{LEFT} :"), default=None)
    if first is None:
        return content
    uploaded = {_spaced(f"- {file_label(request.attachments[number])}") for number, _ in done.uploads}
    listed_lines = list(takewhile(lambda line: line.startswith("- "), lines[first + 1 :]))
    left = [line for line in listed_lines if _spaced(line) not in uploaded]
    rest = lines[first + 1 + len(listed_lines) :]
    title = [lines[first]] if left else []
    # The block goes as a whole, with the line between it and the next one.
    return "\n".join([*lines[:first], *title, *left, *(rest[1:] if not left and rest[:1] == [""] else rest)])


def _spaced(line: str) -> str:
    """Return the line with plain spaces alone: an editor may have replaced our no-break spaces."""
    return " ".join(line.split())
