"""What a step works with: the tries before it, what is remembered, and the ways in which it may not come to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integrations.errors import PermanentError

if TYPE_CHECKING:
    from datetime import datetime


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
