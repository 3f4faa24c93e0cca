"""Find the pictures that an HTML source holds in itself, as data: URIs (RFC 2397)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from poller.mime.transfer_encoding import PIECE_BYTES, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

# A drawing (SVG) is part of a page's looks.
_BEGIN: Final = re.compile(
    rb"[\"'(]\s{0,9}(data:(image/(?!svg)[a-z0-9.+-]{2,30})(?:;[a-z0-9=_. -]{1,60})?;base64,)", re.IGNORECASE
)
_BEGIN_BYTES: Final = 160  # that it takes at most
_END: Final = re.compile(rb"[^A-Za-z0-9+/=\s]")
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in an HTML source."""

    content_type: str  # in lower case
    span: Span  # of the whole URI
    base64: Span  # of its content


def pictures(source: BinaryIO) -> list[Picture]:
    """Return the complete pictures in a source, in order, at most 500 of them."""
    found: list[Picture] = []
    begun: tuple[str, int, int] | None = None  # the type, and where the URI and its base64 begin
    done = 0  # where the last picture ends
    for piece, at in _pieces(source):
        place = max(0, done - at)
        while len(found) < _MOST:
            if begun is None:
                beginning = _BEGIN.search(piece, place)
                if beginning is None:
                    break
                begun = beginning[2].decode("ascii").lower(), at + beginning.start(1), at + beginning.end()
            end = _END.search(piece, max(0, begun[2] - at, place))
            if end is None:
                break
            content_type, start, content = begun
            place, done = end.start(), at + end.start()
            found.append(Picture(content_type, Span(start, done - start), Span(content, done - content)))
            begun = None
    return found


def _pieces(source: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Yield the source in pieces with the offset of each. A piece begins with the end of the one before it."""
    at, tail = 0, b""
    while piece := source.read(PIECE_BYTES):
        yield tail + piece, at - len(tail)
        at += len(piece)
        tail = (tail + piece)[-_BEGIN_BYTES:]
