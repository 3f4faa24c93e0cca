"""The mailbox watched: whoever wants to know of a new message at once is told (RFC 2177)."""

from __future__ import annotations

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

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.config.settings import Imap

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

RENEW_S = 540.0  # a connection that silently broke is found out by then, and servers end an IDLE after half an hour
GOOD_S = 60.0  # after which a connection that is lost is no server that throws us out
STOP_S = 5.0  # how long a stop waits for a server that does not answer


class Idle:
    """A context manager: within it `wake` is called at each message that comes.

    And whenever it begins to watch, for what came before; it does so on a thread and a connection of its own. Nothing
    depends on it: while the server is out of reach, or has no IDLE, messages are found by looking now and then.
    """

    def __init__(self, imap: Imap, wake: Callable[[], object]) -> None:
        """Nothing is connected yet; `wake` is called from the thread."""
        self._imap, self._wake = imap, wake
        self._over = False  # as it should, or by a stop
        self._thread = self._watcher()

    def __enter__(self) -> Self:
        self._rope, self._bell = socket.socketpair()
        self._thread.start()
        return self

    def look_after(self) -> None:
        """Begin anew where an error that nobody foresaw has ended the watch; which one, the thread has said."""
        if self._thread.ident and not self._over and not self._thread.is_alive():
            log.error("idle_died", why="an error that nobody foresaw; it begins anew")
            self._thread = self._watcher()
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._rope.close()  # so the bell rings, and goes on ringing
        self._thread.join(STOP_S)
        if not self._thread.is_alive():
            self._bell.close()

    def _watcher(self) -> threading.Thread:
        return threading.Thread(target=self._watch, name="idle", daemon=True)

    def _watch(self) -> None:
        failures = 0
        while not self._stopped():
            began_s = time.monotonic()
            try:
                with closing(imap_session.connect(self._imap)) as session:
                    if not session.can_idle:
                        log.info("idle_unsupported", why="the server has no IDLE; it is asked now and then")
                        self._over = True
                        return
                    while not self._stopped():
                        for _ in session.idle(RENEW_S, self._bell):
                            if not self._stopped():
                                self._wake()
                        session.reopen()  # It may be gone, and no word of it.
            except (TransientError, ConfigurationError) as error:
                # The looks meet the same, and what is to be done about it is theirs.
                log.info("idle_interrupted", reason=str(error))
                failures = 0 if time.monotonic() - began_s > GOOD_S else failures
                self._stopped(delay_of(failures, refused=isinstance(error, ConfigurationError)))
                failures += 1

    def _stopped(self, within_s: float = 0) -> bool:
        """Whether the bell has rung, or does so in this time."""
        waiting = select.poll()  # not `select`, which knows no socket over 1,023
        waiting.register(self._bell, select.POLLIN)
        return bool(waiting.poll(within_s * 1000))
