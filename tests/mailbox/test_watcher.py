"""A watch on the mailbox: new mail wakes the daemon at once, whatever the server or the network does."""

from __future__ import annotations

import socket
import struct
import threading
from itertools import count
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from poller import backoff
from poller.mailbox import watcher
from poller.mailbox.watcher import MailboxWatcher
from tests.support.faulty_relay import Break, Kind, Relay
from tests.support.idle_script import Script, scripted
from tests.support.imap_account import RAW, imap_settings
from tests.support.recording_server import Listener

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox

SOON_S = 20.0


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "POLL_DELAYS_S", (0.01,))


def test_idle_wakes_at_start_and_at_each_message(sandbox: Sandbox) -> None:
    """At the beginning for what came before."""
    woken: SimpleQueue[None] = SimpleQueue()
    with MailboxWatcher(imap_settings(sandbox.imap), lambda: woken.put(None)):
        woken.get(timeout=SOON_S)
        for _ in range(2):
            sandbox.imap.deliver(RAW)
            woken.get(timeout=SOON_S)


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("kind", ["close", "reset", "silence", "garbage"])
def test_idle_reconnects_after_lost_connection(sandbox: Sandbox, kind: Kind, *, after: bool) -> None:
    """Whichever way it is lost, a message that comes thereafter is heard of."""
    woken: SimpleQueue[None] = SimpleQueue()
    with Relay(sandbox.imap.port) as relay:
        relay.breaks.append(Break(kind, b"IDLE", after=after))
        with MailboxWatcher(imap_settings(sandbox.imap, port=relay.port, timeout_s=0.2), lambda: woken.put(None)):
            woken.get(timeout=SOON_S)
            sandbox.imap.deliver(RAW)
            woken.get(timeout=SOON_S)
        assert relay.breaks == []


def test_idle_reconnects_after_reset_following_a_line() -> None:
    """The line is heard, and the wait for more of them meets the reset."""
    script = Script(b"+ idling\r\n* 1 EXISTS\r\n")
    heard, reset = threading.Event(), threading.Event()
    woken: SimpleQueue[int] = SimpleQueue()
    wakes = count(1)

    def serve(connection: socket.socket) -> None:
        with connection:
            connection.sendall(b"* OK\r\n")
            while line := connection.recv(65536):
                connection.sendall(script(line) or b"")
                if b" IDLE" in line and script.idles == 1:
                    heard.wait(SOON_S)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
        reset.set()

    def accept() -> None:
        for _ in range(2):
            serve(listener.accept()[0])

    def wake() -> None:
        woken.put(script.idles)
        if next(wakes) == 2:
            heard.set()
            reset.wait(SOON_S)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=accept, daemon=True)
        server.start()
        with MailboxWatcher(scripted(listener.getsockname()[1]), wake):
            while woken.get(timeout=SOON_S) < 2:
                pass
        server.join(SOON_S)


def test_idle_restarts_after_unexpected_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """`look_after` starts it anew, and logs so; what ended as it should is left alone."""
    died = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: died.set())
    woken: SimpleQueue[None] = SimpleQueue()

    def wake() -> None:
        if not died.is_set():
            raise LookupError
        woken.put(None)

    with Listener(Script(b"+ idling\r\n"), greeting=b"* OK\r\n") as server:
        with MailboxWatcher(scripted(server.port), wake) as watching, capture_logs() as logged:
            watching._thread.join(SOON_S)
            assert died.is_set()
            watching.look_after()
            woken.get(timeout=SOON_S)
            watching.look_after()
        watching.look_after()
        assert not watching._thread.is_alive()
    assert [each["event"] for each in logged if each["log_level"] == "error"] == ["idle_died"]


@pytest.mark.parametrize(
    "answer", [b"+ idling\r\n* BYE shutting down\r\n", b"{tag} NO not now\r\n", b"+ idling\r\n{tag} OK enough\r\n", b""]
)
def test_idle_restarts_when_server_ends_it(answer: bytes) -> None:
    """On a new connection, though the server would never cut the old one."""
    woken: SimpleQueue[None] = SimpleQueue()
    script = Script(answer, b"+ idling\r\n* 1 EXISTS\r\n")
    with (
        Listener(script, greeting=b"* OK\r\n", silence_s=None) as server,
        MailboxWatcher(scripted(server.port), lambda: woken.put(None)),
    ):
        while script.idles < 2:
            woken.get(timeout=SOON_S)
        assert server.connections == 2


def test_idle_is_renewed_on_same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """And each time it wakes: what came between two is told to nobody."""
    monkeypatch.setattr(watcher, "RENEW_S", 0.01)
    woken: SimpleQueue[None] = SimpleQueue()
    script = Script(b"+ idling\r\n")
    with (
        Listener(script, greeting=b"* OK\r\n") as server,
        MailboxWatcher(scripted(server.port), lambda: woken.put(None)),
    ):
        for _ in range(3):
            woken.get(timeout=SOON_S)
        assert script.idles == 3
        assert server.connections == 1


def test_idle_renewal_detects_dead_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers DONE, so a new one is made."""
    monkeypatch.setattr(watcher, "RENEW_S", 0.01)
    woken: SimpleQueue[None] = SimpleQueue()
    script = Script(b"+ idling\r\n", answers_done=False)
    with (
        Listener(script, greeting=b"* OK\r\n") as server,
        MailboxWatcher(scripted(server.port), lambda: woken.put(None)),
    ):
        for _ in range(2):
            woken.get(timeout=SOON_S)
        assert server.connections == 2


def test_idle_is_not_used_without_capability() -> None:
    """It is asked for its capabilities once; the polls at the interval stay."""
    script = Script(b"{tag} BAD what?\r\n", capabilities=b"IMAP4rev1")
    with Listener(script, greeting=b"* OK\r\n") as server:
        with MailboxWatcher(scripted(server.port), lambda: None) as watching:
            watching._thread.join(SOON_S)
            watching.look_after()
        assert not watching._thread.is_alive()
        assert script.idles == 0
        assert server.connections == 1


def test_idle_stops_at_once() -> None:
    """Not for a message, and not for the renewal; and the connection is closed in good order."""
    begun = threading.Event()
    with Listener(Script(b"+ idling\r\n"), greeting=b"* OK\r\n") as server:
        with MailboxWatcher(scripted(server.port), begun.set) as watching:
            assert begun.wait(SOON_S)
        assert not watching._thread.is_alive()
        assert server.received.endswith(b" LOGOUT\r\n")
