"""Define the status of a message and its stored record, and read them from rows. None of them holds its content."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from poller.model import LABELS, Outcome
from poller.workflow.results import WorkResult
from poller.workflow.steps import service_of

if TYPE_CHECKING:
    from collections.abc import Iterable

AT_WORK = ("ENQUEUED", "PENDING", "DELAYED")  # dbos' words for a message in progress
AFTER_A_FAULT = timedelta(minutes=5)
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


def record_of_row(row: Any) -> MessageRecord:
    """Return the record of a message from a row of `queries.MESSAGES_OF` or `queries.messages_after`."""
    seen_at, changed_at = moment(row.created_at), moment(row.updated_at)
    output = json.loads(row.output) if row.output else None
    if row.status in AT_WORK:
        result = WorkResult(Outcome.WORKING)
    elif row.status != "SUCCESS" or output is None:
        # A fault in our own workflow, outside of any step: the message stays where it is and is tried again later.
        result = WorkResult(Outcome.WAITING, reason=INTERNAL_ERROR, until=changed_at + AFTER_A_FAULT)
    else:
        result = WorkResult.from_json(output)
    since = seen_at if result.outcome is Outcome.WAITING else None
    return MessageRecord(row.workflow_uuid, seen_at, changed_at, MessageStatus(result, since))


def received_at(journal: Iterable[Entry]) -> datetime | None:
    """Return when a message was received, by its journal, None where that has no such moment."""
    for entry in journal:
        returned = entry.content.get("ok")
        if isinstance(returned, dict) and returned.get("received_at"):
            return datetime.fromisoformat(returned["received_at"])
    return None


def moment(epoch_ms: int | None) -> datetime:
    """Return a moment that dbos recorded in milliseconds, as an aware one in UTC."""
    return datetime.fromtimestamp((epoch_ms or 0) / 1000, UTC)
