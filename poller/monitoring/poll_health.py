"""Track the health of the mailbox polls: the last success, the current failure, and whether polls still run."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from poller.backoff import delay_of
from poller.model import SERVICE_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from poller.workflow.outage import Outage

LATE_S = 60.0  # a poll that begins later than this means that the daemon itself is stuck
_MINUTES_FROM_S = 120


class PollHealth:
    """The health of the mailbox polls.

    `is_alive` is for the watchdog. It is true as long as polls and ticks end and the next ones begin in time. It
    ignores whether polls succeed, because a restart cannot repair a mail server. One that hangs makes it false, because
    a restart repairs that.
    """

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with no poll recorded.

        `interval_s` is the time between two successful polls. `clock` returns seconds and is monotonic.
        """
        self._interval_s, self._clock = interval_s, clock
        self._looking = False
        self.started()
        self._failures = 0
        self._out_of_reach: dict[str, datetime] = {}
        self.looked_at: datetime | None = None  # end of the last successful poll; aware, UTC
        self.failing_since: datetime | None = None  # None: the last poll succeeded, or there was none yet
        self.reason = ""  # why the last poll failed
        self.refused = False  # the last poll failed because the server refused the login

    def started(self) -> None:
        """Record that polls and ticks begin, the first of each now."""
        self._due_s = self._ticked_s = self._clock()

    def clock_set(self, by_s: float) -> None:
        """Move what was recorded to a clock of the machine that was set by so many seconds, negative for back."""
        step = timedelta(seconds=by_s)
        self.looked_at = self.looked_at and self.looked_at + step
        self.failing_since = self.failing_since and self.failing_since + step
        self._out_of_reach = {name: at + step for name, at in self._out_of_reach.items()}

    def began(self) -> None:
        """Record that a poll begins."""
        self._looking = True

    def good(self, now: datetime) -> None:
        """Record that the poll succeeded."""
        self.looked_at, self.failing_since, self._failures, self.refused = now, None, 0, False
        self._ended(self._interval_s)

    def failed(self, now: datetime, reason: str, *, refused: bool = False, asked_s: float | None = None) -> float:
        """Record that the poll failed, and return the delay before the next one, in seconds.

        `asked_s` is for how long the server asked to be left alone, None where it did not.
        """
        self.failing_since = self.failing_since or now
        self.reason, self.refused = reason, refused
        delay_s = delay_of(self._failures, refused=refused, asked_s=asked_s)
        self._failures += 1
        self._ended(delay_s)
        return delay_s

    def hindered(self) -> float:
        """Record that the poll ended because of something else than the mailbox. Return the delay before the next."""
        delay_s = delay_of(self._failures)
        self._failures += 1
        self._ended(delay_s)
        return delay_s

    def _ended(self, next_in_s: float) -> None:
        self._due_s = self._clock() + next_in_s
        self._looking = False

    def ticked(self) -> None:
        """Record that a tick has ended: what waits is resumed when it is due."""
        self._ticked_s = self._clock()

    def is_alive(self) -> bool:
        """Return True if no poll is running, and neither the next one nor a tick is late."""
        return not self._looking and self._clock() < min(self._due_s, self._ticked_s) + LATE_S

    def status(
        self,
        now: datetime,
        *,
        in_hand: int,
        waiting: int,
        out_of_reach: Iterable[str],
        unreadable: int = 0,
        outage: Outage | None = None,
    ) -> str:
        """Return the daemon's state in one line for a person. `out_of_reach` names the unreachable services.

        `outage` is that of the state, None if there is none.
        """
        self._out_of_reach = {name: self._out_of_reach.get(name, now) for name in sorted(out_of_reach)}
        parts = [f"{in_hand} in hand"] if in_hand else []
        parts.append(f"{waiting} waiting")
        parts += [f"{unreadable} unreadable"] if unreadable else []
        if self.looked_at:
            parts.append(f"last poll {_age(now, self.looked_at)} ago")
        elif not self.failing_since:
            parts.append("first poll under way")
        if outage:
            parts.append(f"state not writable since {_time(outage.since, now)} ({outage.reason})")
        if self.failing_since:
            parts.append(f"mailbox out of reach since {_time(self.failing_since, now)} ({self.reason})")
        parts += [
            f"{SERVICE_NAMES.get(name, name)} unreachable since {_time(at, now)}"
            for name, at in self._out_of_reach.items()
        ]
        return ", ".join(parts)


def _age(now: datetime, then: datetime) -> str:
    seconds = max(0, int((now - then).total_seconds()))
    return f"{seconds} s" if seconds < _MINUTES_FROM_S else f"{seconds // 60} min"


def _time(moment: datetime, now: datetime) -> str:
    """Format a time in the machine's time zone. The date is left out if it is today."""
    local = moment.astimezone()
    return local.strftime("%H:%M" if local.date() == now.astimezone().date() else "%Y-%m-%d %H:%M")
