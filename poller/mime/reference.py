"""Compute the reference by which a message is known."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from poller.mime import headers

if TYPE_CHECKING:
    from pathlib import Path


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
    """Return the reference of a message that its header does not tell apart: 16 hex digits, from its content.

    It is made of the fields that are the sender's alone, and of all that comes after the header. Fields that the
    servers on the way put into the header differ between the copies that two aliases bring.
    """
    with path.open("rb") as spooled:
        fields = headers.take_apart(spooled.read(headers.HEADER_BYTES))
        values = _values(fields, b"from", b"to", b"subject", b"date", b"message-id")
        digest = hashlib.sha256(b"\0".join([account.encode(), *values, b""]))
        spooled.seek(fields.body_at)
        while piece := spooled.read(1024 * 1024):
            digest.update(piece)
    return digest.hexdigest()[:16]


def _values(fields: headers.Header, *names: bytes) -> list[bytes]:
    """Return the first value of each field, without what folding adds, or b"" where there is none."""
    return [b" ".join(fields.first(name).split()) for name in names]
