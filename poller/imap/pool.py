"""Share a small pool of IMAP sessions on one mailbox among any number of threads."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from integrations.errors import TransientError
from poller.errors import MessageGoneError, MessageWithheldError
from poller.imap import session as imap_session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.config.settings import ImapSettings
    from poller.imap.session import ImapSession


IN_USE = 4  # at once: Dovecot allows a user ten by default; a scan, IDLE and the forms use further ones
IN_USE_BESIDE = 2  # the same for a reclassify mailbox


class SessionPool:
    """A pool of IMAP sessions that grows to the most ever in use at once. A failed session is not reused."""

    def __init__(self, imap: ImapSettings, within: str = "") -> None:
        """Keep the settings. The first connection is made when a session is first taken.

        `within` is another mailbox of the account than the polled one, by the name that `ImapSession.label` takes.
        """
        self._imap, self._within = imap, within
        # Other mailboxes hold few messages, and all sessions count against the limit of one account.
        in_use = IN_USE_BESIDE if within else IN_USE
        self._lock, self._places = threading.Lock(), threading.Semaphore(in_use)
        # Fetching a big message takes minutes. One session stays free, for labels and for scans.
        self._fetching = threading.Semaphore(in_use - 1)
        self._free: list[ImapSession] = []

    @contextmanager
    def session(
        self, uidvalidity: int | None = None, *, at_once: bool = False, fetching: bool = False
    ) -> Iterator[ImapSession]:
        """Yield a live session once one is free, or `at_once`. A session that fails is dropped.

        With a `uidvalidity` the session is one in which the UIDs of that value are valid, never one from before the
        mailbox was recreated. Threads that fetch a message say so with `fetching`: they leave at least one session to
        the other threads.

        Raises:
            MessageGoneError: there is no mailbox `within`.
            TransientError: the server is out of reach, or the mailbox was recreated since `uidvalidity`.
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
            except (MessageGoneError, MessageWithheldError):
                clean = True
                raise
            finally:
                if clean:
                    with self._lock:
                        self._free.append(session)
                else:
                    session.close()

    def close(self) -> None:
        """Close every session that is not in use."""
        with self._lock:
            sessions, self._free = self._free, []
        for session in sessions:
            session.close()

    def _take(self, uidvalidity: int | None) -> ImapSession:
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
        if self._within and not session.select(self._within):
            session.close()
            raise MessageGoneError(self._within)
        return session
