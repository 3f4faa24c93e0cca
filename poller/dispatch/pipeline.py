"""Run the steps of one message in order, and record the outcome."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from poller.dispatch import correction as dispatch_correction
from poller.dispatch.classify import classify, initial_result
from poller.dispatch.job import LazyMessage, StepContext
from poller.dispatch.notify import failure_detail, send_alert, send_failure, send_notification, send_receipt
from poller.dispatch.receive import receive, wait_turn
from poller.dispatch.reply import answer, find_threads, remember, send_answered
from poller.dispatch.subtask import create_subtask
from poller.dispatch.ticket import create_note, create_ticket, find_or_create_contact
from poller.dispatch.upload import upload_files
from poller.errors import MessageGoneError
from poller.model import Category, UploadDecision
from poller.rendering.notification import DISPATCHED
from poller.rendering.receipt import failure_receipt, receipt
from poller.triage import canary_mark
from poller.workflow.corrections import correction_of, message_of
from poller.workflow.errors import StepDeferredError, StepFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from poller.config.settings import Settings
    from poller.dispatch.clients import Services
    from poller.mailbox.source import MessageSource
    from poller.model import DispatchResult, Receipt
    from poller.workflow.corrections import Correction
    from poller.workflow.journal import Journal
    from poller.workflow.retry import Attempt

STEPS = {
    Category.SUPPORT: (find_or_create_contact, create_ticket, send_notification),
    Category.MODELISATION: (
        upload_files,
        find_or_create_contact,
        create_ticket,
        create_note,
        create_subtask,
        send_notification,
    ),
}


@dataclass(slots=True)
class PipelineProgress:
    """The progress of one message: later answers need its ticket even if the message itself fails."""

    received: dict[str, Any] = field(default_factory=dict)  # see `receive.receive`
    done: DispatchResult | None = None
    before: dict[str, str] = field(default_factory=dict)  # of a correction: `thread`, and `was`, the earlier outcome

    def summary(self) -> dict[str, Any]:
        """Return the people and the results of the message as JSON, or {} before the first step."""
        if self.done is None:
            return {}
        return {"people": self.received.get("people", {})} | _summary(self.done) | self.before


class Pipeline:
    """The work on one message, from the first step to the label and the receipt.

    `engine.Engine` calls it and stores what each step returns.
    """

    def __init__(
        self,
        settings: Settings,
        services: Services,
        source: MessageSource,
        spool: Path,
        reclassify_mailboxes: Mapping[Category, MessageSource] | None = None,
    ) -> None:
        """Keep the arguments. Nothing is connected or written yet.

        `spool` is a directory of our own. `reclassify_mailboxes` maps each category to the reclassify mailbox that asks
        for it.
        """
        self._settings, self._services, self._source, self._spool = settings, services, source, spool
        self._reclassify_mailboxes = reclassify_mailboxes or {}

    def clear(self) -> None:
        """Delete the spool files that a killed process left behind."""
        for left in self._spool.glob("*.eml"):
            left.unlink()

    def __call__(self, journal: Journal) -> dict[str, Any]:
        """Run the remaining steps of a message and return its outcome and results as JSON."""
        self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        correction = correction_of(journal.reference)
        source = self._reclassify_mailboxes.get(correction.category, self._source) if correction else self._source
        path = self._spool / f"{journal.reference.replace('/', '-')}.eml"
        message = LazyMessage(message_of(journal.reference), source, path, self._settings.imap)
        job = StepContext(journal, message, source, self._services, self._settings)
        progress = PipelineProgress()
        try:
            return self._correct(job, correction, progress) if correction else self._dispatch(job, progress)
        except StepFailedError as failure:
            return self._give_up(job, failure, progress) | progress.summary()
        except MessageGoneError:
            return {"outcome": "gone"} | progress.summary()
        finally:
            message.discard()

    def _dispatch(self, job: StepContext, progress: PipelineProgress) -> dict[str, Any]:
        """Run every step of a message from the inbox, and update `reached` after each step."""
        received = progress.received = receive(job)
        ignored = received["ignored"]
        if ignored and not received["unless_answer"]:
            return self._ignore(job, ignored)
        threads = find_threads(job, received["forebears"])
        if ignored and not threads:
            return self._ignore(job, ignored)
        send_alert(job, received)
        wait_turn(job, received)
        job = replace(job, upload_decisions=tuple(map(UploadDecision, received["fates"])))
        root = job.journal.reference
        if answered := answer(job, threads, received):
            thread, done = answered
            root = thread.reference
            done = send_answered(job, done, received)
        elif ignored:  # the writer quotes a ticket's Message-ID but is not its contact
            return self._ignore(job, ignored)
        else:
            done = progress.done = initial_result(job, classify(job))
            for step in STEPS[done.classification.category]:
                done = progress.done = step(job, done)
                if step is create_ticket and done.ticket:
                    remember(job, received["key"], root, DISPATCHED)
        progress.done = done
        outcome = done.classification.category.lower()
        self._label(job, outcome)
        sender = self._settings.sender
        result = {"outcome": outcome, "thread": root} | progress.summary()
        colleague = bool(received.get("people", {}).get("colleague"))
        return self._tell(
            job, result, progress, lambda _: receipt(job.message.request, done, sender=sender, colleague=colleague)
        )

    def _correct(self, job: StepContext, correction: Correction, progress: PipelineProgress) -> dict[str, Any]:
        """Run every step of a correction, like `_dispatch`. The admin is not notified, having asked for it."""
        original = dispatch_correction.find_original(job, correction)
        progress.received = {"people": original.result.get("people", {})}
        # Recorded now, so that the next correction finds it even if this one fails.
        progress.before = {"thread": original.thread, "was": original.was}
        # Keep the first upload decisions: today's caps would count the files that were uploaded then.
        job = replace(job, upload_decisions=tuple(map(UploadDecision, original.result.get("fates", ()))))
        progress.done = dispatch_correction.existing_result(job, original)
        received = progress.received = receive(job, asked=True)
        if received["ignored"]:
            return self._ignore(job, received["ignored"])
        if len(job.upload_decisions) != len(received["fates"]):
            job = replace(job, upload_decisions=tuple(map(UploadDecision, received["fates"])))
        done = progress.done = dispatch_correction.existing_result(job, original)
        # A message without a ticket may be an answer that was never recognised as one.
        threads = [] if done.ticket else find_threads(job, received["forebears"])
        if answered := answer(job, threads, received, look=True):
            thread, noted = answered
            original = original.answering(thread.reference)
            done = progress.done = replace(noted, classification=done.classification)
            progress.before["thread"] = original.thread
        elif job.journal.store:
            # Recorded before anything is created: an answer that arrives meanwhile waits for this correction.
            job.journal.store.remember(received["key"], original.thread)
        ticket = done.ticket
        for step in dispatch_correction.STEPS[correction.category]:
            done = progress.done = step(job, done, original)
            if done.ticket != ticket:  # the message has a ticket of its own now
                progress.before["thread"] = correction.reference
        outcome = correction.category.lower()
        self._label(job, outcome)
        write = partial(
            receipt,
            done=done,
            sender=self._settings.sender,
            correction=correction.number,
            corrects_answer=progress.before["thread"] != correction.reference,
        )
        result = {"outcome": outcome} | progress.summary()
        return self._tell(job, result, progress, lambda _: write(job.message.request))

    def _ignore(self, job: StepContext, reason: str) -> dict[str, Any]:
        self._label(job, "ignored", seen=reason == canary_mark.REASON)
        return {"outcome": "ignored", "reason": reason}

    def _give_up(self, job: StepContext, failure: StepFailedError, progress: PipelineProgress) -> dict[str, Any]:
        """Notify the admin of a failed step, and label the message as failed."""
        # If the message could not be read, do not try to read it again for the notification.
        message = None if failure.step == "receive" else job.message

        def write(stamp: str) -> Receipt:
            detail, sender = failure_detail(job, failure), self._settings.sender
            request, reference = message.request if message else None, message_of(job.journal.reference)
            left = _steps_behind(failure.step, progress.done)
            return failure_receipt(
                request, reference, failure, progress.done, left, detail=detail, stamp=stamp, sender=sender
            )

        result = {"outcome": "failed", "step": failure.step, "reason": failure.reason}
        with suppress(StepFailedError):  # The failure is logged, and the label below still shows it.
            send_failure(job, failure, message)
        with suppress(StepFailedError):  # The message then stays in place, and a later scan tries it again.
            self._label(job, "failed")
            return self._tell(job, result, progress, write)
        return result | {"unfiled": True}

    def _label(self, job: StepContext, outcome: str, *, seen: bool = False) -> None:
        """Label the message with its outcome. `seen` also marks it as read, for our own mail only."""
        reference = message_of(job.journal.reference)

        def act(_: Attempt) -> None:
            if seen:
                job.source.mark_seen(reference)
            job.source.label(reference, outcome)

        job.journal.step("label", act, "imap")

    def _tell(
        self, job: StepContext, result: dict[str, Any], progress: PipelineProgress, write: Callable[[str], Receipt]
    ) -> dict[str, Any]:
        """Append a receipt next to the message in the mailbox, and return the result.

        If only the receipt is left to write, the outcome is "waiting" and `filed` holds the final outcome. Answers to
        the message then need not wait for the receipt.
        """
        outcome = result["outcome"]
        if "received_at" in progress.received:
            job.message.filed(outcome, datetime.fromisoformat(progress.received["received_at"]))
        try:
            send_receipt(job, outcome, write)
        except StepDeferredError as wait:
            waiting = {"step": wait.step, "reason": wait.reason, "until": wait.until.isoformat(), "gate": wait.breaker}
            return result | waiting | {"outcome": "waiting", "filed": outcome}
        return result


def _steps_behind(step: str, done: DispatchResult | None) -> list[str]:
    """Return the names of the steps that would have followed the given step."""
    names = [each.__name__ for each in STEPS[done.classification.category]] if done else []
    if done and done.classification.decided_by == "person":
        names.remove("send_notification")
        step = "create_ticket" if step in {"find_ticket", "update_ticket"} else step
    return names[names.index(step) + 1 :] if step in names else []


def _summary(done: DispatchResult) -> dict[str, Any]:
    """Return the ids, URLs and numbers of what was created for a message, but nothing of its content."""
    return {
        "category": done.classification.category.lower(),
        "confidence": done.classification.confidence,
        "decided_by": done.classification.decided_by,
        "needs_review": done.classification.needs_review,
        "fates": [str(fate) for fate in done.upload_decisions],
        "files": [url for _, url in done.uploads],
        "contact_id": done.contact_id,
        "ticket": asdict(done.ticket) if done.ticket else None,
        "note_id": done.note_id,
        "subtask": asdict(done.subtask) if done.subtask else None,
        "skipped": list(done.skipped),
    }
