"""Commands of one IMAP session, on a real server."""

from __future__ import annotations

import io
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from poller.errors import MessageGoneError
from poller.imap.session import ImapSession, connect
from tests.support.faulty_relay import Break, Relay
from tests.support.imap_account import RAW, imap_settings

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox


def test_fetch_reads_message_in_pieces_without_seen_flag(sandbox: Sandbox, session: ImapSession) -> None:
    """Three megabytes come in four pieces, byte for byte, and the message stays unread."""
    raw = RAW + b"0123456789abcde\n" * 200_000
    sandbox.imap.deliver(raw)
    session.refresh()
    pieces = list(session.pieces(session.uids()[0], 10_000_000))
    assert b"".join(pieces).replace(b"\r\n", b"\n") == raw.replace(b"\r\n", b"\n")
    assert len(pieces) == 4
    assert sandbox.imap.messages()[0].flags == set()


def test_fetch_cuts_message_at_limit(sandbox: Sandbox, session: ImapSession) -> None:
    """A message over the limit is cut there."""
    sandbox.imap.deliver(RAW + b"x" * 100_000)
    session.refresh()
    assert sum(map(len, session.pieces(session.uids()[0], 50_000))) == 50_000


def test_message_is_written_as_it_is_up_to_the_limit(sandbox: Sandbox, session: ImapSession) -> None:
    """Whatever its size it takes one command, and the session goes on behind it; the message stays unread."""
    raw = RAW + b"0123456789abcde\n" * 200_000
    sandbox.imap.deliver(raw)
    session.refresh()
    stored = sandbox.imap.messages()[0].raw
    for limit in (10_000_000, len(stored), 2_000_000, 10):
        file = io.BytesIO()
        assert session.write(session.uids()[0], limit, file) == min(limit, len(stored))
        assert file.getvalue() == stored[:limit]
    assert sandbox.imap.messages()[0].flags == set()


def test_full_disk_is_not_held_against_the_connection(sandbox: Sandbox, session: ImapSession) -> None:
    """The caller waits for room, and asks no other server."""
    sandbox.imap.deliver(RAW)
    session.refresh()
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        session.write(session.uids()[0], 1000, full)


def test_fetch_reports_removed_message(session: ImapSession) -> None:
    """Somebody took it between the scan and the fetch."""
    with pytest.raises(MessageGoneError):
        list(session.pieces(4711, 1000))
    with pytest.raises(MessageGoneError):
        session.write(4711, 1000, io.BytesIO())
    assert list(session.fetch_summaries([4711])) == []
    assert session.present([4711]) == []


@pytest.mark.parametrize("command", [b"AUTHENTICATE", b"SELECT", b" UID SEARCH "])
def test_endless_answer_is_cut_at_deadline(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, command: bytes) -> None:
    """A byte now and then meets no timeout: every call has a deadline besides."""
    monkeypatch.setattr("tests.support.faulty_relay.BYTE_EVERY_S", 0.2)
    with Relay(sandbox.imap.port) as relay, pytest.raises(TransientError, match="no answer in time"):  # noqa: PT012
        relay.breaks += [Break("trickle", command, after=True)]
        with closing(connect(imap_settings(sandbox.imap, port=relay.port), deadline_s=0.3)) as session:
            session.uids()
