"""Helpers of the parser's tests: made-up messages, what a parse returns, and bytes changed at random."""

from __future__ import annotations

import base64
import random
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from poller.parsing import parser

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from poller.mime.transfer_encoding import Span
    from poller.model import Attachment, Request

RECEIVED = datetime(2026, 11, 3, 9, 15, tzinfo=UTC)
TOP = b"From: Lou <lou@example.com>\r\nMessage-ID: <1@example.com>\r\nSubject: %b\r\n"
HELLO = b"Content-Type: text/plain\r\n\r\nBonjour"


def read(path: Path, message: bytes) -> Request:
    """Return the request in a message, which is written to a spool file in this directory."""
    (path / "spool").write_bytes(message)
    return parser.parse(path / "spool", "support@example.com", RECEIVED)


def content(attachment: Attachment) -> bytes:
    """Return the bytes of an attachment."""
    with attachment.content.open() as stream:
        return stream.read()


def multipart(*parts: bytes, subtype: bytes = b"mixed", subject: bytes = b"x", top: bytes | None = None) -> bytes:
    """Return a message of these parts. `top` replaces its header fields."""
    boundary = b"=_%08x" % zlib.crc32(b"".join(parts))
    lines = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    header = TOP % subject if top is None else top
    return (
        header
        + b'Content-Type: multipart/%b; boundary="%b"\r\n\r\n' % (subtype, boundary)
        + lines
        + b"--%b--" % boundary
    )


def part(content_type: bytes, raw: bytes, name: bytes = b"") -> bytes:
    """Return a part in base64."""
    named = b'; name="%b"' % name if name else b""
    encoded = base64.encodebytes(raw).replace(b"\n", b"\r\n")
    return b"Content-Type: " + content_type + named + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded


def at(stream: bytes, span: Span) -> bytes:
    """Return the bytes of a span."""
    return stream[span.offset : span.offset + span.length]


def damaged(wholes: Sequence[bytes], count: int) -> Iterator[bytes]:
    """Yield one of the wholes with bytes changed, taken out and put in at random, the same ones every time."""
    chance = random.Random(4)  # noqa: S311  no secret
    for _ in range(count):
        broken = bytearray(chance.choice(wholes))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(broken))
            broken[place : place + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 3))
        yield bytes(broken)
