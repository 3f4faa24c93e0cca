"""Scan a mailbox for the messages that wait in it, and ask the server for as little as possible."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from integrations.errors import TransientError
from poller.imap import search
from poller.imap.session import DaySearchError
from poller.mailbox.new_messages import NewMessages, lightened

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from datetime import date

    from poller.config.settings import ImapSettings
    from poller.imap.connection import ConnectionCutError
    from poller.imap.fetch import MessageSummary
    from poller.imap.search import Counts
    from poller.imap.session import ImapSession
    from poller.mailbox.variants import Variants

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

DOUBTS = 3  # scans in a row that get none of the new messages: then the fault is the messages', not the server's
WHOLE_LOOK_S = 600.0  # between two full scans: only these see that a mark of deletion was taken off
UNKNOWN_S = 600.0  # for which SEARCH lists a message that FETCH does not know, before it counts as unreadable
NAMED = 10  # UIDs, of those that an error is about
FEW = 1_000  # messages; a mailbox of no more is selected anew at each scan, one of more at each full scan


@dataclass(frozen=True, slots=True)
class ScanScope:
    """The scope of a scan. Where any of it changes, nothing that was found before holds."""

    uidvalidity: int  # UIDs hold under it alone (RFC 9051 section 2.3.1.1)
    since: date | None  # messages from before this day (UTC) are left alone; None: no message is
    reach: date | None  # the first day that ever was `since`: what was taken up from then on is not left alone


@dataclass(frozen=True, slots=True)
class MailboxSnapshot:
    """The mailbox as a scan has found it. Messages are known by UID."""

    view: ScanScope | None = None  # None: there was no scan yet
    counts: Counts | None = None  # from which the next scan starts; None where the server does not tell them
    waiting: Mapping[int, tuple[str, MessageSummary]] = field(default_factory=dict)  # each with its reference
    left_alone: Mapping[int, str] = field(default_factory=dict)  # the reference alone: there may be a hundred thousand
    unread: Mapping[int, float] = field(default_factory=dict)  # what the server does not give, since when; monotonic
    unknown: Mapping[int, float] = field(default_factory=dict)  # what FETCH does not know yet, since when; monotonic
    has_more: bool = False  # messages are left for the next scan: reading all would have held other mail up
    next_uid: int = 0  # UIDNEXT, 0 where the server does not tell it
    by_reference: Mapping[str, Mapping[int, MessageSummary]] = field(default_factory=dict)  # what waits, by reference
    are_left_alone: frozenset[str] = frozenset()  # the references that are left alone

    @property
    def uidvalidity(self) -> int:
        """Return the UIDVALIDITY of its UIDs, 0 where there was no scan yet."""
        return self.view.uidvalidity if self.view else 0

    def in_order(self) -> list[str]:
        """Return the references of what waits, the oldest first, each once."""
        oldest_first = sorted((arrival.received_at, uid, name) for uid, (name, arrival) in self.waiting.items())
        return list(dict.fromkeys(reference for _, _, reference in oldest_first))

    def received_at(self) -> dict[str, datetime]:
        """Return the arrival time of the first copy of each message that waits."""
        first: dict[str, datetime] = {}
        for reference, arrival in self.waiting.values():
            first[reference] = min(arrival.received_at, first.get(reference, arrival.received_at))
        return first

    def before(self, at: datetime, uid: int) -> list[tuple[str, bytes]]:
        """Return what waits and came before that moment, or at it and under a lower UID: reference and header."""
        waiting = self.waiting.values()
        return [(name, arrival.header) for name, arrival in waiting if (arrival.received_at, arrival.uid) < (at, uid)]

    def copies(self, reference: str) -> dict[int, MessageSummary | None]:
        """Return every copy of a message by UID. The value is None for a copy that is left alone."""
        is_alone = reference in self.are_left_alone
        alone = [uid for uid, known in self.left_alone.items() if known == reference] if is_alone else []
        return {**dict.fromkeys(alone), **self.by_reference.get(reference, {})}


class MailboxScanner:
    """Scans one mailbox again and again, each time from what the last scan found.

    It is for one thread at a time.
    """

    def __init__(self, imap: ImapSettings) -> None:
        """Begin with nothing found.

        `seen` may be read by any thread: a scan replaces it, and changes nothing in it.
        """
        self._imap = imap
        self.seen = MailboxSnapshot()
        self._new = NewMessages(imap)
        self._view: ScanScope | None = None  # that of the new messages
        self._doubts = 0  # scans in a row at which the server gave nothing that is new
        self._day_failures = 0  # in a row, of searches by day
        self._lists_all = False  # as the server cannot tell the messages of some days from the others
        self._whole_look_at_s = 0.0  # on the monotonic clock

    def scan(
        self,
        session: ImapSession,
        view: ScanScope,
        variants: Variants,
        taken_up: Callable[[Collection[str]], Collection[str]],
        progress: Callable[[], object],
        is_polled: bool,
        *,
        all_or_none: bool = False,
    ) -> MailboxSnapshot:
        """Scan the mailbox and return what is there now. See `Inbox.scan` for the requests and the errors.

        `taken_up` returns which of some references were taken up once, though they are from before `since`. For
        `progress` see `NewMessages.read`. Where the mailbox `is_polled`, some messages may be left for the next scan.
        """
        if self._view != view:
            self._view, self._new = view, NewMessages(self._imap)
        then = self.seen if self.seen.view == view else MailboxSnapshot()
        if not then.counts or then.counts.messages <= FEW or time.monotonic() >= self._whole_look_at_s:
            session.reselect()
        counts = session.counts()
        next_uid = counts.next_uid if counts else 0
        if counts and next_uid < then.next_uid:
            # RFC 9051 section 2.3.1.1 forbids it. A mailbox that was restored or repaired does it all the same.
            log.warning("uids_reused", uidvalidity=view.uidvalidity)
            self.forget()
            then = self.seen
        uids = self._changed(session, counts, then)
        whole = uids is None
        if uids is None:
            # SINCE compares days in the server's own time zone (RFC 9051 section 6.4.4), so one day more is requested.
            since = view.reach - timedelta(days=1) if view.reach and not self._lists_all else None
            uids = session.uids(since, counts)
            self._day_failures = 0
        counts = _shown(session, counts, uids, None if whole else then.counts)
        refused: set[int] = set()
        put_off: set[int] | None = set() if is_polled and not all_or_none else None
        waiting, early = self._taken_in(session, uids, view, then, variants, progress, refused, put_off)
        left_alone = _left_alone(then, early, set(uids) if whole else None)
        # Another machine may have taken up what was left alone here: each full scan checks that.
        asked = left_alone if whole else early
        if asked and (found := taken_up(set(asked.values()))):
            again = [uid for uid, reference in asked.items() if reference in found]
            for arrival in session.fetch_summaries(again, refused):
                waiting[arrival.uid] = asked[arrival.uid], lightened(arrival)
            left_alone = {uid: name for uid, name in left_alone.items() if uid not in {*waiting, *refused}}
        unknown = [uid for uid in uids if uid not in waiting and uid not in left_alone]
        unread, unknown_since = _not_given(unknown, refused, then)
        unknown_since |= dict.fromkeys(put_off or (), time.monotonic())
        for uid in unread.keys() - then.unread.keys():
            log.warning("message_unreadable", uid=uid, uidvalidity=view.uidvalidity)
        if unknown and all_or_none:
            raise TransientError("IMAP FETCH: not every message can be read", outcome_unknown=False)
        if whole:
            self._whole_look_at_s = time.monotonic() + WHOLE_LOOK_S
        now = replace(then, view=view, counts=counts, unread=unread, unknown=unknown_since, next_uid=next_uid)
        self.seen = _seen(replace(now, has_more=bool(put_off)), waiting, left_alone)
        return self.seen

    def goes_on(self, error: ConnectionCutError | DaySearchError) -> bool:
        """Return whether to scan once more, on another connection, after such an error."""
        if isinstance(error, DaySearchError):
            self._day_failures += 1
            if self._day_failures > 1:  # The first may be chance.
                log.warning("days_not_searched", reason=str(error))
                self._lists_all = True
            return True
        return self._new.goes_on()

    def forget(self) -> None:
        """Forget what was found: the UIDs mean other messages now."""
        self.seen, self._new = MailboxSnapshot(), NewMessages(self._imap)

    def rename(self, references: Mapping[int, str]) -> None:
        """Give these of the waiting messages another reference, by UID."""
        seen = self.seen
        waiting = {uid: (references.get(uid, name), arrival) for uid, (name, arrival) in seen.waiting.items()}
        if references and seen.view:
            self.seen = _seen(seen, waiting, seen.left_alone)

    def _changed(self, session: ImapSession, counts: Counts | None, then: MailboxSnapshot) -> list[int] | None:
        """Return the UIDs of what waited and still does, and of what is new. None means that a full scan is needed."""
        if not counts or not then.counts or time.monotonic() >= self._whole_look_at_s:
            return None
        if counts.messages - then.counts.messages > search.ANSWER:
            return None
        known = {*then.waiting, *then.unread, *then.unknown}
        uids = session.new_uids(then.counts.next_uid, known)
        expected = then.counts.messages + len(uids) - len(known)
        return uids if counts.messages == expected else None

    def _taken_in(
        self,
        session: ImapSession,
        uids: list[int],
        view: ScanScope,
        then: MailboxSnapshot,
        variants: Variants,
        progress: Callable[[], object],
        refused: set[int],
        put_off: set[int] | None,
    ) -> tuple[dict[int, tuple[str, MessageSummary]], dict[int, str]]:
        """Return those of these messages that wait, and the new ones from before `since`. What is new is read.

        What the server does not give is added to `refused`.
        """
        waiting = {uid: then.waiting[uid] for uid in uids if uid in then.waiting}
        early: dict[int, str] = {}
        new = [uid for uid in uids if uid not in waiting and uid not in then.left_alone]
        fresh = self._new.read(session, new, variants.account(self._imap), refused, progress, put_off)
        # If the server gives other messages, the fault is that message's. If it gives none, it may be the server's.
        doubtful = refused - then.unread.keys() and len(refused) == len(new)
        self._doubts = self._doubts + 1 if doubtful else 0
        if 0 < self._doubts < DOUBTS:
            uid_list = ", ".join(map(str, new[:NAMED])) + (", ..." if len(new) > NAMED else "")
            why = f"IMAP FETCH: the server gives none of {len(new)} new messages (UID {uid_list})"
            raise TransientError(why, outcome_unknown=False)
        self._doubts = 0
        named = variants.named(session, {uid: reference for uid, (reference, _) in fresh.items()})
        refused |= fresh.keys() - named.keys()
        for uid, reference in named.items():
            _, arrival = fresh[uid]
            if view.since and arrival.received_at.date() < view.since:
                early[uid] = reference
            else:
                waiting[uid] = reference, arrival
        return waiting, early


def _left_alone(then: MailboxSnapshot, early: Mapping[int, str], present: set[int] | None) -> Mapping[int, str]:
    """Return what is left alone: what was before, and is `present` where that is known, and what is `early` by now."""
    left_alone = then.left_alone
    if present is not None:
        left_alone = {uid: reference for uid, reference in left_alone.items() if uid in present}
    return {**left_alone, **early} if early else left_alone


def _shown(session: ImapSession, counts: Counts | None, uids: list[int], then: Counts | None) -> Counts | None:
    """Return the counts from which the next scan starts: some servers count a message before they show it.

    `then` are those of the scan before, None where everything was requested at this one.
    """
    last = max(uids, default=0)
    if not counts or last + 1 >= counts.next_uid:
        return counts
    # What was not requested, because of its age or its mark of deletion, counts as seen as well.
    last = max(last, then.next_uid - 1 if then else session.last_uid())
    return replace(counts, next_uid=min(counts.next_uid, last + 1))


def _not_given(
    uids: Iterable[int], refused: Collection[int], then: MailboxSnapshot
) -> tuple[dict[int, float], dict[int, float]]:
    """Return those of these messages that cannot be read, and those that FETCH does not know yet, each since when."""
    unread: dict[int, float] = {}
    unknown: dict[int, float] = {}
    now_s = time.monotonic()
    for uid in uids:
        since_s = then.unknown.get(uid, now_s)
        if uid in refused or uid in then.unread or now_s - since_s >= UNKNOWN_S:
            unread[uid] = then.unread.get(uid, now_s)
        else:
            unknown[uid] = since_s
    return unread, unknown


def _seen(
    found: MailboxSnapshot, waiting: Mapping[int, tuple[str, MessageSummary]], left_alone: Mapping[int, str]
) -> MailboxSnapshot:
    """Return the snapshot with these messages that wait and are left alone. `found` has those of the last scan."""
    by_reference: dict[str, dict[int, MessageSummary]] = {}
    for uid, (reference, arrival) in waiting.items():
        by_reference.setdefault(reference, {})[uid] = arrival
    same = left_alone is found.left_alone
    are_left_alone = found.are_left_alone if same else frozenset(left_alone.values())
    return replace(
        found, waiting=waiting, left_alone=left_alone, by_reference=by_reference, are_left_alone=are_left_alone
    )
