"""The polled mailbox as the workers share it: which messages wait in it, and under which reference."""

from __future__ import annotations

import re
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from integrations.errors import TransientError
from poller import filed, mailbox, searching
from poller.attempts import MessageGoneError
from poller.fetching import account_of, reference_of, write
from poller.sessions import Sessions
from poller.source import KEYWORDS, Fetched

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from datetime import date
    from pathlib import Path

    from poller.arrivals import Arrival
    from poller.letter import Receipt
    from poller.mailbox import Mailbox
    from poller.searching import Counts
    from poller.settings import Settings

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

DOUBTS = 3  # looks in a row at which nothing that is new is given: then it is the messages' trouble, not the server's
WHOLE_LOOK_S = 600.0  # between two looks at every message: a mark of deletion taken off shows there alone

_MESSAGE_ID = re.compile(rb"<[^<>\r\n]*>")  # and addresses, which do no harm


@dataclass(frozen=True, slots=True)
class _View:
    """What is looked at; where any of it changes, nothing that was seen before holds."""

    uidvalidity: int
    since: date | None
    reach: date | None


class Inbox:
    """A `Source` on IMAP, for any number of threads: they take turns at a few sessions, and a look waits for none.

    A message is known by its reference. UIDs are remembered with the UIDVALIDITY they belong to (RFC 9051 section
    2.3.1.1): when it changes, all of them are forgotten and read anew.
    """

    def __init__(self, settings: Settings, within: str = "") -> None:
        """Nothing is connected before the first call.

        `within` is another mailbox of the account than the polled one, by the name that `Mailbox.label` takes: a
        message has the same reference in it, and where there is none every call that needs it raises MessageGoneError.
        """
        self._settings, self._imap, self._names = settings, settings.imap, settings.labels
        self._sessions = Sessions(settings.imap, within)
        self.since: date | None = None  # the day (UTC) before which messages are left alone; None: none is
        # Older ones that were taken up once are not: the first day that ever was `since`, and which of these they are.
        self.reach: Callable[[], date | None] = lambda: self.since
        self.taken_up: Callable[[Collection[str]], Collection[str]] = lambda _: ()
        self.progress: Callable[[], object] = lambda: None  # called at each message that a look comes to
        self.account = account_of(settings.imap)
        self._lock = threading.Lock()
        self._scanning = threading.Lock()
        self._waiting: dict[int, tuple[str, Arrival]] = {}  # by UID, each with its reference
        self._by_reference: dict[str, dict[int, Arrival]] = {}  # the same
        self._left_alone: dict[int, str] = {}  # the reference alone, by UID: there may be a hundred thousand
        self._are_left_alone: Collection[str] = ()  # these references
        self._unread: dict[int, datetime] = {}  # UIDs of what the server would not give, since when; asked for anew
        self._doubts = 0  # looks in a row at which it gave nothing that is new
        self._view: _View | None = None  # under which these were seen; None: never yet
        self._counts: Counts | None = None  # of the mailbox, as these were seen
        self._whole_look_at_s = 0.0  # on the monotonic clock

    def count(self, mailboxes: Collection[str]) -> dict[str, int]:
        """How many messages lie in each of these mailboxes of the account; one round trip each."""
        if not mailboxes:
            return {}
        with self._sessions.one() as session:
            return {name: session.count(name) for name in mailboxes}

    def ensure(self, mailbox: str) -> None:
        """Make a mailbox of the account when it is missing; see `Mailbox.ensure`."""
        with self._sessions.one() as session:
            session.ensure(mailbox)

    def move(self, reference: str, mailbox: str) -> None:
        """Put every copy of the message into another mailbox, which is made when missing; its keywords stay."""
        if uids := list(self._copies(reference)):
            with self._sessions.one() as session:
                self._check_uidvalidity(session)
                session.move(uids, session.ensure(mailbox))

    def close(self) -> None:
        """End every session that is not in use."""
        self._sessions.close()

    def scan(self, *, all_or_none: bool = False) -> list[str]:
        """The references of all messages that wait, the oldest first, each once.

        Only what is new is asked for, and whether what waited is still there. Everything is now and then, and whenever
        the number of messages is not what it must then be.

        Raises:
            TransientError: the server is out of reach, or gives none of the new messages at the first or second look
                that asks for them; for `all_or_none`, it does not give all.
        """
        # One scan at a time: a slower one must not overwrite what a later one has seen.
        with self._scanning, self._sessions.one(at_once=True) as session:
            counts = session.counts()
            view = _View(session.uidvalidity, self.since, self.reach())
            uids = self._changed(session, counts, view)
            whole = uids is None
            if uids is None:
                # SINCE compares days in the server's own time zone (RFC 9051 section 6.4.4): a day too many is asked.
                uids = session.uids(view.reach and view.reach - timedelta(days=1), counts)
            seen = self._seen(session, counts, uids, whole=whole)
            waiting, left_alone = self._taken_in(session, uids, view, whole=whole)
            before, now = self._unread if view == self._view else {}, datetime.now(UTC)
            unread = {uid: before.get(uid, now) for uid in uids if uid not in waiting and uid not in left_alone}
            if unread and all_or_none:
                raise TransientError("IMAP FETCH: not every message can be read", outcome_unknown=False)
        with self._lock:
            if left_alone is not self._left_alone:
                self._are_left_alone = frozenset(left_alone.values())
            self._waiting, self._left_alone, self._unread = waiting, left_alone, unread
            self._by_reference = {}
            for uid, (reference, arrival) in waiting.items():
                self._by_reference.setdefault(reference, {})[uid] = arrival
            self._view, self._counts = view, seen
            if whole:
                self._whole_look_at_s = time.monotonic() + WHOLE_LOOK_S
        in_order = sorted((arrival.received_at, uid, reference) for uid, (reference, arrival) in waiting.items())
        return list(dict.fromkeys(reference for _, _, reference in in_order))

    def _changed(self, session: Mailbox, counts: Counts | None, view: _View) -> list[int] | None:
        """The UIDs of what waited and still does, and of what is new; None when everything must be looked at."""
        then = self._counts
        if not counts or not then or view != self._view or time.monotonic() >= self._whole_look_at_s:
            return None
        if counts.messages - then.messages > searching.ANSWER:
            return None
        known = {*self._waiting, *self._unread}
        uids = session.new_uids(then.next_uid, known)
        expected = then.messages + len(uids) - len(known)
        return uids if counts.messages == expected else None

    def _seen(self, session: Mailbox, counts: Counts | None, uids: list[int], *, whole: bool) -> Counts | None:
        """The counts of which the next look is to start: some servers count a message before they show it."""
        last = max(uids, default=0)
        if not counts or last + 1 >= counts.next_uid:
            return counts
        if whole:
            # What was not asked for, for its age or its mark of deletion, has been seen as well.
            last = max(last, session.last_uid())
        elif self._counts:
            last = max(last, self._counts.next_uid - 1)
        return replace(counts, next_uid=min(counts.next_uid, last + 1))

    def _taken_in(
        self, session: Mailbox, uids: list[int], view: _View, *, whole: bool
    ) -> tuple[dict[int, tuple[str, Arrival]], dict[int, str]]:
        """What of these messages waits, and what is left alone; what is new among them is read."""
        waiting, left_alone = (self._waiting, self._left_alone) if view == self._view else ({}, {})
        if whole:
            present = set(uids)
            left_alone = {uid: reference for uid, reference in left_alone.items() if uid in present}
        waiting = {uid: waiting[uid] for uid in uids if uid in waiting}
        early: dict[int, str] = {}
        refused: set[int] = set()
        new = [uid for uid in uids if uid not in waiting and uid not in left_alone]
        for arrival in session.arrivals(new, refused):
            self.progress()
            with suppress(MessageGoneError):  # Somebody took it between the look and the reading.
                reference = reference_of(session, arrival, self._imap)
                if self.since and arrival.received_at.date() < self.since:
                    early[arrival.uid] = reference
                else:
                    waiting[arrival.uid] = reference, _lightened(arrival)
        # What was refused while others were given is that message's own trouble, else it may well be the server's.
        told = self._unread.keys() if view == self._view else set()
        self._doubts = self._doubts + 1 if refused - told and len(refused) == len(new) else 0
        if 0 < self._doubts < DOUBTS:
            why = f"IMAP FETCH: the server gives none of {len(new)} new messages"
            raise TransientError(why, outcome_unknown=False)
        self._doubts = 0
        # What was left alone may have been taken up by another machine: that is asked when everything is.
        left_alone = left_alone | early if early else left_alone
        asked = left_alone if whole else early
        taken_up = self.taken_up(set(asked.values())) if asked else ()
        if found := [uid for uid, reference in asked.items() if reference in taken_up]:
            for arrival in session.arrivals(found, refused):
                waiting[arrival.uid] = asked[arrival.uid], _lightened(arrival)
            left_alone = {uid: reference for uid, reference in left_alone.items() if uid not in {*waiting, *refused}}
        for uid in refused - told:
            log.warning("message_unreadable", uid=uid, uidvalidity=view.uidvalidity)
        return waiting, left_alone

    def confirm(self, reference: str) -> bool:
        """Whether the message is in the mailbox at this very moment."""
        with self._sessions.one() as session:
            self._check_uidvalidity(session)
            return bool(session.present(list(self._known(reference))))

    def fetch(self, reference: str, path: Path) -> Fetched:
        """See `Source`; the beginning is BEGINNING_BYTES, and no more of the message is asked for."""
        for uid, seen in self._copies(reference).items():
            with self._sessions.one() as session, path.open("wb") as file, suppress(MessageGoneError):
                self._check_uidvalidity(session)
                for arrival in [seen] if seen else session.arrivals([uid]):
                    return Fetched(arrival.received_at, write(session, arrival, file, self._imap), arrival.junk)
        raise MessageGoneError(reference)

    def mark_seen(self, reference: str) -> None:
        """See `Source`."""
        if uids := list(self._copies(reference)):
            with self._sessions.one() as session:
                self._check_uidvalidity(session)
                session.mark_seen(uids)

    def label(self, reference: str, outcome: str) -> None:
        """See `Source`."""
        others = [name for name in KEYWORDS if name != outcome]
        uids = list(self._copies(reference))
        if uids:
            with self._sessions.one() as session:
                self._check_uidvalidity(session)
                session.label(
                    uids,
                    getattr(self._names, outcome),
                    KEYWORDS[outcome],
                    [KEYWORDS[name] for name in others],
                    [getattr(self._names, name) for name in others],
                )
        log.info("message_labelled", ref=reference, outcome=outcome, copies=len(uids))

    def fetch_filed(self, reference: str, outcome: str, received_at: datetime, path: Path) -> Fetched:
        """See `Source`."""
        return filed.fetch(self._settings, reference, outcome, received_at, path)

    def append(self, outcome: str, receipt: Receipt, *, look: bool, supersedes: str = "") -> None:
        """See `Source`.

        Raises:
            PermanentError: the server will not take it.
        """
        name, message_id = getattr(self._names, outcome), receipt.message_id
        if supersedes:
            with closing(mailbox.connect(self._imap)) as session:
                if session.enter(self._names.failed):
                    session.settle(supersedes, name, message_id)
        with self._sessions.one() as session:
            session.append(name, receipt.raw, seen=not receipt.needs_person, unless=message_id if look else "")

    def holds_older(self, reference: str, message_ids: Iterable[str]) -> bool:
        """See `Source`."""
        wanted = [message_id.encode() for message_id in message_ids]
        with self._lock:
            own = min((uid for uid, (known, _) in self._waiting.items() if known == reference), default=0)
            older = [arrival.header for uid, (_, arrival) in self._waiting.items() if uid < own]
        return any(message_id in header for header in older for message_id in wanted)

    def was_brought_back(self, reference: str) -> bool:
        """Whether a failed message is here again to be tried again, and not for the same mail having come once more."""
        # What was filed bears the keyword wherever it is moved to, and nothing that comes by mail does.
        if any(KEYWORDS["failed"].lower() in arrival.keywords for arrival in self._waits(reference).values()):
            return True
        # Not every server keeps keywords; but only what was not moved still lies where failures go.
        return reference not in filed.lying(self._settings, "failed")

    def unreadable(self) -> dict[int, datetime]:
        """What the server would not give at the last look: UIDs, each with since when that is so."""
        with self._lock:
            return self._unread

    def received_at(self) -> dict[str, datetime]:
        """When the first copy of each message arrived that waited here at the last look."""
        first: dict[str, datetime] = {}
        with self._lock:
            for reference, arrival in self._waiting.values():
                first[reference] = min(arrival.received_at, first.get(reference, arrival.received_at))
        return first

    def _copies(self, reference: str) -> dict[int, Arrival | None]:
        """Every copy of a message that is in the mailbox, by UID; None for one that is left alone."""
        if not self._known(reference):
            self.scan()  # Nobody here has seen it yet: another machine may have queued it.
        return self._known(reference)

    def _known(self, reference: str) -> dict[int, Arrival | None]:
        alone: list[int] = []
        with self._lock:
            if reference in self._are_left_alone:
                alone = [uid for uid, known in self._left_alone.items() if known == reference]
        return {**dict.fromkeys(alone), **self._waits(reference)}

    def _waits(self, reference: str) -> dict[int, Arrival]:
        with self._lock:
            return self._by_reference.get(reference, {}).copy()

    def _check_uidvalidity(self, session: Mailbox) -> None:
        if self._view is None or session.uidvalidity != self._view.uidvalidity:
            raise TransientError("IMAP: the mailbox has been made anew", outcome_unknown=False)


def _lightened(arrival: Arrival) -> Arrival:
    """The same with the message ids in its header alone, which is what `holds_older` asks for."""
    return replace(arrival, header=b"".join(_MESSAGE_ID.findall(arrival.header)))
