"""Identify messages in a mailbox by their references, and write the bytes of one or their beginning to a file."""

from __future__ import annotations

from contextlib import suppress
from typing import IO, TYPE_CHECKING

from integrations.errors import TransientError
from poller.errors import MessageGoneError
from poller.mime import headers
from poller.mime.reference import reference_of, reference_of_content, reference_of_pieces

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

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
    # Without a file: a disk that is full stops no poll.
    beginning_bytes, most = _bounds(arrival, imap)
    size, beginning = 0, b""

    def counted() -> Iterator[bytes]:
        nonlocal size
        for piece in session.pieces(arrival.uid, most):
            arrived(len(piece))
            size += len(piece)
            yield piece

    pieces = counted()
    while len(beginning) < max(beginning_bytes, headers.HEADER_BYTES) and (piece := next(pieces, b"")):
        beginning += piece
    whole = reference_of_pieces(account, beginning, pieces)
    return whole if size < most else reference_of_pieces(account, beginning[:beginning_bytes])


def _bounds(arrival: MessageSummary, imap: ImapSettings) -> tuple[int, int]:
    """Return the number of bytes that are kept of a message over the size limit, and that are asked for of this one."""
    limit = imap.max_message_bytes
    beginning = min(limit, BEGINNING_BYTES)
    # Some servers announce a wrong size. Asking for one byte over the limit shows whether there is more.
    return beginning, limit + 1 if arrival.size_bytes <= limit else beginning


def write(session: ImapSession, arrival: MessageSummary, file: IO[bytes], imap: ImapSettings) -> int:
    """Write a message or its beginning to the empty file.

    Return its size in bytes if only the beginning was written, else 0.

    Raises:
        MessageGoneError: a person took the message in the meantime.
        OSError: the file does not take it.
    """
    beginning, most = _bounds(arrival, imap)
    written = session.write(arrival.uid, most, file)
    if written < most:
        return 0
    file.truncate(beginning)
    return max(arrival.size_bytes, written)
