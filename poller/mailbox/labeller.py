"""Label messages in batches, from any number of threads: those that finish together are filed together.

A STORE or MOVE of fifty messages takes little longer than one of a single message. So while one thread files, the
others queue their messages, and the next thread files all that are queued. There is no timer: a single message is filed
at once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from integrations.errors import ConfigurationError, TransientError
from poller.mailbox.download import UidReusedError
from poller.mailbox.source import KEYWORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from poller.config.settings import LabelsSettings
    from poller.imap.pool import SessionPool
    from poller.imap.session import ImapSession
    from poller.model import Outcome


MOST = 8  # messages; at 3 s a message they still fit into one imap.timeout_s


@dataclass(slots=True, eq=False)
class _LabelRequest:
    """A thread's request to file the copies of a message, and its result."""

    reference: str
    uids: Sequence[int]
    uidvalidity: int  # under which the UIDs hold
    tried: bool = False
    filed: bool = False
    failure: TransientError | ConfigurationError | None = None  # shared by all requests of the batch


class BatchLabeller:
    """Files messages under one outcome, at most MOST at a time.

    The limit is there because the server has to file the whole batch before it answers. After a batch that it did not
    manage in time, the next one has a single message. Each success then doubles the size, up to MOST.
    """

    def __init__(
        self,
        sessions: SessionPool,
        labels: LabelsSettings,
        outcome: Outcome,
        references: Callable[[ImapSession, Sequence[int]], Mapping[int, str]],
    ) -> None:
        """Prepare the names of the outcome. Nothing is connected before the first message is filed.

        `references` fetches the reference of each of these messages that is still there, by UID.
        """
        others = [name for name in KEYWORDS if name != outcome]
        self._sessions, self._mailbox, self._keyword = sessions, getattr(labels, outcome), KEYWORDS[outcome]
        self._references = references
        self._other_keywords = [KEYWORDS[name] for name in others]
        self._other_mailboxes = [getattr(labels, name) for name in others]
        self._changed = threading.Condition()
        self._wishes: list[_LabelRequest] = []  # one of each thread that is in `file`
        self._filing = False  # whether one of these threads is filing
        self._most = MOST  # messages in the next batch

    def file(self, reference: str, uids: Sequence[int], uidvalidity: int) -> None:
        """File the copies of a message, alone or together with others. See `ImapSession.label`.

        Raises:
            UidReusedError: one of the UIDs means another message now, so none of its copies was filed.
            TransientError: it may or may not have been filed. The next try finds out.
            ConfigurationError: the server refuses a mailbox of that name, or the login.
        """
        wish = _LabelRequest(reference, uids, uidvalidity)
        with self._changed:
            self._wishes.append(wish)
        try:
            if self._has_turn(wish):
                self._file_all(wish)
        finally:
            with self._changed:
                self._wishes.remove(wish)
        if wish.failure:
            raise wish.failure
        if not wish.filed:
            with self._sessions.session(uidvalidity) as session:
                self._label(session, [wish])

    def _has_turn(self, wish: _LabelRequest) -> bool:
        """Wait until no other thread files. Return False when another thread has tried this request by then."""
        with self._changed:
            self._changed.wait_for(lambda: wish.tried or not self._filing)
            self._filing = self._filing or not wish.tried
            return not wish.tried

    def _file_all(self, first: _LabelRequest) -> None:
        """File all that is queued as one batch, including what is queued while this thread waits for a session."""
        batch: list[_LabelRequest] = []
        answers = False
        try:
            with self._sessions.session(first.uidvalidity) as session:
                batch = self._alike(first, self._most)
                try:
                    self._label(session, batch)
                except TransientError:
                    answers = len(batch) > 1 and _answers(session)
                    self._most = self._most if answers else 1
                    raise
        except (TransientError, ConfigurationError) as error:
            # Without a session no queued request can be filed.
            batch = batch or self._alike(first, len(self._wishes))
            # Where the server still responds, one message may be at fault: then each is filed by itself.
            for each in () if answers else batch:
                each.failure = error
        else:
            self._most = min(2 * self._most, MOST)
            for each in batch:
                each.filed = True
        finally:
            with self._changed:
                for each in batch or [first]:
                    each.tried = True
                self._filing = False
                self._changed.notify_all()

    def _alike(self, first: _LabelRequest, most: int) -> list[_LabelRequest]:
        """Return this request and the untried ones queued under the same UIDVALIDITY, `most` in all."""
        with self._changed:
            others = [each for each in self._wishes if not each.tried and each.uidvalidity == first.uidvalidity]
            others.remove(first)
            return [first, *others[: most - 1]]

    def _label(self, session: ImapSession, batch: Sequence[_LabelRequest]) -> None:
        wanted = {uid: each.reference for each in batch for uid in each.uids}
        uids = list(wanted)
        # A look of its own, as hours may have passed since the scan.
        if any(wanted[uid] != reference for uid, reference in self._references(session, uids).items()):
            raise UidReusedError
        session.label(uids, self._mailbox, self._keyword, self._other_keywords, self._other_mailboxes)


def _answers(session: ImapSession) -> bool:
    """Return whether the server has completed the last command, with success or not. If not, its outcome is unknown."""
    try:
        session.refresh()
    except TransientError:
        return False
    return True
