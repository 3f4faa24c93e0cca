"""Compute when a failed step is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import uniform

from poller.backoff import DELAYS_S

LONGEST_WAIT_S = 3600.0  # whatever a service asks for


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a step must know of the tries before this one."""

    failures: int  # tries that ended in an error
    doubts: int  # tries that may have had their effect: with any, look before you act
    since: datetime  # when the first try began; aware, UTC


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, and for how long in all."""

    delays_s: tuple[float, ...] = DELAYS_S
    give_up_after: timedelta = timedelta(hours=120)
    settle_s: float = 10.0  # until what was done shows in a service's lists

    def until(self, now: datetime, failures: int, retry_after_s: float | None) -> datetime:
        """When to try again after so many failures (1 or more), never sooner than the service asked."""
        delay_s = self.delays_s[min(failures, len(self.delays_s)) - 1] * uniform(0.8, 1.2)  # noqa: S311  no secret
        return now + timedelta(seconds=min(max(delay_s, retry_after_s or 0.0), LONGEST_WAIT_S))

    def settles(self, tried: datetime, now: datetime) -> datetime | None:
        """When a look will see what was done by then; None when it does already, or when the clocks do not agree."""
        until = tried + timedelta(seconds=self.settle_s)
        return until if tried <= now < until else None
