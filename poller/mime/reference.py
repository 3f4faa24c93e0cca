"""Compute the reference by which a message is known."""

from __future__ import annotations

import hashlib
import re
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final

from poller.mime import headers

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COMPARED_BYTES: Final = 512 * 1024  # of a body, by which two messages are compared
BEGINNING_BYTES: Final = headers.HEADER_BYTES + COMPARED_BYTES  # of a message, enough for `content_digest`

_PIECE_BYTES: Final = 1024 * 1024
_FORM_ID = re.compile(rb"<form-[0-9a-f]{32}@[^<>\s]+>")  # of our own making, see `forms.message.written`


def reference_of(account: str, header: bytes) -> str | None:
    """Return the reference of a message from its header alone: 16 hex digits, None without Message-ID or Date.

    `header` is the header as the server gives it, or the beginning of the message. Where this returns None, use
    `reference_of_content`.
    """
    if header[:1] in (b"\r", b"\n"):  # a server finds no header here, and both ways must give the same
        return None
    fields = headers.take_apart(header[: headers.HEADER_BYTES])
    message_id, sent_by, date, subject = _values(fields, b"message-id", b"from", b"date", b"subject")
    # A form that omits one of them may well send the other and the subject alike for every customer.
    if not message_id or not date:
        return None
    # Where two machines make a message of one post, its Message-ID is the same, but the Date need not be.
    if _FORM_ID.fullmatch(message_id):
        date = b""
    return hashlib.sha256(b"\0".join([account.encode(), message_id, sent_by, date, subject])).hexdigest()[:16]


def reference_of_content(account: str, path: Path) -> str:
    """Return the reference of a message that its header does not tell apart, which is in a file."""
    with path.open("rb") as spooled:
        beginning = spooled.read(headers.HEADER_BYTES)
        return reference_of_pieces(account, beginning, iter(partial(spooled.read, _PIECE_BYTES), b""))


def reference_of_pieces(account: str, beginning: bytes, rest: Iterable[bytes] = ()) -> str:
    """Return the reference of a message that its header does not tell apart: 16 hex digits, from its content.

    It is made of the fields that are the sender's alone, and of all that comes after the header. Fields that the
    servers on the way put into the header differ between the copies that two aliases bring. `beginning` has
    `headers.HEADER_BYTES` or more, or is all of the message.
    """
    fields = headers.take_apart(beginning[: headers.HEADER_BYTES])
    values = _values(fields, b"from", b"to", b"subject", b"date", b"message-id")
    digest = hashlib.sha256(b"\0".join([account.encode(), *values, b""]))
    for piece in chain((beginning[fields.body_at :],), rest):
        digest.update(piece)
    return digest.hexdigest()[:16]


def content_digest(beginning: bytes) -> str:
    """Return the digest by which two messages of one reference are compared: 32 hex digits.

    It is made of Reply-To and the beginning of the body. `beginning` is of a message, BEGINNING_BYTES or all of it. The
    fields that the reference is made of are alike, and copies by two aliases may differ in all others.
    """
    fields = headers.take_apart(beginning[: headers.HEADER_BYTES])
    body = beginning[fields.body_at : fields.body_at + COMPARED_BYTES].rstrip()
    return hashlib.sha256(b"\0".join([*_values(fields, b"reply-to"), body])).hexdigest()[:32]


def variant_reference(reference: str, digest: str) -> str:
    """Return the reference of a message of this content, where another one has the reference: 16 hex digits."""
    return hashlib.sha256(f"{reference}\0{digest}".encode()).hexdigest()[:16]


def _values(fields: headers.Header, *names: bytes) -> list[bytes]:
    """Return the first value of each field, without what folding adds, or b"" where there is none."""
    return [b" ".join(fields.first(name).split()) for name in names]
