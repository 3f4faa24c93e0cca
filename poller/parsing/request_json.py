"""Send a request from the parser's process as JSON, and check all of it on arrival.

A parser that a mail has taken over may say anything. So nothing of its answer is run, and its attachments lie in the
spool file that the daemon names, whatever it says.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from poller.escaping import one_line
from poller.mime.transfer_encoding import Encoded, Span
from poller.model import Address, Attachment, Kind, Request

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_BYTES: Final = 16 << 20  # far above what any mail needs: its files are not in it
_DEPTH: Final = 100  # of contents within contents
_BYTES_MAX: Final = 1 << 50  # of an attachment, decoded

_AS_THEY_ARE: Final = (
    *("reference", "message_id", "in_reply_to", "references", "subject", "text", "newest", "headers", "defects"),
    "links",
)
_FLAGS: Final = ("inline", "logo", "signature", "refused", "shown", "quoted", "side")


def dumps(request: Request) -> bytes:
    """Return the request as JSON in ASCII."""
    plain = {name: getattr(request, name) for name in _AS_THEY_ARE}
    people = {name: asdict(getattr(request, name)) for name in ("sender", "author")}
    return json.dumps(
        plain
        | people
        | {
            "original_senders": [asdict(each) for each in request.original_senders],
            "sent_at": request.sent_at and request.sent_at.isoformat(),
            "received_at": request.received_at.isoformat(),
            "attachments": [_attachment_json(each) for each in request.attachments],
        }
    ).encode()


def loads(answer: bytes, path: Path) -> Request:
    """Return the request from its JSON. The bytes of its attachments lie in the file at `path`.

    Raises:
        ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError: it is not as `dumps` writes it.
    """
    found = json.loads(answer)
    return Request(
        reference=_line(found["reference"]),
        message_id=_line(found["message_id"]),
        subject=_line(found["subject"]),
        in_reply_to=_lines(found["in_reply_to"]),
        references=_lines(found["references"]),
        defects=_lines(found["defects"]),
        links=_lines(found["links"]),
        text=_text(found["text"]),
        newest=_text(found["newest"]),
        headers=tuple((_line(name), _line(value)) for name, value in found["headers"]),
        sender=_address(found["sender"]),
        author=_address(found["author"]),
        original_senders=tuple(map(_address, found["original_senders"])),
        sent_at=None if found["sent_at"] is None else _moment(found["sent_at"]),
        received_at=_moment(found["received_at"]),
        attachments=tuple(_attachment(each, path) for each in found["attachments"]),
    )


def _attachment_json(attachment: Attachment) -> dict[str, Any]:
    content = attachment.content
    if not isinstance(content, Encoded):
        raise TypeError("the parser leaves every attachment in the spool file")
    plain = {name: getattr(attachment, name) for name in ("filename", "content_type", "size_bytes", "fingerprint")}
    return (
        plain
        | {name: getattr(attachment, name) for name in _FLAGS}
        | {"kind": str(attachment.kind), "content": list(_layers_json(content))}
    )


def _layers_json(content: Encoded) -> Iterable[dict[str, Any]]:
    """Yield the content, and what encloses it, up to what lies in the spool file."""
    layer: object = content
    while isinstance(layer, Encoded):
        pieces = [
            base64.b64encode(each).decode() if isinstance(each, bytes) else [each.offset, each.length]
            for each in layer.pieces
        ]
        yield {"pieces": pieces, "encoding": layer.encoding}
        layer = layer.source


def _attachment(found: dict[str, Any], path: Path) -> Attachment:
    filename = _line(found["filename"])
    if "/" in filename or not filename:
        raise ValueError("a file name has no directory")
    return Attachment(
        filename=filename,
        content_type=_line(found["content_type"]),
        size_bytes=_count(found["size_bytes"]),
        kind=Kind(found["kind"]),
        content=_content(found["content"], path),
        fingerprint=_line(found["fingerprint"]),
        **{name: _flag(found[name]) for name in _FLAGS},
    )


def _content(layers: list[dict[str, Any]], path: Path) -> Encoded:
    if not 0 < len(layers) <= _DEPTH:
        raise ValueError("no content, or too deep")
    source: Path | Encoded = path
    for layer in reversed(layers):
        source = Encoded(source, tuple(map(_piece, layer["pieces"])), _line(layer["encoding"]))
    if not isinstance(source, Encoded):
        raise TypeError("no content")
    return source


def _piece(found: str | list[int]) -> Span | bytes:
    if isinstance(found, str):
        return base64.b64decode(found, validate=True)
    offset, length = found
    return Span(_count(offset), _count(length))


def _address(found: dict[str, Any]) -> Address:
    return Address(_line(found["display_name"]), _line(found["addr_spec"]))


def _text(found: object) -> str:
    if not isinstance(found, str):
        raise TypeError("no text")
    return found


def _line(found: object) -> str:
    text = _text(found)
    if one_line(text, len(text) + 1) != text:
        raise ValueError("not one line")
    return text


def _lines(found: list[object]) -> tuple[str, ...]:
    return tuple(map(_line, found))


def _count(found: object) -> int:
    if type(found) is not int or not 0 <= found <= _BYTES_MAX:
        raise ValueError("no number of bytes")
    return found


def _flag(found: object) -> bool:
    if not isinstance(found, bool):
        raise TypeError("no flag")
    return found


def _moment(found: object) -> datetime:
    moment = datetime.fromisoformat(_text(found))
    if moment.tzinfo is None:
        raise ValueError("no time zone")
    return moment
