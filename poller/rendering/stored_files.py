"""Lay out the stored files, with their pictures and facts, for a ticket, a note, a subtask and a comment.

Each line stands alone, so that a list can be cut between two of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller.escaping import html, html_image, html_link, http_url, markdown, markdown_image, markdown_link, unlinked
from poller.rendering.phrases import NBSP, file_label, size
from poller.rendering.previews import SEPARATOR, portraits

if TYPE_CHECKING:
    from poller.model import DispatchResult, StoredFile

ALL_FILES = "Tout télécharger"
_PICTURE_PX = 320  # width in a note of HubSpot


def all_files_label(file: StoredFile) -> str:
    """Return the words of the link to all files: « Tout télécharger (49 Mo) »."""
    return f"{ALL_FILES} ({size(file.size_bytes)})" if file.size_bytes else ALL_FILES


def ticket_lines(done: DispatchResult) -> list[str]:
    """Return a line of plain text for all files, and then one for each: a list that is too long is cut at its end."""
    lines = [f"- {file_label(file)}{NBSP}: {http_url(file.url)}" for file in done.files]
    return [*_all_files_lines(done), *lines]


def note_items(done: DispatchResult) -> list[str]:
    """Return an HTML list item for each file: link, size, facts, warnings, picture."""
    items = []
    for file in done.files:
        lines = [f"{html_link(file.filename, file.url)} ({size(file.size_bytes)})"]
        for each in portraits(file.filename, file.url, done):
            lines += [html(each.caption)] if each.caption else []
            lines += [f"<strong>{html(warning)}</strong>" for warning in each.warnings]
            lines += [image] if (image := html_image(each.alt, each.picture, each.url, _PICTURE_PX)) else []
        items.append(f"<li>{'<br>'.join(lines)}</li>")
    return items


def all_files_html(done: DispatchResult) -> list[str]:
    """Return the paragraph with the link to all files, if there is one."""
    return [f"<p><strong>{html_link(all_files_label(file), file.url)}</strong></p>" for file in _all_files(done)]


def subtask_lines(done: DispatchResult) -> list[str]:
    """Return a Markdown list item with the link of each file, as agreed with the 3D team."""
    return [f"- {markdown_link(file.filename, file.url)}" for file in done.files]


def subtask_portraits(done: DispatchResult) -> list[str]:
    """Return blocks of Markdown for each file: picture, name, size and facts, then the warnings as a list."""
    blocks = []
    for file in done.files:
        known = portraits(file.filename, file.url, done)
        if not known:
            blocks.append(f"- {markdown(file_label(file))}")
        for each in known:
            image = markdown_image(each.alt, each.picture, each.url)
            label = each.name if each.member else file_label(file)
            words = markdown(SEPARATOR.join(filter(None, (label, each.facts))))
            blocks.append("  \n".join(filter(None, (image, words))))
            if each.warnings:
                blocks.append("\n".join(f"- {markdown(warning)}" for warning in each.warnings))
    return blocks


def all_files_markdown(done: DispatchResult) -> list[str]:
    """Return the Markdown link to all files, if there is one."""
    return [markdown_link(all_files_label(file), file.url) for file in _all_files(done)]


def comment_lines(done: DispatchResult) -> list[str]:
    """Return lines of plain text without any link but ours: all files, then each with its facts and warnings."""
    lines = _all_files_lines(done)
    for file in done.files:
        said = [f"- {unlinked(file_label(file))}{NBSP}: {http_url(file.url)}"]
        for each in portraits(file.filename, file.url, done):
            said += [unlinked(f"{NBSP}{NBSP}{words}") for words in (each.caption, *each.warnings) if words]
        lines.append("\n".join(said))
    return lines


def _all_files_lines(done: DispatchResult) -> list[str]:
    return [f"- {all_files_label(file)}{NBSP}: {http_url(file.url)}" for file in _all_files(done)]


def _all_files(done: DispatchResult) -> list[StoredFile]:
    """Return the zip of all files in a list, which is empty if there is none that a link can open."""
    return [done.all_files] if done.all_files and http_url(done.all_files.url) else []
