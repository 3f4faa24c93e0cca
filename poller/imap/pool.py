"""Sessions on one mailbox for any number of threads: each takes one from a small pool, and gives it back."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from integrations.errors import TransientError
from poller.errors import MessageGoneError
from poller.imap import session as imap_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.config.settings import Imap
    from poller.imap.session import Mailbox


IN_USE = 4  # at once: Dovecot allows a user ten by default, and a look, IDLE and the forms have theirs besides
IN_USE_BESIDE = 2  # the same of a mailbox where corrections are asked for


class Sessions:
    """As many as were ever in use at once; one that has failed is not used again."""

    def __init__(self, imap: Imap, within: str = "") -> None:
        """Nothing is connected before the first is taken.

        `within` is another mailbox of the account than the polled one, by the name that `Mailbox.label` takes.
        """
        self._imap, self._within = imap, within
        # What lies in another one is little, and all of them are of one account.
        in_use = IN_USE_BESIDE if within else IN_USE
        self._lock, self._places = threading.Lock(), threading.Semaphore(in_use)
        # A big message takes minutes, and what is at stake in the others is a label, or that the daemon looks at all.
        self._fetching = threading.Semaphore(in_use - 1)
        self._free: list[Mailbox] = []

    @contextmanager
    def one(
        self, uidvalidity: int | None = None, *, at_once: bool = False, fetching: bool = False
    ) -> Iterator[Mailbox]:
        """A live session, when its turn has come or `at_once`; one that fails is dropped.

        With a `uidvalidity` one in which the UIDs of then are good: none from before the mailbox was made anew. However
        many are `fetching` messages, who is not waits for none of them.

        Raises:
            MessageGoneError: there is no mailbox `within`.
            TransientError: also when the mailbox has been made anew since then.
        """
        with ExitStack() as turn:
            if fetching:
                turn.enter_context(self._fetching)
            if not at_once:
                turn.enter_context(self._places)
            session, clean = self._take(uidvalidity), False
            try:
                if uidvalidity not in {None, session.uidvalidity}:
                    raise TransientError("IMAP: the mailbox has been made anew", outcome_unknown=False)
                yield session
                clean = True
            except MessageGoneError:
                clean = True
                raise
            finally:
                if clean:
                    with self._lock:
                        self._free.append(session)
                else:
                    session.close()

    def close(self) -> None:
        """End every session that is not in use."""
        with self._lock:
            sessions, self._free = self._free, []
        for session in sessions:
            session.close()

    def _take(self, uidvalidity: int | None) -> Mailbox:
        with self._lock:
            outdated = [each for each in self._free if uidvalidity not in {None, each.uidvalidity}]
            self._free = [each for each in self._free if each not in outdated]
            session = self._free.pop() if self._free else None
        for each in outdated:
            each.close()
        if session:
            try:
                session.refresh()
            except TransientError:
                session.close()
            else:
                return session
        session = imap_session.connect(self._imap)
        if self._within and not session.enter(self._within):
            session.close()
            raise MessageGoneError(self._within)
        return session
