"""Summaries of messages, from what the server says of each."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

import pytest

from poller.imap import fetch
from poller.imap.session import connect
from poller.mailbox.inbox import Inbox
from tests.support.imap_account import RAW, a_mail, all_settings, imap_settings
from tests.support.imap_provider import Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from poller.imap.session import ImapSession

BASIC = "IMAP4rev1 AUTH=PLAIN"
SIZE = b"RFC822.SIZE %d "
SENT_AT = datetime(2026, 11, 22, 9, tzinfo=UTC)
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_arrivals_are_oldest_first_with_header_size_and_date(sandbox: Sandbox, session: ImapSession) -> None:
    """Enough to identify a message without fetching it."""
    for number in range(3):
        sandbox.imap.deliver(RAW.replace(b"<1@", b"<%d@" % number))
    session.refresh()
    arrivals = list(session.fetch_summaries(session.uids()))
    assert [b"<%d@b.example>" % number in arrival.header for number, arrival in enumerate(arrivals)] == [True] * 3
    assert {arrival.size_bytes for arrival in arrivals} == {len(RAW)}
    assert all(arrival.received_at.utcoffset().total_seconds() == 0 for arrival in arrivals)  # type: ignore[union-attr]


def test_header_is_requested_behind_everything_else() -> None:
    """Some servers end a row behind a literal, whatever else was requested."""
    with Provider(BASIC, BASIC) as server:
        server.deliver(RAW)
        with closing(connect(imap_settings(server))) as session:
            assert list(session.fetch_summaries(session.uids()))
        (command,) = (each for each in server.commands if each.startswith("UID FETCH"))
        assert command.endswith(f" {fetch.HEADER})")


@pytest.mark.parametrize(
    ("flags", "junk"),
    [
        ((), None),
        (("\\Seen", "$Forwarded"), None),
        (("$Junk",), True),
        (("Junk",), True),
        (("$NotJunk",), False),
        (("NonJunk",), False),
        (("$Junk", "$NotJunk"), None),
    ],
)
def test_arrival_has_junk_flag_of_mailbox(
    sandbox: Sandbox, session: ImapSession, flags: tuple[str, ...], junk: bool | None
) -> None:
    """The server's or a person's verdict; two that contradict each other are none (RFC 9051 section 2.3.2)."""
    sandbox.imap.deliver(RAW, flags=flags)
    session.refresh()
    assert [arrival.junk for arrival in session.fetch_summaries(session.uids())] == [junk]


@pytest.fixture
def server() -> Iterator[Provider]:
    with Provider(BASIC, f"{BASIC} UIDPLUS MOVE") as server:
        yield server


@pytest.fixture
def inbox(server: Provider) -> Iterator[Inbox]:
    with closing(Inbox(all_settings(server))) as inbox:
        yield inbox


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
        (SIZE + b'FLAGS 7 INTERNALDATE "22-Nov-2026 09:00:00 +0000"', SENT_AT),
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


def test_blank_line_behind_a_literal_is_passed_over(server: Provider, inbox: Inbox, tmp_path: Path) -> None:
    """Some servers send one, which is no part of the message."""
    for number in range(2):
        server.deliver(a_mail(number))
    server.blank = b"\r\n"
    first, _ = inbox.scan()
    inbox.fetch(first, tmp_path / "mail.eml")
    assert (tmp_path / "mail.eml").read_bytes() == a_mail(0)


class Stopped(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:
        return NOW.astimezone(tz)


def test_future_date_is_not_used_as_received_time(
    server: Provider, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the server does not say it either, the message came now."""
    monkeypatch.setattr(fetch, "datetime", Stopped)
    server.deliver(a_mail(1).replace(b"2026", b"2096"))
    server.facts = SIZE + b"INTERNALDATE NIL"
    (reference,) = inbox.scan()
    assert inbox.seen.received_at() == {reference: NOW}


@pytest.mark.parametrize(
    ("origin", "whole"),
    [(lambda *_: b"", False), (lambda *piece: b"<%d.%d>" % piece, False), (lambda *_: b"", True)],
    ids=["no origin", "origin and size", "the whole message"],
)
def test_message_is_read_whatever_its_pieces_are_called(
    server: Provider, inbox: Inbox, tmp_path: Path, origin: Callable[[int, int], bytes], *, whole: bool
) -> None:
    """Servers differ in how they name a part of a body (RFC 9051 section 7.5.2), and in whether they cut it."""
    raw = a_mail(1) + b"0123456789abcde\n" * 100_000
    server.deliver(raw)
    server.origin, server.all_at_once = origin, whole
    (reference,) = inbox.scan()
    assert inbox.fetch(reference, tmp_path / "mail.eml").oversize_bytes == 0
    assert (tmp_path / "mail.eml").read_bytes() == raw
    with closing(connect(imap_settings(server))) as session:
        assert b"".join(session.pieces(1, 100)) == raw[:100]
