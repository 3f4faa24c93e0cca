"""Run jobs at intervals that last as long as they say, whatever the clock of the machine is set to."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from apscheduler.triggers.base import BaseTrigger

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

STEP_S = 30.0  # by which the clock was set: less delays a job by no more than that, and is no reason to begin anew


class Interval(BaseTrigger):  # type: ignore[misc]  # apscheduler has no types
    """Trigger so long after each run.

    The trigger of APScheduler makes a list of all runs that a clock which was set forward has missed.
    """

    def __init__(self, seconds: float) -> None:
        """Trigger for the first time after the first interval."""
        self._interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return when the job is due, after it has run at `now` or was added then."""
        del previous_fire_time
        return now + self._interval


class ClockWatch:
    """Watch whether the clock of the machine is set."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        """Take the clock as right. `wall` and `steady` return seconds. `steady` is never set."""
        self._wall, self._steady = wall, steady
        self._apart_s = wall() - steady()

    def step_s(self) -> float:
        """Return by how many seconds the clock was set since the last call, negative for back. 0 for less than STEP_S.

        A machine that slept has a clock that was set forward.
        """
        apart_s = self._wall() - self._steady()
        step_s, self._apart_s = apart_s - self._apart_s, apart_s
        return step_s if abs(step_s) >= STEP_S else 0.0
