"""Tell people that the letter to a customer came back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from poller.config.settings import reader_zone
from poller.dispatch.job import LazyMessage, has_moved
from poller.errors import MessageGoneError
from poller.model import Acknowledgement
from poller.rendering import receipt as rendering
from poller.triage import bounce
from poller.workflow.corrections import message_of
from poller.workflow.errors import DependencyPendingError

if TYPE_CHECKING:
    from pathlib import Path

    from poller.dispatch.job import StepContext
    from poller.model import DispatchResult, Outcome, Receipt
    from poller.workflow.results import WorkResult

_LOOKED_BACK = timedelta(days=7)  # a letter goes out within a day, and servers try for five (RFC 5321 section 4.5.4.1)


def is_first_bounce(job: StepContext, reference: str) -> bool:
    """Record that the letter about this message came back. Return False if another report told of it before.

    A report that names itself tells of none: there was no letter about it, and it must not wait for its own end.
    """
    if reference == job.journal.reference:
        return False
    told = f"{job.journal.reference} {datetime.now(UTC).isoformat(timespec='seconds')}"
    return job.journal.store.remember(f"{bounce.FACT}{reference}", told).startswith(job.journal.reference)


def with_bounce(job: StepContext, done: DispatchResult, outcome: Outcome) -> DispatchResult:
    """Return the result with the letter as one that came back, if the receipt for this outcome has to tell of it.

    A bounce has a receipt of its own, beside a message that was dispatched. The receipt that takes its place tells of
    it, and so does that of a failed message.
    """
    key = f"{bounce.FACT}{message_of(job.journal.reference)}"
    told = job.journal.store.recall([key]).get(key)
    if told is None:
        return done
    its_report = told.partition(" ")[0]
    if outcome.is_dispatched and (not has_moved(job) or job.journal.store.result(its_report).outcome.is_open):
        return done
    return replace(done, acknowledgement=Acknowledgement.BOUNCED)


def answered_result(job: StepContext, reference: str) -> WorkResult:
    """Return the result of the work on the message whose letter came back, beside which a receipt is to lie.

    Raises:
        DependencyPendingError: it is still at work, and may have written its receipt without knowing of the bounce.
        MessageGoneError: it was not dispatched.
    """
    result = job.journal.store.result(reference)
    if result.final_outcome.is_open:
        raise DependencyPendingError("the message whose letter came back is still at work", reference)
    if not result.final_outcome.is_dispatched:
        raise MessageGoneError(reference)
    return result


def bounce_receipt(job: StepContext, reference: str, spool: Path) -> Receipt:
    """Write the receipt that lies beside the message whose letter came back. It is read from where it was filed.

    Raises:
        DependencyPendingError: it is still at work.
        MessageGoneError: it does not lie there any more.
    """
    answered = answered_result(job, reference)
    path = spool / f"{job.journal.reference}-{reference}.eml"
    message = LazyMessage(reference, job.source, path, job.settings.imap)
    message.filed(answered.final_outcome, datetime.now(UTC) - _LOOKED_BACK)
    try:
        return rendering.bounce_receipt(
            message.request, answered, sender=job.settings.sender, zone=reader_zone(job.settings)
        )
    finally:
        message.discard()
