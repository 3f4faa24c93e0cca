"""A server that sends a byte now and then keeps no call for longer than its deadline, whatever the library."""

from __future__ import annotations

import io
import socket
import ssl
import threading
from contextlib import contextmanager
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from integrations.claude import Claude
from integrations.clickup.client import ClickUp
from integrations.errors import TransientError
from integrations.hubspot.client import HubSpot
from integrations.net.deadline import Deadline, _clock, _current, guarded, watch
from integrations.r2 import R2
from integrations.sandbox.certificate import self_signed
from integrations.sandbox.stand_in import Fault
from integrations.smtp import Smtp
from tests.integrations.net.test_rate_limiter import NotNowError, each_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from integrations.sandbox import Sandbox

DEADLINE_S = 0.4
BYTE_EVERY_S = 0.01
LONG_S = 600.0  # of every other timeout: not one of them is met before the test is given up
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n"


@contextmanager
def dripping(at_once: bytes, *, asks_first: bool, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """The port of a server that says one thing at once, and then a byte at a time without end."""
    stopped = threading.Event()

    def drip(connection: socket.socket) -> None:
        # The client hangs up when it has had enough.
        try:
            with context.wrap_socket(connection, server_side=True) if context else connection as stream:
                if asks_first:
                    stream.recv(1 << 16)
                stream.sendall(at_once)
                while not stopped.wait(BYTE_EVERY_S):
                    stream.sendall(b"a")
        except OSError:
            return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=drip, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopped.set()
            listener.shutdown(socket.SHUT_RDWR)


def claude(url: str) -> None:
    Claude("key", "claude-haiku-5-5", url, LONG_S, deadline_s=DEADLINE_S).ask("system", "content", {})


def clickup(url: str) -> None:
    ClickUp("key", "86x", url, read_timeout_s=LONG_S, deadline_s=DEADLINE_S).add_comment("8", "Bonjour")


def hubspot(url: str) -> None:
    HubSpot("key", "1", "0", "1", url, read_timeout_s=LONG_S, deadline_s=DEADLINE_S).create_ticket("a", "b", "1", "c")


def r2(url: str) -> None:
    client = R2("key", "secret", "bucket", url, url, read_timeout_s=LONG_S, deadline_s=DEADLINE_S)
    client.upload("a", io.BytesIO(b"a"), 1, "image/png", "attachment")


@pytest.mark.parametrize("secure", [False, True], ids=["", "tls"])
@pytest.mark.parametrize("at_once", [HEAD[:20], HEAD + b'{"id": "'], ids=["header", "body"])
@pytest.mark.parametrize("client", [claude, clickup, hubspot, r2], ids=lambda client: client.__name__)
def test_endless_answer_is_cut_at_deadline(
    client: Callable[[str], None], at_once: bytes, secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its header or in its body, in clear text or over TLS; whatever could be created may have been."""
    certificate = self_signed(tmp_path)
    for name in ("SSL_CERT_FILE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, str(certificate.path))
    context = certificate.server_context() if secure else None
    with (
        dripping(at_once, asks_first=True, context=context) as port,
        pytest.raises(TransientError, match="no answer in time") as given_up,
    ):
        client(f"{'https' if secure else 'http'}://localhost:{port}")
    assert given_up.value.outcome_unknown == (client is not claude)


@pytest.mark.parametrize("kept", [False, True])
def test_deadline_watches_kept_connection_like_new_one(sandbox: Sandbox, kept: bool) -> None:
    server = sandbox.hubspot
    client = HubSpot(server.token, server.hub_id, "0", "1", server.url, read_timeout_s=LONG_S, deadline_s=DEADLINE_S)
    if kept:
        client.has_reference_property()
    server.fail(Fault("trickle"))
    with pytest.raises(TransientError, match="no answer in time"):
        client.has_reference_property()


def letter() -> EmailMessage:
    message = EmailMessage()
    message["To"] = "admin@figurative.example"
    message.set_content("Bonjour")
    return message


@pytest.mark.parametrize("security", ["none", "tls"])
@pytest.mark.parametrize("greeting", [b"220-", b"220 ready\r\n250-"], ids=["greeting", "hello"])
def test_endless_smtp_reply_is_cut_at_deadline(greeting: bytes, security: str, tmp_path: Path) -> None:
    """Before DATA it has nothing."""
    certificate = self_signed(tmp_path)
    trusting = ssl.create_default_context(cafile=certificate.path)
    context = certificate.server_context() if security == "tls" else None
    with (
        dripping(greeting, asks_first=False, context=context) as port,
        pytest.raises(TransientError, match="no answer in time") as given_up,
    ):
        Smtp("localhost", port, security, "", "", "a@b.example", LONG_S, context=trusting, deadline_s=DEADLINE_S).send(
            letter()
        )
    assert not given_up.value.outcome_unknown


def test_deadline_does_not_cut_next_call_on_connection() -> None:
    """The next call on the connection is not cut off by it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with Deadline(LONG_S) as deadline:
            watch(ours)
        deadline.cut()
        ours.sendall(b"a")
        assert theirs.recv(1) == b"a"


def test_deadline_cuts_connection_registered_too_late() -> None:
    """The time was over before the connection was made; and what came of it all the same is not to be trusted."""
    ours, theirs = socket.socketpair()

    def call() -> None:
        with Deadline(LONG_S) as deadline:
            deadline.cut()
            watch(ours)

    with ours, theirs:
        with pytest.raises(TimeoutError):
            call()
        assert theirs.recv(1) == b""


def test_one_thread_ends_each_call_at_its_deadline() -> None:
    """A short one within a long one, too; and none is kept in mind when it is over."""
    ours, theirs = socket.socketpair()
    with ours, theirs, Deadline(LONG_S):
        before = threading.active_count()
        for _ in range(50):
            with Deadline(LONG_S):
                assert threading.active_count() == before
        with pytest.raises(TimeoutError):
            _read_within(ours, 0.05)
    assert not _clock._running


def _read_within(connection: socket.socket, seconds: float) -> None:
    with Deadline(seconds):
        watch(connection)
        connection.recv(1)


def test_deadline_keeps_other_errors_unchanged() -> None:
    """Only of a call whose time is over it is said that it took too long."""
    with pytest.raises(ConnectionResetError), Deadline(LONG_S):
        raise ConnectionResetError


def test_deadline_grows_with_size() -> None:
    """A minute, and as long as the slowest connection takes that is still of use."""
    assert Deadline(60.0, size_bytes=100 * 1024 * 1024)._seconds == 60.0 + 1600.0


@each_service
def test_unacknowledged_data_is_dropped_after_deadline(create: Callable[..., object]) -> None:
    """The kernel would do so for minutes after an outage, when it was looked for, not found, and made once more."""
    unheard_ms: list[int] = []

    def confirm() -> None:
        deadline = _current.get()
        for each in deadline._connections if deadline else ():
            assert isinstance(each, socket.socket)
            unheard_ms.append(each.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))
        raise NotNowError

    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(NotNowError), guarded(confirm):
        create(f"http://127.0.0.1:{server.getsockname()[1]}")
    assert unheard_ms == [20_000]
