"""Who may go on, and who must wait: a service that is down, a step that has killed the process before."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

# Seconds before the second, third, ... try; the last one repeats.
DELAYS_S: tuple[float, ...] = (2, 10, 60, 300, 900)


class Floor:
    """Lets any number of steps run side by side, or one alone.

    A step that was in hand when the process died runs alone the next time: if it kills the process again, none of its
    neighbours can be taken for the culprit.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = 0
        self._alone = 0  # running alone, or waiting to

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Run beside others."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone)
            self._running += 1
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run when nobody else does."""
        with self._changed:
            self._alone += 1
            self._changed.wait_for(lambda: not self._running)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._alone -= 1
            self._leave()

    def _leave(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()


class Gate:
    """Keeps messages from a service that is down, but for one now and then that tries it."""

    def __init__(self, delays_s: tuple[float, ...] = DELAYS_S) -> None:
        self._delays_s = delays_s
        self._lock = threading.Lock()
        self._failures = 0
        self._tried = False  # somebody was let in through the closed gate, and has not come back
        self.proven = False  # whether the service has answered this process
        self.closed_until: datetime | None = None

    def wait(self, now: datetime) -> datetime | None:
        """Until when to stay away; None: go in, and if the gate was closed until now you are the one who tries."""
        with self._lock:
            if self.closed_until is None:
                return None
            if now < self.closed_until:
                return self.closed_until
            self.closed_until = now + timedelta(seconds=self._delay_s())
            self._tried = True
            return None

    def failed(self, now: datetime, until: datetime) -> None:
        """The service did not answer, or said to come back at `until`."""
        with self._lock:
            # Those who were inside when it closed meet the same failure: it is one, however many they are.
            if self.closed_until is None or self._tried:
                self._failures += 1
                self._tried = False
            self.closed_until = max(until, now + timedelta(seconds=self._delay_s()))

    def answered(self) -> None:
        """The service is there."""
        with self._lock:
            self._failures, self._tried, self.closed_until, self.proven = 0, False, None, True

    @property
    def open(self) -> bool:
        """Whether anyone may go in."""
        return self.closed_until is None

    def _delay_s(self) -> float:
        return self._delays_s[min(max(self._failures, 1), len(self._delays_s)) - 1]
