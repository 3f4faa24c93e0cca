"""Decode the bytes of a part from the spool file in pieces, so that memory does not grow with it (RFC 2045).

A part may lie inside another encoded part, such as a file in a winmail.dat. It is then decoded through both.
"""

from __future__ import annotations

import binascii
import io
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import pybase64

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from _typeshed import WriteableBuffer

PIECE_BYTES: Final = 256 * 1024
_NOT_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))
_SOFT_BREAK: Final = re.compile(rb"=[ \t\0]*+(?:\r{0,2}\n|\r)")
_UU_LINE: Final = re.compile(rb"[!-M][ -`]{4,62}")
_EOL: Final = re.compile(rb"\r{0,2}\n|\r")


@dataclass(frozen=True, slots=True)
class Span:
    """A range of the spool file, or of the content that encloses a part."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Encoded:
    """A part's content as it lies in its source. It is decoded when it is read."""

    source: Path | Encoded  # the spool file, or the content that encloses this one
    pieces: tuple[Span | bytes, ...] = field(repr=False)  # in order; literal bytes if they were too few for a span
    encoding: str  # a key of `_DECODERS`; any other word means no encoding

    def open(self, source: BinaryIO | None = None) -> BinaryIO:
        """Return a readable, seekable stream of the decoded bytes. Seeking backwards decodes again from the start.

        `source` is a seekable stream of all that the source holds, for a caller that has one already. It is not closed.
        """
        return cast("BinaryIO", io.BufferedReader(_Decoded(self, source), PIECE_BYTES))

    def encoded(self, source: BinaryIO) -> Iterator[bytes]:
        """Yield the content as it lies in the source, in pieces of PIECE_BYTES at most. `source` is as in `open`."""
        for piece in self.pieces:
            if isinstance(piece, bytes):
                yield piece
                continue
            offset, end = piece.offset, piece.offset + piece.length
            while offset < end:
                source.seek(offset)
                chunk = source.read(min(PIECE_BYTES, end - offset))
                if not chunk:
                    return
                offset += len(chunk)
                yield chunk


class _Decoded(io.RawIOBase):
    def __init__(self, content: Encoded, source: BinaryIO | None) -> None:
        self._content = content
        self._own = None
        if source is None:
            source = content.source.open() if isinstance(content.source, Encoded) else content.source.open("rb")
            self._own = source
        self._source = source
        self._position = 0
        self._rewind()

    def _rewind(self) -> None:
        decode = _DECODERS.get(self._content.encoding, iter)
        self._chunks = decode(self._content.encoded(self._source))
        self._chunk, self._chunk_at = b"", 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        if self._position < self._chunk_at:
            self._rewind()
        while self._position >= self._chunk_at + len(self._chunk):
            if not self._advance():
                return 0
        into = memoryview(buffer).cast("B")
        start = self._position - self._chunk_at
        piece = self._chunk[start : start + len(into)]
        into[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_CUR:
            offset += self._position
        elif whence == io.SEEK_END:
            while self._advance():
                pass
            offset += self._chunk_at + len(self._chunk)
        if offset < 0:
            raise ValueError("negative seek position")
        self._position = offset
        return offset

    def _advance(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self._chunk_at += len(self._chunk)
        self._chunk = chunk
        return True

    def close(self) -> None:
        if self._own:
            self._own.close()
        super().close()


def _base64(encoded: Iterator[bytes]) -> Iterator[bytes]:
    """Decode as leniently as mail clients do: skip foreign characters, and keep the end if padding is missing."""
    rest = b""
    for chunk in encoded:
        pending = rest + chunk
        # Whole lines usually are whole groups of four, so that line ends need not be removed first.
        end = pending.rfind(b"\n") + 1 or len(pending) // 4 * 4
        if b"=" not in pending:
            with suppress(binascii.Error):
                yield pybase64.b64decode(memoryview(pending)[:end])
                rest = pending[end:]
                continue
        letters = pending.translate(None, _NOT_BASE64)
        if b"=" in letters:
            letters, *groups = letters.split(b"=")
            for group in groups:
                if len(letters) % 4 >= 2:  # noqa: PLR2004 - padding in its place (RFC 4648 section 3.2): the end
                    yield _quads(letters)
                    return
                letters += group
        whole = len(letters) - len(letters) % 4
        rest = letters[whole:]
        yield pybase64.b64decode(memoryview(letters)[:whole], validate=True)
    yield _quads(rest.translate(None, _NOT_BASE64))


def _quads(letters: bytes) -> bytes:
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def _quoted_printable(encoded: Iterator[bytes]) -> Iterator[bytes]:
    for lines in _lines(encoded):
        yield binascii.a2b_qp(_SOFT_BREAK.sub(b"", lines))


def _uuencoded(encoded: Iterator[bytes]) -> Iterator[bytes]:
    """Decode the lines below "begin". Some mailers leave it out, so a first line may be data itself."""
    begun, is_first = False, True
    for lines in _lines(encoded):
        decoded: list[bytes] = []
        for line in _EOL.split(lines):
            if is_first and line:
                begun, is_first = _is_uu_data(line), False
            if not begun:
                begun = line.startswith(b"begin ")
            elif line == b"end":
                yield b"".join(decoded)
                return
            elif line:
                # Some encoders pad the line, so only as much is read as its length byte says.
                length = ((line[0] - 32) & 63) * 4 + 5
                try:
                    decoded.append(binascii.a2b_uu(line[: length // 3]))
                except binascii.Error:
                    continue
        yield b"".join(decoded)


def _is_uu_data(line: bytes) -> bool:
    """Return whether a line is as long as its first byte says, perhaps with a checksum."""
    return bool(_UU_LINE.fullmatch(line)) and len(line) - 1 - (line[0] - 32 + 2) // 3 * 4 in {0, 1}


def _lines(encoded: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces that end at a line end, except for a line longer than a piece."""
    rest = b""
    for chunk in encoded:
        lines = rest + chunk
        # A CRLF or an escape such as "=\r\n" or "=C3" must not be split.
        end = lines.rfind(b"\n") + 1 or (max(0, lines.rfind(b"=", -4)) if b"=" in lines[-4:] else len(lines))
        if b"\n" not in lines and len(lines) < PIECE_BYTES:
            end = 0
        rest = lines[end:]
        yield lines[:end]
    yield rest


_DECODERS: Final[dict[str, Callable[[Iterator[bytes]], Iterator[bytes]]]] = {
    "base64": _base64,
    "quoted-printable": _quoted_printable,
    "x-uuencode": _uuencoded,
}
DECODED: Final = frozenset(_DECODERS)
