"""Run the steps of one message in order, and record the outcome."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from integrations.errors import CredentialsError
from poller.config.settings import reader_zone
from poller.dispatch import correction as dispatch_correction
from poller.dispatch.acknowledge import acknowledge
from poller.dispatch.bounce import answered_result, bounce_receipt, is_first_bounce, with_bounce
from poller.dispatch.classify import classify, initial_result
from poller.dispatch.corrected_mails import CorrectedMails
from poller.dispatch.inspection_turns import InspectionTurns
from poller.dispatch.job import LazyMessage, StepContext
from poller.dispatch.notify import failure_receipt, send_alert, send_failure, send_receipt
from poller.dispatch.order import steps_of
from poller.dispatch.progress import PipelineProgress
from poller.dispatch.receive import receive, wait_turn
from poller.dispatch.reply import answer, find_threads, remember, send_answered
from poller.errors import MessageGoneError
from poller.model import Category, Outcome
from poller.own_mail import ACKNOWLEDGEMENT
from poller.rendering.acknowledgement.letter_writer import AcknowledgementWriter
from poller.rendering.notification import DISPATCHED
from poller.rendering.receipt import receipt
from poller.triage import canary_mark
from poller.triage.advice import adviser
from poller.workflow.corrections import correction_of, message_of
from poller.workflow.errors import MessageUnavailableError, StepDeferredError, StepFailedError
from poller.workflow.results import WorkResult
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from poller.config.settings import Settings
    from poller.dispatch.clients import Services
    from poller.mailbox.source import MessageSource
    from poller.model import Receipt
    from poller.workflow.corrections import Correction
    from poller.workflow.journal import Journal
    from poller.workflow.retry import Attempt


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
        *,
        wake: Callable[[str], object] = lambda _: None,
    ) -> None:
        """Keep the arguments. Nothing is connected or written yet.

        `spool` is a directory of our own. `reclassify_mailboxes` maps each category to the reclassify mailbox that asks
        for it. `wake` resumes a message that waits, see `InspectionTurns`.

        Raises:
            ConfigurationError: a template of a letter does not work.
        """
        self._settings, self._source, self._spool = settings, source, spool
        self._reclassify_mailboxes = reclassify_mailboxes or {}
        self._letters = AcknowledgementWriter(settings) if settings.acknowledgement.enabled else None
        self._context = partial(
            StepContext,
            services=services,
            settings=settings,
            inspection_turns=InspectionTurns(wake),
            adviser=adviser(settings),
            corrected_mails=CorrectedMails(source, spool, settings.imap) if settings.learning.examples else None,
        )

    def clear(self) -> None:
        """Delete the spool files that a killed process left behind."""
        for left in self._spool.glob("*.eml"):
            left.unlink()

    def __call__(self, journal: Journal) -> WorkResult:
        """Run the remaining steps of a message, and return its outcome and results."""
        self._spool.mkdir(mode=0o700, parents=True, exist_ok=True)
        correction = correction_of(journal.reference)
        source = self._reclassify_mailboxes.get(correction.category, self._source) if correction else self._source
        path = self._spool / f"{journal.reference.replace('/', '-')}.eml"
        message = LazyMessage(message_of(journal.reference), source, path, self._settings.imap)
        job = self._context(journal, message, source)
        progress = PipelineProgress()
        try:
            return self._correct(job, correction, progress) if correction else self._dispatch(job, progress)
        except StepFailedError as failure:
            return self._give_up(job, failure, progress)
        except MessageGoneError:
            return progress.result(Outcome.GONE)
        finally:
            message.discard()

    def _dispatch(self, job: StepContext, progress: PipelineProgress) -> WorkResult:
        """Run every step of a message from the inbox, and update `progress` after each step."""
        received = receive(job)
        progress.received(received)
        ignored = received.ignored
        if ignored and not received.unless_answer:
            return self._ignore(job, ignored, progress, received.bounced)
        threads = find_threads(job, received.parent_keys)
        if ignored and not threads:
            return self._ignore(job, ignored)
        send_alert(job, received)
        wait_turn(job, received)
        job = replace(job, upload_decisions=received.upload_decisions)
        root = job.journal.reference
        progress.answers = threads[0].reference if threads else ""  # the nearest, as long as none is chosen
        answered = answer(job, threads, received)
        progress.answers = answered[0].reference if answered else ""
        if answered:
            thread, done = answered
            root = thread.reference
            done = send_answered(job, done, received, thread)
        elif ignored:  # the writer quotes a ticket's Message-ID but is not its contact
            return self._ignore(job, ignored)
        else:
            done = progress.done = initial_result(job, classify(job))
            for name, step in steps_of(done.classification.category, received.support_files).items():
                done = progress.done = step(job, done)
                if name is StepName.CREATE_TICKET and done.ticket:
                    told = (DISPATCHED, ACKNOWLEDGEMENT) if received.acknowledge else (DISPATCHED,)
                    remember(job, received.thread_key, root, *told)
            if received.acknowledge:
                done = progress.done = acknowledge(job, done, received, self._letters)
        progress.done = done
        outcome = done.classification.category.outcome
        self._label(job, outcome)
        progress.thread = root
        write = partial(
            receipt,
            sender=self._settings.sender,
            zone=reader_zone(self._settings),
            colleague=received.people.colleague,
        )
        return self._tell(
            job,
            progress.result(outcome),
            progress,
            lambda _: write(job.message.request, with_bounce(job, done, outcome)),
        )

    def _correct(self, job: StepContext, correction: Correction, progress: PipelineProgress) -> WorkResult:
        """Run every step of a correction, like `_dispatch`. The admin is not notified, having asked for it."""
        original = dispatch_correction.find_original(job, correction)
        # Recorded now, so that the next correction finds it even if this one fails.
        progress.people, progress.thread, progress.was = original.result.people, original.thread, original.was
        # Keep the first upload decisions: today's caps would count the files that were uploaded then.
        job = replace(job, upload_decisions=original.result.upload_decisions)
        progress.done = dispatch_correction.existing_result(job, original)
        received = receive(job, asked=True)
        progress.received(received)
        if received.ignored:
            return self._ignore(job, received.ignored)
        if len(job.upload_decisions) != len(received.upload_decisions):
            job = replace(job, upload_decisions=received.upload_decisions)
        done = progress.done = dispatch_correction.existing_result(job, original)
        # A message without a ticket may be an answer that was never recognised as one.
        threads = [] if done.ticket else find_threads(job, received.parent_keys)
        if answered := answer(job, threads, received, look=True):
            thread, noted = answered
            original = original.answering(thread.reference)
            done = progress.done = replace(noted, classification=done.classification)
            progress.thread = original.thread
        else:
            # Recorded before anything is created: an answer that arrives meanwhile waits for this correction.
            job.journal.store.remember(received.thread_key, original.thread)
        ticket = done.ticket
        for step in dispatch_correction.steps_of(correction.category, received.support_files):
            done = progress.done = step(job, done, original)
            if done.ticket != ticket:  # the message has a ticket of its own now
                progress.thread = correction.reference
        outcome = correction.category.outcome
        self._label(job, outcome)
        write = partial(
            receipt,
            sender=self._settings.sender,
            zone=reader_zone(self._settings),
            correction=correction.number,
            corrects_answer=progress.thread != correction.reference,
        )
        return self._tell(
            job,
            progress.result(outcome),
            progress,
            lambda _: write(job.message.request, with_bounce(job, done, outcome)),
        )

    def _ignore(
        self, job: StepContext, reason: str, progress: PipelineProgress | None = None, bounced: str = ""
    ) -> WorkResult:
        """Label the message as ignored. `bounced` is the reference of the message that it is a bounce about, or ""."""
        self._label(job, Outcome.IGNORED, seen=reason == canary_mark.REASON)
        result = WorkResult(Outcome.IGNORED, reason=reason)
        if not (progress and bounced and is_first_bounce(job, bounced)):
            return result
        return self._tell(
            job,
            result,
            progress,
            lambda _: bounce_receipt(job, bounced, self._spool),
            beside=lambda: answered_result(job, bounced).final_outcome,
        )

    def _give_up(self, job: StepContext, failure: StepFailedError, progress: PipelineProgress) -> WorkResult:
        """Notify the admin of a failed step, and label the message as failed."""
        # If the message could not be read, do not try to read it again for the notification.
        message = None if failure.step is StepName.RECEIVE else job.message

        left, done = _steps_behind(failure.step, progress), progress.done

        def write(stamp: str) -> Receipt:
            return failure_receipt(job, failure, message, done and with_bounce(job, done, Outcome.FAILED), left, stamp)

        result = progress.result(Outcome.FAILED, step=failure.step, reason=failure.reason)
        with suppress(StepFailedError):  # The failure is logged, and the label below still shows it.
            send_failure(job, failure, message, progress.done, progress.answers or progress.thread)
        with suppress(StepFailedError):  # The message then stays in place, and a later scan tries it again.
            self._label(job, Outcome.FAILED)
            return self._tell(job, result, progress, write)
        return replace(result, unfiled=True)

    def _label(self, job: StepContext, outcome: Outcome, *, seen: bool = False) -> None:
        """Label the message with its outcome. `seen` also marks it as read, for our own mail only."""
        reference = message_of(job.journal.reference)

        def act(_: Attempt) -> None:
            try:
                if seen:
                    job.source.mark_seen(reference)
                job.source.label(reference, outcome)
            except CredentialsError as error:  # The whole mailbox refuses us, and not the label alone.
                raise MessageUnavailableError(error) from error

        job.journal.step(StepName.LABEL, act)

    def _tell(
        self,
        job: StepContext,
        result: WorkResult,
        progress: PipelineProgress,
        write: Callable[[str], Receipt],
        *,
        beside: Callable[[], Outcome] | None = None,
    ) -> WorkResult:
        """Append a receipt next to the message in the mailbox, and return the result.

        A receipt about another message lies where that is filed, as `beside` returns in the step.

        If only the receipt is left to write, the outcome is WAITING and `filed` holds the final outcome. Answers to
        the message then need not wait for the receipt.
        """
        outcome = result.outcome
        if progress.received_at:
            job.message.filed(outcome, progress.received_at)
        try:
            send_receipt(job, outcome, write, beside)
        except StepDeferredError as wait:
            return replace(
                result,
                outcome=Outcome.WAITING,
                step=wait.step,
                reason=wait.reason,
                until=wait.until,
                breaker=wait.breaker,
                behind=wait.behind,
                filed=outcome,
            )
        return result


def _steps_behind(step: StepName, progress: PipelineProgress) -> list[StepName]:
    """Return the names of the steps that would have followed the given step, and that a person would miss."""
    done = progress.done
    names = list(steps_of(done.classification.category, progress.support_files)) if done else []
    names = [name for name in names if name != StepName.INSPECT_MODELS]
    if done and done.classification.decided_by == "person":
        names.remove(StepName.SEND_NOTIFICATION)
        step = StepName.CREATE_TICKET if step in {StepName.FIND_TICKET, StepName.UPDATE_TICKET} else step
    return names[names.index(step) + 1 :] if step in names else []
