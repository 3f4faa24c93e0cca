"""IDLE on one connection: new messages are announced, and the end of the connection is noticed."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from integrations.sandbox.dovecot import Dovecot
from poller.imap.session import connect
from tests.support.faulty_relay import Relay
from tests.support.idle_script import Script, scripted
from tests.support.imap_account import RAW, imap_settings
from tests.support.needs import needs_dovecot
from tests.support.recording_server import Listener

if TYPE_CHECKING:
    from collections.abc import Iterator

    from integrations.sandbox import Sandbox

SOON_S = 20.0
ENOUGH_S = 0.05


@pytest.fixture
def bell() -> Iterator[socket.socket]:
    """A bell that nobody rings while its rope is held."""
    rope, bell = socket.socketpair()
    with rope, bell:
        yield bell


def test_idle_ignores_other_responses(bell: socket.socket) -> None:
    """A message that was moved or read is no news, nor that the server is still there."""
    news = b"* 3 EXPUNGE\r\n* OK Still here\r\n* 2 FETCH (FLAGS (\\Seen))\r\n* 1 RECENT\r\n"
    script = Script(b"+ idling\r\n" + news + b"* 5 EXISTS\r\n" + news + b"* BYE\r\n")
    told = []
    with (
        Listener(script, greeting=b"* OK\r\n") as server,
        closing(connect(scripted(server.port))) as session,
        pytest.raises(TransientError, match="the server has ended it"),
    ):
        told.extend(None for _ in session.idle(SOON_S, bell))
    assert len(told) == 2, "one at the start, one at the message"


@pytest.mark.parametrize(
    "answer",
    [
        b"+ idling\r\n* 1 EXISTS\r\n",
        b"+ idling\r\n* OK Still here\r\n* 1 RECENT\r\n* 1 EXISTS\r\n",
        b"* 1 EXISTS\r\n+ idling\r\n* 2 EXISTS\r\n",
    ],
)
def test_idle_reads_message_in_same_segment_as_continuation(answer: bytes, bell: socket.socket) -> None:
    """It lies in a buffer of ours already, and no poll of the socket would ever tell of it."""
    with Listener(Script(answer), greeting=b"* OK\r\n") as server, closing(connect(scripted(server.port))) as session:
        watching = session.idle(SOON_S, bell)
        for _ in range(2):
            next(watching)


def test_idle_joins_line_received_in_pieces(sandbox: Sandbox) -> None:
    """The relay passes each byte on by itself."""
    rope, bell = socket.socketpair()
    with (
        bell,
        Relay(sandbox.imap.port, answer_piece_bytes=1) as relay,
        closing(connect(imap_settings(sandbox.imap, port=relay.port))) as session,
    ):
        watching = session.idle(SOON_S, bell)
        next(watching)
        sandbox.imap.deliver(RAW)
        next(watching)
        assert relay.connections == 1
        rope.close()
        assert list(watching) == []


@needs_dovecot
def test_idle_works_over_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """There a socket with something to read may have nothing to say, and the other way round."""
    rope, bell = socket.socketpair()
    with bell, Dovecot(security="tls") as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate_path))
        with closing(connect(imap_settings(server))) as session:
            watching = session.idle(SOON_S, bell)
            next(watching)
            server.deliver(RAW)
            next(watching)
            rope.close()
            assert list(watching) == []


def test_idle_ends_after_its_time_or_at_the_bell(sandbox: Sandbox) -> None:
    """Then the session takes other commands again."""
    with closing(connect(imap_settings(sandbox.imap))) as session:
        rope, bell = socket.socketpair()
        with bell:
            assert len(list(session.idle(ENOUGH_S, bell))) == 1
            watching = session.idle(SOON_S, bell)
            next(watching)
            rope.close()
            assert list(watching) == []
        sandbox.imap.deliver(RAW)
        session.refresh()
        assert len(session.uids()) == 1


@pytest.mark.parametrize("answer", [b"{tag} NO not now\r\n", b"+ idling\r\n{tag} OK enough\r\n"])
def test_idle_ended_by_server_raises_transient_error(answer: bytes, bell: socket.socket) -> None:
    with (
        Listener(Script(answer), greeting=b"* OK\r\n") as server,
        closing(connect(scripted(server.port))) as session,
        pytest.raises(TransientError, match="IMAP IDLE"),
    ):
        list(session.idle(SOON_S, bell))


def test_idle_reset_after_a_line_raises_transient_error(bell: socket.socket) -> None:
    """The line is heard, and the next wait meets the reset."""
    script = Script(b"+ idling\r\n* 1 EXISTS\r\n")
    heard, reset = threading.Event(), threading.Event()

    def serve() -> None:
        with listener.accept()[0] as connection:
            connection.sendall(b"* OK\r\n")
            while script.idles == 0:
                connection.sendall(script(connection.recv(65536)) or b"")
            heard.wait(SOON_S)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        reset.set()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, daemon=True)
        server.start()
        with closing(connect(scripted(listener.getsockname()[1]))) as session:
            watching = session.idle(SOON_S, bell)
            next(watching)
            next(watching)
            heard.set()
            assert reset.wait(SOON_S)
            with pytest.raises(TransientError, match="IMAP IDLE"):
                next(watching)
        server.join(SOON_S)
