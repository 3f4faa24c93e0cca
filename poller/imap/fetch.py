"""Describe messages before they are fetched, from what the server says of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from poller.mime import headers

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER_BYTES = 1 << 18  # of a header, the part that is read before the message is fetched
HEADER = f"BODY.PEEK[HEADER]<0.{HEADER_BYTES}>"
LEAST = ("FLAGS", HEADER)  # by which a message can be known
ITEMS = ("FLAGS", "RFC822.SIZE", "INTERNALDATE", HEADER)  # the header last: some servers end a row behind it
# The verdict of the server's filter or of a person (RFC 9051 section 2.3.2), and as Thunderbird writes it.
JUNK = {b"$junk", b"junk"}
NOT_JUNK = {b"$notjunk", b"notjunk", b"nonjunk"}
FIRST_YEAR, LAST_YEAR = 1971, 9998  # of an INTERNALDATE that may be one; a day more or less is still a date


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """A message before it is fetched."""

    uid: int
    size_bytes: int  # RFC822.SIZE, 0 where the server does not know it
    received_at: datetime  # INTERNALDATE, aware, UTC
    header: bytes  # as it came, at most HEADER_BYTES
    junk: bool | None = None  # what its keywords say; None when they say nothing, or both
    keywords: frozenset[str] = frozenset()  # and flags, in lower case: their case means nothing


def arrival_of(uid: int, row: Mapping[bytes, Any]) -> MessageSummary | None:
    """Build the arrival from a row of a FETCH of ITEMS. None where the row lacks the header.

    Without its header a message cannot be identified. Where the server has no date for it, the message counts as
    received at its Date, or now if that lies ahead or is no date.
    """
    header = header_of(row)
    if header is None:
        return None
    size, flags = row.get(b"RFC822.SIZE"), flags_of(row)
    return MessageSummary(
        uid,
        size if isinstance(size, int) else 0,
        _received_at(row.get(b"INTERNALDATE"), header),
        header,
        _junk(flags),
        frozenset(flag.decode("ascii", "replace") for flag in flags),
    )


def header_of(row: Mapping[bytes, Any]) -> bytes | None:
    """Return the header in a row of a FETCH of HEADER, at most HEADER_BYTES, None where there is none."""
    header = body_of(row, b"HEADER", 0)
    return header[:HEADER_BYTES] if isinstance(header, bytes) else None


def body_of(row: Mapping[bytes, Any], section: bytes, offset: int) -> object:
    """Return what a row gives of a section from an offset on, None where it gives nothing.

    RFC 9051 section 7.5.2 names the offset in angle brackets. Some servers repeat the size there too, or leave the
    brackets out.
    """
    name = b"BODY[%s]" % section
    begins = (b"%s<%d>" % (name, offset), b"%s<%d." % (name, offset))
    return next((value for key, value in row.items() if key == name or key.startswith(begins)), None)


def flags_of(row: Mapping[bytes, Any]) -> set[bytes]:
    """Return the flags of a FETCH row in lower case: their case means nothing."""
    # A flag of digits alone comes as a number. None of the flags that we know is one.
    flags = row.get(b"FLAGS")
    return {flag.lower() for flag in flags if isinstance(flag, bytes)} if isinstance(flags, tuple) else set()


def _received_at(told: object, header: bytes) -> datetime:
    if isinstance(told, datetime) and FIRST_YEAR <= told.year <= LAST_YEAR:
        return told.astimezone(UTC)
    now = datetime.now(UTC)
    sent_at = headers.date(headers.take_apart(header).first(b"date"))
    return min(sent_at, now) if sent_at and sent_at.year >= FIRST_YEAR else now


def _junk(flags: set[bytes]) -> bool | None:
    junk, not_junk = bool(flags & JUNK), bool(flags & NOT_JUNK)
    return None if junk == not_junk else junk
