"""Identify messages in a mailbox by their references, and write the bytes of one or their beginning to a file."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from integrations.errors import TransientError
from poller.errors import MessageGoneError
from poller.mime import headers
from poller.mime.reference import reference_of, reference_of_content

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from poller.config.settings import ImapSettings
    from poller.imap.fetch import MessageSummary
    from poller.imap.session import ImapSession
    from poller.mailbox.variants import Variants

BEGINNING_BYTES = 1 << 20  # of a message over the size limit: enough for the header and the text of nearly all


class UidReusedError(TransientError):
    """A UID means another message now, as after a restore or a repair. Nothing that was found before holds."""

    def __init__(self) -> None:
        """Nothing was done to the other message."""
        super().__init__("IMAP: a UID means another message now", outcome_unknown=False)


def fetch_references(
    session: ImapSession, uids: Sequence[int], imap: ImapSettings, variants: Variants
) -> dict[int, str]:
    """Return the reference of each of these messages that is still there, by UID."""
    named: dict[int, str] = {}
    for arrival in session.fetch_summaries(uids):
        with suppress(MessageGoneError):
            named[arrival.uid] = fetch_reference(session, arrival, imap, variants.account(imap))
    return variants.named(session, named)


def reference_in(path: Path, account: str) -> str:
    """Return the reference of the message in a file. A server may end a broken header elsewhere than this does."""
    with path.open("rb") as spooled:
        beginning = spooled.read(headers.HEADER_BYTES)
    return reference_of(account, beginning) or reference_of_content(account, path)


def fetch_reference(
    session: ImapSession,
    arrival: MessageSummary,
    imap: ImapSettings,
    account: str,
    arrived: Callable[[int], object] = lambda _: None,
) -> str:
    """Return the reference of a message of the account, from its header.

    A message without a Message-ID or a Date is identified by its content, so it is read whole. `arrived` is called with
    the number of bytes of each piece.

    Raises:
        MessageGoneError: a person took the message in the meantime.
    """
    if reference := reference_of(account, arrival.header):
        return reference
    with tempfile.NamedTemporaryFile() as file:
        write(session, arrival, file, imap, arrived)
        file.flush()
        return reference_of_content(account, Path(file.name))


def write(
    session: ImapSession,
    arrival: MessageSummary,
    file: IO[bytes],
    imap: ImapSettings,
    arrived: Callable[[int], object] = lambda _: None,
) -> int:
    """Write a message or its beginning to the empty file.

    Return its size in bytes if only the beginning was written, else 0. `arrived` is called with the number of bytes of
    each piece.

    Raises:
        MessageGoneError: a person took the message in the meantime.
    """
    limit = imap.max_message_bytes
    beginning = min(limit, BEGINNING_BYTES)
    announced = arrival.size_bytes
    # Some servers announce a wrong size. Asking for one byte over the limit shows whether there is more.
    most = limit + 1 if announced <= limit else beginning
    written = 0
    for piece in session.pieces(arrival.uid, most):
        written += file.write(piece)
        arrived(len(piece))
    if written < most:
        return 0
    file.truncate(beginning)
    return max(announced, written)
