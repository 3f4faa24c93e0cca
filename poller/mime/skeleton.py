"""Build the skeleton of a message: its headers and boundaries, while the content stays in the spool file.

The email parser needs nine times the memory of its input. So its input is a few kilobytes: everything between two
boundary lines is left out except the part's header, and a marker says where it is. Memory does not grow with the mail,
whatever its encoding, and nothing is lost.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from poller.mime import headers
from poller.mime.transfer_encoding import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_WINDOW_BYTES: Final = 1024 * 1024
_PART_HEADER_BYTES: Final = 8 * 1024  # the email package is quadratic in a field of semicolons
_LONGER_BYTES: Final = (_PART_HEADER_BYTES, 64 * 1024, headers.HEADER_BYTES)  # read while the header goes on
_CUT_BYTES: Final = 6 * 1024  # of a Content-Type that is longer than all fields may be
_BODY_BYTES: Final = 64 * 1024  # of a multipart, in which its first boundary stands
_SHORT_BYTES: Final = 256  # shorter content stays in the skeleton
_DELIMITER_BYTES: Final = 256  # RFC 2046 allows 74
_MAX_DELIMITERS: Final = 1500
_MAX_SKELETON_BYTES: Final = 512 * 1024
_MAX_BOUNDARIES: Final = 100

_BOUNDARY: Final = re.compile(rb'\bboundary[ \t]*+=\s*+(?:"([^"\\\r\n]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_READABLE: Final = re.compile(rb';\s*+boundary[ \t]*+=\s*+(?:"([^"\\\r\n]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_MAY_HAVE_PARTS: Final = re.compile(rb"multi-?part|boundary", re.IGNORECASE)
_MULTIPART: Final = re.compile(rb"multipart/[a-z0-9.+-]{1,40}", re.IGNORECASE)
_ODD_BOUNDARY: Final = re.compile(rb'\bboundary(?:\*|[ \t]*+=\s*+"[^"\r\n]{0,200}\\)', re.IGNORECASE)
_FIRST_DASHES: Final = re.compile(rb"(?:\A|[\r\n])--([!-~][ -~]{0,198})")
_FIRST_PART: Final = re.compile(
    rb"(?:\A|[\r\n])--([!-~][ -~]{0,198}?)[ \t]*" + headers.EOL + rb"content-[a-z-]{2,30}[ \t]{0,9}:", re.IGNORECASE
)
_EOL: Final = re.compile(headers.EOL)
_LAST_EOL: Final = re.compile(headers.EOL + rb"\Z")
# The delimiter line, the fields, and the blank line: the email package reads these as a part's header.
# Nothing after the repeated group can fail, so it need not be possessive, which Python 3.11.2 gets wrong for groups.
_PART_HEADER: Final = re.compile(
    rb"[^\r\n]*+(?:\r{0,2}\n|\r|\Z)"
    rb"(?:(?:(?!--)[\0!-9;-~]*+:|content-[a-z-]{2,30}[ \t]{1,9}:|[ \t])[^\r\n]*+(?:\r{0,2}\n|\r))*(\r{0,2}\n|\r)?",
    re.IGNORECASE,
)
# A blank line that a mailer put above the fields of a part.
_BLANK_FIRST: Final = re.compile(
    rb"[^\r\n]*+(?:\r{0,2}\n|\r)((?:\r{0,2}\n|\r){1,3})content-(?:type|transfer-encoding|disposition)[ \t]{0,9}:",
    re.IGNORECASE,
)
_FIELD_START: Final = re.compile(rb"[!-9;-~]++:|[ \t]|[!-9;-~]{0,200}\Z")  # or the first bytes of one
# Nested messages are not to be parsed: each is a file that the sender attached (RFC 2046 section 5.2).
_NESTED: Final = re.compile(
    rb"^content-type[ \t]*+:\s*+(?:multipart/(?=digest)|(?=message/))", re.IGNORECASE | re.MULTILINE
)

_SEMICOLONS: Final = re.compile(rb"(?:;[ \t]*){8,}")  # empty parameters, in which the email package is quadratic


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A message without its content, which stays in the spool file."""

    content: bytes  # a message that any MIME parser reads; a few kilobytes, 512 KB at most
    header: headers.Header  # the message's own, repaired
    veil: bytes  # stands in markers and in the types of nested messages; random, so no sender can write it
    losses: tuple[str, ...]  # why some of the message is in no part, or in a wrong one; empty if nothing is

    def pieces(self, payload: bytes) -> tuple[Span | bytes, ...]:
        """Return the content of a part of the skeleton: spans of the spool file, and the bytes between them."""
        pieces: list[Span | bytes] = []
        at = 0
        for marker in re.finditer(rb"\[" + self.veil + rb" (\d+) (\d+)\]", payload):
            pieces += [payload[at : marker.start()], Span(int(marker[1]), int(marker[2]))]
            at = marker.end()
        pieces.append(payload[at:])
        return tuple(piece for piece in pieces if piece)

    def restore(self, value: bytes) -> bytes:
        """Return a field's value as the sender wrote it."""
        return value.replace(self.veil, b"")


def build_skeleton(spool: BinaryIO) -> Skeleton:
    """Return the skeleton of the message in a seekable stream, such as its spool file, read once in pieces of 1 MB.

    Raises:
        OSError: the spool file cannot be read.
    """
    veil = secrets.token_hex(12).encode("ascii")
    size_bytes = spool.seek(0, 2)
    header, at, whole = _message_header(spool)
    losses = [] if whole else ["header over 256 KB"]
    top, cut = _rebuilt(header.fields, _read(spool, at, _BODY_BYTES))
    if cut:
        losses.append("MIME fields over 8 KB")
    boundaries = _Boundaries()
    boundaries.learn(top)
    skeleton = bytearray(_tidied(top, veil))
    for count, start in enumerate(_delimiters(spool, at, boundaries)):
        if start < at:  # it is inside what was read as a part's header, as in "--boundary: x"
            continue
        if count >= _MAX_DELIMITERS or len(skeleton) > _MAX_SKELETON_BYTES:
            losses.append("more parts than are looked at")
            break
        skeleton += _marked(spool, veil, at, start)
        line = _EOL.split(_read(spool, start, _DELIMITER_BYTES), 1)[0]
        if boundaries.end(line):
            skeleton += line
            at = start + len(line)
            continue
        part_header, at, loss = _part_header(spool, start)
        losses += [loss] if loss else []
        boundaries.learn(part_header)
        skeleton += _tidied(part_header, veil)
    skeleton += _marked(spool, veil, at, size_bytes)
    return Skeleton(bytes(skeleton), header, veil, tuple(dict.fromkeys(losses)))


class _Boundaries:
    """The boundaries that the headers have declared so far."""

    def __init__(self) -> None:
        self._lines: tuple[bytes, ...] = ()
        self._unclear = False

    def learn(self, header: bytes) -> None:
        self._lines += tuple(b"--" + (quoted or bare).rstrip() for quoted, bare in _BOUNDARY.findall(header))
        self._unclear = self._unclear or len(self._lines) > _MAX_BOUNDARIES or _ODD_BOUNDARY.search(header) is not None

    def begin(self, line: bytes) -> bool:
        # If a boundary is unclear, every line with dashes may be one: that costs memory but loses nothing.
        return self._unclear or line.startswith(self._lines)

    def end(self, line: bytes) -> bool:
        """Return whether a line ends a multipart: what stands below it is no part's header, though it may look so."""
        line = line.rstrip()
        return line.endswith(b"--") and line not in self._lines and line[:-2] in self._lines


def _message_header(spool: BinaryIO) -> tuple[headers.Header, int, bool]:
    """Return the message's header, the offset of its body, and whether all of the header was read."""
    head = _read(spool, 0, headers.HEADER_BYTES)
    header = headers.take_apart(head)
    if header.finished or len(head) < headers.HEADER_BYTES:
        return header, header.body_at, True
    offset = len(head) - 4
    while window := _read(spool, offset, _WINDOW_BYTES):
        if end := headers.END_OF_HEADER.search(window):
            return header, offset + end.end(), False
        if len(window) < _WINDOW_BYTES:
            break
        offset += len(window) - 4
    return header, offset + len(window), False


def _part_header(spool: BinaryIO, start: int) -> tuple[bytes, int, str]:
    """Return the delimiter line, the part's fields and the blank line, the offset of its body, and why any are missing.

    The header is reduced to its MIME fields, in the form that the email package reads.
    """
    header, ended, goes_on = b"", False, True
    for length in _LONGER_BYTES:
        if not goes_on:
            break
        head = _read(spool, start, length)
        blank = _BLANK_FIRST.match(head)
        if match := _PART_HEADER.match(head, blank.end(1) if blank else 0):
            header, ended = head[: match.end()], match[1] is not None
        goes_on = len(head) == length and (
            len(header) == length or (not ended and _FIELD_START.match(head, len(header)) is not None)
        )
    at = start + len(header)
    may_have_parts = _MAY_HAVE_PARTS.search(header) is not None
    line = _EOL.search(header)
    fields_at = line.end() if line else len(header)
    fields = headers.fields(header[fields_at:])
    rebuilt, cut = _rebuilt(fields, _read(spool, at, _BODY_BYTES) if may_have_parts else b"")
    loss = "part header over 256 KB" if goes_on else "MIME fields over 8 KB" if cut else ""
    delimiter = header[:fields_at].rstrip(b"\r\n") + (b"\r\n" if line else b"")
    return delimiter + (rebuilt if ended else rebuilt.removesuffix(b"\r\n")), at, loss


def _rebuilt(fields: Sequence[tuple[bytes, bytes]], body: bytes) -> tuple[bytes, bool]:
    """Return the MIME fields of a header, a line each, with the blank line, and whether some had to be cut.

    A multipart whose boundary cannot be read, or never comes, gets the boundary that its body begins with.
    """
    lines = b""
    cut = False
    if not any(name == b"content-type" for name, _ in fields) and _FIRST_PART.search(body, 0, _SHORT_BYTES):
        fields = (*fields, (b"content-type", b"multipart"))
    for name, value in fields:
        if not name.startswith((b"content-", b"mime-")):
            continue
        if name == b"content-type" and _MAY_HAVE_PARTS.search(value):
            value = _with_boundary(value, body)  # noqa: PLW2901
        line = name + b": " + value.rstrip(b"; \t") + b"\r\n"
        if len(lines) + len(line) > _PART_HEADER_BYTES:
            cut = True
            line = name + b": " + _shortened(value) + b"\r\n" if name == b"content-type" else b""
        lines += line
    return lines + b"\r\n", cut


def _shortened(value: bytes) -> bytes:
    """Return the first 6 KB of a Content-Type, in any case with its boundary."""
    boundary = _READABLE.search(value, _CUT_BYTES - _DELIMITER_BYTES)
    return value[:_CUT_BYTES].rpartition(b";")[0] + (boundary[0] if boundary else b"")


def _with_boundary(value: bytes, body: bytes) -> bytes:
    """Return the value of a multipart's Content-Type with a boundary that its body has.

    Some mailers leave it out, or the semicolon before it, or put it in single quotes. Others misspell the type.
    """
    kind = _MULTIPART.search(value)
    if kind is None:
        first = _FIRST_PART.search(body)
        return b'multipart/mixed; boundary="' + first[1].rstrip().replace(b'"', b"") + b'"' if first else value
    named = b"boundary" in value.lower()
    readable = _READABLE.search(value)
    if named and readable is None and _ODD_BOUNDARY.search(value):
        return value
    if readable and re.search(rb"(?:\A|[\r\n])--" + re.escape((readable[1] or readable[2]).rstrip()), body):
        return value
    first = (_FIRST_PART if named else _FIRST_DASHES).search(body)
    if first is None:
        return value
    boundary = b'; boundary="' + first[1].rstrip().replace(b'"', b"") + b'"'
    return (kind[0] if named else value.rstrip(b"; \t")) + boundary


def _tidied(header: bytes, veil: bytes) -> bytes:
    """Return a header that is safe for the email package to parse."""
    return _SEMICOLONS.sub(b";", _NESTED.sub(rb"\g<0>" + veil, header))


def _delimiters(spool: BinaryIO, at: int, boundaries: _Boundaries) -> Iterator[int]:
    """Yield the offsets of lines that may be boundary delimiters, from `at` on (RFC 2046 section 5.1.1)."""
    window, base = b"\n", at - 1
    while True:
        chunk = _read(spool, base + len(window), _WINDOW_BYTES)
        window += chunk
        complete = len(window) - (_DELIMITER_BYTES if chunk else 0)
        # Searching one byte is much faster than two, and base64 contains no "-".
        after = 0 if b"-" in window else len(window)
        while 0 <= (hit := window.find(b"--", after)) < complete:
            if window[hit - 1] in b"\r\n" and boundaries.begin(window[hit : hit + _DELIMITER_BYTES]):
                yield base + hit
            line_end = _EOL.search(window, hit)
            after = line_end.start() if line_end else len(window)
        if not chunk:
            return
        kept = max(after, complete, 1) - 1  # includes the byte before, which shows if a line begins
        window, base = window[kept:], base + kept


def _marked(spool: BinaryIO, veil: bytes, start: int, end: int) -> bytes:
    """Return the content between two offsets if it is short, else a marker for it."""
    if end - start <= _SHORT_BYTES:
        return _read(spool, start, end - start)
    # The line end before a delimiter belongs to the delimiter (RFC 2046 section 5.1.1).
    last = _LAST_EOL.search(_read(spool, end - 3, 3))
    line_end = last[0] if last else b""
    return b"[%b %d %d]%b" % (veil, start, end - start - len(line_end), line_end)


def _read(spool: BinaryIO, offset: int, length: int) -> bytes:
    spool.seek(offset)
    return spool.read(length)
