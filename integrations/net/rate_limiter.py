"""Keep the calls to a service within its rate limit, so that the service need not refuse any."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# The service counts a call when it arrives, and we count it when it leaves. Without a margin that difference may put
# one call too many into a window.
MARGIN = 1.02


class RateLimiter:
    """A rate limiter: at most `calls` calls begin in any `per_s` seconds, and a call that comes too early waits.

    All threads of a process share it. Machines that share an API key share its limit: the settings give each of them
    its part.
    """

    def __init__(
        self,
        calls: int,
        per_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Take the clock and the sleep as arguments, so that a test need not wait."""
        self._per_s, self._clock, self._sleep = per_s * MARGIN, clock, sleep
        self._begun: deque[float] = deque(maxlen=calls)  # start times of the last calls, past or planned
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait until the next call may begin."""
        with self._lock:
            now = self._clock()
            full = len(self._begun) == self._begun.maxlen
            at = max(now, self._begun[0] + self._per_s) if full else now
            self._begun.append(at)
        if at > now:
            self._sleep(at - now)
