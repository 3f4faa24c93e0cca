"""The texts that are made of one mail, and checks that they hold our own markup alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from functools import cached_property
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

from linkify_it import LinkifyIt
from markdown_it import MarkdownIt

from poller import escaping
from poller.model import (
    Category,
    DispatchResult,
    Link,
    ModelFacts,
    ModelIssue,
    NoPicture,
    Preview,
    Request,
    StoredFile,
    UploadDecision,
)
from poller.rendering import notification, receipt, tickets
from poller.rendering.phrases import marker
from poller.triage import attachment_policy, classification
from poller.workflow.errors import StepFailedError

if TYPE_CHECKING:
    from email.message import EmailMessage, Message

TICKET: Final = Link("7", "https://app.hubspot.com/contacts/1/record/0-5/7")
SUBTASK: Final = Link("8", "https://app.clickup.com/t/8")
FILES: Final = "https://files.example"
SENDER, RECIPIENT = "Robot <robot@figurative.example>", "admin@figurative.example"
RECEIPT_SENDER: Final = "robot@figurative.example"
PICTURE: Final = re.compile(r"https://files\.example/(?:[0-9a-z]+/)*[0-9]+\.apercu\.png")
FIELDS: Final = (
    *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Figurative-Poller"),
    *("MIME-Version", "Content-Type"),
)
ANSWERING: Final = (*FIELDS[:7], "In-Reply-To", "References", *FIELDS[7:])
NOW: Final = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)

_NOTE: Final = {"p", "strong", "br", "ul", "li", "a", "img"}
_NOTE_ATTRIBUTES: Final = {"href", "src", "alt", "width"}
_PAGE: Final = {"html", "head", "meta", "title", "body", "div", "p", "h1", "strong", "ul", "li", "span", "br", "a"}
PAGE_TAGS: Final = _PAGE | {"style", "table", "tr", "td", "blockquote", "img"}
PAGE_ATTRIBUTES: Final = {"style", "class", "href", "src", "alt", "lang", "charset", "name", "content", "role"} | {
    "width",
    "height",
    "align",
    "valign",
    "border",
    "cellpadding",
    "cellspacing",
}
_BLOCKS: Final = {
    f"{name}_{end}"
    for name in ("heading", "paragraph", "bullet_list", "list_item", "strong", "link")
    for end in ("open", "close")
} | {"inline", "text", "softbreak", "hardbreak", "image"}
_UNSEEN: Final = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)
_GFM: Final = MarkdownIt("gfm-like")  # with a link finder that guesses
_LINKIFY: Final = LinkifyIt()


@dataclass(frozen=True)
class Outputs:
    """The texts for a mail; the reason for its classification is a model's that repeats the mail."""

    request: Request

    @cached_property
    def done(self) -> DispatchResult:
        """Return the result of all steps, with every file that may be uploaded."""
        request = self.request
        found = classification.classify_request(request, None)
        decided = attachment_policy.decide_uploads(request)
        numbers = [number for number, decision in enumerate(decided) if decision is UploadDecision.FILE]
        files = [
            StoredFile(file.filename, f"{FILES}/{number}/{escaping.key_name(file.filename)}", file.size_bytes)
            for number, file in ((number, request.attachments[number]) for number in numbers)
        ]
        return DispatchResult(
            replace(found, category=Category.MODELISATION, reason=request.subject or request.text[:500]),
            files=tuple(files),
            uploads=tuple((number, file.url) for number, file in zip(numbers, files, strict=True)),
            ticket=TICKET,
            subtask=SUBTASK,
            upload_decisions=decided,
            previews=tuple(_preview(number, request.subject or request.text[:300]) for number in numbers),
            all_files=StoredFile("tout.zip", f"{FILES}/tout.zip", 9),
        )

    @cached_property
    def notes(self) -> list[str]:
        """HTML for HubSpot."""
        return [tickets.note_html(self.request, self.done), tickets.reply_note_html(self.request, self.done)]

    @cached_property
    def subtask(self) -> str:
        """Markdown for ClickUp."""
        return tickets.subtask_markdown(self.request, self.done)

    @cached_property
    def comment(self) -> str:
        """Plain text for ClickUp, which makes of it what it likes."""
        return tickets.reply_comment(self.request, self.done)

    @cached_property
    def ticket(self) -> str:
        """Plain text for HubSpot."""
        return tickets.ticket_content(self.request, self.done)

    @cached_property
    def titles(self) -> tuple[str, str]:
        """Return the titles of the ticket and of the subtask."""
        return tickets.ticket_subject(self.request), tickets.subtask_name(self.request)

    @cached_property
    def letter(self) -> EmailMessage:
        """Return a mail to the admin: of the request, an answer or a failure; one alone, as each takes its time."""
        options = {"sender": SENDER, "recipient": RECIPIENT, "now": NOW}
        request, detail = self.request, self.request.text[:3000]
        match int(request.reference, 16) % 3:
            case 0:
                return notification.notification(request, self.done, **options)
            case 1:
                return notification.reply_notification(request, self.done, **options)
        return notification.failure_notification(
            request, request.reference, step="create_note", kind="refused", detail=detail, **options
        )

    @cached_property
    def receipt(self) -> bytes:
        """Return a receipt: of the request, or of a failure."""
        if int(self.request.reference, 16) % 2:
            return receipt.receipt(self.request, self.done, sender=RECEIPT_SENDER).raw
        failure = StepFailedError("create_note", "refused", "HTTP 400")
        return receipt.failure_receipt(
            self.request,
            self.request.reference,
            failure,
            self.done,
            ["create_subtask"],
            detail=self.request.text[:3000],
            stamp="20261122",
            sender=RECEIPT_SENDER,
        ).raw

    @property
    def links(self) -> set[str]:
        """The only ones that may be in anything."""
        stored = {escaping.http_url(file.url) for file in self.done.files}
        return stored | {TICKET.url, SUBTASK.url, f"{FILES}/tout.zip"}


def _preview(number: int, words: str) -> Preview:
    """Return a preview whose words are the mail's; each third one has no picture, or one that is no web page's."""
    facts = ModelFacts(
        15_000,
        size=(812.0, 450.0, 430.0),
        unit=words,
        program=words,
        issues=(ModelIssue.MISSING_FILES, ModelIssue.DRACO),
        missing=(words,) * 9,
    )
    url = (f"{FILES}/{number}.apercu.png", f"http://evil.example/{number}", f"javascript:{words}")[number % 3]
    return Preview(number, words if number % 2 else "", facts, url, NoPicture.FORMAT if number % 3 else None)


class Page(HTMLParser):
    """The tags, attributes and links of a page; a comment, an instruction or a declaration of another kind fails."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.styles: set[str] = set()
        self.links: set[str] = set()
        self.pictures: set[str] = set()
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.styles |= {value or "" for name, value in attrs if name == "style"}
        self.links |= {value or "" for name, value in attrs if name == "href"}
        self.pictures |= {value or "" for name, value in attrs if name == "src"}

    def handle_decl(self, data: str) -> None:
        assert data == "DOCTYPE html"

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    handle_pi = unknown_decl = handle_comment


def check(made: Outputs) -> None:
    """Fail where anything is over its bounds, or holds what is not ours."""
    for note in made.notes:
        check_note(note, made.links)
    # An ordinary address is written as it is: the 3D team answers to it.
    check_subtask(made.subtask, made.links | {f"mailto:{made.request.sender.addr_spec}"})
    check_comment(made.comment, made)
    check_ticket(made)
    check_letter(made.letter, made.links)
    check_receipt(made.receipt, made.links)


def check_note(source: str, links: set[str]) -> None:
    assert len(source) <= tickets.HUBSPOT_LIMIT_CHARS
    page = Page(source)
    assert page.tags <= _NOTE
    assert page.attributes <= _NOTE_ATTRIBUTES
    assert page.links <= links
    assert all(PICTURE.fullmatch(source) for source in page.pictures)


def check_subtask(source: str, links: set[str]) -> None:
    assert len(source) <= 90_000
    tokens = [child for token in _GFM.parse(source) for child in (token, *(token.children or ()))]
    kinds = [token.type for token in tokens]
    assert set(kinds) <= _BLOCKS
    assert (kinds.count("heading_open"), kinds.count("strong_open")) == (2, 4)
    assert {token.attrs["href"] for token in tokens if token.type == "link_open"} <= links
    assert all(PICTURE.fullmatch(str(token.attrs["src"])) for token in tokens if token.type == "image")


def check_comment(text: str, made: Outputs) -> None:
    assert len(text) <= 20_000
    assert {match.url for match in _LINKIFY.match(text) or ()} <= made.links
    tokens = [child for token in _GFM.parse(text) for child in token.children or ()]
    assert {token.attrs["href"] for token in tokens if token.type == "link_open"} <= made.links
    assert not {token.type for token in tokens} & {"image", "html_inline"}
    assert text.count(marker(made.request.reference)) == 1
    assert not _UNSEEN.search(text)


def check_ticket(made: Outputs) -> None:
    assert len(made.ticket) <= tickets.HUBSPOT_LIMIT_CHARS
    assert made.ticket.endswith(marker(made.request.reference))
    assert not _UNSEEN.search(made.ticket)
    for title, limit_chars in zip(made.titles, (200, 120), strict=True):
        assert 0 < len(title) <= limit_chars
        assert title.splitlines() == [title]
        assert not _UNSEEN.search(title)


def check_letter(letter: EmailMessage, links: set[str]) -> None:
    received = check_message(bytes(letter), links)
    assert tuple(received.keys()) in {FIELDS, ANSWERING}
    assert received["From"].endswith("<robot@figurative.example>")
    assert received["To"] == RECIPIENT


def check_receipt(raw: bytes, links: set[str]) -> None:
    received = check_message(raw, links)
    assert tuple(received.keys()) in {FIELDS, ANSWERING}
    assert received["To"] == RECEIPT_SENDER
    assert received["From"].endswith(f"<{RECEIPT_SENDER}>")
    assert received["X-Figurative-Poller"] == "receipt"


def check_message(sent: bytes, links: set[str]) -> Message:
    assert sent.isascii()
    assert len(sent) <= 200_000
    # RFC 5322 section 2.1.1; a lone CR or LF would be a line end to some.
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|[^\r\n]{999}", sent)
    received = message_from_bytes(sent, policy=policy.compat32)  # the other parses every field, which takes its time
    subject = str(policy.default.header_factory("Subject", received["Subject"].replace("\r\n", "")))
    assert not _UNSEEN.search(subject)
    parts = list(received.walk())
    assert [part.get_content_type() for part in parts] == ["multipart/alternative", "text/plain", "text/html"]
    page = Page(parts[2].get_payload(decode=True).decode())
    assert page.tags <= PAGE_TAGS
    assert page.attributes <= PAGE_ATTRIBUTES
    assert page.links <= links
    assert all(PICTURE.fullmatch(source) for source in page.pictures)
    assert not any("url(" in style or "expression" in style for style in page.styles)
    return received
