"""Tell the customer that the mail has arrived: at most once, and whatever happens, the request goes on."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from integrations.errors import (
    ConfigurationError,
    LetterDeferredError,
    PermanentError,
    TransientError,
)
from poller.dispatch.notify import NOT_FOR_NOW
from poller.model import Acknowledgement
from poller.own_mail import ACKNOWLEDGEMENT, notification_id
from poller.triage import acknowledgement as triage
from poller.triage import quotas
from poller.triage.language import language_of
from poller.triage.sender import from_our_form, own_domains
from poller.workflow.errors import DependencyPendingError, MessageUnavailableError, StepFailedError
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.dispatch.job import StepContext
    from poller.model import DispatchResult, Request
    from poller.rendering.acknowledgement.letter_writer import AcknowledgementWriter
    from poller.workflow.results import Received
    from poller.workflow.retry import Attempt

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

DEFERRED_FOR = timedelta(minutes=30)  # for which a letter is tried that the server does not take for now
_READY = "ready"  # in the journal: the server waits for the letter


def acknowledge(
    job: StepContext, done: DispatchResult, received: Received, writer: AcknowledgementWriter | None
) -> DispatchResult:
    """Send the letter about a mail that opened a ticket, and return the result with what became of it.

    `writer` is None where no letter is to be written any more.

    Raises:
        StepDeferredError: the mail server is out of reach, and the mail is not a day old.
        MessageGoneError: the message was taken away.
    """
    try:
        return replace(done, acknowledgement=_Sending(job, done, received, writer).run())
    except StepFailedError:  # It is logged, and the ticket exists.
        return replace(done, acknowledgement=Acknowledgement.FAILED)


class _Sending:
    """The way of one letter to the mail server, in this execution.

    It takes two steps, as that of a notification does: a death of the process leaves a doubt only while the message
    itself is transferred. What is in doubt is never sent a second time.
    """

    def __init__(
        self, job: StepContext, done: DispatchResult, received: Received, writer: AcknowledgementWriter | None
    ) -> None:
        self._job, self._done, self._received, self._writer = job, done, received, writer
        self._latest = (received.received_at or datetime.now(UTC)) + triage.LATEST
        self._ready: list[Callable[[], None]] = []  # what gives the letter to the server

    def run(self) -> Acknowledgement:
        """Run both steps, and return what became of the letter."""
        journal = self._job.journal
        with ExitStack() as connection:
            prepared = journal.step(
                StepName.PREPARE_ACKNOWLEDGEMENT, lambda attempt: self._prepare(attempt, connection), gated=False
            )
            if prepared != _READY:
                return Acknowledgement(prepared)
            fate = journal.step(
                StepName.SEND_ACKNOWLEDGEMENT, lambda attempt: self._hand_over(attempt, connection), gated=False
            )
        return Acknowledgement(fate)

    def _prepare(self, attempt: Attempt, connection: ExitStack) -> str:
        return self._reason_against() or self._reach(StepName.PREPARE_ACKNOWLEDGEMENT, attempt, connection) or _READY

    def _reason_against(self) -> Acknowledgement | None:
        job = self._job
        if self._done.ticket is None:
            return Acknowledgement.NO_TICKET
        request, own, now = job.message.request, own_domains(job.settings.imap), datetime.now(UTC)
        if reason := triage.reason_against(request, own, now, junk=job.message.junk):
            return reason
        # A second copy, by a group or an alias, may have another reference under the same Message-ID.
        known = job.journal.store.recall((self._received.thread_key, *self._received.parent_keys))
        if set(known.values()) - {request.reference}:
            return Acknowledgement.IN_CONVERSATION
        return self._over_quota(request, now, is_form=from_our_form(request, own))

    def _over_quota(self, request: Request, now: datetime, *, is_form: bool) -> Acknowledgement | None:
        """Count the letter, and return why it is one too many, None if it is not."""
        store, given = self._job.journal.store, self._job.settings.acknowledgement
        person = quotas.pseudonym(self._job.settings, triage.mailbox_of(request.sender.addr_spec))
        if not triage.reserve(store, person, request.reference, now, given.max_per_sender_per_day):
            return Acknowledgement.OFTEN
        # After the person's own: one who gets none takes nobody's place.
        if is_form and not triage.reserve(
            store, triage.VISITORS, request.reference, now, given.max_form_letters_per_day
        ):
            return Acknowledgement.FORMS
        return None

    def _reach(self, step: StepName, attempt: Attempt, connection: ExitStack) -> Acknowledgement | None:
        """Send the server everything but the message. Return why it takes none, None if it waits for it.

        Raises:
            TransientError, ConfigurationError, ServiceHeldBackError: it is out of reach, or refuses us.
            DependencyPendingError: it does not take the letter for now.
        """
        job, smtp, writer = self._job, self._job.services.smtp, self._writer
        if smtp is None or writer is None:
            return Acknowledgement.OFF
        request = job.message.request
        repeats = triage.repeats_words(request, own_domains(job.settings.imap))
        letter = writer.write(request, self._done, language_of(request), datetime.now(UTC), repeats=repeats)

        def connect() -> bool:
            try:
                self._ready.append(connection.enter_context(smtp.submission(letter, automatic=True)))
            except LetterDeferredError:
                return False  # The server answers: the letters to others need not wait.
            return True

        try:
            reached = job.journal.call_service(step, connect, self._latest)
        except PermanentError as error:
            return self._refused(str(error))
        if reached is None:
            return Acknowledgement.OLD
        return None if reached else self._deferred(attempt)

    def _hand_over(self, attempt: Attempt, connection: ExitStack) -> Acknowledgement:
        job = self._job
        if attempt.doubts:
            return self._look()
        if datetime.now(UTC) > self._latest:
            return Acknowledgement.OLD
        if not self._ready and (reason := self._reach(StepName.SEND_ACKNOWLEDGEMENT, attempt, connection)):
            return reason

        def give() -> bool:
            try:
                self._ready.pop()()
            except LetterDeferredError:
                return False
            return True

        try:
            given = job.journal.call_service(StepName.SEND_ACKNOWLEDGEMENT, give, self._latest)
        except PermanentError as error:
            return self._refused(str(error))
        if given is False:
            return self._deferred(attempt)
        return Acknowledgement.SENT if given else Acknowledgement.IN_DOUBT

    def _look(self) -> Acknowledgement:
        """Look for a letter of which it is not known whether it was sent. It is not sent again in any case."""
        message_id = notification_id(self._job.journal.reference, ACKNOWLEDGEMENT)
        try:
            if self._job.source.was_sent(message_id):
                return Acknowledgement.SENT
        except (TransientError, ConfigurationError) as error:
            if datetime.now(UTC) <= self._latest:
                raise MessageUnavailableError(error) from error
        log.warning("acknowledgement_in_doubt", ref=self._job.journal.reference)
        return Acknowledgement.IN_DOUBT

    def _deferred(self, attempt: Attempt) -> Acknowledgement:
        """Give up a letter that the server has not taken for long.

        Raises:
            DependencyPendingError: it is to be tried again.
        """
        if datetime.now(UTC) - attempt.since > DEFERRED_FOR:
            return self._refused(NOT_FOR_NOW)
        raise DependencyPendingError(NOT_FOR_NOW)

    def _refused(self, reason: str) -> Acknowledgement:
        log.warning("acknowledgement_refused", ref=self._job.journal.reference, reason=reason)
        return Acknowledgement.REFUSED
