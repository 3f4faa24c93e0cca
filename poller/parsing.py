"""A message in a spool file becomes a Request. The only module that knows mail-parser, and of it only `.message`.

mail-parser's own bodies and attachments lose binary parts that have no name and mix in the text of forwarded messages.
So the parts are walked here, with bounds; where something lies beyond them, the whole message is attached as a file.
"""

from __future__ import annotations

import email
import hashlib
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import unquote

from mailparser import MailParser
from mailparser.exceptions import MailParserError

from poller import addresses, bodies, formats, headers, quoting, spool
from poller.escaping import file_name
from poller.request import Attachment, Kind, Request
from poller.transfer import Encoded, Span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from email.message import Message
    from pathlib import Path

logging.getLogger("mailparser").setLevel(logging.CRITICAL)  # its warnings quote the mail

_MAX_DEPTH: Final = 60
_MAX_PARTS: Final = 500
_READERS: Final = {
    "text/plain": bodies.plain,
    "text/html": bodies.html,
    "text/enriched": bodies.enriched,
    "text/richtext": bodies.enriched,
}
_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,80}")
_CID: Final = re.compile(r"""\bcid:([^"'\s<>()]{1,300})""", re.IGNORECASE)
_FORWARD: Final = re.compile(r"(?:tr|fwd?|wg)\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A part without parts."""

    content_type: str
    parameters: dict[str, str]
    disposition: str  # "inline", "attachment", or "" when the sender said nothing
    name: str  # decoded, "" when there is none
    content_id: str  # without <>
    content: Encoded
    alternative: int  # identifies the outermost multipart/alternative that it stands in, 0 when in none

    def is_text(self) -> bool:
        """Whether it is read, and not a file."""
        return self.content_type in _READERS and self.disposition != "attachment" and not self.name


def parse(path: Path, account: str, received_at: datetime) -> Request:
    """The request in the message that lies in the spool file.

    No message makes it raise: what had to be given up is named in `defects`, and where that is content, the whole
    message is the last attachment. The attachments read from the spool file, which must outlive the request.

    Raises:
        OSError: the spool file cannot be read.
    """
    skeleton = spool.cut(path)
    header = skeleton.header
    reference = reference_of(account, _beginning(path)) or reference_of_bytes(account, path)
    leaves, losses = _leaves(skeleton, path)
    text, html, text_losses = _text([leaf for leaf in leaves if leaf.is_text()])
    shown = {unquote(cid) for cid in _CID.findall(html)}
    files = [leaf for leaf in leaves if not leaf.is_text()]
    attachments = [_attachment(leaf, number, leaf.content_id in shown) for number, leaf in enumerate(files, start=1)]
    losses = [*skeleton.losses, *losses, *text_losses]
    if losses:
        attachments.append(_whole_message(path))
    subject = headers.decode(header.first(b"subject"))
    author, sender = addresses.author_and_sender(header)
    message_ids = headers.message_ids(header.first(b"message-id"))
    return Request(
        reference=reference,
        message_id=message_ids[0] if message_ids else f"<{reference}@message-id.invalid>",
        in_reply_to=headers.message_ids(header.all(b"in-reply-to")),
        references=headers.message_ids(header.all(b"references")),
        sender=sender,
        author=author,
        subject=subject,
        text=text,
        newest=text.strip() if _FORWARD.match(subject) else quoting.newest_part(text),
        sent_at=headers.date(header.first(b"date")),
        received_at=received_at,
        headers=tuple((name.decode("ascii"), headers.decode(value)) for name, value in header.fields),
        attachments=tuple(attachments),
        defects=tuple(dict.fromkeys([*header.defects, *losses])),
    )


def reference_of(account: str, header: bytes) -> str | None:
    """The reference of a message, from its header alone: 16 hex digits, None when it has no Message-ID.

    `header` is the header as the server gives it, or the beginning of the message. See `reference_of_bytes` for None.
    """
    if header[:1] in (b"\r", b"\n"):  # a server finds no header here, and both must come to the same
        return None
    fields = headers.take_apart(header[: headers.HEADER_BYTES])
    values = [b" ".join(fields.first(name).split()) for name in (b"message-id", b"from", b"date", b"subject")]
    if not values[0]:
        return None
    return hashlib.sha256(b"\0".join([account.encode(), *values])).hexdigest()[:16]


def reference_of_bytes(account: str, path: Path) -> str:
    """The reference of a message without a Message-ID, from all its bytes: 16 hex digits."""
    digest = hashlib.sha256(account.encode() + b"\0")
    with path.open("rb") as spooled:
        while piece := spooled.read(1024 * 1024):
            digest.update(piece)
    return digest.hexdigest()[:16]


def _beginning(path: Path) -> bytes:
    with path.open("rb") as spooled:
        return spooled.read(headers.HEADER_BYTES)


def _leaves(skeleton: spool.Skeleton, path: Path) -> tuple[list[_Leaf], list[str]]:
    """The parts that have no parts, in order, and what was given up on the way."""
    message = _message(skeleton.content)
    if message is None:
        return [], ["parts nested too deep to parse"]
    leaves: list[_Leaf] = []
    losses: list[str] = []
    waiting: list[tuple[Message, int, int, str]] = [(message, 0, 0, "text/plain")]
    while waiting:
        part, depth, alternative, default_type = waiting.pop()
        content_type, parameters = headers.parameters(skeleton.unveil(_fields(part).get("content-type", b"")))
        if not _TYPE.fullmatch(content_type):
            content_type = default_type
        if not part.is_multipart():
            leaves.append(_leaf(skeleton, path, part, content_type, parameters, alternative))
        elif depth >= _MAX_DEPTH:
            losses.append(f"parts nested over {_MAX_DEPTH} deep")
        else:
            if content_type == "multipart/alternative":
                alternative = alternative or id(part)
            default_type = "message/rfc822" if content_type == "multipart/digest" else "text/plain"
            children = cast("list[Message]", part.get_payload())
            waiting += [(child, depth + 1, alternative, default_type) for child in reversed(children)]
        if len(leaves) >= _MAX_PARTS and waiting:
            losses.append(f"over {_MAX_PARTS} parts")
            break
    return leaves, losses


def _message(content: bytes) -> Message | None:
    """The message as the email package sees it, None when it is nested too deep for it."""
    try:
        return cast("Message", MailParser.from_bytes(content).message)
    except (MailParserError, AttributeError, LookupError, TypeError, ValueError):
        # It trips over its own reading of bodies and epilogues, which is not needed here.
        try:
            return email.message_from_bytes(content)
        except RecursionError:
            return None


def _fields(part: Message) -> dict[str, bytes]:
    """The first value of each field of a part, by its name in lower case; raw, as `Message.items` would not give it."""
    return {name.lower(): value.encode("ascii", "surrogateescape") for name, value in reversed(list(part.raw_items()))}


def _leaf(
    skeleton: spool.Skeleton,
    path: Path,
    part: Message,
    content_type: str,
    parameters: dict[str, str],
    alternative: int,
) -> _Leaf:
    fields = _fields(part)
    disposition, of_disposition = headers.parameters(fields.get("content-disposition", b""))
    encoding, _ = headers.parameters(fields.get("content-transfer-encoding", b""))
    # Without its encoding the email package gives the payload as it was sent, and does not decode the markers.
    del part["Content-Transfer-Encoding"]
    payload = part.get_payload(decode=True)
    if content_type.startswith("multipart/"):  # its boundary never came: what there is of it is text
        content_type, encoding = "text/plain", ""
    return _Leaf(
        content_type,
        parameters,
        disposition,
        of_disposition.get("filename") or parameters.get("name", ""),
        headers.decode(fields.get("content-id", b"")).strip("<> "),
        Encoded(path, skeleton.pieces(payload if isinstance(payload, bytes) else b""), encoding),
        alternative,
    )


def _text(leaves: Sequence[_Leaf]) -> tuple[str, str, list[str]]:
    """The text of a mail, the source of its HTML parts, and what was given up on the way."""
    groups: dict[int, list[_Leaf]] = {}
    for number, leaf in enumerate(leaves, start=1):
        groups.setdefault(leaf.alternative or -number, []).append(leaf)
    texts: list[str] = []
    sources: list[str] = []
    losses: list[str] = []
    budget = bodies.BODY_BYTES
    for group in groups.values():
        read: dict[str, list[str]] = {}
        for leaf in group:
            content = leaf.content.head(budget + 1)
            complete = len(content) <= budget
            budget -= min(budget, len(content))
            losses += [] if complete else ["text over 1 MB"]
            text = _READERS[leaf.content_type](content, leaf.parameters, complete=complete)
            read.setdefault(leaf.content_type, []).append(text)
        html = read.pop("text/html", [])
        sources += html
        text = "\n".join(next(iter(read.values()), []))  # RFC 2046 section 5.1.4: the plainest comes first
        if html and bodies.is_stub(text):
            text = "\n\n".join(bodies.html_text(source) for source in html)
        texts.append(text)
    text = "\n\n".join(text.strip("\n") for text in texts if text.strip())
    if len(text) > bodies.TEXT_CHARS:
        losses.append("text over 100,000 characters")
    return text[: bodies.TEXT_CHARS], "\n".join(sources), losses


def _attachment(leaf: _Leaf, number: int, shown: bool) -> Attachment:
    size_bytes = leaf.content.size_bytes()
    head = leaf.content.head(formats.HEAD_BYTES)
    content_type, kind = formats.sniff(head, size_bytes, leaf.name, leaf.content.open, leaf.content_type)
    return Attachment(
        filename=file_name(leaf.name) if leaf.name else f"piece-jointe-{number}{formats.suffix_of(content_type)}",
        content_type=content_type,
        size_bytes=size_bytes,
        kind=kind,
        inline=shown and kind is Kind.IMAGE and leaf.disposition != "attachment",
        content=leaf.content,
    )


def _whole_message(path: Path) -> Attachment:
    size_bytes = path.stat().st_size
    content = Encoded(path, (Span(0, size_bytes),), "")
    return Attachment("message-complet.eml", "message/rfc822", size_bytes, Kind.OTHER, inline=False, content=content)
