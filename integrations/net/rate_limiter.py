"""How fast a service may be asked: we keep to its limit, so that it need not remind us."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# The service counts when a call arrives, we when it leaves: the difference is a call too many at the window's edge.
MARGIN = 1.02


class Pace:
    """Lets at most `calls` begin in any `per_s` seconds; who comes too soon waits. Shared by all threads of a process.

    Several machines behind one key share its limit: each is given its part by the settings.
    """

    def __init__(
        self,
        calls: int,
        per_s: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        """Clock and sleep are arguments so that a test need not wait."""
        self._per_s, self._clock, self._sleep = per_s * MARGIN, clock, sleep
        self._begun: deque[float] = deque(maxlen=calls)  # when each of the last calls began, or is to begin
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next call may begin."""
        with self._lock:
            now = self._clock()
            full = len(self._begun) == self._begun.maxlen
            at = max(now, self._begun[0] + self._per_s) if full else now
            self._begun.append(at)
        if at > now:
            self._sleep(at - now)
