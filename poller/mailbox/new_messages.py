"""Read the new messages of a mailbox, and find those at which the server hangs up.

A message may be damaged on the server in such a way that each request for it ends the connection, or is never answered,
and with it the request for its neighbours. So after a second cut at the same messages fewer are requested at a time,
each time on a new connection, until the one at fault is alone. What was answered before a cut is not requested again.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from poller.errors import MessageGoneError, MessageWithheldError
from poller.imap.session import BATCH
from poller.mailbox.download import fetch_reference
from poller.mime.reference import reference_of
from poller.own_mail import HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from poller.config.settings import ImapSettings
    from poller.imap.fetch import MessageSummary
    from poller.imap.session import ImapSession

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CUTS = 10  # in a row, without a message in between: then the fault is the server's. One message of a batch takes 7
CUTS_S = 100.0  # from the first of them on, or the next scan goes on: a server that falls silent takes long for each
BODY_BYTES = 32 << 20  # of messages that are known by their content alone, in one poll, which other mail waits for
AGAIN_S = 600.0  # before a message at which the server hung up is requested again

# Message-IDs, and addresses too, which does no harm, and the field that marks our own mail.
_KEPT = re.compile(rb"<[^<>\r\n]*>|^%s:[^\r\n]*" % HEADER.encode(), re.IGNORECASE | re.MULTILINE)


class NewMessages:
    """The new messages of one scan, however many connections it takes. UIDs are those of one UIDVALIDITY."""

    def __init__(self, imap: ImapSettings) -> None:
        """Begin with nothing read."""
        self._imap = imap
        self._read: dict[int, tuple[str, MessageSummary]] = {}  # so far, by UID, each with its reference
        self._asked: set[int] = set()  # so far, and answered; what was not read is gone, unknown, refused or put off
        self._put_off: set[int] = set()  # so far: known by their content alone, and too much for this reading
        self._body_bytes = 0  # read so far, of messages that are known by their content alone
        self._refused: set[int] = set()  # so far
        self._batch = BATCH  # messages in the next request
        self._requested: frozenset[int] = frozenset()  # at this moment
        self._suspects: frozenset[int] = frozenset()  # one of them may be at fault
        self._cuts, self._cut_at_s = 0, 0.0  # since a message was read, and when the first was; on the monotonic clock
        self._again_at_s: dict[int, float] = {}  # each UID at which the server hangs up; on the monotonic clock

    def read(
        self,
        session: ImapSession,
        uids: Sequence[int],
        account: str,
        refused: set[int],
        progress: Callable[[], object],
        put_off: set[int] | None = None,
    ) -> dict[int, tuple[str, MessageSummary]]:
        """Return the reference and the lightened summary of each message that the server gives, by UID.

        `uids` are all that were not read by an earlier scan. `account` is part of each reference. Those that the
        server does not give are added to `refused`. Messages that are known by their content alone are read whole. With
        `put_off` that ends after BODY_BYTES, and those that are left are added to it. One is read in any case.
        `progress` is called at each message, and at each piece of one that is read whole.

        Raises:
            ConnectionCutError: read once more on another connection if `goes_on` says so.
        """
        now_s, present = time.monotonic(), set(uids)
        self._again_at_s = {uid: at_s for uid, at_s in self._again_at_s.items() if uid in present}
        refused |= {uid for uid, at_s in self._again_at_s.items() if at_s > now_s}
        known = {*refused, *self._read, *self._asked}

        def arrived(size_bytes: int) -> None:
            self._body_bytes += size_bytes
            progress()

        for batch in self._batches([uid for uid in uids if uid not in known]):
            self._requested = frozenset(batch)
            for arrival in session.fetch_summaries(batch, self._refused):
                progress()
                if put_off is not None and self._is_too_much(arrival, account):
                    self._put_off.add(arrival.uid)
                    continue
                self._requested, body_bytes = frozenset([arrival.uid]), self._body_bytes  # It may be read whole.
                try:
                    with suppress(MessageGoneError):  # A person took it between the scan and the reading.
                        reference = fetch_reference(session, arrival, self._imap, account, arrived)
                        self._read[arrival.uid] = reference, lightened(arrival)
                except MessageWithheldError:
                    self._refused.add(arrival.uid)
                    self._body_bytes = body_bytes  # or it would put off others at each scan
                self._cuts = 0
            self._asked.update(batch)
            for uid in batch:
                self._again_at_s.pop(uid, None)
            self._requested, self._batch = frozenset(), min(2 * self._batch, BATCH)
        found, self._read = {uid: self._read[uid] for uid in uids if uid in self._read}, {}
        refused |= self._refused
        if put_off is not None:
            put_off |= self._put_off
        self._batch, self._suspects = BATCH, frozenset()
        self._asked, self._refused, self._put_off, self._body_bytes = set(), set(), set(), 0
        return found

    def _is_too_much(self, arrival: MessageSummary, account: str) -> bool:
        """Return whether a message has to be read whole, and others have taken what may be read by then."""
        left = BODY_BYTES - self._body_bytes
        return self._body_bytes > 0 and left < max(arrival.size_bytes, 1) and not reference_of(account, arrival.header)

    def _batches(self, uids: Collection[int]) -> Iterator[list[int]]:
        """Yield the messages in requests, each as large as the ones before it allow, and each culprit by itself."""
        culprits = self._again_at_s.keys() & set(uids)
        left = [uid for uid in uids if uid not in culprits]
        yield from ([uid] for uid in sorted(culprits))
        while left:
            batch, left = left[: self._batch], left[self._batch :]
            yield batch

    def goes_on(self) -> bool:
        """Return whether to read once more, on another connection, after the one that was read on was cut."""
        requested, self._requested = self._requested, frozenset()
        if not requested:
            self._cuts = 0
            return False
        now_s = time.monotonic()
        self._cuts, self._cut_at_s = self._cuts + 1, self._cut_at_s if self._cuts else now_s
        is_known = not requested.isdisjoint(self._again_at_s)
        if not is_known and not requested <= self._suspects:
            self._suspects = requested  # It may be chance: the same once more.
        elif len(requested) > 1:
            self._suspects, self._batch = requested, len(requested) // 2
        else:
            (uid,) = requested
            log.warning("server_hung_up_at_message", uid=uid)
            self._again_at_s[uid] = now_s + AGAIN_S
            self._batch = 1  # Its neighbours may be damaged as well.
        if is_over := self._cuts >= CUTS or now_s - self._cut_at_s >= CUTS_S:
            self._cuts = 0
        return not is_over


def lightened(arrival: MessageSummary) -> MessageSummary:
    """Reduce the header to the message ids in it and the mark of our own mail, a line each."""
    return replace(arrival, header=b"\n".join(_KEPT.findall(arrival.header)))
