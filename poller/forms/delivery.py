"""Where forms are dropped: the mailbox that customers write to."""

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
    from poller.imap.session import Mailbox

LATELY_S = 60.0  # for which an answer of the mailbox holds good
SILENT_S = 5.0  # for which its silence does: whoever asks how it is does not make us try each time
PROBE_S = 10.0
DROP_S = 20.0  # for each call on the way of a message, beside the time that its bytes may take

_TOO_BIG = re.compile(r"\[TOOBIG\]|too (?:big|large)|size exceeds|exceeds .{0,40}size", re.IGNORECASE)


def is_too_big(error: PermanentError) -> bool:
    """Whether the mail server takes no message of that size (RFC 7889 section 4), by its words."""
    return _TOO_BIG.search(error.detail) is not None


class Letterbox:
    """The inbox as the forms know it, for any number of threads; each call has a session of its own."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is connected before the first call. The clock is in seconds, and never set back."""
        self._imap, self._clock = settings.imap, clock
        labels = settings.labels
        self._mailboxes = (labels.support, labels.modelisation, labels.ignored, labels.failed)
        self._account = Inbox(settings).account
        self._answered_s, self._silent_s = float("-inf"), float("-inf")

    def drop(self, message: FormMessage) -> str:
        """Put the message into the inbox, where it does not lie yet; the reference under which it is known.

        Once this returns the server has it. A message that may have been dropped before is looked for in the inbox and
        where the daemon files what is done.

        Raises:
            TransientError: the mailbox is out of reach, or was a moment ago, and perhaps the message is there
                nevertheless.
            PermanentError: the mail server does not take it; see `is_too_big`.
            ConfigurationError: the mailbox lets nobody in with our settings.
        """
        if self._clock() - self._silent_s < SILENT_S:
            # Or those who wait for a session would wait for each other's silence in a row.
            raise TransientError("IMAP: out of reach a moment ago", retry_after_s=SILENT_S, outcome_unknown=False)
        try:
            with closing(imap_session.connect(self._imap, DROP_S)) as session:
                header = self._found(session, message.message_id) if message.again else None
                if header is None:
                    session.deliver(self._imap.mailbox, message.content, message.size_bytes)
        except TransientError as error:
            if isinstance(error.__cause__, TimeoutError):
                self._silent_s = self._clock()
            raise
        self._answered_s = self._clock()
        # Ours has a Message-ID and a Date, which is all that it takes.
        return reference.reference_of(self._account, header or message.header) or ""

    def answers(self) -> bool:
        """Whether the mailbox answered within the last minute; it is asked where it has not."""
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

    def _found(self, session: Mailbox, message_id: str) -> bytes | None:
        """The header of the message of this Message-ID, None when there is none in the mailboxes that it may be in."""
        for name in ("", *self._mailboxes):
            if not name or session.enter(name):
                for arrival in session.arrivals(session.with_message_id(message_id)):
                    return arrival.header
        return None
