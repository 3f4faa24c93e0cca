"""A process that reads other people's bytes: it says nothing but bytes, within its time."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from poller import child_process, fork_server

if TYPE_CHECKING:
    from multiprocessing.connection import Connection


def say_two(say: Connection, word: bytes) -> None:
    say.send_bytes(word)
    say.send_bytes(b"x" * 100)


def say_secret(say: Connection, name: str) -> None:
    say.send_bytes(os.environ.get(name, "").encode())


def sleep(_: Connection) -> None:
    time.sleep(600)


def test_process_sends_bytes_until_it_ends() -> None:
    """A message over its limit is refused."""
    with child_process.run(say_two, b"bonjour", limit_s=60) as (answer, _, late):
        assert child_process.received(answer, 10) == b"bonjour"
        with pytest.raises(ValueError, match="too long"):
            child_process.received(answer, 10)
    assert not late.is_set()


def test_process_whose_time_is_over_ends() -> None:
    """Whoever waits for it learns why."""
    with child_process.run(sleep, limit_s=0.1) as (answer, _, late):
        with pytest.raises(EOFError):
            child_process.received(answer, 10)
        assert late.is_set()


def test_process_does_not_have_our_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUBSPOT_API_KEY", "secret")
    with child_process.run(say_secret, "HUBSPOT_API_KEY", limit_s=60) as (answer, _, _):
        assert child_process.received(answer, 100) == b""


def test_processes_are_stopped_at_once() -> None:
    """Nobody waits for them any longer, and it does not look as if their time were over."""
    with child_process.run(sleep, limit_s=60) as (answer, child, late):
        child_process.stop_all()
        with pytest.raises(EOFError):
            child_process.received(answer, 10)
        assert (fork_server.exit_code(child), late.is_set()) == (-signal.SIGTERM, False)
