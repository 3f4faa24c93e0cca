"""Append forms to the mailbox that customers write to."""

from __future__ import annotations

import re
import time
from contextlib import closing
from typing import TYPE_CHECKING

from integrations.errors import ConfigurationError, TransientError
from poller.imap import session as imap_session
from poller.mailbox.inbox import Inbox
from poller.mime import reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.errors import PermanentError
    from poller.config.settings import Settings
    from poller.forms.message import FormMessage
    from poller.imap.session import ImapSession

LATELY_S = 60.0  # for which an answer of the mailbox counts
SILENT_S = 5.0  # for which its silence counts, so that not every health check connects again
PROBE_S = 10.0
DROP_S = 20.0  # for each call while a message is appended, plus the time that its bytes may take

_TOO_BIG = re.compile(r"\[TOOBIG\]|too (?:big|large)|size exceeds|exceeds .{0,40}size", re.IGNORECASE)


def is_too_big(error: PermanentError) -> bool:
    """Return whether the mail server refused a message for its size (RFC 7889 section 4), judged by its words."""
    return _TOO_BIG.search(error.detail) is not None


class FormDelivery:
    """The inbox as the forms use it, for any number of threads. Each call has a session of its own."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare the names of the mailboxes. Nothing is connected before the first call.

        The clock is in seconds, and never set back.
        """
        self._imap, self._clock = settings.imap, clock
        labels = settings.labels
        self._mailboxes = (labels.support, labels.modelisation, labels.ignored, labels.failed)
        self._account = Inbox(settings).account
        self._answered_s, self._silent_s = float("-inf"), float("-inf")

    def append(self, message: FormMessage) -> str:
        """Append the message to the inbox, unless it is there already, and return its reference.

        Once this returns the server has the message. A message that may have been appended before is looked for in the
        inbox and where the daemon files processed messages.

        Raises:
            TransientError: the mailbox is out of reach, or was a moment ago. The message may be there nevertheless.
            PermanentError: the mail server does not take it. See `is_too_big`.
            ConfigurationError: the mailbox refuses our settings.
        """
        if self._clock() - self._silent_s < SILENT_S:
            # Otherwise the calls that wait for a session would each wait for the same timeout, one after the other.
            raise TransientError("IMAP: out of reach a moment ago", retry_after_s=SILENT_S, outcome_unknown=False)
        try:
            with closing(imap_session.connect(self._imap, DROP_S)) as session:
                header = self._found(session, message.message_id) if message.again else None
                if header is None:
                    session.append_stream(self._imap.mailbox, message.content, message.size_bytes)
        except TransientError as error:
            if isinstance(error.__cause__, TimeoutError):
                self._silent_s = self._clock()
            raise
        self._answered_s = self._clock()
        # A form's message has a Message-ID and a Date, which are enough for a reference.
        return reference.reference_of(self._account, header or message.header) or ""

    def answers(self) -> bool:
        """Return whether the mailbox answered within the last minute. Where it has not, try it now.

        A failed try counts for SILENT_S.
        """
        now = self._clock()
        if now - self._answered_s < LATELY_S:
            return True
        if now - self._silent_s < SILENT_S:
            return False
        try:
            imap_session.connect(self._imap, PROBE_S).close()
        except (TransientError, ConfigurationError):
            self._silent_s = self._clock()
            return False
        self._answered_s = self._clock()
        return True

    def _found(self, session: ImapSession, message_id: str) -> bytes | None:
        """Return the header of the message with this Message-ID, None when no mailbox that it may be in has it."""
        for name in ("", *self._mailboxes):
            if not name or session.select(name):
                for arrival in session.fetch_summaries(session.with_message_id(message_id)):
                    return arrival.header
        return None
