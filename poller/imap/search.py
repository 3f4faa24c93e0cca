"""List the messages of the selected mailbox with SEARCH and STATUS (RFC 3501 sections 6.4.4 and 6.3.10)."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from imapclient.exceptions import IMAPClientAbortError, IMAPClientError

from integrations.errors import TransientError
from poller.escaping import one_line
from poller.imap.responses import is_busy

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import date

    from imapclient import IMAPClient

ANSWER = 50_000  # UIDs that one SEARCH may answer with: imaplib reads no line over 1,000,000 bytes
_SPECIAL = re.compile(r"""[\s(){}%*"\\\[\]]+""")  # what is no plain atom in a command (RFC 9051 section 9)
LISTED = 1_000  # UIDs that one SEARCH names: servers do not read long lines either


@dataclass(frozen=True, slots=True)
class Counts:
    """The number of messages in a mailbox and its next UID, as the server reports them."""

    messages: int  # in the mailbox, including those marked as deleted
    next_uid: int  # UIDNEXT: later messages get this UID or a higher one


def status(client: IMAPClient, mailbox: str, *items: str) -> dict[bytes, Any]:
    """Return the STATUS items of a mailbox (RFC 9051 section 6.3.11), or {} if the server rejects the command."""
    try:
        return client.folder_status(mailbox, items)  # type: ignore[no-any-return]
    except IMAPClientAbortError:
        raise
    except IMAPClientError as error:
        if is_busy(error):
            raise
        return {}


def uids(client: IMAPClient, messages: int, since: date | None) -> list[int]:
    """Return the UIDs of the messages that are not marked deleted, in order of arrival.

    `messages` is the number of messages in the mailbox. `since` keeps only those that arrived on that day or later,
    None keeps all.
    """
    criteria: list[str | date] = ["UNDELETED"] if since is None else ["UNDELETED", "SINCE", since]
    found: set[int] = set()
    last: int | str = "*"
    # The newest first: if messages are expunged meanwhile, those that move up are seen twice instead of missed.
    for first in range((max(messages, 1) - 1) // ANSWER * ANSWER + 1, 0, -ANSWER):
        part = [f"{first}:{last}"] if messages > ANSWER else []
        found.update(client.search([*part, *criteria]))
        last = first - 1
    # SEARCH promises no order, and the oldest customer comes first.
    return sorted(found)


def new_uids(client: IMAPClient, first: int, known: Collection[int]) -> list[int]:
    """Return the UIDs from `first` on, and the known ones still present, none marked deleted, in order."""
    found: set[int] = set()
    in_order = sorted(known)
    for start in range(0, max(len(known), 1), LISTED):
        listed = _sequence_set(in_order[start : start + LISTED])
        # "*" is the last message, whatever its UID, so the answer may hold one UID below `first`.
        found.update(client.search(["UID", ",".join([f"{first}:*", *listed]), "UNDELETED"]))
    wanted = set(known)
    return sorted(uid for uid in found if uid >= first or uid in wanted)


def last_uid(client: IMAPClient) -> int:
    """Return the UID of the last message, marked deleted or not, or 0 if there is none."""
    return max(client.search(["UID", "*"]), default=0)


def matching(client: IMAPClient, words: str) -> list[int]:
    """Return the UIDs of the messages from an address, with a Message-ID, or with all words in the subject, in order.

    The first two have an @ in them. A server compares without case, and takes a part for the whole.
    """
    # A line end would begin another command, and the library leaves these characters unquoted.
    parts = [part for part in _SPECIAL.split(one_line(words)) if part]
    if not parts:
        return []
    if len(words.split()) == 1 and "@" in words:
        named = max(parts, key=lambda part: ("@" in part, len(part)))
        criteria = ["OR", "FROM", named, "OR", "HEADER", "Reply-To", named, "HEADER", "Message-ID", named]
    else:
        criteria = [term for part in parts for term in ("SUBJECT", part)]
    charset = None if all(part.isascii() for part in parts) else "UTF-8"
    return sorted(client.search([*criteria, "UNDELETED"], charset))


def present(client: IMAPClient, uids: Sequence[int]) -> list[int]:
    """Return those of the UIDs that are still in the mailbox and not marked as deleted."""
    found = client.search(["UID", ",".join(map(str, uids)), "UNDELETED"]) if uids else []
    return [uid for uid in uids if uid in found]


def _sequence_set(uids: Sequence[int]) -> list[str]:
    """Return sorted UIDs as a list, each run of neighbours as "first:last" (RFC 9051 section 4.1.1)."""
    runs: list[list[int]] = []
    for uid in uids:
        if runs and uid == runs[-1][-1] + 1:
            runs[-1][1:] = [uid]
        else:
            runs.append([uid])
    return [":".join(map(str, run)) for run in runs]


def expect_gone(client: IMAPClient, uids: Sequence[int]) -> None:
    """Check that none of the messages is left in the mailbox that is open."""
    if present(client, uids):
        raise TransientError("IMAP MOVE: the server says yes, and the message is still there", outcome_unknown=False)


@contextmanager
def selected(client: IMAPClient, mailbox: str, then: str) -> Iterator[None]:
    """Select another mailbox for a while. A failure in it ends the session anyway.

    Raises:
        TransientError: the first mailbox has been made anew meanwhile.
    """
    before = status(client, then, "UIDVALIDITY").get(b"UIDVALIDITY")
    client.select_folder(mailbox)
    yield
    after = client.select_folder(then).get(b"UIDVALIDITY")
    if before and after and before != after:  # Some servers do not tell it.
        raise TransientError("IMAP: the mailbox has been made anew", outcome_unknown=False)
