"""Read the records of messages from the rows of dbos."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from poller.model import Outcome
from poller.workflow.results import WorkResult
from poller.workflow.status import INTERNAL_ERROR, MessageRecord, MessageStatus

if TYPE_CHECKING:
    from dbos import WorkflowStatus

_AT_WORK = ("ENQUEUED", "PENDING", "DELAYED")  # dbos' words for a message in progress
AFTER_A_FAULT = timedelta(minutes=5)


def of_workflow(row: WorkflowStatus) -> MessageRecord:
    """Return the record of a message from dbos' own form of its row."""
    return _record(row.workflow_id, moment(row.created_at), moment(row.updated_at), row.status, row.output)


def of_row(row: Any) -> MessageRecord:
    """Return the record of a message from a row of `queries.messages_after`."""
    output = json.loads(row.output) if row.output else None
    return _record(row.workflow_uuid, moment(row.created_at), moment(row.updated_at), row.status, output)


def _record(
    reference: str, seen_at: datetime, changed_at: datetime, status: str, output: dict[str, Any] | None
) -> MessageRecord:
    if status in _AT_WORK:
        result = WorkResult(Outcome.WORKING)
    elif status != "SUCCESS" or output is None:
        # A fault in our own workflow, outside of any step: the message stays where it is and is tried again later.
        result = WorkResult(Outcome.WAITING, reason=INTERNAL_ERROR, until=changed_at + AFTER_A_FAULT)
    else:
        result = WorkResult.from_json(output)
    since = seen_at if result.outcome is Outcome.WAITING else None
    return MessageRecord(reference, seen_at, changed_at, MessageStatus(result, since))


def moment(epoch_ms: int | None) -> datetime:
    """Return a moment that dbos recorded in milliseconds, as an aware one in UTC."""
    return datetime.fromtimestamp((epoch_ms or 0) / 1000, UTC)
