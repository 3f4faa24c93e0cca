"""Scans of a mailbox: few commands, no message missed, and odd answers survived."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from integrations.errors import TransientError
from poller.imap import search
from poller.mailbox import scanner
from poller.mailbox.inbox import Inbox
from tests.support.faulty_relay import Relay
from tests.support.imap_account import a_mail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Office
    from tests.support.imap_provider import Provider

OLD, NEW = datetime(2026, 11, 1, 12, tzinfo=UTC), datetime(2026, 11, 22, 12, tzinfo=UTC)
REFUSED = "NO Internal failure reading the message"
BUG = "NO [SERVERBUG] Internal error occurred"
BUSY = (
    "NO [UNAVAILABLE] Temporary storage failure",
    "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds",
)


def uids(server: Provider) -> list[int]:
    return list(server.boxes["INBOX"])


@pytest.mark.parametrize("answer", BUSY)
def test_temporarily_refused_fetch_fails_the_scan(server: Provider, inbox: Inbox, answer: str) -> None:
    """Of one message among many either: the next scan sees all of them."""
    for number in range(3):
        server.deliver(a_mail(number))
    server.refused = {uids(server)[1]: answer}
    with pytest.raises(TransientError, match="FETCH"):
        inbox.scan()
    server.refused = {}
    assert len(inbox.scan()) == 3


def test_scan_fails_when_every_fetch_is_refused(server: Provider, inbox: Inbox) -> None:
    """Whatever the words: that is the server's trouble and not the messages'."""
    for number in range(2):
        server.deliver(a_mail(number))
    server.refused = dict.fromkeys(uids(server), REFUSED)
    for _ in range(2):
        with pytest.raises(TransientError, match="none of 2 new messages"):
            inbox.scan()
    server.refused = {}
    assert len(inbox.scan()) == 2


def test_single_refused_message_is_reported_after_two_failed_scans(server: Provider, inbox: Inbox) -> None:
    """Two scans fail, as the server may be ailing; then they succeed, and it is known which one, and since when."""
    server.deliver(a_mail(1))
    (uid,) = uids(server)
    server.refused = {uid: REFUSED}
    for _ in range(2):
        with pytest.raises(TransientError, match="none of 1 new messages"):
            inbox.scan()
        assert inbox.seen.unread == {}
    with capture_logs() as logged:
        assert inbox.scan() == []
        since = inbox.seen.unread[uid]
        assert inbox.scan() == []
    assert [(each["event"], each["uid"]) for each in logged] == [("message_unreadable", uid)]
    assert inbox.seen.unread == {uid: since}
    server.refused = {}
    assert len(inbox.scan()) == 1
    assert inbox.seen.unread == {}


@pytest.mark.parametrize("refusal", [REFUSED, BUG])
def test_refused_message_blocks_no_other_and_is_retried_each_scan(server: Provider, inbox: Inbox, refusal: str) -> None:
    """Alone, too, once it is known to be the trouble; and the log says so once."""
    for number in range(3):
        server.deliver(a_mail(number))
    server.refused = {uids(server)[1]: refusal}
    with capture_logs() as logged:
        assert [len(inbox.scan()) for _ in range(2)] == [2, 2]
        server.deliver(a_mail(3))
        assert len(inbox.scan()) == 3
    assert [each["event"] for each in logged] == ["message_unreadable"]
    server.refused = {}
    server.commands.clear()
    assert len(inbox.scan()) == 4
    assert not [each for each in server.commands if each.startswith("UID SEARCH UNDELETED")], "not by a full scan"


@pytest.mark.parametrize("answer", [REFUSED, *BUSY])
def test_complete_scan_raises_when_one_fetch_is_refused(server: Provider, inbox: Inbox, answer: str) -> None:
    """A message that is not seen would be forgotten, and dispatched anew."""
    for number in range(2):
        server.deliver(a_mail(number))
    server.refused = {uids(server)[1]: answer}
    with pytest.raises(TransientError, match="FETCH"):
        inbox.scan(all_or_none=True)


@pytest.mark.parametrize("counts", ["MESSAGES x UIDNEXT y UIDVALIDITY 7", "MESSAGES 1", "UIDVALIDITY x", "(("])
def test_invalid_status_counts_cause_full_scan(server: Provider, inbox: Inbox, counts: str) -> None:
    """Each scan requests everything."""
    server.counts = counts
    for number in range(2):
        server.deliver(a_mail(number))
        assert len(inbox.scan()) == number + 1


@pytest.mark.parametrize("answer", ["", BUG], ids=["hangs up", "bug"])
def test_search_by_day_that_always_fails_is_done_without(server: Provider, inbox: Inbox, answer: str) -> None:
    """One damaged message is enough for it; what the server says of each message tells its day as well."""
    server.deliver(a_mail(1))
    inbox.since = datetime.now(UTC).date()
    server.denied = {"SINCE": answer}
    assert len(inbox.scan()) == 1


def test_search_answered_in_several_lines_is_one(server: Provider, inbox: Inbox) -> None:
    """Some servers begin a new line with each hundred messages, and say nothing at all where there is none."""
    server.splits = True
    assert inbox.scan() == []
    for number in range(3):
        server.deliver(a_mail(number))
    assert len(inbox.scan()) == 3
    assert len(inbox.scan()) == 3


def test_extended_answer_is_not_taken_for_empty_mailbox(server: Provider, inbox: Inbox) -> None:
    """Mail would lie there, and nobody would know."""
    server.deliver(a_mail(1))
    server.extends = True
    with pytest.raises(TransientError, match="SEARCH"):
        inbox.scan()


def test_unparsable_imap_answer_raises_transient_error(server: Provider, inbox: Inbox) -> None:
    """Whatever the library makes of it."""
    server.deliver(a_mail(1))
    server.found = "nothing"
    with pytest.raises(TransientError, match="SEARCH: the server talks nonsense"):
        inbox.scan()
    server.found = ""
    assert len(inbox.scan()) == 1


def test_mail_in_status_before_search_is_found_by_next_scan(server: Provider, inbox: Inbox) -> None:
    """At the first scan, too."""
    server.deliver(a_mail(0))
    server.hidden = {uids(server)[-1]}
    assert inbox.scan() == []
    server.hidden = set()
    assert len(inbox.scan()) == 1
    server.deliver(a_mail(1))
    server.hidden = {uids(server)[-1]}
    assert len(inbox.scan()) == 1
    server.hidden = set()
    assert len(inbox.scan()) == 2


def test_skipped_mail_is_not_refetched_after_newest_is_removed(
    server: Provider, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but what is new is asked for, though the next UID is far beyond the last one that is there."""
    server.deliver(a_mail(0))
    server.counts = "MESSAGES 1 UIDNEXT 900 UIDVALIDITY 7"
    monkeypatch.setattr(search, "ANSWER", 500)
    inbox.scan()
    server.commands.clear()
    inbox.scan()
    assert [each for each in server.commands if "SEARCH" in each] == ["UID SEARCH UID 2:*,1 UNDELETED"]


def test_uid_that_fetch_does_not_know_is_unreadable_after_a_while(
    server: Provider, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server may list a message before it has it, and after it has lost it, which is nobody's trouble for a while."""
    for number in range(2):
        server.deliver(a_mail(number))
    server.strange = {uids(server)[1]}
    for _ in range(2):
        assert len(inbox.scan()) == 1
        assert inbox.unreadable == {}
    monkeypatch.setattr(scanner, "UNKNOWN_S", 0.0)
    inbox.scan()
    assert inbox.unreadable.keys() == server.strange
    server.strange = set()
    assert len(inbox.scan()) == 2


def reuse_uids(server: Provider) -> None:
    """Give the messages other content under the UIDs that they have, as after a repair of the mailbox."""
    for uid, mail in server.boxes["INBOX"].items():
        mail.raw = a_mail(1000 + uid)


def test_falling_next_uid_has_everything_read_anew(server: Provider, inbox: Inbox) -> None:
    """Under one UIDVALIDITY the UIDs mean other messages then, and none of them is taken for one that is known."""
    for number in range(3):
        server.deliver(a_mail(number))
    before = inbox.scan()
    del server.boxes["INBOX"][uids(server)[-1]]
    reuse_uids(server)
    server.last_uid = 0
    after = inbox.scan()
    assert len(after) == 2
    assert not {*after} & {*before}


def test_message_under_reused_uid_is_not_confirmed(server: Provider, inbox: Inbox) -> None:
    """So it is not filed as a second copy of the one that had its UID, though UIDNEXT shows nothing."""
    server.deliver(a_mail(1))
    (before,) = inbox.scan()
    assert inbox.confirm(before)
    reuse_uids(server)
    assert not inbox.confirm(before)
    (after,) = inbox.scan()
    assert after != before


@pytest.mark.parametrize("act", ["fetch", "label", "move", "mark_seen"])
def test_message_under_reused_uid_is_neither_fetched_nor_filed(
    server: Provider, inbox: Inbox, tmp_path: Path, act: str
) -> None:
    """Hours may pass between the scan and the work; then everything is read anew."""
    server.deliver(a_mail(1))
    (before,) = inbox.scan()
    reuse_uids(server)
    given = {"fetch": [tmp_path / "mail.eml"], "label": ["support"], "move": ["Clients"], "mark_seen": []}
    with pytest.raises(TransientError, match="a UID means another message now"):
        getattr(inbox, act)(before, *given[act])
    (mail,) = server.boxes["INBOX"].values()
    assert mail.flags == set()
    (after,) = inbox.scan()
    assert after != before
    inbox.fetch(after, tmp_path / "mail.eml")
    inbox.label(after, "support")
    assert len(server.boxes["Support"]) == 1


def put(office: Office, raw: bytes, at: datetime = NEW, mailbox: str = "INBOX") -> None:
    with office.sandbox.imap.session() as client:
        client.append(mailbox, raw, msg_time=at)


def test_mail_before_first_day_is_skipped_unless_admitted(office: Office, office_inbox: Inbox) -> None:
    """And nobody waits behind what is left alone."""
    for number in (1, 2):
        put(office, a_mail(number), OLD)
    put(office, a_mail(3))
    first, second, third = office_inbox.scan()
    office_inbox.since = date(2026, 11, 22)
    assert office_inbox.scan() == [third]
    office_inbox.reach = lambda: None
    office_inbox.taken_up = {second}.intersection
    assert office_inbox.scan() == [second, third]
    assert office_inbox.older(third, ["<2@ruiz.example>"])
    assert not office_inbox.older(third, ["<1@ruiz.example>"])
    assert office_inbox.confirm(first), "another machine may have been told to take all"


@pytest.fixture
def office_inbox(office: Office) -> Iterator[Inbox]:
    with closing(Inbox(office.settings)) as inbox:
        yield inbox


class Heard(Relay):
    """A relay that keeps the commands of its clients; the server knows no command that is `unknown`."""

    def __init__(self, server_port: int) -> None:
        super().__init__(server_port)
        self.asked = b""
        self.unknown = b""

    def passed(self, data: bytes) -> bytes:
        """See `Relay`."""
        self.asked += data
        return data.replace(self.unknown, b" NONE ") if self.unknown else data

    def commands(self, kind: bytes) -> list[str]:
        """The arguments of each command of a kind, with UIDs counted from the first one of this test."""
        first = min((int(uid) for uid in re.findall(rb"UID FETCH (\d+)", self.asked)), default=1)
        return [
            re.sub(r"\d+", lambda uid: str(int(uid[0]) - first + 1), behind.decode())
            for behind in re.findall(kind + rb" (.*?)(?: UNDELETED| \(.*)\r\n", self.asked)
        ]


@pytest.fixture
def heard(office: Office) -> Iterator[Heard]:
    """A relay between the inbox and the server."""
    with Heard(office.sandbox.imap.port) as relay:
        office.environment["IMAP_PORT"] = str(relay.port)
        yield relay


def test_scan_fetches_headers_of_new_messages_only(office: Office, heard: Heard) -> None:
    """Known messages are requested by UID, new ones by the UIDs after it, and only headers of new ones are read."""
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
        assert [len(each) for each in asked] == [3], "the state store is asked once"
        assert heard.commands(b"UID SEARCH UID") == ["4:*"]
        assert heard.commands(b"UID FETCH") == ["1,2,3"]
        for reference in asked[0]:
            assert inbox.confirm(reference)
            inbox.label(reference, "support")
    assert office.mailboxes() == {"Support": 3}


@pytest.mark.parametrize("taken", ["known", "left alone"])
def test_scan_detects_removed_message(office: Office, office_inbox: Inbox, taken: str) -> None:
    """Nor is what comes at the same time, whatever of it the counting explains."""
    put(office, a_mail(1), OLD)
    put(office, a_mail(2))
    office_inbox.since, office_inbox.reach = date(2026, 11, 22), lambda: None
    (known,) = office_inbox.scan()
    with office.sandbox.imap.session() as client:
        client.select_folder("INBOX")
        client.delete_messages(client.search()[1 if taken == "known" else 0])
        client.expunge()
    put(office, a_mail(3))
    now = office_inbox.scan()
    assert len(now) == (1 if taken == "known" else 2)
    assert (known in now) == (taken == "left alone")
    assert office_inbox.scan() == now
    assert not office_inbox.confirm(known) if taken == "known" else office_inbox._scanner.seen.left_alone == {}


def test_full_scan_detects_removed_deleted_flag(
    office: Office, office_inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its UID is an old one and the count is the same, so no other scan shows it."""
    for number in range(2):
        put(office, a_mail(number))
    monkeypatch.setattr(scanner, "WHOLE_LOOK_S", 0.0)
    both = office_inbox.scan()
    with office.sandbox.imap.session() as client:
        client.select_folder("INBOX")
        first = client.search()[0]
        client.delete_messages([first])
        assert office_inbox.scan() == both[1:]
        client.remove_flags([first], ["\\Deleted"])
    assert office_inbox.scan() == both


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
