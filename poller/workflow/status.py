"""Define the status of a message and its stored record. None of these values holds its content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poller.workflow.steps import service_of

if TYPE_CHECKING:
    from datetime import datetime

INTERNAL_ERROR: dict[str, Any] = {"step": "", "reason": "internal error", "gate": ""}


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """The status of a message."""

    outcome: str  # "working", "waiting", "gone", "failed", "ignored", "support", "modelisation"
    until: datetime | None = None  # of a waiting one
    result: dict[str, Any] | None = None  # of a finished one, the returned result: ids, URLs, reasons
    since: datetime | None = None  # of a waiting one, when work on it began; aware, UTC

    @property
    def final_outcome(self) -> str:
        """Return the outcome, or of a message that only waits for its receipt, the outcome of its label."""
        return str((self.result or {}).get("filed", self.outcome))

    @property
    def service(self) -> str:
        """Return the service that a waiting message waits for, "" if there is none."""
        result = self.result or {}
        # A message stopped by an open circuit breaker names the service; one whose call failed has only its step.
        if result.get("gate"):
            return str(result["gate"])
        if result.get("reason", "").startswith("IMAP"):
            return "imap"
        asked = service_of(result.get("step", ""))
        return "" if asked == "imap" else asked


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
