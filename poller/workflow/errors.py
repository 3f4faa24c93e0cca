"""What a step works with: the tries before it, what is remembered, and the ways in which it may not come to its end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import uniform
from typing import TYPE_CHECKING, Any, Protocol

from integrations.errors import PermanentError
from poller.backoff import DELAYS_S

if TYPE_CHECKING:
    from collections.abc import Iterable

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


class Memory(Protocol):
    """What is remembered across messages."""

    def remember(self, key: str, value: str) -> str:
        """Keep a short text under a key, for good; returns the one that was kept first."""

    def recall(self, keys: Iterable[str]) -> dict[str, str]:
        """What is kept under each key; one under which nothing is kept is missing."""

    def latest(self, prefix: str, since: datetime, limit: int) -> list[tuple[str, str]]:
        """The last keys that begin so and were kept since then, the latest first, each with what is kept under it."""

    def result(self, reference: str, before: str = "") -> dict[str, Any]:
        """What the work on a message, or its last correction, returned when it last stopped; {} while it is at work.

        With `before`, what it was before the correction of that id. Of one that is unknown, as after `poller purge`,
        the outcome is "forgotten" and there is nothing else.
        """


class MustWaitError(Exception):
    """The message goes on later; nothing is lost and nobody needs to act."""

    def __init__(self, step: str, reason: str, until: datetime, gate: str = "") -> None:
        """`until` is aware, UTC; `gate` is the service whose return ends the wait sooner, "" for none."""
        super().__init__(f"{step}: {reason}")
        self.step, self.reason, self.until, self.gate = step, reason, until, gate


class StepFailedError(Exception):
    """The message needs a person."""

    def __init__(self, step: str, kind: str, reason: str, detail: str = "") -> None:
        """`kind` is "refused", "unusable", "unanswered" or "crashed".

        `reason` is fit for a log; `detail` is for the admin alone.
        """
        super().__init__(f"{step}: {reason}")
        self.step, self.kind, self.reason, self.detail = step, kind, reason, detail


class UnusableMessageError(PermanentError):
    """No service refuses this message: it is such that only a person can make something of it."""


class UnreadError(Exception):
    """The message could not be had this time: no fault of the service that the step asks, which was not asked yet."""

    def __init__(self, cause: Exception) -> None:
        """`cause` is what went wrong at the mailbox or in the parser."""
        super().__init__(type(cause).__name__)
        self.cause = cause


class NotYetError(Exception):
    """Something else must be done first: nobody's failure, and asked again soon, however often."""


class LostTouchError(Exception):
    """Another machine may have taken the message over: what is to be done must not be done here, now."""
