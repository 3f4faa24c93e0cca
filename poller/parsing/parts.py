"""Walk the parts of a message that have no parts, in order. Only this module knows mail-parser, and of it `.message`.

mail-parser's own bodies and attachments lose binary parts that have no name and mix in the text of forwarded messages.
So the parts are walked here, with bounds.
"""

from __future__ import annotations

import email
import email.errors
import logging
import re
import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from mailparser import MailParser
from mailparser.exceptions import MailParserError

from poller.formats.table import UNKNOWN
from poller.mime import body, encoding_check, headers
from poller.mime.transfer_encoding import Encoded
from poller.parsing import tnef

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message
    from pathlib import Path

    from poller.mime.skeleton import Skeleton

logging.getLogger("mailparser").setLevel(logging.CRITICAL)  # its warnings quote the mail

_PART_FIELD: Final = re.compile(rb"^content-[a-z-]{2,30}[ \t]{0,9}:", re.IGNORECASE | re.MULTILINE)
_NO_MIME: Final = re.compile(rb"\bmime\b|multi-?part", re.IGNORECASE)  # of the notice for clients without MIME
_LOOK_BYTES: Final = 64 * 1024
_MAX_DEPTH: Final = 60
_MESSAGES: Final = {"message/rfc822", "message/global", "message/news"}
# Of Gmail twice, and of Apple's watch.
_OTHER_FORMS: Final = {"text/x-amp-html", "text/vnd.google.email-reaction+json", "text/watch-html"}
_CONTINUED: Final = re.compile(r"ATT\d{4,5}\.{1,2}(?:txt|html?)", re.IGNORECASE)
_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,80}")


@dataclass(frozen=True, slots=True)
class ByteSource:
    """Container of parts, while it is read."""

    content: Path | Encoded  # the spool file, or the content of a part that is a message or a container itself
    stream: BinaryIO  # all of it, seekable


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part that contains no other parts."""

    source: ByteSource
    content: Encoded
    content_type: str  # "type/subtype" as the sender says, in lower case; "" when not given
    name: str = ""  # decoded, "" when there is none
    parameters: Mapping[str, str] = field(default_factory=dict)  # of the content type
    disposition: str = ""  # "inline", "attachment", or "" when the sender said nothing
    content_id: str = ""  # without <>
    alternative: int = 0  # identifies the outermost multipart/alternative that it stands in, 0 when in none
    within: tuple[str, ...] = ()  # the types of the multiparts that it stands in, the outermost first
    size_bytes: int | None = None  # of the content, decoded; None where that shows only when it is read

    def is_text(self) -> bool:
        """Return whether the part is text to be read, and not a file."""
        if self.content_type not in body.READERS:
            return False
        # Exchange names so the text below an attachment.
        return _CONTINUED.fullmatch(self.name) is not None or (self.disposition != "attachment" and not self.name)

    def is_another_form(self) -> bool:
        """Return whether the part is the text once more, for a kind of mail client that shows nothing else."""
        return bool(self.alternative) and self.content_type in _OTHER_FORMS

    def open(self) -> BinaryIO:
        """Open a readable, seekable stream of the decoded bytes."""
        return self.content.open(self.source.stream)


def leaves(skeleton: Skeleton, source: ByteSource, limit: int) -> tuple[list[Leaf], list[str]]:
    """Return the leaves of the message in the source, at most `limit` of them, and what was given up on the way."""
    message = _message(skeleton.content)
    if message is None:
        return [], ["parts nested too deep to parse"]
    found: list[Leaf] = []
    losses: list[str] = []
    waiting: list[tuple[Message, int, tuple[str, ...], str]] = [(message, 0, (), "text/plain")]
    while waiting:
        if len(found) >= limit:
            losses.append("more parts than are read")
            break
        part, alternative, within, default_type = waiting.pop()
        content_type, parameters = headers.parameters(skeleton.restore(_fields(part).get("content-type", b"")))
        typed = _TYPE.match(content_type)
        content_type = typed[0] if typed else _untyped(content_type, default_type)
        if content_type.startswith("multipart/"):
            losses += _beside_parts(skeleton, source, part, is_outermost=not within)
        if not part.is_multipart():
            leaf = _leaf(skeleton, source, part, content_type, parameters)
            # With an end before the first part, the email package drops all that follows.
            end = f"--{parameters.get('boundary', '')}--".encode("utf-8", "replace")
            if content_type.startswith("multipart/") and (_holds_fields(leaf) or (end in skeleton.content)):
                losses.append("multipart without parts")
            found.append(replace(leaf, alternative=alternative, within=within))
        elif len(within) >= _MAX_DEPTH:
            losses.append(f"parts nested over {_MAX_DEPTH} deep")
        else:
            if content_type == "multipart/alternative":
                alternative = alternative or id(part)
            default_type = "message/rfc822" if content_type == "multipart/digest" else "text/plain"
            children = cast("list[Message]", part.get_payload())
            waiting += [(child, alternative, (*within, content_type), default_type) for child in reversed(children)]
    return found, losses


def _beside_parts(skeleton: Skeleton, source: ByteSource, part: Message, *, is_outermost: bool) -> list[str]:
    """Return what is wrong around the parts of a multipart: text in front of them or below them, or no end."""
    losses = []
    before, below = (_said(skeleton, source, text) for text in (part.preamble, part.epilogue))
    if _PART_FIELD.search(before) or (re.search(rb"\w", before) and not _NO_MIME.search(before)):
        losses.append("text before the first part")
    if re.search(rb"\w", below):
        losses.append("text below the last part")
    unclosed = any(isinstance(defect, email.errors.CloseBoundaryNotFoundDefect) for defect in part.defects)
    if is_outermost and unclosed:
        losses.append("message that breaks off")
    return losses


def _said(skeleton: Skeleton, source: ByteSource, text: str | None) -> bytes:
    """Return the first bytes of what stands beside the parts."""
    raw = (text or "").encode("ascii", "surrogateescape")
    return (
        Encoded(source.content, skeleton.pieces(raw), "").open(source.stream).read(_LOOK_BYTES) if raw.strip() else b""
    )


def _holds_fields(leaf: Leaf) -> bool:
    """Return whether a multipart in which no part was found has the fields of parts in it, and no mere text."""
    with leaf.open() as stream:
        return _PART_FIELD.search(stream.read(_LOOK_BYTES)) is not None


def _untyped(said: str, default_type: str) -> str:
    """Return the type in place of a Content-Type that is not valid.

    A word that no text has ("pdf") gives a file of unknown type. None at all, or the word of a text, gives the default.
    """
    return default_type if said in {"", "text", "plain"} or said.startswith("text") else UNKNOWN


def as_text(leaf: Leaf) -> Leaf:
    """Return the leaf as the text of a mail that has no other: some mailers give their text a name ("message.html")."""
    suffix = leaf.name.lower().rpartition(".")[2]
    if suffix in {"", "txt", "htm", "html"} and (leaf.alternative or not leaf.within):
        return replace(leaf, name="", disposition="") if leaf.content_type in body.READERS else leaf
    return leaf


def is_outlook(leaf: Leaf) -> bool:
    """Return whether the leaf is a winmail.dat."""
    if leaf.content_type in {"application/ms-tnef", "application/vnd.ms-tnef"} or leaf.name.lower() == "winmail.dat":
        return True
    if leaf.content_type != UNKNOWN:
        return False
    with leaf.open() as stream:
        return stream.read(len(tnef.SIGNATURE)) == tnef.SIGNATURE


def is_smime(leaf: Leaf) -> bool:
    """Return whether the leaf is a message signed in one piece or encrypted, or another file of that kind."""
    return leaf.content_type in {"application/pkcs7-mime", "application/x-pkcs7-mime"} or leaf.name.lower().endswith(
        ".p7m"
    )


def is_message(leaf: Leaf) -> bool:
    """Return whether the leaf is a forwarded message, and not one that a server sends back (RFC 6522)."""
    if "multipart/report" in leaf.within:
        return False
    return leaf.content_type in _MESSAGES or (leaf.content_type == UNKNOWN and leaf.name.lower().endswith(".eml"))


def _message(content: bytes) -> Message | None:
    """Return the message as the email package sees it, None when it is nested too deep for it."""
    try:
        with warnings.catch_warnings(action="ignore"):  # a body whose charset is said to be "unicode_escape", say
            return cast("Message", MailParser.from_bytes(content).message)
    except (MailParserError, AttributeError, LookupError, TypeError, ValueError):
        # mail-parser may fail on bodies and epilogues, which it need not read here.
        try:
            return email.message_from_bytes(content)
        except RecursionError:
            return None


def _fields(part: Message) -> dict[str, bytes]:
    """Return the first raw value of each field of a part, by its name in lower case. `Message.items` gives none raw."""
    return {name.lower(): value.encode("ascii", "surrogateescape") for name, value in reversed(list(part.raw_items()))}


def _leaf(skeleton: Skeleton, source: ByteSource, part: Message, content_type: str, parameters: dict[str, str]) -> Leaf:
    fields = _fields(part)
    disposition, of_disposition = headers.parameters(fields.get("content-disposition", b""))
    encoding = encoding_check.encoding_of(headers.decode(fields.get("content-transfer-encoding", b"")[:200]))
    # Without its encoding the email package gives the payload as it was sent, and does not decode the markers.
    del part["Content-Transfer-Encoding"]
    payload = part.get_payload(decode=True)
    pieces = skeleton.pieces(payload if isinstance(payload, bytes) else b"")
    if content_type.startswith("multipart/"):  # its boundary never came, so what there is of it is text
        content_type, encoding = "text/plain", ""
    return Leaf(
        source,
        Encoded(source.content, pieces, encoding),
        content_type,
        of_disposition.get("filename") or parameters.get("name", ""),
        parameters,
        disposition,
        headers.decode(fields.get("content-id", b"")).strip("<> "),
    )
