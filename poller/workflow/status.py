"""Define the status of a message and its stored record. None of these values holds its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poller.model import LABELS
from poller.workflow.steps import service_of

if TYPE_CHECKING:
    from datetime import datetime

    from poller.model import Outcome
    from poller.workflow.results import WorkResult

INTERNAL_ERROR = "internal error"  # the reason why a message waits after a fault outside of any step


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """The status of a message."""

    result: WorkResult  # of its last execution; WORKING while one is under way
    since: datetime | None = None  # of a waiting one, when work on it began; aware, UTC

    @property
    def outcome(self) -> Outcome:
        """Return the outcome of the last execution."""
        return self.result.outcome

    @property
    def service(self) -> str:
        """Return the service that a waiting message waits for, "" if there is none."""
        # A message stopped by an open circuit breaker names the service; one whose call failed has only its step.
        if self.result.breaker:
            return self.result.breaker
        called = service_of(self.result.step)
        if self.result.reason.startswith("IMAP"):
            return LABELS if called == LABELS else "imap"
        return "" if called in {"imap", LABELS} else called


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """The stored record of one message, without any of its content."""

    reference: str
    seen_at: datetime  # when work on it began; aware, UTC
    changed_at: datetime  # when its status last changed; aware, UTC
    status: MessageStatus


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a message's journal."""

    step: str
    at: datetime  # when it was written; aware, UTC
    content: dict[str, Any]  # see `journal`
