"""File messages by labels at Gmail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integrations.errors import ConfigurationError, TransientError
from poller.imap.listing import decoded, mailboxes
from poller.imap.search import expect_gone, selected

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from imapclient import IMAPClient


def relabel(client: IMAPClient, uids: Sequence[int], label: str, others: Iterable[str]) -> None:
    r"""Put a Gmail label on messages and take others off. The inbox label stays, because only MOVE takes it off.

    https://developers.google.com/workspace/gmail/imap/imap-extensions. In the inbox `-X-GM-LABELS (\Inbox)` does
    nothing, and the account's settings decide what EXPUNGE does there: it may delete.

    Raises:
        TransientError: the server said yes, and did not do it.
    """
    client.add_gmail_labels(uids, [label], silent=True)
    for uid, labels in _gmail_labels(client, uids).items():
        if label.casefold() not in labels:
            raise TransientError("IMAP STORE: the server did not keep the label", outcome_unknown=False)
        if outdated := [other for other in others if other.casefold() in labels - {label.casefold()}]:
            client.remove_gmail_labels([uid], outdated, silent=True)


def archive(client: IMAPClient, uids: Sequence[int], inbox: str) -> None:
    """Take the inbox label off at the same message (X-GM-MSGID) in "All Mail", where that has an effect."""
    rows = client.fetch(uids, ["X-GM-MSGID"])
    identities = [row[b"X-GM-MSGID"] for uid, row in rows.items() if uid in uids and b"X-GM-MSGID" in row]
    everything = next((each.name for each in mailboxes(client) if b"\\all" in each.flags), None)
    if everything is None:
        raise ConfigurationError('IMAP: Gmail hides "All Mail": Gmail > Settings > Labels > All Mail > Show in IMAP')
    with selected(client, everything, inbox):
        for identity in identities:
            client.remove_gmail_labels(client.search(["X-GM-MSGID", identity]), ["\\Inbox"], silent=True)
    expect_gone(client, uids)


def _gmail_labels(client: IMAPClient, uids: Sequence[int]) -> dict[int, set[str]]:
    """Return the labels of each message, in lower case: their case means nothing. Names of no mailbox are left out."""
    rows = client.fetch(uids, ["X-GM-LABELS"])
    return {
        uid: {name.casefold() for label in row[b"X-GM-LABELS"] if (name := _name(label)) is not None}
        for uid, row in rows.items()
        if uid in uids and b"X-GM-LABELS" in row
    }


def _name(label: bytes | int) -> str | None:
    # A label of digits alone comes as a number.
    return decoded(label) if isinstance(label, bytes) else str(label)
