"""Move messages from the selected mailbox into another one, as the server can, and verify the move.

An OK is not believed: some servers say it and do nothing. COPYUID (RFC 4315) names what moved. Otherwise the message is
searched for.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING

from imapclient.exceptions import IMAPClientAbortError, IMAPClientError, ProtocolError

from integrations.errors import PermanentError, TransientError
from poller.imap.fetch import HEADER, header_of
from poller.imap.gmail import archive
from poller.imap.responses import code, is_busy, is_rejected, said
from poller.imap.search import expect_gone, present, selected

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from imapclient import IMAPClient

PIECE_BYTES = 1 << 16  # of a message on its way to the server


def move(
    client: IMAPClient,
    capabilities: Container[bytes],
    uids: Sequence[int],
    mailboxes: tuple[str, str],
    doubtful: Iterable[int],
) -> None:
    """Move messages from the first mailbox, which is selected, into the second.

    A message that is gone already is no error. MOVE is used (RFC 6851), or its equivalent: COPY, mark as deleted, UID
    EXPUNGE of these alone. `doubtful` are those that an earlier try may have copied already.

    Raises:
        TransientError: the server said yes, and did not do it.
    """
    source, target = mailboxes
    if b"MOVE" in capabilities:
        try:
            moved = _copied(client, lambda: client.move(uids, target))
        except IMAPClientError as error:
            if not is_rejected(error):
                raise
            doubtful = uids  # Some servers announce it and know no such command. An earlier try may have copied.
        else:
            expect_gone(client, [uid for uid in uids if uid not in moved])
            return
    if b"X-GM-EXT-1" in capabilities:
        archive(client, uids, source)
        return
    here = present(client, uids)
    there = _already_in(client, [uid for uid in here if uid in set(doubtful)], source, target)
    if wanted := [uid for uid in here if uid not in there]:
        copied = _copied(client, lambda: client.copy(wanted, target))
        if unsaid := [uid for uid in wanted if uid not in copied]:
            found = _already_in(client, unsaid, source, target)
            if present(client, [uid for uid in unsaid if uid not in found]):
                raise TransientError("IMAP COPY: the server says yes and has not copied", outcome_unknown=False)
    client.add_flags(here, [b"\\Deleted"], silent=True)
    expect_gone(client, here)
    # Without UIDPLUS, EXPUNGE would remove all deleted messages, a person's too. So ours just stay marked.
    if b"UIDPLUS" in capabilities and here:
        client.uid_expunge(here)


def append(client: IMAPClient, mailbox: str, raw: bytes, flags: Sequence[bytes]) -> None:
    """Append a message to a mailbox of this exact name (APPEND, RFC 9051 section 6.3.12).

    A mailbox that is missing is created.

    Raises:
        PermanentError: the server will not take it.
    """
    try:
        try:
            client.append(mailbox, raw, flags)
        except IMAPClientError as error:
            if "[TRYCREATE]" not in str(error).upper():
                raise
            # A person has deleted it since our last check.
            client.create_folder(mailbox)
            client.append(mailbox, raw, flags)
    except IMAPClientAbortError:
        raise
    except IMAPClientError as error:
        # Also where it is busy or over quota: that may last for days, and no customer waits for this message.
        raise PermanentError(f"IMAP APPEND: refused{code(error)}", detail=said(error)) from error


def stream(client: IMAPClient, mailbox: str, content: IO[bytes], size_bytes: int) -> None:
    """Append a message to a mailbox (APPEND, RFC 3501 section 6.3.11). `content` is read in pieces.

    imapclient's own `append` needs all of it in RAM, and copies it twice.

    Raises:
        PermanentError: the server will not take it, and `detail` says why in its words.
    """
    try:
        _stream(client, mailbox, content, size_bytes)
    except (IMAPClientAbortError, ProtocolError):
        raise
    except IMAPClientError as error:
        if is_busy(error):
            raise
        raise PermanentError(f"IMAP APPEND: refused{code(error)}", detail=said(error)) from error


def _stream(client: IMAPClient, mailbox: str, content: IO[bytes], size_bytes: int) -> None:
    imap, name = client._imap, client._normalise_folder(mailbox)  # noqa: SLF001
    tag = imap._command("APPEND", name, f"{{{size_bytes}}}")  # noqa: SLF001
    while imap._get_response() is not None:  # noqa: SLF001  None is the "+" that it waits for
        if imap.tagged_commands[tag]:
            answer, (words, *_) = imap.tagged_commands.pop(tag)
            raise IMAPClientError(f"APPEND failed: {answer} {words!r}")
    while piece := content.read(PIECE_BYTES):
        imap.send(piece)
    imap.send(b"\r\n")
    client._consume_until_tagged_response(tag, "APPEND")  # noqa: SLF001


def _copied(client: IMAPClient, command: Callable[[], object]) -> Container[int]:
    """Run the command. Return the UIDs that the server names as moved or copied, none where it names none."""
    # imapclient does not return them, because they are in a response code.
    untagged = client._imap.untagged_responses  # noqa: SLF001
    untagged.pop("COPYUID", None)
    command()
    return {uid for copied in untagged.pop("COPYUID", ()) for uid in _sources(copied)}


def _sources(copyuid: bytes) -> Iterable[int]:
    """Yield the source UIDs of a COPYUID: uidvalidity, source set, target set."""
    words = copyuid.split()
    for first, last in re.findall(rb"(\d+)(?::(\d+))?", words[1] if len(words) > 1 else b""):
        low, high = sorted((int(first), int(last or first)))
        yield from range(low, min(high, low + 10_000) + 1)


def holds(client: IMAPClient, message_id: str, mailbox: str, then: str) -> bool:
    """Return whether a mailbox holds a message with this Message-ID. False where there is no such mailbox.

    The Message-ID must be of our own making.
    """
    if not client.folder_exists(mailbox):
        return False
    with selected(client, mailbox, then):
        return bool(client.search(["HEADER", "Message-ID", message_id, "UNDELETED"]))


def _already_in(client: IMAPClient, uids: Sequence[int], source: str, target: str) -> set[int]:
    """Return the UIDs of the messages of which the target holds a copy.

    A copy has the same size and the same header.
    """
    rows = client.fetch(uids, ["RFC822.SIZE", HEADER]) if uids else {}
    found = {uid: (row.get(b"RFC822.SIZE"), header_of(row)) for uid, row in rows.items() if uid in uids}
    wanted = {uid: (size, header) for uid, (size, header) in found.items() if size and header}
    if not wanted:
        return set()
    with selected(client, target, source):
        # Not by Message-ID: what a mail says must not come into a command.
        sizes = {
            size: client.search(["LARGER", size - 1, "SMALLER", size + 1, "UNDELETED"]) for size, _ in wanted.values()
        }
        alike = [uid for uids in sizes.values() for uid in uids]
        copies = client.fetch(alike, [HEADER]) if alike else {}
        headers = {header_of(row) for uid, row in copies.items() if uid in alike}
    return {uid for uid, (_, header) in wanted.items() if header in headers}
