"""The mailbox watched: who waits is told at once, whatever the server or the network does."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections import deque
from itertools import count
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from integrations.sandbox.dovecot import Dovecot
from poller import idle, pulse
from poller.accounts import Imap
from poller.idle import Idle
from tests.listener import Listener
from tests.needs import needs_dovecot
from tests.relay import Break, Kind, Relay

if TYPE_CHECKING:
    from integrations.sandbox import Sandbox
    from integrations.sandbox.imap_account import ImapServer

RAW = b"From: a@b.example\r\nMessage-ID: <1@b.example>\r\n\r\nTexte\r\n"
SOON_S = 20.0
CAPABLE = b"IMAP4rev1 IDLE"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "DELAYS_S", (0.01,))


def settings(server: ImapServer, port: int = 0, timeout_s: float = 5) -> Imap:
    return Imap.model_validate(
        {
            "host": server.host,
            "port": port or server.port,
            "security": server.security,
            "username": server.username,
            "password": server.password,
            "timeout_s": timeout_s,
        }
    )


def scripted(port: int) -> Imap:
    return Imap.model_validate(
        {"host": "127.0.0.1", "port": port, "security": "none", "username": "a", "password": "b", "timeout_s": 0.2}
    )


class Script:
    """A server of a few words, which answers each IDLE in its own way, and the last way for ever."""

    def __init__(self, *idles: bytes, capabilities: bytes = CAPABLE, answers_done: bool = True) -> None:
        self.idles = 0  # that it was asked for
        self._answers, self._capabilities, self._answers_done = deque(idles), capabilities, answers_done
        self._tag = b""

    def __call__(self, line: bytes) -> bytes | None:
        if not line.endswith(b"\n"):
            return None
        if line == b"DONE\r\n":
            return self._tag + b" OK done\r\n" if self._answers_done else None
        tag, _, command = line.partition(b" ")
        said = {
            b"SELECT": b"* 0 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n",
            b"CAPABILITY": b"* CAPABILITY " + self._capabilities + b"\r\n",
            b"LIST": b'* LIST () "/" INBOX\r\n',
            b"LOGOUT": b"* BYE\r\n",
        }
        if not command.startswith(b"IDLE"):
            return said.get(re.split(rb"[ \r]", command)[0], b"") + tag + b" OK done\r\n"
        self.idles, self._tag = self.idles + 1, tag
        answer = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        return answer.replace(b"{tag}", tag)


def test_it_wakes_when_it_begins_and_at_each_message(sandbox: Sandbox) -> None:
    """At the beginning for what came before."""
    woken: SimpleQueue[None] = SimpleQueue()
    with Idle(settings(sandbox.imap), lambda: woken.put(None)):
        woken.get(timeout=SOON_S)
        for _ in range(2):
            sandbox.imap.deliver(RAW)
            woken.get(timeout=SOON_S)


def test_it_wakes_at_nothing_else() -> None:
    """What is moved away is no news, nor what is read, nor that the server is still there."""
    news = b"* 3 EXPUNGE\r\n* OK Still here\r\n* 2 FETCH (FLAGS (\\Seen))\r\n* 1 RECENT\r\n"
    script = Script(b"+ idling\r\n" + news + b"* 5 EXISTS\r\n" + news + b"* BYE\r\n", b"+ idling\r\n")
    woken: SimpleQueue[int] = SimpleQueue()
    with Listener(script, greeting=b"* OK\r\n") as server, Idle(scripted(server.port), lambda: woken.put(script.idles)):
        assert [woken.get(timeout=SOON_S) for _ in range(3)] == [1, 1, 2]


@needs_dovecot
def test_behind_tls_it_hears_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """There a socket with something to read may have nothing to say, and the other way round."""
    woken: SimpleQueue[None] = SimpleQueue()
    with Dovecot(security="tls") as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.certificate_path))
        with Idle(settings(server), lambda: woken.put(None)):
            woken.get(timeout=SOON_S)
            server.deliver(RAW)
            woken.get(timeout=SOON_S)


@pytest.mark.parametrize(
    "answer",
    [
        b"+ idling\r\n* 1 EXISTS\r\n",
        b"+ idling\r\n* OK Still here\r\n* 1 RECENT\r\n* 1 EXISTS\r\n",
        b"* 1 EXISTS\r\n+ idling\r\n* 2 EXISTS\r\n",
    ],
)
def test_what_comes_in_one_segment_with_the_beginning_is_heard(answer: bytes) -> None:
    """It lies in a buffer of ours already, and no poll of the socket would ever tell of it."""
    woken: SimpleQueue[None] = SimpleQueue()
    with Listener(Script(answer), greeting=b"* OK\r\n") as server, Idle(scripted(server.port), lambda: woken.put(None)):
        for _ in range(2):
            woken.get(timeout=SOON_S)


def test_a_line_in_two_pieces_is_one_line(sandbox: Sandbox) -> None:
    """The relay passes each byte on by itself."""
    woken: SimpleQueue[None] = SimpleQueue()
    with Relay(sandbox.imap.port, answer_piece_bytes=1) as relay:
        with Idle(settings(sandbox.imap, relay.port), lambda: woken.put(None)):
            woken.get(timeout=SOON_S)
            sandbox.imap.deliver(RAW)
            woken.get(timeout=SOON_S)
        assert relay.connections == 1


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("kind", ["close", "reset", "silence", "garbage"])
def test_a_connection_that_is_lost_is_made_anew(sandbox: Sandbox, kind: Kind, *, after: bool) -> None:
    """Whichever way it is lost, a message that comes thereafter is heard of."""
    woken: SimpleQueue[None] = SimpleQueue()
    with Relay(sandbox.imap.port) as relay:
        relay.breaks.append(Break(kind, b"IDLE", after=after))
        with Idle(settings(sandbox.imap, relay.port, timeout_s=0.2), lambda: woken.put(None)):
            woken.get(timeout=SOON_S)
            sandbox.imap.deliver(RAW)
            woken.get(timeout=SOON_S)
        assert relay.breaks == []


def test_a_connection_that_is_reset_right_behind_a_line_is_made_anew() -> None:
    """The line is heard, and the look for more of them meets the reset."""
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
        with Idle(scripted(listener.getsockname()[1]), wake):
            while woken.get(timeout=SOON_S) < 2:
                pass
        server.join(SOON_S)


def test_an_error_that_nobody_foresaw_ends_no_watch_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks after it begins it anew, and says so; what ended as it should is left alone."""
    died = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: died.set())
    woken: SimpleQueue[None] = SimpleQueue()

    def wake() -> None:
        if not died.is_set():
            raise LookupError
        woken.put(None)

    with Listener(Script(b"+ idling\r\n"), greeting=b"* OK\r\n") as server:
        with Idle(scripted(server.port), wake) as watching, capture_logs() as logged:
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
def test_a_server_that_ends_it_is_asked_again(answer: bytes) -> None:
    """On a new connection, though the server would never cut the old one."""
    woken: SimpleQueue[None] = SimpleQueue()
    script = Script(answer, b"+ idling\r\n* 1 EXISTS\r\n")
    with (
        Listener(script, greeting=b"* OK\r\n", silence_s=None) as server,
        Idle(scripted(server.port), lambda: woken.put(None)),
    ):
        while script.idles < 2:
            woken.get(timeout=SOON_S)
        assert server.connections == 2


def test_it_is_renewed_in_time_on_the_same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """And each time it wakes: what came between two is told to nobody."""
    monkeypatch.setattr(idle, "RENEW_S", 0.01)
    woken: SimpleQueue[None] = SimpleQueue()
    script = Script(b"+ idling\r\n")
    with Listener(script, greeting=b"* OK\r\n") as server, Idle(scripted(server.port), lambda: woken.put(None)):
        for _ in range(3):
            woken.get(timeout=SOON_S)
        assert script.idles == 3
        assert server.connections == 1


def test_a_connection_that_died_in_silence_is_found_out_when_it_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers DONE, so a new one is made."""
    monkeypatch.setattr(idle, "RENEW_S", 0.01)
    woken: SimpleQueue[None] = SimpleQueue()
    script = Script(b"+ idling\r\n", answers_done=False)
    with Listener(script, greeting=b"* OK\r\n") as server, Idle(scripted(server.port), lambda: woken.put(None)):
        for _ in range(2):
            woken.get(timeout=SOON_S)
        assert server.connections == 2


def test_a_server_that_cannot_is_left_alone() -> None:
    """It is asked for its capabilities once; the looks at the interval stay."""
    script = Script(b"{tag} BAD what?\r\n", capabilities=b"IMAP4rev1")
    with Listener(script, greeting=b"* OK\r\n") as server:
        with Idle(scripted(server.port), lambda: None) as watching:
            watching._thread.join(SOON_S)
            watching.look_after()
        assert not watching._thread.is_alive()
        assert script.idles == 0
        assert server.connections == 1


def test_a_stop_waits_for_nobody() -> None:
    """Not for a message, and not for the renewal; and the connection is closed in good order."""
    begun = threading.Event()
    with Listener(Script(b"+ idling\r\n"), greeting=b"* OK\r\n") as server:
        with Idle(scripted(server.port), begun.set) as watching:
            assert begun.wait(SOON_S)
        assert not watching._thread.is_alive()
        assert server.received.endswith(b" LOGOUT\r\n")
