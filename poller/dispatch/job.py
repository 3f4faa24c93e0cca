"""A message that the steps work on, and the context that each step receives."""

from __future__ import annotations

from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from integrations.errors import ConfigurationError, TransientError
from poller.parsing import parser_process
from poller.rendering.phrases import UNREADABLE
from poller.triage import attachment_policy, sender
from poller.workflow.errors import MessageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from poller.config.settings import ImapSettings, Settings
    from poller.dispatch.clients import Services
    from poller.mailbox.source import Fetched, MessageSource
    from poller.model import DispatchResult, Outcome, Receipt, Request, UploadDecision
    from poller.workflow.journal import Journal
    from poller.workflow.steps import StepName


class LazyMessage:
    """The message in progress: fetched and parsed when a step first needs it, dropped when the work on it ends."""

    def __init__(self, reference: str, source: MessageSource, path: Path, imap: ImapSettings) -> None:
        """Fetch nothing yet. `path` is the place for the spool file."""
        self._reference, self._source, self._path, self._imap = reference, source, path, imap
        self._request: Request | None = None
        self._junk: bool | None = None
        self._filed: tuple[Outcome, datetime] | None = None

    def waits_behind(self, message_ids: Iterable[str]) -> bool:
        """Return whether an older message that still waits is, or names, one of these."""
        return self._source.holds_older(self._reference, message_ids)

    def filed(self, outcome: Outcome, received_at: datetime) -> None:
        """Record that the message now lies where this outcome is filed."""
        self._filed = outcome, received_at

    @property
    def account(self) -> str:
        """Return the account whose mailbox the message is in."""
        return self._source.account

    @property
    def request(self) -> Request:
        """Return the customer's request. Attachments are read from the spool file.

        Raises:
            UnreadError: the mailbox is out of reach, the parser was stopped, or there is no room on the disk.
            MessageGoneError: the message was taken away.
        """
        if self._request is None:
            try:
                fetched = self._fetched()
                request = parser_process.parse(
                    self._path, self._source.account, fetched.received_at, unreadable=UNREADABLE
                )
            except (TransientError, ConfigurationError, parser_process.ParserDiedError, OSError) as error:
                raise MessageUnavailableError(error) from error
            if fetched.oversize_bytes:
                request = replace(
                    request, defects=(*request.defects, attachment_policy.oversize(fetched.oversize_bytes))
                )
            request = sender.identify(request, sender.own_domains(self._imap), self._imap.authserv_id)
            self._junk = fetched.junk
            # A server may end a broken header elsewhere than the parser does. The reference computed first stays.
            self._request = replace(request, reference=self._reference)
        return self._request

    def look(self) -> None:
        """Make sure, as far as possible, that the message is still there.

        The check runs outside of any step.

        Raises:
            MessageGoneError: it was taken away.
        """
        with suppress(MessageUnavailableError):
            # In a context of its own: the mailbox's calls to the state store are no steps of the message in progress.
            Context().run(lambda: self.request)

    @property
    def junk(self) -> bool | None:
        """Return the mailbox's junk verdict, None when it gives none or the message is not fetched yet."""
        return self._junk

    def _fetched(self) -> Fetched:
        if self._filed:
            return self._source.fetch_filed(self._reference, *self._filed, self._path)
        return self._source.fetch(self._reference, self._path)

    def mark_seen(self) -> None:
        """Mark the message as read. See `MessageSource.mark_seen`."""
        self._source.mark_seen(self._reference)

    def label(self, outcome: Outcome) -> None:
        """File the message under its outcome. See `MessageSource.label`."""
        self._source.label(self._reference, outcome)

    def append(self, outcome: Outcome, receipt: Receipt, *, look: bool, supersedes: str) -> None:
        """Put the receipt beside the message. See `MessageSource.append`."""
        self._source.append(outcome, receipt, look=look, supersedes=supersedes)

    def discard(self) -> None:
        """Remove the spool file."""
        self._path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class StepContext:
    """Context that every step of a message receives."""

    journal: Journal
    message: LazyMessage
    services: Services
    settings: Settings
    upload_decisions: tuple[
        UploadDecision, ...
    ] = ()  # decision on each attachment, in the mail's order; known once the message is received


GONE = "gone"  # in the journal: the object to add something to was deleted


def skip(done: DispatchResult, step: StepName) -> DispatchResult:
    """Record that a step was skipped because its service has no credentials."""
    return done if step in done.skipped else replace(done, skipped=(*done.skipped, step))
