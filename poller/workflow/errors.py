"""Define the errors by which a step does not come to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integrations.errors import PermanentError

if TYPE_CHECKING:
    from datetime import datetime

    from poller.workflow.steps import StepName


class StepDeferredError(Exception):
    """The message goes on later. Nothing is lost, and no person needs to act."""

    def __init__(self, step: StepName, reason: str, until: datetime, *, breaker: str = "", behind: str = "") -> None:
        """Create the error. `until` is aware, UTC.

        `breaker` is the service whose return ends the wait, and `behind` the message whose end does; "" for none.
        """
        super().__init__(f"{step}: {reason}")
        self.step, self.reason, self.until, self.breaker, self.behind = step, reason, until, breaker, behind


class StepFailedError(Exception):
    """The message needs a person."""

    def __init__(self, step: StepName, kind: str, reason: str, detail: str = "") -> None:
        """Create the error. `kind` is "refused", "blocked", "unusable", "unanswered" or "crashed".

        `reason` is fit for a log. `detail` is for the admin alone.
        """
        super().__init__(f"{step}: {reason}")
        self.step, self.kind, self.reason, self.detail = step, kind, reason, detail


class UnusableMessageError(PermanentError):
    """The message cannot be dispatched: no service refuses it, but only a person can make sense of it."""


class MessageUnavailableError(Exception):
    """The message could not be read this time. The step's service is not at fault: it was not asked yet."""

    def __init__(self, cause: Exception) -> None:
        """Create the error. `cause` is what went wrong at the mailbox or in the parser."""
        super().__init__(type(cause).__name__)
        self.cause = cause


class ServiceHeldBackError(Exception):
    """A step that may do without its service waits for it: another message tries it first."""

    def __init__(self, until: datetime) -> None:
        """Create the error. `until` is when the service is tried again; aware, UTC."""
        super().__init__(until.isoformat())
        self.until = until


class DependencyPendingError(Exception):
    """Something else must be done first. This is no failure, and the step is tried again without a limit."""

    def __init__(self, reason: str, behind: str = "", *, is_turn: bool = False, has_answered: bool = False) -> None:
        """Create the error. `behind` is the reference of the message whose end is waited for, "" if it is not known.

        `is_turn` says that other messages come first, and that nothing is wrong. `has_answered` says that the step's
        service was called and works: what it does not take for now is this message's alone.
        """
        super().__init__(reason)
        self.behind, self.is_turn, self.has_answered = behind, is_turn or bool(behind), has_answered


class OwnershipLostError(Exception):
    """Another machine may have taken the message over, so this machine must not act on it now."""


class StateUnavailableError(Exception):
    """The state store is out of reach. It is the failure of no service, and of no message."""
