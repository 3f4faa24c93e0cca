"""The polled mailbox as the workers share it: which messages wait in it, and under which reference."""

from __future__ import annotations

import tempfile
import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

import structlog

from integrations.errors import TransientError
from poller import mailbox, parsing
from poller.journal import MessageGoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from datetime import date, datetime

    from poller.mailbox import Arrival, Mailbox
    from poller.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

BEGINNING_BYTES = 1 << 20  # of a message over the size limit: enough for the header and the text of nearly all

# The keyword of each outcome; IMAP keywords are ASCII atoms (RFC 9051 section 2.3.2).
KEYWORDS = {
    "support": "Figurative-Support",
    "modelisation": "Figurative-Modelisation",
    "ignored": "Figurative-Ignored",
    "failed": "Figurative-Failed",
}
OURS = {keyword.lower() for keyword in KEYWORDS.values()}


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
        # Older ones that were taken up once are not: the first day that ever was `since`, and which of these they are.
        self.reach: Callable[[], date | None] = lambda: self.since
        self.taken_up: Callable[[Collection[str]], Collection[str]] = lambda _: ()
        self.progress: Callable[[], object] = lambda: None  # called at each message that a look comes to
        self.account = f"{settings.imap.username}@{settings.imap.host}/{settings.imap.mailbox}"
        self._lock = threading.Lock()
        self._scanning = threading.Lock()
        self._idle: list[Mailbox] = []
        self._uidvalidity = 0
        self._known: dict[int, tuple[str, Arrival]] = {}  # by UID, in order of arrival, each with its reference
        self._left_alone: set[str] = set()

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
            reach = self.reach()
            uids = session.uids(reach and reach - timedelta(days=1))
            with self._lock:
                if session.uidvalidity != self._uidvalidity:
                    self._uidvalidity, self._known = session.uidvalidity, {}
                known = {uid: self._known[uid] for uid in uids if uid in self._known}
            for arrival in session.arrivals([uid for uid in uids if uid not in known]):
                self.progress()
                with suppress(MessageGoneError):  # Somebody took it between the look and the reading.
                    known[arrival.uid] = (self._reference(session, arrival), arrival)
            left_alone = self._too_early(known.values())
        with self._lock:
            self._known, self._left_alone = known, left_alone
        waiting = sorted(known.values(), key=lambda message: message[1].received_at)
        return [reference for reference in dict.fromkeys(each for each, _ in waiting) if reference not in left_alone]

    def _too_early(self, messages: Collection[tuple[str, Arrival]]) -> set[str]:
        """Those that came before `since` and were never taken up."""
        if self.since is None:
            return set()
        in_time = {reference for reference, arrival in messages if arrival.received_at.date() >= self.since}
        early = {reference for reference, _ in messages} - in_time
        return early.difference(self.taken_up(early)) if early else early

    def confirm(self, reference: str) -> bool:
        """Whether the message is in the mailbox at this very moment."""
        with self._session() as session:
            self._check_uidvalidity(session)
            return bool(session.present([uid for uid, _ in self._copies(reference)]))

    def fetch(self, reference: str, path: Path) -> Fetched:
        """See `Source`; the beginning is BEGINNING_BYTES, and no more of the message is asked for."""
        for _, arrival in self._copies(reference) or self._looked_for(reference):
            with self._session() as session, path.open("wb") as file, suppress(MessageGoneError):
                self._check_uidvalidity(session)
                return Fetched(arrival.received_at, self._write(session, arrival, file), arrival.junk)
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
            waiting = [each for each in self._known.items() if each[1][0] not in self._left_alone]
            older = [arrival.header for uid, (_, arrival) in waiting if uid < own]
        return any(message_id in header for header in older for message_id in wanted)

    def was_brought_back(self, reference: str) -> bool:
        """Whether a failed message is here again to be tried again, and not for the same mail having come once more."""
        # What was filed bears the keyword wherever it is moved to, and nothing that comes by mail does.
        if any(KEYWORDS["failed"].lower() in arrival.keywords for _, arrival in self._copies(reference)):
            return True
        # Not every server keeps keywords; but only what was not moved still lies where failures go.
        with closing(mailbox.connect(self._imap)) as session:
            return reference not in self._lying_under(session, "failed")

    def received_at(self, reference: str) -> datetime | None:
        """When the first copy of a message arrived, None when none was here at the last look."""
        return min((arrival.received_at for _, arrival in self._copies(reference)), default=None)

    def bring_back(self, reference: str) -> bool:
        """Put a failed message back into the mailbox, to be tried again; False when it is not where failures go."""
        # A session of its own: it stands in another mailbox than those of the pool.
        with closing(mailbox.connect(self._imap)) as session:
            if not session.enter(self._names.failed):
                return False
            arrivals = session.arrivals(session.uids())
            found = [arrival.uid for arrival in arrivals if self._reference(session, arrival) == reference]
            if found:
                session.move(found, self._imap.mailbox)
        return bool(found)

    def filed(self) -> dict[str, dict[str, bool]]:
        """The references of all messages that lie where each outcome goes, by outcome; nothing is created for it.

        Beside each whether we put it there: it bears a keyword of ours, or the server keeps none.
        """
        # A session of its own: one of the pool must not be left in another mailbox.
        with closing(mailbox.connect(self._imap)) as session:
            return {outcome: self._lying_under(session, outcome) for outcome in KEYWORDS}

    def _lying_under(self, session: Mailbox, outcome: str) -> dict[str, bool]:
        found: dict[str, bool] = {}
        if not session.enter(getattr(self._names, outcome)):
            return found
        for arrival in session.arrivals(session.uids()):
            with suppress(MessageGoneError):  # Somebody took it between the look and the reading.
                reference = self._reference(session, arrival)
                ours = not session.keeps(KEYWORDS[outcome]) or not arrival.keywords.isdisjoint(OURS)
                found[reference] = ours or found.get(reference, False)
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
        """By the header; a message without a Message-ID or a Date is known by its content, so it is read whole."""
        if reference := parsing.reference_of(self.account, arrival.header):
            return reference
        with tempfile.NamedTemporaryFile() as file:
            self._write(session, arrival, file)
            file.flush()
            return parsing.reference_of_content(self.account, Path(file.name))

    def _write(self, session: Mailbox, arrival: Arrival, file: IO[bytes]) -> int:
        """Write a message or its beginning to the empty file; the size of one of which that is not all, else 0."""
        limit = self._imap.max_message_bytes
        beginning = min(limit, BEGINNING_BYTES)
        announced = arrival.size_bytes
        # Some servers announce a guess: one byte more than is taken tells whether there are more.
        most = limit + 1 if announced <= limit else beginning
        written = sum(file.write(piece) for piece in session.pieces(arrival.uid, most))
        if written < most:
            return 0
        file.truncate(beginning)
        return max(announced, written)

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
