"""Processes of the fork server begin and end within a time, whatever has become of the fork server."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing import forkserver
from typing import TYPE_CHECKING

import pytest

from poller import fork_server

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess


def sleeper() -> ForkServerProcess:
    return multiprocessing.get_context("forkserver").Process(target=time.sleep, args=(600,), daemon=True)


def start(child: ForkServerProcess, limit_s: float = 30) -> None:
    fork_server.start(child, *multiprocessing.Pipe(duplex=False), limit_s)


def stop_fork_server() -> None:
    """Stop it, as a debugger does, or a machine that has no memory left."""
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGSTOP)  # type: ignore[attr-defined]


def test_fork_server_that_hangs_is_replaced() -> None:
    """A start on it fails in time, the end of a process that it made comes, and the next start works."""
    first = sleeper()
    start(first)
    stop_fork_server()
    with pytest.raises(fork_server.ForkServerDiedError):
        start(sleeper(), 0.1)
    fork_server.end(first)
    second = sleeper()
    while second.pid is None:
        try:
            start(second)
        except fork_server.ForkServerDiedError:  # the kernel is still at the end of the first one
            second = sleeper()
    stop_fork_server()
    fork_server.end(second, limit_s=0.1)
    with pytest.raises(ValueError, match="closed"):
        second.is_alive()


def test_fork_server_outlives_ctrl_c_while_it_imports() -> None:
    """A terminal sends it to all processes. What is in hand is finished, so the fork server is still needed."""
    fork_server._kill_fork_server()
    fork_server.warm_up()
    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    os.kill(pid, signal.SIGINT)
    child = sleeper()
    start(child)
    os.kill(child.pid or 0, signal.SIGINT)
    assert forkserver._forkserver._forkserver_pid == pid  # type: ignore[attr-defined]
    assert child.exitcode is None
    fork_server.end(child)
