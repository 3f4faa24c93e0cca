"""How the daemon is: when it last looked into the mailbox, since when it cannot, and whether it goes on at all."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from poller.backoff import delay_of
from poller.model import SERVICE_NAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

LATE_S = 60.0  # by which a look may begin late before something is wrong with the daemon itself
_MINUTES_FROM_S = 120


class Pulse:
    """What the looks into the mailbox have come to.

    `beats` is for the watchdog: true as long as looks end and the next one begins in time. It does not ask whether they
    succeed, for a restart mends no mail server; and a mere sign of life is not enough, for a look that hangs is what
    a restart does mend.
    """

    def __init__(self, interval_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`interval_s` is the time between two looks that succeed; the clock is in seconds, and never set back."""
        self._interval_s, self._clock = interval_s, clock
        self._looking = False
        self._due_s = clock()
        self._failures = 0
        self._out_of_reach: dict[str, datetime] = {}
        self.looked_at: datetime | None = None  # when the last look that succeeded ended; aware, UTC
        self.failing_since: datetime | None = None  # None: the last look succeeded, or there was none yet
        self.reason = ""  # why the last look failed
        self.refused = False  # whether it failed because the server refuses us

    def began(self) -> None:
        """A look begins."""
        self._looking = True

    def good(self, now: datetime) -> None:
        """The look has succeeded."""
        self.looked_at, self.failing_since, self._failures, self.refused = now, None, 0, False
        self._ended(self._interval_s)

    def failed(self, now: datetime, reason: str, *, refused: bool = False) -> float:
        """The look has failed; how long to wait before the next one, in seconds."""
        self.failing_since = self.failing_since or now
        self.reason, self.refused = reason, refused
        delay_s = delay_of(self._failures, refused=refused)
        self._failures += 1
        self._ended(delay_s)
        return delay_s

    def _ended(self, next_in_s: float) -> None:
        self._due_s = self._clock() + next_in_s
        self._looking = False

    def beats(self) -> bool:
        """Whether no look is in hand, and none is late."""
        return not self._looking and self._clock() < self._due_s + LATE_S

    def status(
        self, now: datetime, *, in_hand: int, waiting: int, out_of_reach: Iterable[str], unreadable: int = 0
    ) -> str:
        """The daemon's state in one line, for a person; `out_of_reach` names the services that are."""
        self._out_of_reach = {name: self._out_of_reach.get(name, now) for name in sorted(out_of_reach)}
        parts = [f"{in_hand} in hand"] if in_hand else []
        parts.append(f"{waiting} waiting")
        parts += [f"{unreadable} unreadable"] if unreadable else []
        if self.looked_at:
            parts.append(f"last poll {_age(now, self.looked_at)} ago")
        elif not self.failing_since:
            parts.append("first poll under way")
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
    """As a person at this machine says it."""
    local = moment.astimezone()
    return local.strftime("%H:%M" if local.date() == now.astimezone().date() else "%Y-%m-%d %H:%M")
