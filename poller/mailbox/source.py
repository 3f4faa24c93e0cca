"""Define the mailbox as the workers see it: it gives messages, and labels them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from poller.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from poller.model import Receipt

# The keyword of each outcome; IMAP keywords are ASCII atoms (RFC 9051 section 2.3.2).
KEYWORDS = {
    Outcome.SUPPORT: "Figurative-Support",
    Outcome.MODELISATION: "Figurative-Modelisation",
    Outcome.IGNORED: "Figurative-Ignored",
    Outcome.FAILED: "Figurative-Failed",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """The facts about a fetched message, beside its bytes."""

    received_at: datetime  # INTERNALDATE, aware, UTC
    oversize_bytes: int = 0  # size of a message of which only the beginning was written; 0 when all of it was
    junk: bool | None = None  # the mailbox's spam verdict; None if it gives none


class MessageSource(Protocol):
    """A mailbox that gives messages and labels them."""

    @property
    def account(self) -> str:
        """Return what identifies the mailbox. It is part of every reference."""

    def fetch(self, reference: str, path: Path) -> Fetched:
        """Write the raw message to the path. Of a message over the size limit, write only its beginning.

        Raises:
            MessageGoneError: it is not in the mailbox.
            MessageWithheldError: it is, and the server does not give it.
        """

    def mark_seen(self, reference: str) -> None:
        """Mark every copy of a message as read.

        This is only for our own mail: on other mail the mark is for people to set.
        """

    def label(self, reference: str, outcome: Outcome) -> None:
        """Label every copy of the message with its outcome."""

    def fetch_filed(self, reference: str, outcome: Outcome, received_at: datetime, path: Path) -> Fetched:
        """Fetch like `fetch` a message that was labelled with the outcome. `received_at` is its INTERNALDATE."""

    def append(self, outcome: Outcome, receipt: Receipt, *, look: bool, supersedes: str = "") -> None:
        """Append a receipt to the outcome's mailbox. With `look`, append only if it is not there yet.

        Earlier receipts, whose Message-ID begins with `supersedes`, are moved beside it and marked as read.

        Raises:
            PermanentError: the server rejects it.
        """

    def was_sent(self, message_id: str) -> bool:
        """Return whether a letter with a Message-ID of our own making lies in the account's mailbox of sent mail.

        False where there is no such mailbox. A server need not put all that it sends there.
        """

    def older(self, reference: str, message_ids: Iterable[str]) -> str:
        """Return an older message that still waits and has or references one of these Message-IDs, "" if none does."""
