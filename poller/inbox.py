"""The polled mailbox as the workers share it: which messages wait in it, and under which reference."""

from __future__ import annotations

import tempfile
import threading
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from integrations.errors import TransientError
from poller import mailbox, parsing
from poller.journal import MessageGoneError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date, datetime

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

    def holds_older(self, reference: str, message_ids: Iterable[str]) -> bool:
        """Whether a message that came before this one, and still waits, is or names one of these."""


class Inbox:
    """A `Source` on IMAP, for any number of threads: each call takes a session of its own from a small pool.

    A message is known by its reference. UIDs are remembered with the UIDVALIDITY they belong to (RFC 9051 section
    2.3.1.1): when it changes, all of them are forgotten and read anew.
    """

    def __init__(self, settings: Settings) -> None:
        """Nothing is connected before the first call."""
        self._imap, self._names = settings.imap, settings.labels
        self.since: date | None = None  # the day (UTC) before which messages are left alone; None: none is
        self.account = f"{settings.imap.username}@{settings.imap.host}/{settings.imap.mailbox}"
        self._lock = threading.Lock()
        self._scanning = threading.Lock()
        self._idle: list[Mailbox] = []
        self._uidvalidity = 0
        # By UID, in order of arrival; the reference is "" for a message that is left alone.
        self._known: dict[int, tuple[str, Arrival]] = {}

    def close(self) -> None:
        """End every session that is not in use."""
        with self._lock:
            sessions, self._idle = self._idle, []
        for session in sessions:
            session.close()

    def scan(self) -> list[str]:
        """The references of all messages that wait, the oldest first, each once."""
        # One scan at a time: a slower one must not overwrite what a later one has seen.
        with self._scanning, self._session() as session:
            # SINCE compares days in the server's own time zone (RFC 9051 section 6.4.4): a day too many is asked for.
            uids = session.uids(self.since and self.since - timedelta(days=1))
            with self._lock:
                if session.uidvalidity != self._uidvalidity:
                    self._uidvalidity, self._known = session.uidvalidity, {}
                known = {uid: self._known[uid] for uid in uids if uid in self._known}
            for arrival in session.arrivals([uid for uid in uids if uid not in known]):
                early = self.since is not None and arrival.received_at.date() < self.since
                with suppress(MessageGoneError):  # Somebody took it between the look and the reading.
                    known[arrival.uid] = ("" if early else self._reference(session, arrival), arrival)
        with self._lock:
            self._known = known
        waiting = sorted(known.values(), key=lambda message: message[1].received_at)
        return list(dict.fromkeys(reference for reference, _ in waiting if reference))

    def confirm(self, reference: str) -> bool:
        """Whether the message is in the mailbox at this very moment."""
        with self._session() as session:
            self._check_uidvalidity(session)
            return bool(session.present([uid for uid, _ in self._copies(reference)]))

    def fetch(self, reference: str, path: Path) -> datetime:
        """See `Source`; of a message over the size limit only the beginning is written."""
        for uid, arrival in self._copies(reference) or self._looked_for(reference):
            with self._session() as session, path.open("wb") as file, suppress(MessageGoneError):
                self._check_uidvalidity(session)
                file.writelines(session.pieces(uid, self._imap.max_message_bytes))
                return arrival.received_at
        raise MessageGoneError(reference)

    def label(self, reference: str, outcome: str) -> None:
        """See `Source`."""
        others = [keyword for name, keyword in KEYWORDS.items() if name != outcome]
        uids = [uid for uid, _ in self._copies(reference) or self._looked_for(reference)]
        if uids:
            with self._session() as session:
                self._check_uidvalidity(session)
                session.label(uids, getattr(self._names, outcome), KEYWORDS[outcome], others)
        log.info("message_labelled", ref=reference, outcome=outcome, copies=len(uids))

    def holds_older(self, reference: str, message_ids: Iterable[str]) -> bool:
        """See `Source`."""
        wanted = [message_id.encode() for message_id in message_ids]
        with self._lock:
            own = min((uid for uid, (known, _) in self._known.items() if known == reference), default=0)
            older = [arrival.header for uid, (known, arrival) in self._known.items() if known and uid < own]
        return any(message_id in header for header in older for message_id in wanted)

    def bring_back(self, reference: str) -> bool:
        """Put a failed message back into the mailbox, to be tried again; False when it is not where failures go."""
        # A session of its own: it stands in another mailbox than those of the pool.
        with closing(mailbox.connect(self._imap)) as session:
            session.enter(self._names.failed)
            arrivals = session.arrivals(session.uids())
            found = [arrival.uid for arrival in arrivals if self._reference(session, arrival) == reference]
            if found:
                session.move(found, self._imap.mailbox)
        return bool(found)

    def filed(self) -> dict[str, set[str]]:
        """The references of all messages that lie where each outcome goes, by outcome."""
        # A session of its own: one of the pool must not be left in another mailbox.
        with closing(mailbox.connect(self._imap)) as session:
            return {outcome: self._lying_under(session, outcome) for outcome in KEYWORDS}

    def _lying_under(self, session: Mailbox, outcome: str) -> set[str]:
        found = set()
        session.enter(getattr(self._names, outcome))
        for arrival in session.arrivals(session.uids()):
            with suppress(MessageGoneError):  # Somebody took it between the look and the reading.
                found.add(self._reference(session, arrival))
        return found

    def _copies(self, reference: str) -> list[tuple[int, Arrival]]:
        with self._lock:
            return [(uid, arrival) for uid, (known, arrival) in self._known.items() if known == reference]

    def _looked_for(self, reference: str) -> list[tuple[int, Arrival]]:
        """The copies of a message that nobody here has seen yet: another machine may have queued it."""
        self.scan()
        return self._copies(reference)

    def _check_uidvalidity(self, session: Mailbox) -> None:
        if session.uidvalidity != self._uidvalidity:
            raise TransientError("IMAP: the mailbox has been made anew", outcome_unknown=False)

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
        session, clean = self._take(), False
        try:
            yield session
            clean = True
        except MessageGoneError:
            clean = True
            raise
        finally:
            if clean:
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
