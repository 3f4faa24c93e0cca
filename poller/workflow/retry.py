"""Compute when a failed step is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import uniform

from poller.backoff import DELAYS_S

LONGEST_WAIT_S = 3600.0  # whatever a service asks for


@dataclass(frozen=True, slots=True)
class Attempt:
    """The tries of a step before this one."""

    failures: int  # tries that ended in an error
    doubts: int  # tries that may have had their effect: with any, the step looks for it before it acts
    since: datetime  # when the first try began; aware, UTC


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The retry policy: the delays between tries, and for how long to try in all."""

    delays_s: tuple[float, ...] = DELAYS_S
    give_up_after: timedelta = timedelta(hours=120)
    settle_s: float = 10.0  # until what was done shows in a service's lists

    def until(self, now: datetime, failures: int, retry_after_s: float | None) -> datetime:
        """Return the time of the next try after so many failures (1 or more).

        It is never sooner than the service asked, and at most an hour from now.
        """
        delay_s = self.delays_s[min(failures, len(self.delays_s)) - 1] * uniform(0.8, 1.2)  # noqa: S311  no secret
        return now + timedelta(seconds=min(max(delay_s, retry_after_s or 0.0), LONGEST_WAIT_S))

    def visible_at(self, tried: datetime, now: datetime) -> datetime | None:
        """Return the time from which a search at the service finds what was done at `tried`.

        None when it does already, or when the clocks do not agree.
        """
        until = tried + timedelta(seconds=self.settle_s)
        return until if tried <= now < until else None
