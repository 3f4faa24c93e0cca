"""Identify a message in a mailbox by its reference, and write its bytes or their beginning to a file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from poller.mime.reference import reference_of, reference_of_content

if TYPE_CHECKING:
    from poller.config.settings import ImapSettings
    from poller.imap.fetch import MessageSummary
    from poller.imap.session import ImapSession

BEGINNING_BYTES = 1 << 20  # of a message over the size limit: enough for the header and the text of nearly all


def fetch_reference(session: ImapSession, arrival: MessageSummary, imap: ImapSettings, account: str) -> str:
    """Return the reference of a message of the account, from its header.

    A message without a Message-ID or a Date is identified by its content, so it is read whole.

    Raises:
        MessageGoneError: a person took the message in the meantime.
    """
    if reference := reference_of(account, arrival.header):
        return reference
    with tempfile.NamedTemporaryFile() as file:
        write(session, arrival, file, imap)
        file.flush()
        return reference_of_content(account, Path(file.name))


def write(session: ImapSession, arrival: MessageSummary, file: IO[bytes], imap: ImapSettings) -> int:
    """Write a message or its beginning to the empty file.

    Return its size in bytes if only the beginning was written, else 0.

    Raises:
        MessageGoneError: a person took the message in the meantime.
    """
    limit = imap.max_message_bytes
    beginning = min(limit, BEGINNING_BYTES)
    announced = arrival.size_bytes
    # Some servers announce a wrong size. Asking for one byte over the limit shows whether there is more.
    most = limit + 1 if announced <= limit else beginning
    written = sum(file.write(piece) for piece in session.pieces(arrival.uid, most))
    if written < most:
        return 0
    file.truncate(beginning)
    return max(announced, written)
