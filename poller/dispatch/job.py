"""A message that the steps work on, and the context that each step receives."""

from __future__ import annotations

from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from integrations.errors import ConfigurationError, TransientError
from poller.child_process import ProcessStoppedError
from poller.dispatch.inspection_turns import InspectionTurns
from poller.errors import MessageWithheldError
from poller.mime.reference import BEGINNING_BYTES, content_digest
from poller.parsing import parser_process
from poller.rendering.phrases import UNREADABLE
from poller.triage import attachment_policy, form_mark, sender
from poller.workflow.corrections import FAILED, correction_of, message_of
from poller.workflow.errors import DependencyPendingError, MessageUnavailableError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from poller.config.settings import ImapSettings, Settings
    from poller.dispatch.clients import Services
    from poller.dispatch.corrected_mails import CorrectedMails
    from poller.mailbox.source import Fetched, MessageSource
    from poller.model import DispatchResult, Outcome, Request, UploadDecision
    from poller.triage.advice import Adviser
    from poller.workflow.journal import Journal
    from poller.workflow.steps import StepName


WITHHELD = "the mail server lists it and does not give it"  # the reason why such a message waits


class LazyMessage:
    """The message in progress: fetched and parsed when a step first needs it, dropped when the work on it ends."""

    def __init__(self, reference: str, source: MessageSource, path: Path, imap: ImapSettings) -> None:
        """Fetch nothing yet. `path` is the place for the spool file."""
        self._reference, self._source, self._path, self._imap = reference, source, path, imap
        self._request: Request | None = None
        self.junk: bool | None = None  # the mailbox's junk verdict, None if it gives none or nothing is fetched yet
        self._filed: tuple[Outcome, datetime] | None = None

    def filed(self, outcome: Outcome, received_at: datetime) -> None:
        """Record that the message now lies where this outcome is filed."""
        self._filed = outcome, received_at

    @property
    def request(self) -> Request:
        """Return the customer's request. Attachments are read from the spool file.

        Raises:
            MessageUnavailableError: the mailbox is out of reach, the parser was stopped, or the disk is full.
            MessageGoneError: the message was taken away.
            DependencyPendingError: the mail server has it, and does not give it.
        """
        if self._request is None:
            try:
                fetched = self._fetched()
                request = parser_process.parse(
                    self._path, self._source.account, fetched.received_at, unreadable=UNREADABLE
                )
            except MessageWithheldError as error:
                raise DependencyPendingError(WITHHELD) from error
            except (
                TransientError,
                ConfigurationError,
                ProcessStoppedError,
                parser_process.ParserDiedError,
                OSError,
            ) as error:
                raise MessageUnavailableError(error) from error
            if fetched.oversize_bytes:
                request = replace(
                    request, defects=(*request.defects, attachment_policy.oversize(fetched.oversize_bytes))
                )
            own, form_key = sender.own_domains(self._imap), form_mark.key_of(self._imap)
            request = sender.identify(request, own, self._imap.authserv_id, form_key)
            self.junk = fetched.junk
            # A server may end a broken header elsewhere than the parser does. The reference computed first stays.
            self._request = replace(request, reference=self._reference)
        return self._request

    @property
    def digest(self) -> str:
        """Return the digest of the message's content, see `mime.reference.content_digest`.

        Raises:
            MessageUnavailableError, MessageGoneError, DependencyPendingError: as for `request`.
        """
        return content_digest(self.beginning)

    @property
    def beginning(self) -> bytes:
        """Return the first bytes of the raw message, BEGINNING_BYTES at most.

        Raises:
            MessageUnavailableError, MessageGoneError, DependencyPendingError: as for `request`.
        """
        _ = self.request  # which fetches it
        try:
            with self._path.open("rb") as spooled:
                return spooled.read(BEGINNING_BYTES)
        except OSError as error:
            raise MessageUnavailableError(error) from error

    def look(self) -> None:
        """Make sure, as far as possible, that the message is still there.

        The check runs outside of any step.

        Raises:
            MessageGoneError: it was taken away.
        """
        with suppress(MessageUnavailableError, DependencyPendingError):
            # In a context of its own: the mailbox's calls to the state store are no steps of the message in progress.
            Context().run(lambda: self.request)

    def _fetched(self) -> Fetched:
        if self._filed:
            return self._source.fetch_filed(self._reference, *self._filed, self._path)
        return self._source.fetch(self._reference, self._path)

    def discard(self) -> None:
        """Remove the spool file."""
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class StepContext:
    """Context that every step of a message receives."""

    journal: Journal
    message: LazyMessage
    source: MessageSource  # the mailbox that the message lies in
    services: Services
    settings: Settings
    upload_decisions: tuple[
        UploadDecision, ...
    ] = ()  # decision on each attachment, in the mail's order; known once the message is received
    inspection_turns: InspectionTurns = field(default_factory=InspectionTurns)
    adviser: Adviser | None = None  # None where nothing is learnt
    corrected_mails: CorrectedMails | None = None  # None where Claude is shown none


GONE = "gone"  # in the journal: the object to add something to was deleted


def skip(done: DispatchResult, step: StepName) -> DispatchResult:
    """Record that a step was skipped because its service has no credentials."""
    return done if step in done.skipped else replace(done, skipped=(*done.skipped, step))


def has_moved(job: StepContext) -> bool:
    """Return whether the message was filed elsewhere before, so that its receipt takes the place of earlier ones."""
    fact = f"{FAILED}{message_of(job.journal.reference)}"
    return bool(correction_of(job.journal.reference) or job.journal.store.recall([fact]))
