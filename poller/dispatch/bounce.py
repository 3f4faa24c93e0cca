"""Tell people that the letter to a customer came back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from poller.config.settings import reader_zone
from poller.dispatch.job import LazyMessage
from poller.rendering import receipt as rendering
from poller.triage import bounce

if TYPE_CHECKING:
    from pathlib import Path

    from poller.dispatch.job import StepContext
    from poller.model import Receipt
    from poller.workflow.results import WorkResult

_LOOKED_BACK = timedelta(days=7)  # a letter goes out within a day, and servers try for five (RFC 5321 section 4.5.4.1)


def is_first_bounce(job: StepContext, reference: str) -> bool:
    """Record that the letter about this message came back. Return False if another report told of it before."""
    told = f"{job.journal.reference} {datetime.now(UTC).isoformat(timespec='seconds')}"
    return job.journal.store.remember(f"{bounce.FACT}{reference}", told).startswith(job.journal.reference)


def bounce_receipt(job: StepContext, reference: str, answered: WorkResult, spool: Path) -> Receipt:
    """Write the receipt that lies beside the message whose letter came back.

    `answered` is the result of the work on that message, which is read from where it was filed.

    Raises:
        MessageGoneError: it does not lie there any more.
    """
    path = spool / f"{job.journal.reference}-{reference}.eml"
    message = LazyMessage(reference, job.source, path, job.settings.imap)
    message.filed(answered.final_outcome, datetime.now(UTC) - _LOOKED_BACK)
    try:
        return rendering.bounce_receipt(
            message.request, answered, sender=job.settings.sender, zone=reader_zone(job.settings)
        )
    finally:
        message.discard()
