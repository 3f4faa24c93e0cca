"""Parse a message in a spool file into a Request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from poller.mime import addresses, body, headers
from poller.mime.reference import reference_of, reference_of_content
from poller.mime.skeleton import build_skeleton
from poller.mime.subject import Prefix, prefix_of
from poller.mime.transfer_encoding import Encoded, Span
from poller.model import Attachment, Kind, Request
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
    prefix = prefix_of(subject, contents.text)
    in_reply_to, references = (headers.message_ids(header.all(name)) for name in (b"in-reply-to", b"references"))
    attached = [message.author for message in contents.forwarded if message.author.addr_spec]
    named = forwards.original_senders(contents.text, forward=prefix is not Prefix.ANSWER)
    passes_on = bool(named) and not (prefix or in_reply_to or references)
    sent_files = any(not (file.incidental or file.logo) for file in contents.attachments)
    return Request(
        reference=reference,
        message_id=message_ids[0] if message_ids else f"<{reference}@message-id.invalid>",
        in_reply_to=in_reply_to,
        references=references,
        sender=sender,
        author=author,
        subject=subject,
        text=text,
        newest=_newest(prefix, contents.text, text, passes_on=passes_on, beside_files=sent_files),
        sent_at=headers.date(header.first(b"date")),
        received_at=received_at,
        headers=tuple((name.decode("ascii"), headers.text_of(name, value)) for name, value in header.fields),
        attachments=attachments.named(attachments.with_side_files(attachments.told_apart(contents.attachments))),
        defects=tuple(dict.fromkeys([*header.defects, *contents.losses, *contents.defects])),
        links=transfer_links.transfer_links(text, contents.html),
        original_senders=tuple(dict.fromkeys([*attached, *named])),
    )


def _newest(prefix: Prefix | None, own: str, text: str, *, passes_on: bool, beside_files: bool) -> str:
    """Return the part of a text that was written for the mail. `own` is the text without attached messages.

    A mail that answers nothing and names the author of another passes that one on, even under a subject of its own.
    """
    if prefix is Prefix.FORWARD or passes_on or not re.search(r"\w", own):
        return text.strip()
    return quoting.newest_part(own, beside_files=beside_files)


def _beginning(path: Path) -> bytes:
    with path.open("rb") as spooled:
        return spooled.read(headers.HEADER_BYTES)


def _whole_message(path: Path) -> Attachment:
    size_bytes = path.stat().st_size
    content = Encoded(path, (Span(0, size_bytes),), "")
    return Attachment("message-complet.eml", "message/rfc822", size_bytes, Kind.OTHER, inline=False, content=content)
