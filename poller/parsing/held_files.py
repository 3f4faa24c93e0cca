"""Take the files out of a text that holds them in itself: uuencoded ones, and the pictures in the source of HTML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, BinaryIO

from poller.mime import data_uris, uuencode
from poller.mime.transfer_encoding import Encoded, Span
from poller.parsing.parts import ByteSource, Leaf

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file in a text."""

    span: Span  # of all of it in the decoded text
    content: Span
    encoding: str  # of the content, as of a part
    content_type: str = ""
    name: str = ""
    content_id: str = ""  # by which the HTML shows it, once it has been taken out


def held_by(leaf: Leaf) -> list[HeldFile]:
    """Return the files that a text holds, in order. Another part holds none."""
    if not leaf.is_text() or leaf.content_type not in {"text/plain", "text/html"}:
        return []
    with leaf.open() as text:
        if leaf.content_type == "text/plain":
            return [HeldFile(block.span, block.span, "x-uuencode", name=block.name) for block in uuencode.blocks(text)]
        return [
            HeldFile(picture.span, picture.base64, "base64", picture.content_type, content_id=f"picture-{number}@html")
            for number, picture in enumerate(data_uris.pictures(text), start=1)
        ]


def taken_out(leaf: Leaf, files: Sequence[HeldFile], text: BinaryIO) -> list[Leaf]:
    """Return a text without the files that it holds, followed by them. `text` is a seekable stream of all of it."""
    source = ByteSource(leaf.content, text)
    pieces: list[Span | bytes] = []
    at = 0
    for file in files:
        shown = f"cid:{file.content_id}".encode() if file.content_id else b""
        pieces += [Span(at, file.span.offset - at), shown]
        at = file.span.offset + file.span.length
    pieces.append(Span(at, text.seek(0, 2) - at))
    return [
        replace(leaf, source=source, content=Encoded(leaf.content, tuple(pieces), ""), size_bytes=None),
        *(
            Leaf(
                source,
                Encoded(leaf.content, (file.content,), file.encoding),
                file.content_type,
                file.name,
                content_id=file.content_id,
                within=(*leaf.within, "multipart/related") if file.content_id else (),
            )
            for file in files
        ),
    ]
