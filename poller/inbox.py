"""The polled mailbox as the workers share it: which messages wait in it, and under which reference."""

from __future__ import annotations

import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from integrations.errors import TransientError
from poller import mailbox, parsing
from poller.journal import MessageGoneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from poller.mailbox import Arrival, Mailbox
    from poller.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# The keyword of each outcome; IMAP keywords are ASCII atoms (RFC 9051 section 2.3.2).
KEYWORDS = {
    "support": "Figurative-Support",
    "modelisation": "Figurative-Modelisation",
    "ignored": "Figurative-Ignored",
    "failed": "Figurative-Failed",
}


class Source(Protocol):
    """Where messages come from, and where they are filed."""

    account: str  # whose mailbox it is; part of every reference

    def fetch(self, reference: str, path: Path) -> datetime:
        """Write the raw message to the path and say when it was received (INTERNALDATE, UTC)."""

    def label(self, reference: str, outcome: str) -> None:
        """File every copy of the message under its outcome."""


class Inbox:
    """A `Source` on IMAP, for any number of threads: each call takes a session of its own from a small pool.

    A message is known by its reference. UIDs are remembered with the UIDVALIDITY they belong to (RFC 9051 section
    2.3.1.1): when it changes, all of them are forgotten and read anew.
    """

    def __init__(self, settings: Settings) -> None:
        """Nothing is connected before the first call."""
        self._imap, self._names = settings.imap, settings.labels
        self.account = f"{settings.imap.username}@{settings.imap.host}/{settings.imap.mailbox}"
        self._lock = threading.Lock()
        self._idle: list[Mailbox] = []
        self._uidvalidity = 0
        self._known: dict[int, tuple[str, Arrival]] = {}  # uid -> reference, in order of arrival

    def close(self) -> None:
        """End every session that is not in use."""
        with self._lock:
            sessions, self._idle = self._idle, []
        for session in sessions:
            session.close()

    def scan(self) -> list[str]:
        """The references of all messages that wait, the oldest first, each once."""
        with self._session() as session:
            uids = session.uids()
            with self._lock:
                if session.uidvalidity != self._uidvalidity:
                    self._uidvalidity, self._known = session.uidvalidity, {}
                known = {uid: self._known[uid] for uid in uids if uid in self._known}
            for arrival in session.arrivals([uid for uid in uids if uid not in known]):
                known[arrival.uid] = (self._reference(session, arrival), arrival)
        with self._lock:
            self._known = known
        waiting = sorted(known.values(), key=lambda message: message[1].received_at)
        return list(dict.fromkeys(reference for reference, _ in waiting))

    def confirm(self, reference: str) -> bool:
        """Whether the message is in the mailbox at this very moment."""
        with self._session() as session:
            return bool(session.present(self._uids(reference, session)))

    def fetch(self, reference: str, path: Path) -> datetime:
        """See `Source`; of a message over the size limit only the beginning is written."""
        if not self._copies(reference):
            self.scan()  # Another machine may have queued it.
        for uid, arrival in self._copies(reference):
            with self._session() as session, path.open("wb") as file:
                if session.uidvalidity == self._uidvalidity:
                    file.writelines(session.pieces(uid, self._imap.max_message_bytes))
                    return arrival.received_at
        raise MessageGoneError(reference)

    def label(self, reference: str, outcome: str) -> None:
        """See `Source`."""
        others = [keyword for name, keyword in KEYWORDS.items() if name != outcome]
        with self._session() as session:
            if uids := self._uids(reference, session):
                session.label(uids, getattr(self._names, outcome), KEYWORDS[outcome], others)
        log.info("message_labelled", ref=reference, outcome=outcome, copies=len(uids))

    def _copies(self, reference: str) -> list[tuple[int, Arrival]]:
        with self._lock:
            return [(uid, arrival) for uid, (known, arrival) in self._known.items() if known == reference]

    def _uids(self, reference: str, session: Mailbox) -> list[int]:
        return [uid for uid, _ in self._copies(reference)] if session.uidvalidity == self._uidvalidity else []

    def _reference(self, session: Mailbox, arrival: Arrival) -> str:
        """By the header; a message without Message-ID is known by its bytes only, so it is read whole."""
        if reference := parsing.reference_of(self.account, arrival.header):
            return reference
        with tempfile.NamedTemporaryFile() as file:
            file.writelines(session.pieces(arrival.uid, self._imap.max_message_bytes))
            file.flush()
            return parsing.reference_of_bytes(self.account, Path(file.name))

    @contextmanager
    def _session(self) -> Iterator[Mailbox]:
        """A live session; one that fails is dropped."""
        session, alive = self._take(), True
        try:
            yield session
        except TransientError:
            alive = False
            raise
        finally:
            if alive:
                with self._lock:
                    self._idle.append(session)
            else:
                session.close()

    def _take(self) -> Mailbox:
        with self._lock:
            session = self._idle.pop() if self._idle else None
        if session:
            try:
                session.refresh()
            except TransientError:
                session.close()
            else:
                return session
        return mailbox.connect(self._imap)
