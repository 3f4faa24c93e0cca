"""Messages read from a mailbox: all of one, or its beginning where it is over the limit."""

from __future__ import annotations

import tempfile
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from poller.errors import MessageGoneError
from poller.imap.session import connect
from poller.mailbox import download
from tests.support.imap_account import a_mail, imap_settings
from tests.support.imap_provider import Provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from poller.config.settings import ImapSettings

BASIC = "IMAP4rev1 AUTH=PLAIN"
LIMIT = 2_000
TODAY = b'INTERNALDATE "22-Nov-2026 09:00:00 +0000"'


@pytest.fixture
def server() -> Iterator[Provider]:
    with Provider(BASIC, BASIC) as server:
        yield server


def written(imap: ImapSettings, path: Path) -> tuple[int, bytes]:
    """The size that is returned for the one message in the mailbox, and its file."""
    with closing(connect(imap)) as session, path.open("wb") as file:
        (arrival,) = session.fetch_summaries(session.uids())
        size = download.write(session, arrival, file, imap)
    return size, path.read_bytes()


@pytest.mark.parametrize("announced", [b"%d", b"10", b"1999"], ids=["right", "too small", "at the limit"])
def test_message_at_limit_is_written_whole(server: Provider, tmp_path: Path, announced: bytes) -> None:
    raw = a_mail(1).ljust(LIMIT, b"x")
    server.deliver(raw)
    server.facts = b"RFC822.SIZE " + announced + b" " + TODAY
    imap = imap_settings(server, max_message_bytes=LIMIT)
    assert written(imap, tmp_path / "mail.eml") == (0, raw)


@pytest.mark.parametrize("announced", [b"%d", b"10"], ids=["right", "too small"])
def test_message_over_limit_is_cut_to_its_beginning(
    server: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, announced: bytes
) -> None:
    """Whatever size the server announces; the size returned is over the limit either way."""
    monkeypatch.setattr(download, "BEGINNING_BYTES", 500)
    raw = a_mail(1).ljust(LIMIT + 1, b"x")
    server.deliver(raw)
    server.facts = b"RFC822.SIZE " + announced + b" " + TODAY
    imap = imap_settings(server, max_message_bytes=LIMIT)
    assert written(imap, tmp_path / "mail.eml") == (LIMIT + 1, raw[:500])


def test_reference_without_message_id_is_of_the_content(server: Provider) -> None:
    """Two such mails with one header are two messages; one with a Message-ID and a Date is not read for it."""
    bare = a_mail(1).replace(b"Message-ID: <1@ruiz.example>\r\n", b"")
    for raw in (bare, bare + b"encore", bare, a_mail(2)):
        server.deliver(raw)
    imap = imap_settings(server)
    with closing(connect(imap)) as session:
        arrivals = list(session.fetch_summaries(session.uids()))
        server.commands.clear()
        one, other, copy, known = (download.fetch_reference(session, arrival, imap, "account") for arrival in arrivals)
    assert one == copy
    assert len({one, other, known}) == 3
    assert len([command for command in server.commands if "BODY.PEEK[]" in command]) == 3


@pytest.mark.parametrize("announced", [b"%d", b"10"], ids=["right", "too small"])
@pytest.mark.parametrize("size", [100, 600_000, (2 << 20) - 1, 2 << 20, (2 << 20) + 1], ids=str)
def test_reference_of_content_is_that_of_the_file(
    server: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, announced: bytes
) -> None:
    """The state knows messages by it. No file is written for it: a poll goes on while a disk is full."""
    server.deliver((b"From: ana@ruiz.example\r\nSubject: x\r\n\r\n" + bytes(range(251)) * 9000)[:size])
    server.facts = b"RFC822.SIZE " + announced + b" " + TODAY
    imap = imap_settings(server, max_message_bytes=2 << 20)
    written(imap, tmp_path / "mail.eml")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with closing(connect(imap)) as session:
        (arrival,) = session.fetch_summaries(session.uids())
        found = download.fetch_reference(session, arrival, imap, "account")
    assert found == download.reference_in(tmp_path / "mail.eml", "account")


def test_reference_of_removed_message_raises_message_gone(server: Provider) -> None:
    server.deliver(b"Subject: x\r\n\r\nTexte\r\n")
    imap = imap_settings(server)
    with closing(connect(imap)) as session:
        (arrival,) = session.fetch_summaries(session.uids())
        server.boxes["INBOX"].clear()
        with pytest.raises(MessageGoneError):
            download.fetch_reference(session, arrival, imap, "account")
