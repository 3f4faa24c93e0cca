"""Tell a login that is refused for good from one that a server in trouble refuses for a moment."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ENOUGH, LASTING_S = 3, 120.0  # refusals, over this time: then a person has to know
APART_S = 600.0  # between two refusals of one trouble at most: a refused login is tried every five minutes


class LoginRefusals:
    """The refusals of the mailbox's login in a row."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with none. `clock` returns seconds and is monotonic."""
        self._clock = clock
        self._count, self._first_s, self._last_s = 0, 0.0, 0.0

    def add(self) -> None:
        """Record a refusal."""
        now_s = self._clock()
        if not self._count or now_s - self._last_s > APART_S:
            self._count, self._first_s = 0, now_s
        self._count, self._last_s = self._count + 1, now_s

    @property
    def may_pass(self) -> bool:
        """Return whether there were refusals, and too few of them or over too short a time to call for a person."""
        return bool(self._count) and (self._count < ENOUGH or self._clock() - self._first_s < LASTING_S)
