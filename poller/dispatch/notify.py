"""Send the mails to the admin about a message, and put the receipt beside it. Each takes one step, or two."""

from __future__ import annotations

import re
from contextlib import ExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import structlog

from integrations.errors import (
    ConfigurationError,
    LetterDeferredError,
    PermanentError,
    ServiceError,
    TransientError,
    UndeliverableError,
)
from poller.config.settings import reader_zone
from poller.dispatch.job import has_moved, skip
from poller.dispatch.upload import with_file_names
from poller.errors import MessageGoneError
from poller.model import Outcome
from poller.rendering import flood_alert, notification
from poller.rendering import receipt as rendering_receipt
from poller.rendering.mail_page import MADE_UP
from poller.triage import quotas
from poller.triage.sender import own_domains
from poller.workflow.corrections import FAILED, message_of
from poller.workflow.errors import DependencyPendingError, MessageUnavailableError, StepFailedError
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage

    from poller.config.settings import ImapSettings
    from poller.dispatch.job import LazyMessage, StepContext
    from poller.model import DispatchResult, Receipt, Request
    from poller.workflow.results import Received
    from poller.workflow.retry import Attempt

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

NOTIFICATION_TRIES = 2  # of a mail whose outcome is unknown: an admin told twice is better than one told never
RECEIPT_TRIES = 6  # of a receipt that the mailbox does not take for now: for twenty minutes, see `backoff.DELAYS_S`
NOT_FOR_NOW = "the mail server does not take this letter for now"  # and others it may: no other has to wait
_GMAIL_HOSTS = {"imap.gmail.com", "imap.googlemail.com"}
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,300}>")  # RFC 5322 section 3.6.4, without folding or comments
SENT, IN_DOUBT, REFUSED = "sent", "in doubt", "refused"  # the outcome of a mail, in the journal


def send_alert(job: StepContext, received: Received) -> None:
    """Tell the admin of a sender who writes too often, or of too many new ones, at the first mail that has to wait."""
    if received.episode != job.journal.reference:
        return

    def letter(sender: str, recipient: str, now: datetime) -> EmailMessage:
        request, imap, zone = job.message.request, job.settings.imap, reader_zone(job.settings)
        if received.crowd:
            return flood_alert.crowd_alert(
                request, imap.max_new_senders_per_h, sender=sender, recipient=recipient, now=now, zone=zone
            )
        return flood_alert.sender_alert(
            request,
            imap.max_per_sender_per_h,
            proven=quotas.proof_of(request, own_domains(imap)) is quotas.Proof.VERIFIED,
            sender=sender,
            recipient=recipient,
            now=now,
            zone=zone,
        )

    with suppress(StepFailedError):  # The failure is in the log, and the message goes on without the alert.
        send(job, StepName.SEND_ALERT, letter)


def send_notification(
    job: StepContext, done: DispatchResult, write: Callable[..., EmailMessage] = notification.notification
) -> DispatchResult:
    """Tell the admin what was made of the message, in the mail that `write` makes of it.

    Returns `done`, with the step noted where it is in doubt, was refused or was skipped. A mail server that takes no
    letter for the admin does not make the customer's request fail.
    """

    def letter(sender: str, recipient: str, now: datetime) -> EmailMessage:
        request = job.message.request
        told = with_file_names(request, done)
        return write(
            request,
            told,
            sender=sender,
            recipient=recipient,
            now=now,
            zone=reader_zone(job.settings),
            reply_to_customer=job.settings.notification.reply_to_customer,
        )

    fate = send(job, StepName.SEND_NOTIFICATION, letter)
    if fate == IN_DOUBT:
        return replace(done, in_doubt=(*done.in_doubt, StepName.SEND_NOTIFICATION))
    if fate == REFUSED:
        return replace(done, refused=(*done.refused, StepName.SEND_NOTIFICATION))
    return done if fate else skip(done, StepName.SEND_NOTIFICATION)


def send_failure(
    job: StepContext,
    failure: StepFailedError,
    message: LazyMessage | None,
    done: DispatchResult | None,
    answers: str = "",
) -> None:
    """Tell the admin what could not be done, and what to do about it.

    `done` is what was done before. `answers` is the reference of the message that this one answers, "" for none.
    """

    def letter(sender: str, recipient: str, now: datetime) -> EmailMessage:
        request = message.request if message else None
        return notification.failure_notification(
            request,
            job.journal.reference,
            step=failure.step,
            kind=failure.kind,
            detail=failure_detail(job, failure),
            sender=sender,
            recipient=recipient,
            now=now,
            zone=reader_zone(job.settings),
            done=done,
            mailbox=job.settings.labels.failed,
            message_url=gmail_url(job.settings.imap, request) if request else "",
            answers=answers,
        )

    send(job, StepName.SEND_FAILURE, letter)


def gmail_url(imap: ImapSettings, request: Request) -> str:
    """Return the URL that opens a message, and the receipt in its conversation, in Gmail.

    "" for a mailbox elsewhere, and for a message without an ordinary Message-ID. No other provider opens a message by
    its Message-ID. https://support.google.com/mail/answer/7190 documents the operator.
    """
    is_gmail = imap.auth == "google" or imap.host.lower() in _GMAIL_HOSTS
    if not is_gmail or not _MESSAGE_ID.fullmatch(request.message_id) or request.message_id.endswith(MADE_UP):
        return ""
    search = quote(f"rfc822msgid:{request.message_id[1:-1]}", safe="")
    return f"https://mail.google.com/mail/?authuser={quote(imap.username, safe='@')}#search/{search}"


def failure_detail(job: StepContext, failure: StepFailedError) -> str:
    """Return what the service or the program said of a failure, without secrets, for the admin."""
    return job.settings.without_secrets(f"{failure.reason}\n{failure.detail}")


def failure_receipt(
    job: StepContext,
    failure: StepFailedError,
    message: LazyMessage | None,
    done: DispatchResult | None,
    left: list[StepName],
    stamp: str,
) -> Receipt:
    """Write the receipt of a failure. `left` names the steps after the failed one. `stamp` is as for `send_receipt`."""
    return rendering_receipt.failure_receipt(
        message.request if message else None,
        message_of(job.journal.reference),
        failure,
        done,
        left,
        detail=failure_detail(job, failure),
        stamp=stamp,
        sender=job.settings.sender,
        zone=reader_zone(job.settings),
        mailbox=job.settings.labels.failed,
    )


def send_receipt(
    job: StepContext,
    outcome: Outcome,
    write: Callable[[str], Receipt],
    beside: Callable[[], Outcome] | None = None,
) -> None:
    """Put a receipt beside the message that was filed, or where `beside` says, exactly once.

    `write` makes the receipt, given a stamp or "". A receipt that the mailbox keeps refusing is given up in the end.
    That is in the log, and affects neither this message nor any other.

    Raises:
        StepDeferredError: it is tried again later. Nothing else is left to do.
    """
    if not job.settings.receipts.enabled:
        return

    def act(attempt: Attempt) -> bool:
        try:
            _put(job, beside() if beside else outcome, write(stamp), look=bool(attempt.failures or attempt.doubts))
        except MessageGoneError:
            return False  # A person took it: there is nothing to put a receipt beside.
        except (MessageUnavailableError, TransientError, ConfigurationError) as error:
            cause = error.cause if isinstance(error, MessageUnavailableError) else error
            # The text of any other error could quote the mail.
            why = str(cause) if isinstance(cause, (ServiceError, ConfigurationError)) else type(cause).__name__
            if attempt.failures + 1 >= RECEIPT_TRIES:
                raise PermanentError(why) from error
            raise TransientError(why, outcome_unknown=False) from error
        return True

    stamp = ""
    with suppress(StepFailedError):
        if outcome is Outcome.FAILED:  # a message may fail more than once, each time for another reason
            stamp = job.journal.step(StepName.PREPARE_RECEIPT, lambda _: f"{datetime.now(UTC):%Y%m%d%H%M%S%f}")
        job.journal.step(StepName.SEND_RECEIPT, act)


def _put(job: StepContext, outcome: Outcome, receipt: Receipt, *, look: bool) -> None:
    reference = message_of(job.journal.reference)
    job.journal.confirm()
    # A person must find no receipt that is outdated, nor one whose message lies in another mailbox.
    supersedes = rendering_receipt.receipts_begin(reference) if has_moved(job) else ""
    job.source.append(outcome, receipt, look=look, supersedes=supersedes)
    if outcome is Outcome.FAILED:
        job.journal.store.remember(f"{FAILED}{reference}", "")


def send(job: StepContext, step: StepName, letter: Callable[[str, str, datetime], EmailMessage]) -> str:
    """Send a mail, and return SENT, IN_DOUBT, REFUSED, or "" when SMTP or the admin is not configured.

    `letter` makes the mail from sender, recipient and time. A mail whose outcome is unknown is sent once more, under
    the same Message-ID.
    """
    fate = ""
    for _ in range(NOTIFICATION_TRIES):
        fate = _submit(job, step, letter)
        if fate != IN_DOUBT:
            return fate
    log.warning("notification_in_doubt", ref=job.journal.reference, step=step)
    return fate


def _submit(job: StepContext, step: StepName, letter: Callable[[str, str, datetime], EmailMessage]) -> str:
    """Send a mail, unless it may be out already. Return its outcome as `send` does.

    It takes two steps. The first sends the server everything but the message. So a process death leaves a doubt only
    while the message is transferred.
    """
    smtp, recipient = job.services.smtp, job.settings.notification.email
    ready: list[Callable[[], None]] = []  # what the first step has prepared; for this execution alone
    with ExitStack() as connection:

        def prepare(attempt: Attempt) -> bool | str:
            if smtp is None or recipient is None:
                return False
            message = letter(job.settings.sender, recipient, datetime.now(UTC))
            try:
                ready.append(connection.enter_context(smtp.submission(message)))
            except (UndeliverableError, LetterDeferredError) as error:
                return _refused(job, step, error, attempt)
            return True

        def hand_over(attempt: Attempt) -> str:
            if attempt.doubts:
                return IN_DOUBT
            if not ready and prepare(attempt) == REFUSED:
                return REFUSED
            try:
                ready.pop()()
            except (UndeliverableError, LetterDeferredError) as error:
                return _refused(job, step, error, attempt)
            return SENT

        prepared = job.journal.step(step.preparation, prepare)
        if prepared is not True:
            return str(prepared or "")
        fate: str = job.journal.step(step, hand_over)
        return fate


def _refused(
    job: StepContext, step: StepName, error: UndeliverableError | LetterDeferredError, attempt: Attempt
) -> str:
    """Return REFUSED for a mail that the server does not take.

    Raises:
        DependencyPendingError: it does not take it for now, and it is to be tried again.
    """
    patience = timedelta(hours=job.settings.state.give_up_after_h)
    if isinstance(error, LetterDeferredError) and datetime.now(UTC) - attempt.since <= patience:
        raise DependencyPendingError(f"{error}: {NOT_FOR_NOW}", has_answered=True) from error
    log.error("notification_refused", ref=job.journal.reference, step=step, reason=str(error))
    return REFUSED
