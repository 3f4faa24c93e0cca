"""Find out in which encoding a part really is, and whether all of it can be decoded (RFC 2045 section 6).

Mailers misspell Content-Transfer-Encoding, leave it out, or name one that the content is not in. Gateways write into
content that they take for text. What is evidently encoded is decoded. What cannot be decoded is named, so that the
whole message is kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING, BinaryIO, Final

import pybase64

from poller.mime.transfer_encoding import DECODED, Encoded

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD_BYTES: Final = 16 * 1024
_LINE_BYTES: Final = 40  # of base64 that nobody declared
_COMMENT: Final = re.compile(r"\([^()]{0,200}\)")
_NAMES: Final = (
    ("base64", ("base64", "b64", "mime64")),
    ("quoted-printable", ("quotedprintable", "qp")),
    ("x-uuencode", ("uuencode", "uue")),
    ("", ("7", "8", "binary")),
)
_SPACE: Final = b" \t\r\n"
_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BASE64_LINE: Final = re.compile(rb"[A-Za-z0-9+/]{%d,}+={0,2}+" % _LINE_BYTES)
_BASE64_END: Final = re.compile(rb"[A-Za-z0-9+/]*+={0,2}+")
_ESCAPE: Final = re.compile(rb"=(?:[0-9A-F]{2}|[ \t]*+(?:\r?\n|\Z))")
_SOFT_BREAK: Final = re.compile(rb"=[ \t]*+\r?\n")
_HIGH_ESCAPE: Final = re.compile(rb"=[89A-F][0-9A-F]")
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_GAP: Final = re.compile(rb"\r?\n[ \t]*\r?\n")
_LINE_END: Final = re.compile(rb"\r?\n")
_FEWEST_LETTERS: Final = 8
_MORE_BELOW: Final = "base64 with more below its end"
_MISNAMED: Final = "part in another encoding than it says"
_UNREAD: Final = "part whose encoding cannot be read"
_FIELDS: Final = re.compile(
    rb"(?:\A|[\r\n])content-(?:(type)[ \t]*:[ \t]*[a-z]+/|(transfer-encoding|disposition)[ \t]*:)", re.IGNORECASE
)


def encoding_of(value: str) -> str:
    """Return the encoding that a Content-Transfer-Encoding means: a key of `DECODERS`, "" for none.

    A name that means nothing is returned as it is.
    """
    letters = re.sub(r"[^a-z0-9]", "", _COMMENT.sub("", value.lower())).removeprefix("x")
    return next((name for name, starts in _NAMES if letters.startswith(starts)), letters)


@dataclass(frozen=True, slots=True)
class Checked:
    """A part's content, as far as it can be decoded."""

    content: Encoded  # with the encoding that it is in
    loss: str = ""  # what is wrong with it, "" if nothing is
    size_bytes: int | None = None  # decoded; None where that shows only when it is decoded


def check(content: Encoded, source: BinaryIO, *, is_text: bool) -> Checked:
    """Find out in which encoding the content is, and read all of it if it is base64.

    `source` is a seekable stream of all that the content's source holds.

    Raises:
        OSError: the source cannot be read.
    """
    raw = replace(content, encoding="")
    with raw.open(source) as stream:
        head = stream.read(_HEAD_BYTES)
        whole = len(head) < _HEAD_BYTES
    if not head.strip():
        return Checked(content)
    if content.encoding == "base64" and is_text and whole and (above := _above_footer(head)):
        return Checked(replace(content, pieces=(above,)), _MORE_BELOW)
    if content.encoding == "base64" and not (is_text and _is_prose(head)):
        loss, letters = _damage(content.encoded(source))
        return Checked(content, loss, None if loss else letters * 3 // 4)
    evident = "base64" if _is_base64(head, whole=whole, is_text=is_text) else ""
    if not evident and is_text and _is_escaped(head):
        evident = "quoted-printable"
    if evident:
        return Checked(replace(content, encoding=evident), "" if evident == content.encoding else _MISNAMED)
    if content.encoding in {"", "quoted-printable"} or (is_text and content.encoding not in DECODED):
        return Checked(content)
    with content.open(source) as stream:
        unread = content.encoding not in DECODED or content.encoding == "base64" or not stream.read(1)
    return Checked(raw, _UNREAD) if unread else Checked(content)


def _above_footer(head: bytes) -> bytes:
    """Return the base64 above a mailing list's footer, which is as it is, b"" if there is none.

    Empty lines alone end no base64: some gateways write one below each line.
    """
    for border in (_GAP, _LINE_END):
        blocks = border.split(head.strip())
        above = list(takewhile(lambda block: all(map(_is_letters, block.split(b"\n"))), blocks))
        encoded, below = b"\n".join(above), blocks[len(above) :]
        # Without a gap it may be a damaged line, with more of the text below it.
        is_footer = below and (border is _GAP or not any(map(_BASE64_LINE.search, below)))
        if is_footer and (_is_base64(encoded, whole=True, is_text=True) or _is_short_text(encoded)):
            return encoded
    return b""


def _is_short_text(encoded: bytes) -> bool:
    """Return whether base64 of less than a line is a text in UTF-8, as no word by chance is."""
    letters = b"".join(encoded.split())
    if len(letters) % 4 or len(letters) < _FEWEST_LETTERS:
        return False
    decoded = _decoded(letters)
    try:
        return decoded is not None and bool(decoded.decode()) and not _CONTROL.search(decoded)
    except UnicodeDecodeError:
        return False


def _decoded(letters: bytes) -> bytes | None:
    """Return what base64 says, None if something follows its padding: some mailers encode each paragraph by itself."""
    try:
        return pybase64.b64decode(letters)
    except ValueError:
        return None


def _is_letters(line: bytes) -> bool:
    return _BASE64_END.fullmatch(line.strip()) is not None


def holds_parts(text: bytes) -> bool:
    """Return whether a text has the fields of MIME parts in it, so that its parts were not told apart."""
    return len({match.lastindex for match in _FIELDS.finditer(text)}) > 1


def _is_prose(head: bytes) -> bool:
    """Return whether most of what should be base64 has characters that base64 has not, or words."""
    letters = head.translate(None, _SPACE)
    foreign = len(letters.translate(None, _LETTERS + b"="))
    words = head.split()
    return foreign * 4 > len(letters) or (len(words) > 2 and len(letters) < len(words) * 12)  # noqa: PLR2004


def _is_base64(head: bytes, *, whole: bool, is_text: bool) -> bool:
    """Return whether content is lines of base64, all of one length but the last, as no text and no file is.

    A text must be one when it is decoded. A digest in hexadecimal has the same letters.
    """
    lines = head.split() if whole else head.split()[:-1]
    if not lines or any(len(line) != len(lines[0]) for line in lines[:-1]) or not _BASE64_LINE.fullmatch(lines[0]):
        return False
    if not all(_BASE64_LINE.fullmatch(line) for line in lines[:-1]) or not _BASE64_END.fullmatch(lines[-1]):
        return False
    letters = b"".join(lines)
    if len(letters) % 4 and whole:
        return False
    if not is_text:
        return len(lines) > 1
    decoded = _decoded(letters[: len(letters) // 4 * 4])
    return decoded is not None and not _CONTROL.search(decoded)


def _is_escaped(head: bytes) -> bool:
    """Return whether a text is quoted-printable: every "=" in it begins an escape, and some could be nothing else."""
    escapes = len(_ESCAPE.findall(head))
    sure = len(_SOFT_BREAK.findall(head)) + len(_HIGH_ESCAPE.findall(head))
    return sure > 1 and escapes >= head.count(b"=") - 1


def _damage(pieces: Iterator[bytes]) -> tuple[str, int]:
    """Return what is wrong with base64, "" if nothing is, and then the number of letters without the padding."""
    letters, ended = 0, False
    for piece in pieces:
        # To delete nearly all of it is three times as quick as to delete the line ends.
        beside = piece.translate(None, _LETTERS + b"=")
        if beside.translate(None, _SPACE):
            return "base64 with other characters in it", 0
        if not ended and b"=" not in piece:
            letters += len(piece) - len(beside)
            continue
        before, pad, after = piece.translate(None, _SPACE).partition(b"=")
        if (ended and before) or after.strip(b"="):
            return _MORE_BELOW, 0
        letters += len(before)
        ended = ended or bool(pad)
    return "base64 that breaks off" if letters % 4 and not ended else "", letters
