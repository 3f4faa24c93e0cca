"""Keep messages away from a service that is down."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from poller.backoff import DELAYS_S
from poller.workflow.retry import LONGEST_WAIT_S

if TYPE_CHECKING:
    from datetime import datetime


class CircuitBreaker:
    """Circuit breaker: keeps messages from a service that is down, except for one now and then that tries it."""

    def __init__(self, delays_s: tuple[float, ...] = DELAYS_S) -> None:
        self._delays_s = delays_s
        self._lock = threading.Lock()
        self._failures = 0
        self._tried = False  # a trial call was let through and has not reported yet
        self.has_succeeded = False  # whether the service has answered this process
        self.open_until: datetime | None = None

    def wait(self, now: datetime) -> datetime | None:
        """Return until when to wait, or None to call the service now.

        If the service was held back until now, the caller that gets None is the one that tries it.
        """
        with self._lock:
            if self.open_until is None:
                return None
            # One that is further off than any wait comes from a clock that was set back since.
            if now < self.open_until <= now + timedelta(seconds=LONGEST_WAIT_S):
                return self.open_until
            self.open_until = now + timedelta(seconds=self._delay_s())
            self._tried = True
            return None

    def failed(self, now: datetime, until: datetime) -> None:
        """Record that the service did not answer, or asked to be left alone until `until`."""
        with self._lock:
            # Calls that had begun before the first failure meet the same outage, so together they count as one failure.
            if self.open_until is None or self._tried:
                self._failures += 1
                self._tried = False
            self.open_until = max(until, now + timedelta(seconds=self._delay_s()))

    def answered(self, *, called: bool = True) -> None:
        """Let every caller through, and record that the service answered, if it was `called` at all."""
        with self._lock:
            self._failures, self._tried, self.open_until = 0, False, None
            self.has_succeeded = self.has_succeeded or called

    def release(self, now: datetime) -> None:
        """Let the next caller try the service if one was let through and has not reported what became of its call."""
        with self._lock:
            if self._tried:
                self._tried, self.open_until = False, now

    def try_now(self, now: datetime) -> None:
        """Let the next caller try a service that is held back, however long it asked to be left alone."""
        with self._lock:
            if self.open_until:
                self.open_until = min(self.open_until, now)

    @property
    def is_closed(self) -> bool:
        """Return whether every caller may call the service."""
        return self.open_until is None

    def _delay_s(self) -> float:
        return self._delays_s[min(max(self._failures, 1), len(self._delays_s)) - 1]
