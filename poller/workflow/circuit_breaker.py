"""Keep messages away from a service that is down."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

from poller.backoff import DELAYS_S

if TYPE_CHECKING:
    from datetime import datetime


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
