"""Parse a message in a spool file into a Request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poller.mime import addresses, body, headers
from poller.mime.reference import reference_of, reference_of_content
from poller.mime.skeleton import build_skeleton
from poller.mime.subject import Prefix, prefix_of
from poller.mime.transfer_encoding import Encoded, Span
from poller.model import Address, Attachment, Kind, Request
from poller.parsing import attachments, forwards, quoting, transfer_links
from poller.parsing.parts import ByteSource
from poller.parsing.reader import Contents, Reading

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from poller.mime.headers import Header


def parse(path: Path, account: str, received_at: datetime) -> Request:
    """Return the request in the message that lies in the spool file.

    No message makes it raise. What had to be given up is named in `defects`, and where that is content, the whole
    message is the last attachment. The attachments read from the spool file, which must outlive the request.

    Raises:
        OSError: the spool file cannot be read, or the disk is full.
    """
    with path.open("rb") as stream:
        skeleton = build_skeleton(stream)
        contents = Reading().message(skeleton, ByteSource(path, stream))
    text = contents.whole_text()
    if len(text) > body.TEXT_CHARS:
        contents.losses.append("text over 100,000 characters")
    contents.text, text = contents.text[: body.TEXT_CHARS], text[: body.TEXT_CHARS]
    if contents.losses:
        contents.attachments.append(_whole_message(path))
    return _request(path, account, received_at, skeleton.header, contents, text)


def header_only(path: Path, account: str, received_at: datetime, why: str, text: str) -> Request:
    """The request in a message of which nothing but the header is read, with all of it as an attachment.

    `why` is what became of the parser, in a few English words; `text` stands in place of the message's own.

    Raises:
        OSError: the spool file cannot be read.
    """
    header = headers.take_apart(_beginning(path))
    contents = Contents(text=text, attachments=[_whole_message(path)], losses=[why])
    return _request(path, account, received_at, header, contents, text)


def _request(path: Path, account: str, received_at: datetime, header: Header, contents: Contents, text: str) -> Request:
    reference = reference_of(account, _beginning(path)) or reference_of_content(account, path)
    message_ids = headers.message_ids(header.first(b"message-id"))
    author, sender = addresses.author_and_sender(header)
    subject = headers.decode(header.first(b"subject"))
    return Request(
        reference=reference,
        message_id=message_ids[0] if message_ids else f"<{reference}@message-id.invalid>",
        in_reply_to=headers.message_ids(header.all(b"in-reply-to")),
        references=headers.message_ids(header.all(b"references")),
        sender=sender,
        author=author,
        subject=subject,
        text=text,
        newest=_newest(subject, contents.text, text),
        sent_at=headers.date(header.first(b"date")),
        received_at=received_at,
        headers=tuple((name.decode("ascii"), headers.text_of(name, value)) for name, value in header.fields),
        attachments=attachments.named(attachments.with_side_files(attachments.told_apart(contents.attachments))),
        defects=tuple(dict.fromkeys([*header.defects, *contents.losses, *contents.defects])),
        links=transfer_links.transfer_links(text, contents.html),
        original_senders=_original_senders(subject, contents),
    )


def _newest(subject: str, own: str, text: str) -> str:
    """Return the part of a text that was written for the mail. `own` is the text without attached messages."""
    if prefix_of(subject) is Prefix.FORWARD or not re.search(r"\w", own):
        return text.strip()
    return quoting.newest_part(own)


def _original_senders(subject: str, contents: Contents) -> tuple[Address, ...]:
    attached = [message.author for message in contents.forwarded if message.author.addr_spec]
    named = forwards.original_senders(contents.text, forward=prefix_of(subject) is Prefix.FORWARD)
    return tuple(dict.fromkeys([*attached, *named]))


def _beginning(path: Path) -> bytes:
    with path.open("rb") as spooled:
        return spooled.read(headers.HEADER_BYTES)


def _whole_message(path: Path) -> Attachment:
    size_bytes = path.stat().st_size
    content = Encoded(path, (Span(0, size_bytes),), "")
    return Attachment("message-complet.eml", "message/rfc822", size_bytes, Kind.OTHER, inline=False, content=content)
