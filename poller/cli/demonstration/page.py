"""Write one HTML page with all that the demo made: mails, tickets, notes, subtasks, letters, receipts, files.

The page stands alone: pictures and files are in it, links lead to places in it, and it loads nothing. Whatever comes of
a mail stands in a frame without scripts.
"""

from __future__ import annotations

import email
import email.policy
import re
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from markupsafe import Markup

from poller import escaping
from poller.cli.demonstration.links import PageLinks
from poller.model import Classification, Outcome
from poller.own_mail import HEADER
from poller.rendering.ignored import why_ignored
from poller.rendering.letter_parts import why
from poller.rendering.phrases import size
from poller.rendering.receipt import KIND
from poller.rendering.template import render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from email.message import EmailMessage

    from integrations.sandbox import Sandbox
    from integrations.sandbox.s3 import StoredObject
    from poller.workflow.results import WorkResult
    from poller.workflow.status import MessageStatus

_EMBEDDED_BYTES = 8_000_000  # a larger file is named, and not in the page
_PICTURES = {"image/png", "image/jpeg", "image/gif", "image/webp"}  # that a browser shows, and no script can be in
_PORTRAIT = re.compile(r"\.apercu\.(?:png|jpe?g)$")


@dataclass(frozen=True, slots=True)
class File:
    """A stored file."""

    anchor: str
    name: str
    size: str  # in words
    suffix: str
    uri: str  # data URI of its bytes; "" if it is too large
    picture: str  # data URI of the file or of its portrait; "" if there is none
    has_portrait: bool  # whether the picture is a portrait, made of a 3D file or a document
    urls: Sequence[str]  # where it and its portrait are stored, unquoted


@dataclass(frozen=True, slots=True)
class Card:
    """What one system shows of a mail."""

    anchor: str
    system: str  # "mail", "hubspot", "clickup" or "imap"
    kind: str  # what it is
    title: str
    document: str  # complete HTML, for a frame without scripts


@dataclass(frozen=True, slots=True)
class Story:
    """A mail, the decision about it, and all that was made of it."""

    anchor: str
    subject: str
    sender: str
    outcome: Outcome
    sureness: str  # "95 %", "" if nothing was decided
    needs_review: bool
    reason: str
    cards: Sequence[Card]


@dataclass(frozen=True, slots=True)
class Line:
    """A message in the list of a mailbox."""

    sender: str
    subject: str
    keywords: str
    is_seen: bool
    anchor: str  # of its card, "" if it has none


def page_of(
    mails: Mapping[str, bytes],
    ended: Mapping[str, MessageStatus],
    reasons: Mapping[str, str],
    box: Sandbox,
    public_url: str,
) -> str:
    """Return the page as HTML.

    `mails` are the customers' mails by reference, `reasons` the recorded reasons for their categories, `ended` where
    each ended, and `box` what the services hold. `public_url` is the address of the bucket in the texts.
    """
    files = _in_order(_files(box, public_url), [ended[each].result for each in mails if each in ended])
    links = _links(box, public_url, files, ended)
    held = box.imap.all_messages()
    parsed = {name: [(each.flags, _parsed(each.raw)) for each in messages] for name, messages in held.items()}
    receipts = [message for messages in parsed.values() for _, message in messages if message[HEADER] == KIND]
    letters = [_parsed(each.raw) for each in box.smtp.messages]
    stories = [
        _story(reference, raw, ended[reference].result, reasons.get(reference, ""), letters, receipts, box, links)
        for reference, raw in mails.items()
        if reference in ended
    ]
    mailboxes = [(name, [_line(flags, message) for flags, message in messages]) for name, messages in parsed.items()]
    counts = {
        "mail": len(mails),
        "ticket": len(box.hubspot.tickets),
        "note": len(box.hubspot.notes),
        "subtask": len(box.clickup.subtasks),
        "file": len(files),
        "letter": len(letters),
        "receipt": len(receipts),
    }
    return render("demo.html", stories=stories, mailboxes=mailboxes, files=files, counts=counts)


def _story(
    reference: str,
    raw: bytes,
    result: WorkResult,
    reason: str,
    letters: Sequence[EmailMessage],
    receipts: Sequence[EmailMessage],
    box: Sandbox,
    links: PageLinks,
) -> Story:
    mail = _parsed(raw)
    return Story(
        anchor=f"mail-{reference}",
        subject=_subject(mail),
        sender=_sender(mail),
        outcome=result.final_outcome,
        sureness=f"{result.confidence:.0%}".replace("%", "\xa0%") if result.category else "",
        needs_review=result.needs_review,
        reason=_reason(result, reason),
        cards=[
            Card(f"sent-{reference}", "mail", "Customer’s mail", _subject(mail), _sent(mail)),
            *_at_services(result, box, links),
            *_letters(reference, "letter", "Notification", letters, links),
            *_letters(reference, "receipt", "Receipt", receipts, links),
        ],
    )


def _reason(result: WorkResult, recorded: str) -> str:
    if result.category is None:
        return why_ignored(result.reason) if result.outcome is Outcome.IGNORED else result.reason
    found = Classification(result.category, result.confidence, result.decided_by, recorded, result.needs_review)
    return f"{why(found)} {result.reason}".strip()


def _at_services(result: WorkResult, box: Sandbox, links: PageLinks) -> list[Card]:
    """Return the ticket, the note and the subtask of a mail, as far as they exist."""
    cards = []
    for ticket in box.hubspot.tickets:
        if result.ticket and ticket.id == result.ticket.id:
            title, content = ticket.properties["subject"], ticket.properties["content"]
            document = _document(title, links.text(content))
            cards.append(Card(f"ticket-{ticket.id}", "hubspot", "Ticket", title, document))
    for note in box.hubspot.notes:
        if note.id == result.note_id:
            body = Markup(links.html(note.properties["hs_note_body"]))  # noqa: S704  shown without scripts
            cards.append(
                Card(f"note-{note.id}", "hubspot", "Note", "Note on the ticket and the contact", _document("", body))
            )
    for task in box.clickup.subtasks:
        if result.subtask and task.id == result.subtask.id:
            document = _document(task.name, links.markdown(task.markdown))
            cards.append(Card(f"subtask-{task.id}", "clickup", "Subtask", task.name, document))
    return cards


def _letters(reference: str, what: str, kind: str, found: Sequence[EmailMessage], links: PageLinks) -> list[Card]:
    ours = [each for each in found if str(each["Message-ID"]).startswith(f"<{reference}.")]
    system = "imap" if what == "receipt" else "mail"
    return [
        Card(f"{what}-{reference}-{number}", system, kind, _subject(each), links.letter(each))
        for number, each in enumerate(ours)
    ]


def _sent(mail: EmailMessage) -> str:
    """Return a customer's mail as a mail client shows it: head, text, pictures, names of the files."""
    body = mail.get_body(("plain",))
    head = [("From", _sender(mail)), ("To", str(mail["To"])), ("Date", str(mail["Date"]))]
    attached, pictures = [], []
    for part in mail.walk():
        if (name := part.get_filename()) is None:
            continue
        content = part.get_payload(decode=True)
        content = content if isinstance(content, bytes) else b""
        attached.append((escaping.one_line(name), size(len(content))))
        if part.get_content_type() in _PICTURES:
            pictures.append(_uri(part.get_content_type(), content))
    text = Markup(escaping.html(str(body.get_content()).strip() if body else ""))  # noqa: S704  it is escaped
    return _document(_subject(mail), text, head=head, attached=attached, pictures=pictures)


def _document(
    title: str,
    body: Markup,
    *,
    head: Sequence[tuple[str, str]] = (),
    attached: Sequence[tuple[str, str]] = (),
    pictures: Sequence[str] = (),
) -> str:
    return render("demo_frame.html", title=title, body=body, head=head, attached=attached, pictures=pictures)


def _line(flags: frozenset[str], message: EmailMessage) -> Line:
    reference = str(message["Message-ID"]).strip("<").partition(".")[0]
    is_receipt = message[HEADER] == KIND
    keywords = " ".join(sorted(flag for flag in flags if not flag.startswith("\\")))
    anchor = f"receipt-{reference}-0" if is_receipt else ""
    return Line(_display_name(message), _subject(message), keywords, "\\Seen" in flags, anchor)


def _files(box: Sandbox, public_url: str) -> list[File]:
    """Return the stored files. A portrait is shown with the file that it is of."""
    stored = {each.key: each for each in box.s3.objects}
    portraits = {_PORTRAIT.sub("", key): each for key, each in stored.items() if _PORTRAIT.search(key)}
    files: list[File] = []
    for key, each in stored.items():
        if _PORTRAIT.search(key):
            continue
        portrait = portraits.get(key) or portraits.get(key.rpartition(".")[0])
        shown = portrait or (each if each.content_type in _PICTURES else None)
        file = File(
            anchor=f"file-{len(files)}",
            name=key.rpartition("/")[2],
            size=size(each.size_bytes),
            suffix=key.rpartition(".")[2].upper()[:5],
            uri=_uri("application/octet-stream", each.body) if each.size_bytes <= _EMBEDDED_BYTES else "",
            picture=_uri(shown.content_type, shown.body) if shown else "",
            has_portrait=portrait is not None,
            urls=[_url(public_url, found) for found in (each, portrait) if found],
        )
        files.append(file)
    return files


def _in_order(files: Sequence[File], results: Sequence[WorkResult]) -> list[File]:
    """Return the files in the order of the results. The keys of the stored ones have no order that a person sees."""
    order = {_directory(each.files[0]): number for number, each in enumerate(results) if each.files}
    return sorted(files, key=lambda file: order.get(_directory(file.urls[0]), len(order)))


def _directory(url: str) -> str:
    return url.rpartition("/")[0]


def _links(box: Sandbox, public_url: str, files: Sequence[File], ended: Mapping[str, MessageStatus]) -> PageLinks:
    places = {url: file.anchor for file in files for url in file.urls}
    for result in (status.result for status in ended.values()):
        places |= {result.ticket.url: f"ticket-{result.ticket.id}"} if result.ticket else {}
        places |= {result.subtask.url: f"subtask-{result.subtask.id}"} if result.subtask else {}
    pictures = {
        _url(public_url, each): _uri(each.content_type, each.body)
        for each in box.s3.objects
        if each.content_type in _PICTURES and each.size_bytes <= _EMBEDDED_BYTES
    }
    return PageLinks(places, pictures)


def _url(public_url: str, stored: StoredObject) -> str:
    return unquote(f"{public_url.rstrip('/')}/{stored.key}")


def _uri(content_type: str, content: bytes) -> str:
    return f"data:{content_type};base64,{b64encode(content).decode()}"


def _display_name(message: EmailMessage) -> str:
    addresses = message["From"].addresses if message["From"] else ()
    return escaping.one_line(addresses[0].display_name or addresses[0].addr_spec) if addresses else ""


def _parsed(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)


def _subject(message: EmailMessage) -> str:
    return escaping.one_line(str(message["Subject"] or "")) or "(no subject)"


def _sender(message: EmailMessage) -> str:
    return escaping.one_line(str(message["From"] or ""))
