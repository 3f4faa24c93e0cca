"""Pings to a service that reports their absence."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError, TransientError
from poller.monitoring.heartbeat import EVERY_S, Heartbeat
from tests.support.recording_server import Listener, http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


class Keeper:
    """Whoever keeps the address, and a heartbeat that goes there by a clock of the test's."""

    def __init__(self, listener: Listener) -> None:
        self.listener, self.clock_s = listener, 1000.0
        url = f"http://127.0.0.1:{listener.port}/ping/UUID?rid=1"
        self.heartbeat = Heartbeat(url, timeout_s=0.3, clock=lambda: self.clock_s)

    def asked(self) -> list[str]:
        return re.findall(r"^GET (\S+) ", self.listener.received.decode(), re.MULTILINE)

    def tell(self, looked_at: datetime | None, *, failing: bool = False, after_s: float = EVERY_S) -> None:
        self.clock_s += after_s
        self.heartbeat.tell(looked_at, failing=failing)


@pytest.fixture
def answer() -> bytes:
    return OK


@pytest.fixture
def keeper(answer: bytes) -> Iterator[Keeper]:
    with Listener(http(answer) if answer else lambda _: None) as listener:
        keeper = Keeper(listener)
        yield keeper
        keeper.heartbeat.close()


def test_good_polls_ping_at_most_once_a_minute(keeper: Keeper) -> None:
    """No poll, no ping; and a poll every second is no reason for a ping every second."""
    keeper.tell(None)
    assert keeper.asked() == []
    keeper.tell(NOW)
    keeper.tell(NOW)
    assert keeper.asked() == ["/ping/UUID?rid=1"]
    keeper.tell(NOW + timedelta(seconds=1))
    keeper.tell(NOW + timedelta(seconds=2), after_s=1)
    assert len(keeper.asked()) == 2


def test_long_poll_failure_is_pinged_once(keeper: Keeper) -> None:
    """The keeper need not wait for its own patience to run out; the next good poll takes it back."""
    keeper.tell(NOW)
    keeper.tell(NOW, failing=True)
    keeper.tell(NOW, failing=True)
    keeper.tell(NOW + timedelta(hours=1))
    keeper.tell(NOW + timedelta(hours=1), failing=True)
    good, bad = "/ping/UUID?rid=1", "/ping/UUID/fail?rid=1"
    assert keeper.asked() == [good, bad, good, bad]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",
        b"x\r\n\r\n",
        b"",
    ],
    ids=["500", "302", "no HTTP", "no answer"],
)
def test_unreachable_heartbeat_is_logged_once_and_retried(keeper: Keeper, logged: Callable[[], str]) -> None:
    """Said once in the log, without the address, and tried again a minute later."""
    for _ in range(3):
        keeper.tell(NOW)
    assert len(keeper.asked()) == 3
    said = logged()
    assert said.count("heartbeat_not_sent") == 1
    assert "UUID" not in said


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (OK, "127.0.0.1: HTTP 200 for /log behind its address, which counts as no ping"),
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "127.0.0.1: HTTP 404 for /log behind its address: at healthchecks.io that is a wrong address; a keeper",
        ),
    ],
    ids=["200", "404"],
)
def test_check_of_heartbeat_address_sends_no_ping(keeper: Keeper, words: str) -> None:
    """Neither a good one, for nobody has polled, nor one that wakes somebody."""
    assert keeper.heartbeat.check().startswith(words)
    assert keeper.asked() == ["/ping/UUID/log?rid=1"]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nOK (not found)"])
def test_unknown_heartbeat_address_is_refused(keeper: Keeper) -> None:
    """Healthchecks.io says so of one that was deleted, with a 200: nobody would miss us."""
    with pytest.raises(ConfigurationError, match="HEARTBEAT_URL") as failed:
        keeper.heartbeat.check()
    assert "UUID" not in str(failed.value)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n", b"x\r\n\r\n", b""])
def test_check_names_only_host_of_silent_heartbeat(keeper: Keeper) -> None:
    """By its host: whoever knows the whole of it could ping in our place."""
    with pytest.raises(TransientError, match=r"^127\.0\.0\.1: ") as failed:
        keeper.heartbeat.check()
    assert "UUID" not in str(failed.value)
