"""List the mailboxes of an account, whatever other programs have named theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import structlog
from imapclient.imap_utf7 import decode

if TYPE_CHECKING:
    from imapclient import IMAPClient

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_told: set[object] = set()  # names and lines that were passed over, each logged once in a process


class Mailbox(NamedTuple):
    """A mailbox in the server's list."""

    flags: frozenset[bytes]  # in lower case: their case means nothing
    name: str  # decoded


def mailboxes(client: IMAPClient) -> list[Mailbox]:
    """Return all mailboxes but those whose name cannot be decoded."""
    # imapclient decodes all or none of the names.
    client.folder_encode = False
    try:
        found = client.list_folders()
    finally:
        client.folder_encode = True
    listed = []
    for flags, _, raw in found:
        name = decoded(raw) if isinstance(raw, bytes) else str(raw)
        if name is not None:
            listed.append(Mailbox(frozenset(flag.lower() for flag in flags or ()), name))
        else:
            pass_over(raw, "its name is no modified UTF-7")
    return listed


def pass_over(told: object, why: str) -> None:
    """Log once that a mailbox is left out, which the server named so."""
    if told not in _told:
        _told.add(told)
        # Without the name: people name mailboxes after customers.
        log.warning("mailbox_passed_over", why=why)


def decoded(name: bytes) -> str | None:
    """Decode a name from modified UTF-7 (RFC 3501 section 5.1.3). None if it is none."""
    try:
        return str(decode(name))
    except UnicodeDecodeError:
        return None
