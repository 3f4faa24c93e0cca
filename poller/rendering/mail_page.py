"""Set a mail to the admin as text and as HTML from one page of content."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from typing import TYPE_CHECKING

from poller.escaping import header_text, http_url, one_line
from poller.mime.encoded_words import header_factory
from poller.own_mail import HEADER, notification_id
from poller.rendering.phrases import NBSP, listed, marker
from poller.rendering.template import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


DONE, FAILED, LEFT = "✓", "✗", "–"  # before a line; the template knows their colours
_BLOCKS = 20  # of the longest bar, in text
_FILES_LIMIT_CHARS = 20_000
_POLICY = SMTP.clone(cte_type="7bit", header_factory=header_factory())  # not every relay announces 8BITMIME (RFC 6152)


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars of several parts, one below the other."""

    title: str
    parts: Sequence[tuple[str, str]]  # name and colour (#rrggbb, to be seen on white and on black)
    bars: Sequence[tuple[str, Sequence[int]]]  # label, and how many of each part

    @property
    def most(self) -> int:
        """Total of the longest bar, at least 1."""
        return max((sum(counts) for _, counts in self.bars), default=0) or 1


@dataclass(frozen=True, slots=True)
class Page:
    """Content of a mail, before it is set as text and as HTML. All of its text is raw, not escaped."""

    kicker: str
    title: str
    box: tuple[str, Sequence[str]]  # its title and its lines; no box without lines
    facts: Sequence[tuple[str, str]]  # label and value; several lines allowed in a value
    buttons: Sequence[tuple[str, str]]  # label and URL
    files: Sequence[tuple[str, str, str]]  # name, size, URL
    reference: str  # of the message, or of the moment; the Message-ID is made of it
    lists: Sequence[tuple[str, Sequence[tuple[str, str, str]]]] = ()  # title; lines: one of the marks, words, URL or ""
    chart: Chart | None = None


def mail(page: Page, subject: str, what: str, *, sender: str, recipient: str, now: datetime) -> EmailMessage:
    """Build the message of a page.

    `what` is a word that tells the kinds of mail apart in the Message-ID.
    """
    message = EmailMessage(policy=_POLICY)
    message["From"] = one_line(sender)
    message["To"] = one_line(recipient)
    message["Subject"] = header_text(subject)
    message["Date"] = now
    message["Message-ID"] = notification_id(page.reference, what)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: no absence notice answers it
    message[HEADER] = "notification"
    message.set_content(_as_text(page))
    html = render("letter.html", page=page, limit_chars=_FILES_LIMIT_CHARS)
    message.add_alternative(html, subtype="html")
    return message


def _as_text(page: Page) -> str:
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
    if page.chart:
        blocks.append(as_text(page.chart))
    for title, entries in page.lists:
        lines = listed((_text_line(*entry) for entry in entries), _FILES_LIMIT_CHARS)
        blocks.append("\n".join([f"{title}{NBSP}:", *lines]))
    blocks.append(marker(page.reference))
    return "\n\n".join(blocks) + "\n"


def _text_line(mark: str, label: str, url: str) -> str:
    return f"{mark} {label}{NBSP}: {http_url(url)}" if http_url(url) else f"{mark} {label}"


def as_text(chart: Chart) -> str:
    """Render the chart as text, one line per bar."""
    width = max((len(label) for label, _ in chart.bars), default=0)
    lines = [
        f"{label:<{width}}  {'█' * round(sum(counts) / chart.most * _BLOCKS)} {sum(counts)}"
        for label, counts in chart.bars
    ]
    return "\n".join([chart.title, *lines])
