"""Where messages come from, and where they are filed: what the workers know of the mailbox."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from poller.model import Receipt

# The keyword of each outcome; IMAP keywords are ASCII atoms (RFC 9051 section 2.3.2).
KEYWORDS = {
    "support": "Figurative-Support",
    "modelisation": "Figurative-Modelisation",
    "ignored": "Figurative-Ignored",
    "failed": "Figurative-Failed",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What is known of a message that was fetched, beside its bytes."""

    received_at: datetime  # INTERNALDATE, aware, UTC
    oversize_bytes: int = 0  # size of a message of which only the beginning was written; 0 when all of it was
    junk: bool | None = None  # what the mailbox says of it; None when it says nothing


class Source(Protocol):
    """Where messages come from, and where they are filed."""

    account: str  # whose mailbox it is; part of every reference

    def fetch(self, reference: str, path: Path) -> Fetched:
        """Write the raw message to the path, or of one over the size limit its beginning."""

    def mark_seen(self, reference: str) -> None:
        """Mark every copy of a mail as read: one of our own, for that mark is the people's elsewhere."""

    def label(self, reference: str, outcome: str) -> None:
        """File every copy of the message under its outcome."""

    def fetch_filed(self, reference: str, outcome: str, received_at: datetime, path: Path) -> Fetched:
        """As `fetch`, for a message that was filed under its outcome; it came at that time."""

    def append(self, outcome: str, receipt: Receipt, *, look: bool, supersedes: str = "") -> None:
        """Put a receipt where an outcome goes, unless we `look` and it lies there.

        Earlier ones, whose Message-ID begins with what it `supersedes`, are put beside it, as read.
        """

    def holds_older(self, reference: str, message_ids: Iterable[str]) -> bool:
        """Whether a message that came before this one, and still waits, is or names one of these."""
