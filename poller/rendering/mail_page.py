"""Set a mail to the admin as text and as HTML from one page of content."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr, parseaddr
from enum import StrEnum
from typing import TYPE_CHECKING

from poller.escaping import header_text, http_url, one_line, plain_text
from poller.mime.encoded_words import header_factory
from poller.own_mail import HEADER, notification_id
from poller.rendering.phrases import NBSP, listed, marker
from poller.rendering.template import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from poller.model import Request

    # One of the marks, words, URL or "", and lines below.
    Line = tuple[str, str, str] | tuple[str, str, str, Sequence[str]]

DONE, FAILED, LEFT = "✓", "✗", "–"  # before a line; the template knows their colours
ORIGIN = "Message d’origine du service"
MADE_UP = "@message-id.invalid>"  # the parser's Message-ID of a message without one
# RFC 5322 section 3.6.4, without folding, comments, or an encoded word, which the standard library would decode.
_ID = re.compile(r"<(?!\S*=\?)[!-;=?-~]{1,300}>")
_REFERENCES = 20  # at most so many of a mail's are repeated
_FILES_LIMIT_CHARS = 20_000
_POLICY = SMTP.clone(cte_type="7bit", header_factory=header_factory())  # not every relay announces 8BITMIME (RFC 6152)


class Tone(StrEnum):
    """The colour of a letter: what its reader needs to know before reading a word of it."""

    PLAIN = "plain"
    SUPPORT = "support"
    MODELISATION = "modelisation"
    WARNING = "warning"
    FAILURE = "failure"
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A stored file, as a letter lists it."""

    name: str
    size: str
    url: str
    facts: Sequence[str] = ()  # a line each
    warnings: Sequence[str] = ()  # a sentence each


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small picture in a letter."""

    source: str  # https; otherwise it is not shown
    target: str  # URL of the file that it shows
    alt: str


@dataclass(frozen=True, slots=True)
class Page:
    """Content of a mail, before it is set as text and as HTML. All of its text is raw, not escaped."""

    kicker: str
    title: str
    box: tuple[str, Sequence[str]]  # its title and its lines; no box without lines
    facts: Sequence[tuple[str, str]]  # label and value; several lines allowed in a value
    buttons: Sequence[tuple[str, str]]  # label and URL
    files: Sequence[FileEntry]
    reference: str  # of the message, or of the moment; the Message-ID is made of it
    lists: Sequence[tuple[str, Sequence[Line]]] = ()  # title and lines
    tone: Tone = Tone.PLAIN
    preview: str = ""  # one line that lists of messages show, and the letter does not
    quotation: tuple[str, str] = ("", "")  # who wrote, and the words, of several lines; none without words
    thumbnails: Sequence[Thumbnail] = ()
    all_files: tuple[str, str] = ("", "")  # label and URL of the link to all files; none without URL
    origin: str = ""  # words of a service or a program, in its own language, several lines


def mail(
    page: Page,
    subject: str,
    what: str,
    *,
    sender: str,
    recipient: str,
    now: datetime,
    name: str = "",
    reply_to: str = "",
    thread: Sequence[str] = (),
) -> EmailMessage:
    """Build the message of a page.

    `what` is a word that tells the kinds of mail apart in the Message-ID. `name` is shown as the sender's, in place of
    one that `sender` has. `reply_to` is an address, "" for the sender's. `thread` is as for `set_thread`.
    """
    message = letter(page.reference, subject, what, sender=sender, recipient=recipient, now=now, name=name)
    if reply_to:
        message["Reply-To"] = reply_to
    set_thread(message, thread)
    message.set_content(_as_text(page))
    html = render("letter.html", page=page, limit_chars=_FILES_LIMIT_CHARS)
    message.add_alternative(html, subtype="html")
    return message


def set_thread(message: EmailMessage, thread: Sequence[str]) -> None:
    """Say which Message-IDs a mail goes with, the parent last, as far as they can stand in a header field."""
    if references := [each for each in thread if _is_named(each)]:
        message["In-Reply-To"] = references[-1]
        message["References"] = " ".join(references)


def thread_of(request: Request) -> list[str]:
    """Return the thread of what answers a mail (RFC 5322 section 3.6.4), [] if the mail has no Message-ID."""
    if not _is_named(request.message_id):
        return []
    forebears = [each for each in request.references or request.in_reply_to if _is_named(each)]
    return [*forebears[-_REFERENCES:], request.message_id]


def _is_named(message_id: str) -> bool:
    return bool(_ID.fullmatch(message_id)) and not message_id.endswith(MADE_UP)


def letter(
    reference: str, subject: str, what: str, *, sender: str, recipient: str, now: datetime, name: str = ""
) -> EmailMessage:
    """Build the header of a mail of ours, without a body. `reference` is that of a page, the rest as in `mail`."""
    message = EmailMessage(policy=_POLICY)
    message["From"] = formataddr((name, parseaddr(sender)[1])) if name else one_line(sender)
    message["To"] = one_line(recipient)
    message["Subject"] = header_text(subject)
    message["Date"] = now
    message["Message-ID"] = notification_id(reference, what)
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5: no absence notice answers it
    message[HEADER] = "notification"
    return message


def _as_text(page: Page) -> str:
    box_title, box_lines = page.box
    blocks = [f"{page.kicker}\n{page.title}"]
    if box_lines:
        blocks.append("\n".join([f"{box_title}{NBSP}:", *(f"- {line}" for line in box_lines)]))
    if page.facts:
        blocks.append("\n".join(f"{label}{NBSP}: {value}" for label, value in page.facts))
    writer, words = page.quotation
    if words:
        quoted = (f"> {line}".rstrip() for line in plain_text(words).split("\n"))
        blocks.append("\n".join([f"{writer}{NBSP}:", *quoted]))
    if page.buttons:
        blocks.append("\n".join(f"{label}{NBSP}: {http_url(url)}" for label, url in page.buttons))
    if page.files:
        lines = listed(map(_text_file, page.files), _FILES_LIMIT_CHARS)
        blocks.append("\n".join([f"Fichiers{NBSP}:", *lines]))
    all_files, url = page.all_files
    if http_url(url):
        blocks.append(f"{all_files}{NBSP}: {http_url(url)}")
    for title, entries in page.lists:
        lines = listed((_text_line(*entry) for entry in entries), _FILES_LIMIT_CHARS)
        blocks.append("\n".join([f"{title}{NBSP}:", *lines]))
    if page.origin:
        blocks.append(f"{ORIGIN}{NBSP}:\n{page.origin}")
    blocks.append(marker(page.reference))
    return "\n\n".join(blocks) + "\n"


def _text_file(file: FileEntry) -> str:
    line = f"- {file.name} ({file.size}){NBSP}: {http_url(file.url)}"
    return "\n".join([line, *(f"  {words}" for words in (*file.facts, *file.warnings))])


def _text_line(mark: str, label: str, url: str, details: Sequence[str] = ()) -> str:
    line = f"{mark} {label}{NBSP}: {http_url(url)}" if http_url(url) else f"{mark} {label}"
    return "\n".join([line, *(f"  {words}" for words in details)])
