"""Lists of UIDs, asked for in commands that no server refuses for their length."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from poller.imap import search
from poller.imap.session import connect
from tests.support.imap_account import RAW, imap_settings
from tests.support.imap_provider import Provider

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox
    from poller.imap.session import ImapSession


class Client:
    """A mailbox that answers SEARCH, the newest first; `expunged` leaves it after the next answer."""

    def __init__(self, *uids: int) -> None:
        self.uids, self.expunged = list(uids), 0
        self.asked: list[str] = []

    def search(self, criteria: list[str]) -> list[int]:
        self.asked.append(" ".join(criteria))
        found = [uid for at, uid in enumerate(self.uids, 1) if self._chosen(criteria, at, uid)]
        self.uids = [uid for uid in self.uids if uid != self.expunged]
        return found[::-1]

    def _chosen(self, criteria: list[str], at: int, uid: int) -> bool:
        """The set in the criteria holds the message, by its UID or by its place in the mailbox."""
        by_uid = criteria[0] == "UID"
        words = criteria[1] if by_uid else criteria[0]
        if not re.match(r"\d", words):
            return True
        number, last = (uid, self.uids[-1]) if by_uid else (at, len(self.uids))
        parts = [sorted(map(int, part.replace("*", str(last)).split(":"))) for part in words.split(",")]
        return any(part[0] <= number <= part[-1] for part in parts)


def test_uids_are_in_order_of_arrival(sandbox: Sandbox, session: ImapSession) -> None:
    """SEARCH promises no order; what is marked as deleted is left out."""
    for flags in ((), ("\\Deleted",), ()):
        sandbox.imap.deliver(RAW, flags=flags)
    session.refresh()
    first, last = session.uids()
    assert last == first + 2
    assert session.last_uid() == last
    assert session.present([last, first + 1, first, 4711]) == [last, first]


def test_large_mailbox_is_listed_in_parts_from_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is longer than what is read of a line."""
    monkeypatch.setattr(search, "ANSWER", 2)
    client = Client(11, 12, 13, 14, 15)
    assert search.uids(client, 5, None) == [11, 12, 13, 14, 15]
    assert client.asked == ["5:* UNDELETED", "3:4 UNDELETED", "1:2 UNDELETED"]


def test_message_expunged_between_parts_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those behind it move up, and the next part has one of them once more."""
    monkeypatch.setattr(search, "ANSWER", 2)
    client = Client(11, 12, 13, 14, 15)
    client.expunged = 12
    assert search.uids(client, 5, None) == [11, 13, 14, 15]


@pytest.mark.parametrize(
    ("known", "asked"),
    [
        ([], ["20:*"]),
        ([11, 12, 13, 15], ["20:*,11:13", "20:*,15"]),
        ([15], ["20:*,15"]),
    ],
)
def test_new_uids_names_known_messages_as_ranges(
    known: list[int], asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few of them in one command; "*" is the last message even if it is an old one, which is not new."""
    monkeypatch.setattr(search, "LISTED", 3)
    client = Client(11, 12, 13, 14, 15, 16)
    assert search.new_uids(client, 20, known) == known
    assert client.asked == [f"UID {uids} UNDELETED" for uids in asked]


def test_new_uids_finds_what_came_and_what_stayed() -> None:
    assert search.new_uids(Client(11, 13, 20, 21), 20, [11, 12, 13]) == [11, 13, 20, 21]


def test_recreated_mailbox_is_detected_by_its_counts() -> None:
    """The same UIDs name other messages there."""
    with Provider("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1") as server:
        session = connect(imap_settings(server))
        assert session.counts() == search.Counts(0, 1)
        server.uidvalidity += 1
        with pytest.raises(TransientError, match="made anew"):
            session.counts()
        session.close()
