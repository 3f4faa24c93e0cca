"""What no server should answer, and some do: nothing waits for ever for it, and nothing is passed over in silence."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from integrations.errors import ConfigurationError, TransientError
from poller.config import loader
from poller.imap import search
from poller.imap.session import connect
from poller.mailbox import outcome_mailboxes
from poller.mailbox.inbox import Inbox
from tests.support.imap_provider import Provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from poller.config.settings import Settings

BASIC = "IMAP4rev1 AUTH=PLAIN"
SENT_AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
REFUSED = "NO Internal failure reading the message"
BUSY = (
    "NO [UNAVAILABLE] Temporary storage failure",
    "NO [SERVERBUG] Internal error occurred",
    "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds",
)


def a_mail(number: int) -> bytes:
    return (
        b"From: a@b.example\r\nMessage-ID: <%d@b.example>\r\n"
        b"Date: Sun, 22 Nov 2026 10:00:00 +0100\r\n\r\nTexte\r\n" % number
    )


@pytest.fixture
def server() -> Iterator[Provider]:
    with Provider(BASIC, f"{BASIC} UIDPLUS MOVE") as server:
        yield server


def settings(server: Provider) -> Settings:
    names = {name: str(getattr(server, name)) for name in ("host", "port", "security", "username", "password")}
    given = {f"IMAP_{name.upper()}": value for name, value in names.items()}
    return loader.from_names(given | {"STATE_URL": "sqlite:////nonexistent/x", "LABELS_FAILED": "Failed"})


@pytest.fixture
def inbox(server: Provider) -> Iterator[Inbox]:
    with closing(Inbox(settings(server))) as inbox:
        yield inbox


def uids(server: Provider) -> list[int]:
    return list(server.boxes["INBOX"])


@pytest.mark.parametrize("answer", BUSY)
def test_temporarily_refused_fetch_fails_the_scan(server: Provider, inbox: Inbox, answer: str) -> None:
    """Of one message among many either: the next look sees all of them."""
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
    """Two looks fail, as the server may be ailing; then they succeed, and it is known which one, and since when."""
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


def test_refused_message_blocks_no_other_and_is_retried_each_scan(server: Provider, inbox: Inbox) -> None:
    """Alone, too, once it is known to be the trouble; and the log says so once."""
    for number in range(3):
        server.deliver(a_mail(number))
    server.refused = {uids(server)[1]: REFUSED}
    with capture_logs() as logged:
        assert [len(inbox.scan()) for _ in range(2)] == [2, 2]
        server.deliver(a_mail(3))
        assert len(inbox.scan()) == 3
    assert [each["event"] for each in logged] == ["message_unreadable"]
    server.refused = {}
    server.commands.clear()
    assert len(inbox.scan()) == 4
    assert not [each for each in server.commands if each.startswith("UID SEARCH UNDELETED")], "not by a look at all"


@pytest.mark.parametrize("answer", [REFUSED, *BUSY])
def test_listing_filed_mail_raises_when_fetch_is_refused(server: Provider, inbox: Inbox, answer: str) -> None:
    """Else it would be forgotten, or taken for a message that a person has brought back."""
    server.deliver(a_mail(1))
    (reference,) = inbox.scan()
    given, server.permanent = settings(server), ""
    inbox.label(reference, "failed")
    server.refused = dict.fromkeys(server.boxes["Failed"], answer)
    for call in (
        lambda: outcome_mailboxes.list_all_filed(given),
        lambda: inbox.was_brought_back(reference),
        lambda: outcome_mailboxes.move_back_to_inbox(given, [reference]),
    ):
        with pytest.raises(TransientError, match="FETCH"):
            call()
    server.refused = {}
    assert not inbox.was_brought_back(reference)


@pytest.mark.parametrize("answer", [REFUSED, *BUSY])
def test_complete_scan_raises_when_one_fetch_is_refused(server: Provider, inbox: Inbox, answer: str) -> None:
    """What is not seen would be forgotten, and dispatched anew."""
    for number in range(2):
        server.deliver(a_mail(number))
    server.refused = {uids(server)[1]: answer}
    with pytest.raises(TransientError, match="FETCH"):
        inbox.scan(all_or_none=True)


SIZE = b"RFC822.SIZE %d "


@pytest.mark.parametrize(
    ("facts", "at"),
    [
        (SIZE + b"INTERNALDATE NIL", SENT_AT),
        (SIZE + b'INTERNALDATE "00-Jan-0000 00:00:00 +0000"', SENT_AT),
        (SIZE + b'INTERNALDATE "01-Jan-1970 00:00:00 +0000"', SENT_AT),
        (SIZE + b"INTERNALDATE 7", SENT_AT),
        (SIZE + b"X-NOTHING 1", SENT_AT),
        (b'INTERNALDATE "22-Nov-2026 09:00:00 +0000"', SENT_AT),
        (b'RFC822.SIZE NIL INTERNALDATE "22-Nov-2026 09:00:00 +0000"', SENT_AT),
        (SIZE + b'FLAGS NIL INTERNALDATE "22-Nov-2026 09:00:00 +0000"', SENT_AT),
        (SIZE + b'FLAGS (7 \\Seen) INTERNALDATE "22-Nov-2026 09:00:00 +0000"', SENT_AT),
    ],
)
def test_message_with_odd_fetch_data_is_admitted(
    server: Provider, inbox: Inbox, tmp_path: Path, facts: bytes, at: datetime
) -> None:
    """It is what counts: when it came is then said by its sender, and its size is unknown."""
    server.deliver(a_mail(1))
    server.facts = facts
    (reference,) = inbox.scan()
    fetched = inbox.fetch(reference, tmp_path / "mail.eml")
    assert (tmp_path / "mail.eml").read_bytes() == a_mail(1)
    assert (fetched.received_at, fetched.oversize_bytes) == (at, 0)


def test_future_date_is_not_used_as_received_time(server: Provider, inbox: Inbox) -> None:
    """Where the server does not say it either it came now."""
    before = datetime.now(UTC)
    server.deliver(a_mail(1).replace(b"2026", b"2096"))
    server.facts = SIZE + b"INTERNALDATE NIL"
    (reference,) = inbox.scan()
    at = inbox.received_at()[reference]
    assert at
    assert before <= at <= datetime.now(UTC)


@pytest.mark.parametrize("counts", ["MESSAGES x UIDNEXT y UIDVALIDITY 7", "MESSAGES 1", "UIDVALIDITY x", "(("])
def test_invalid_status_counts_cause_full_scan(server: Provider, inbox: Inbox, counts: str) -> None:
    """Everything is looked at each time."""
    server.counts = counts
    for number in range(2):
        server.deliver(a_mail(number))
        assert len(inbox.scan()) == number + 1


def test_unparsable_imap_answer_raises_transient_error(server: Provider, inbox: Inbox) -> None:
    """Whatever the library makes of it."""
    server.deliver(a_mail(1))
    server.found = "nothing"
    with pytest.raises(TransientError, match="SEARCH: the server talks nonsense"):
        inbox.scan()
    server.found = ""
    assert len(inbox.scan()) == 1


def test_mail_in_status_before_search_is_found_by_next_scan(server: Provider, inbox: Inbox) -> None:
    """At the first look ever, too."""
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


@pytest.mark.parametrize("after", [f"{BASIC} UIDPLUS MOVE", f"{BASIC} UIDPLUS", BASIC])
def test_label_skips_message_expunged_meanwhile(after: str) -> None:
    """EXPUNGEISSUED (RFC 5530) is no trouble of the server's: its other copy is filed."""
    with Provider(BASIC, after) as server:
        taken, left = server.deliver(a_mail(1)), server.deliver(a_mail(2))
        server.taken = True
        with closing(connect(settings(server).imap)) as session:
            session.label(session.uids(), "Support", "Figurative-Support", [])
        assert "Support" in server.where(left)
        assert server.where(taken) == set()


@pytest.mark.parametrize(
    "answer",
    [
        "BAD Request is throttled. Suggested Backoff Time: 299910 milliseconds",
        "NO Server Busy",
        "NO Please try again later.",
    ],
)
def test_throttling_server_raises_transient_error(answer: str) -> None:
    """Exchange says so at a login and at a SELECT: it is nothing that a person could mend."""
    with Provider(BASIC, BASIC, closed=answer) as server, pytest.raises(TransientError):
        connect(settings(server).imap)
    with (
        Provider(BASIC, BASIC, refusal=answer, password="right") as server,
        pytest.raises(TransientError),
    ):
        connect(settings(server).imap.model_copy(update={"username": "somebody"}))


def test_wrong_password_with_retry_hint_is_configuration_error() -> None:
    """Those words are for the person who has mistyped it."""
    refusal = "NO [AUTHENTICATIONFAILED] Wrong password, please try again"
    with Provider(BASIC, BASIC, refusal=refusal) as server, pytest.raises(ConfigurationError, match="IMAP_PASSWORD"):
        connect(settings(server).imap.model_copy(update={"username": "somebody"}))
