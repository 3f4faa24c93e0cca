"""The mailbox as the workers share it: which message is which, and what is left alone."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from poller.errors import MessageGoneError
from poller.imap import pool, search
from poller.mailbox import scanner
from poller.mailbox.inbox import Inbox
from tests.support.faulty_relay import Relay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from poller.imap.session import ImapSession
    from tests.conftest import Office

OLD, NEW = datetime(2026, 11, 1, 12, tzinfo=UTC), datetime(2026, 11, 22, 12, tzinfo=UTC)


def a_mail(number: int, *headers: bytes) -> bytes:
    own = (
        b"From: ana@ruiz.example",
        b"Message-ID: <%d@ruiz.example>" % number,
        b"Date: Sun, 22 Nov 2026 10:00:00 +0100",
    )
    return b"\r\n".join((*own, *headers, b"", b"Bonjour\r\n"))


def put(office: Office, raw: bytes, at: datetime = NEW, mailbox: str = "INBOX") -> None:
    with office.sandbox.imap.session() as client:
        client.append(mailbox, raw, msg_time=at)


@pytest.fixture
def inbox(office: Office) -> Iterator[Inbox]:
    with closing(Inbox(office.settings)) as inbox:
        yield inbox


def test_message_waits_only_for_older_messages(office: Office, inbox: Inbox) -> None:
    """Of two that name each other the first goes on, or both would wait for ever."""
    put(office, a_mail(1, b"References: <2@ruiz.example>"))
    put(office, a_mail(2, b"References: <1@ruiz.example>"))
    first, second = inbox.scan()
    assert not inbox.holds_older(first, ["<2@ruiz.example>"])
    assert inbox.holds_older(second, ["<1@ruiz.example>"])
    assert not inbox.holds_older(second, ["<3@ruiz.example>"])


@pytest.fixture
def made_anew(office: Office) -> Iterator[tuple[Inbox, ImapSession]]:
    """A mailbox with one message in it, and a session on what had its name before, which Dovecot lets go on there."""
    office.environment["IMAP_MAILBOX"] = "Demandes"
    with closing(Inbox(office.settings)) as inbox, office.sandbox.imap.session() as client:
        client.create_folder("Demandes")
        assert inbox.scan() == []
        (stale,) = inbox._sessions._free
        client.delete_folder("Demandes")
        client.create_folder("Demandes")
        client.append("Demandes", a_mail(1), msg_time=NEW)
        yield inbox, stale


def test_scan_detects_recreated_mailbox(made_anew: tuple[Inbox, ImapSession]) -> None:
    """Or it would see an empty one for ever, and call that good."""
    inbox, stale = made_anew
    assert inbox._sessions._free == [stale]
    with pytest.raises(TransientError, match="made anew"):
        inbox.scan()
    assert len(inbox.scan()) == 1


def test_session_is_dropped_after_uidvalidity_change(
    made_anew: tuple[Inbox, ImapSession],
) -> None:
    """Or each message that was given one would wait, though the mailbox is there."""
    inbox, stale = made_anew
    inbox._sessions._free.clear()
    (reference,) = inbox.scan()
    inbox._sessions._free.append(stale)
    assert inbox.confirm(reference)
    assert stale not in inbox._sessions._free


def test_mail_before_first_day_is_skipped_unless_admitted(office: Office, inbox: Inbox) -> None:
    """And nobody waits behind what is left alone."""
    for number in (1, 2):
        put(office, a_mail(number), OLD)
    put(office, a_mail(3))
    first, second, third = inbox.scan()
    inbox.since = date(2026, 11, 22)
    assert inbox.scan() == [third]
    inbox.reach = lambda: None
    inbox.taken_up = {second}.intersection
    assert inbox.scan() == [second, third]
    assert inbox.holds_older(third, ["<2@ruiz.example>"])
    assert not inbox.holds_older(third, ["<1@ruiz.example>"])
    assert inbox.confirm(first), "another machine may have been told to take all"


def test_scan_discards_uids_after_uidvalidity_change(office: Office, tmp_path: Path) -> None:
    """The UID is the same and the message is not: nothing is fetched, moved or taken for present; a new look helps."""
    office.environment["IMAP_MAILBOX"] = "Demandes"
    with office.sandbox.imap.session() as client:
        client.create_folder("Demandes")
    put(office, a_mail(1), mailbox="Demandes")
    with closing(Inbox(office.settings)) as inbox:
        (before,) = inbox.scan()
        inbox.close()
        with office.sandbox.imap.session() as client:
            client.delete_folder("Demandes")
            client.create_folder("Demandes")
        put(office, a_mail(2), mailbox="Demandes")
        for call in (
            lambda: inbox.fetch(before, tmp_path / "mail.eml"),
            lambda: inbox.label(before, "support"),
            lambda: inbox.confirm(before),
        ):
            with pytest.raises(TransientError, match="made anew"):
                call()
        assert office.mailboxes() == {"Demandes": 1}
        (after,) = inbox.scan()
        assert after != before
        with pytest.raises(MessageGoneError):
            inbox.fetch(before, tmp_path / "mail.eml")


@pytest.mark.parametrize(
    ("keyword", "copied", "brought_back"),
    [(True, False, True), (False, False, True), (True, True, True), (False, True, False)],
)
def test_failed_message_in_inbox_is_retry_or_second_copy(
    office: Office, inbox: Inbox, *, keyword: bool, copied: bool, brought_back: bool
) -> None:
    """A person, if it bears our keyword or lies no longer where failures go; else the same mail came once more."""
    put(office, a_mail(1))
    (reference,) = inbox.scan()
    inbox.label(reference, "failed")
    with office.sandbox.imap.session() as client:
        client.select_folder("Échecs")
        uids = client.search()
        if not keyword:
            client.remove_flags(uids, ["Figurative-Failed"])
        (client.copy if copied else client.move)(uids, "INBOX")
    assert inbox.scan() == [reference]
    assert inbox.was_brought_back(reference) is brought_back


class Heard(Relay):
    """A relay that keeps what its clients ask for; the server knows no command that is `unknown`."""

    def __init__(self, server_port: int) -> None:
        super().__init__(server_port)
        self.asked = b""
        self.unknown = b""

    def passed(self, data: bytes) -> bytes:
        """See `Relay`."""
        self.asked += data
        return data.replace(self.unknown, b" NONE ") if self.unknown else data

    def commands(self, kind: bytes) -> list[str]:
        """What stands behind each command of a kind, with UIDs counted from the first one that this test made."""
        first = min((int(uid) for uid in re.findall(rb"UID FETCH (\d+)", self.asked)), default=1)
        return [
            re.sub(r"\d+", lambda uid: str(int(uid[0]) - first + 1), behind.decode())
            for behind in re.findall(kind + rb" (.*?)(?: UNDELETED| \(.*)\r\n", self.asked)
        ]


@pytest.fixture
def heard(office: Office) -> Iterator[Heard]:
    """What the inbox says to the server."""
    with Heard(office.sandbox.imap.port) as relay:
        office.environment["IMAP_PORT"] = str(relay.port)
        yield relay


def test_scan_fetches_headers_of_new_messages_only(office: Office, heard: Heard) -> None:
    """What was seen is asked for by its UID, what comes by those after it, and the header of new ones alone is read."""
    for number in range(3):
        put(office, a_mail(number))
    with closing(Inbox(office.settings)) as inbox:
        first = inbox.scan()
        assert inbox.scan() == first
        put(office, a_mail(3))
        assert inbox.scan()[:3] == first
        assert len(inbox.scan()) == 4
    assert heard.commands(b"UID SEARCH UID") == ["4:*,1:3", "4:*,1:3", "5:*,1:4"]
    assert heard.commands(b"UID FETCH") == ["1,2,3", "4"]


def test_scan_does_not_fetch_skipped_messages(office: Office, heard: Heard) -> None:
    """It is neither read nor named again; and it is neither fetched nor forgotten when it is asked for all the same."""
    for number in range(3):
        put(office, a_mail(number), OLD)
    with closing(Inbox(office.settings)) as inbox:
        inbox.since, inbox.reach = date(2026, 11, 22), lambda: None
        asked: list[set[str]] = []
        inbox.taken_up = lambda references: asked.append(set(references)) or ()
        for _ in range(2):
            assert inbox.scan() == []
        assert [len(each) for each in asked] == [3], "the memory is asked once"
        assert heard.commands(b"UID SEARCH UID") == ["4:*"]
        assert heard.commands(b"UID FETCH") == ["1,2,3"]
        for reference in asked[0]:
            assert inbox.confirm(reference)
            inbox.label(reference, "support")
    assert office.mailboxes() == {"Support": 3}


@pytest.mark.parametrize("taken", ["known", "left alone"])
def test_scan_detects_removed_message(office: Office, inbox: Inbox, taken: str) -> None:
    """Nor is what comes at the same time, whatever of it the counting explains."""
    put(office, a_mail(1), OLD)
    put(office, a_mail(2))
    inbox.since, inbox.reach = date(2026, 11, 22), lambda: None
    (known,) = inbox.scan()
    with office.sandbox.imap.session() as client:
        client.select_folder("INBOX")
        client.delete_messages(client.search()[1 if taken == "known" else 0])
        client.expunge()
    put(office, a_mail(3))
    now = inbox.scan()
    assert len(now) == (1 if taken == "known" else 2)
    assert (known in now) == (taken == "left alone")
    assert inbox.scan() == now
    assert not inbox.confirm(known) if taken == "known" else inbox._scanner.seen.left_alone == {}


def test_full_scan_detects_removed_deleted_flag(office: Office, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its UID is an old one and the count is the same, so no other look shows it; and that is not far off."""
    for number in range(2):
        put(office, a_mail(number))
    monkeypatch.setattr(scanner, "WHOLE_LOOK_S", 0.0)
    both = inbox.scan()
    with office.sandbox.imap.session() as client:
        client.select_folder("INBOX")
        first = client.search()[0]
        client.delete_messages([first])
        assert inbox.scan() == both[1:]
        client.remove_flags([first], ["\\Deleted"])
    assert inbox.scan() == both


def test_scan_reads_large_mailbox_in_parts(office: Office, heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is longer than what is read of a line, and what is taken away meanwhile hides nothing."""
    monkeypatch.setattr(search, "ANSWER", 2)
    monkeypatch.setattr(search, "LISTED", 2)
    for number in range(5):
        put(office, a_mail(number))
    with closing(Inbox(office.settings)) as inbox:
        references = inbox.scan()
        assert len(set(references)) == 5
        put(office, a_mail(5))
        assert inbox.scan()[:5] == references
    assert heard.commands(b"UID SEARCH UID") == ["6:*,1:2", "6:*,3:4", "6:*,5"]


def test_scan_reads_everything_without_status_counts(office: Office, heard: Heard) -> None:
    """RFC 3501 allows it to refuse STATUS of the mailbox that is open."""
    heard.unknown = b" STATUS "
    with closing(Inbox(office.settings)) as inbox:
        for number in range(3):
            put(office, a_mail(number))
            assert len(inbox.scan()) == number + 1
    assert heard.commands(b"UID SEARCH UID") == []


def test_reclassify_mailboxes_share_two_sessions(office: Office) -> None:
    """The account's connections are few, and the polled mailbox needs them; a look waits for no fetch there, either."""
    put(office, a_mail(1))
    with closing(Inbox(office.settings, "INBOX")) as tray, tray._sessions.session(fetching=True):
        (reference,) = tray.scan()
        assert tray.confirm(reference)
        with tray._sessions.session():
            assert not tray._sessions._places.acquire(blocking=False)


def test_workers_share_few_imap_sessions(office: Office, inbox: Inbox) -> None:
    """However many are at work: servers allow a user few connections."""
    put(office, a_mail(1))
    with ThreadPoolExecutor(1) as late:
        with ExitStack() as at_work:
            for _ in range(pool.IN_USE):
                at_work.enter_context(inbox._sessions.session())
            asked = late.submit(inbox.count, ["INBOX"])
            assert len(inbox.scan()) == 1
            assert not asked.done()
        assert asked.result() == {"INBOX": 1}


def test_long_fetch_blocks_only_other_fetches(office: Office, inbox: Inbox, tmp_path: Path) -> None:
    """It may take minutes: and the watchdog waits for a look, which counts what lies elsewhere."""
    put(office, a_mail(1))
    [reference] = inbox.scan()
    with ThreadPoolExecutor(2) as late:
        with ExitStack() as at_work:
            for _ in range(pool.IN_USE - 1):
                at_work.enter_context(inbox._sessions.session(fetching=True))
            fetched = late.submit(inbox.fetch, reference, tmp_path / "late")
            look = [
                late.submit(inbox.count, ["INBOX"]),
                late.submit(inbox.confirm, reference),
                late.submit(inbox.mark_seen, reference),
            ]
            assert [asked.result(timeout=10) for asked in look] == [{"INBOX": 1}, True, None]
            assert not fetched.done()
        assert fetched.result().oversize_bytes == 0
