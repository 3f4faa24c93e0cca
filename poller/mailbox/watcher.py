"""Watch the mailbox with IDLE, and report each new message at once (RFC 2177)."""

from __future__ import annotations

import logging
import select
import socket
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Self

import structlog

from integrations.errors import ConfigurationError, TransientError
from poller.backoff import delay_of
from poller.imap import session as imap_session
from poller.logs import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.config.settings import ImapSettings

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

RENEW_S = 540.0  # finds a connection that broke silently; servers end an IDLE after half an hour
GOOD_S = 60.0  # a connection that lasted longer before it broke was not refused by the server
STOP_S = 5.0  # how long a stop waits for a server that does not answer


class MailboxWatcher:
    """Context manager that calls `wake` at each new message.

    It also calls it whenever it begins to watch, for what came before. It runs on a thread and a connection of its own.
    Nothing depends on it: while the server is out of reach, or has no IDLE, the polls find the messages.
    """

    def __init__(self, imap: ImapSettings, wake: Callable[[], object]) -> None:
        """Prepare the watch. Nothing is connected yet. `wake` is called from the thread."""
        self._imap, self._wake = imap, wake
        self._over = False  # the watch has ended normally, or by a stop
        self._thread = self._watcher()

    def __enter__(self) -> Self:
        self._rope, self._bell = socket.socketpair()
        self._thread.start()
        return self

    def look_after(self) -> None:
        """Restart the watch where an unforeseen error has ended it. The thread has already reported the error."""
        if self._thread.ident and not self._over and not self._thread.is_alive():
            log.error("idle_died", why="an error that nobody foresaw; it begins anew")
            self._thread = self._watcher()
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._rope.close()  # makes the bell readable, and it stays so
        self._thread.join(STOP_S)
        if not self._thread.is_alive():
            self._bell.close()

    def _watcher(self) -> threading.Thread:
        return threading.Thread(target=self._watch, name="idle", daemon=True)

    def _watch(self) -> None:
        failures, interrupted = 0, Trouble(log, "idle_interrupted", logging.INFO)
        while not self._stopped():
            began_s = time.monotonic()
            try:
                with closing(imap_session.connect(self._imap)) as session:
                    if not session.can_idle:
                        log.info("idle_unsupported", why="the server has no IDLE; it is asked now and then")
                        self._over = True
                        return
                    interrupted.over()
                    while not self._stopped():
                        for _ in session.idle(RENEW_S, self._bell):
                            if not self._stopped():
                                self._wake()
                        session.reselect()  # The mailbox may be gone, and the server does not say so.
            except (TransientError, ConfigurationError) as error:
                # The scans meet the same error and handle it.
                interrupted.met(str(error))
                failures = 0 if time.monotonic() - began_s > GOOD_S else failures
                asked_s = error.retry_after_s if isinstance(error, TransientError) else None
                self._stopped(delay_of(failures, refused=isinstance(error, ConfigurationError), asked_s=asked_s))
                failures += 1

    def _stopped(self, within_s: float = 0) -> bool:
        """Return whether the bell has rung, or rings within this time."""
        waiting = select.poll()  # not `select`, which takes no descriptor over 1,023
        waiting.register(self._bell, select.POLLIN)
        return bool(waiting.poll(within_s * 1000))
