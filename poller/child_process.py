"""Run what reads other people's bytes in a process of its own, which sends nothing but bytes."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from poller import fork_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

# When the machine or the daemon stops, all our processes get these signals. What is read is not at fault. The fork
# server gets them as well: where it ends first, nobody reads the exit code, and multiprocessing gives 255.
STOPPED: Final = {-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP, 255}


class ProcessStoppedError(Exception):
    """A process was stopped from outside, as at a stop of the daemon. What it read is not at fault."""


def stop_all() -> None:
    """Stop all processes, so that the daemon need not wait for what they read. Any thread may be reading from one."""
    for child in fork_server.processes.active_children():
        with suppress(ValueError):  # The thread has closed it meanwhile.
            child.terminate()


@contextmanager
def run(
    target: Callable[..., None], *arguments: Any, limit_s: float
) -> Iterator[tuple[Connection, ForkServerProcess, threading.Event]]:
    """Run a function in a process of its own for the block, with a connection on which it sends bytes.

    Yield the connection, the process, and an event that says whether its time was over. The function gets the other end
    of the connection before its arguments. The time ends every wait, also that for the rest of a message.

    Raises:
        ForkServerDiedError: the process has not begun.
    """
    fork_server.warm_up()
    answer, say = fork_server.processes.Pipe(duplex=False)
    child = fork_server.processes.Process(target=target, args=(say, *arguments), daemon=True)
    fork_server.start(child, answer, say)
    late = threading.Event()

    def stop() -> None:
        late.set()
        child.kill()

    end = threading.Timer(limit_s, stop)
    end.start()
    try:
        yield answer, child, late
    finally:
        end.cancel()
        end.join()
        fork_server.end(child)
        answer.close()


def received(answer: Connection, limit_bytes: int) -> bytes:
    """Return the next message of a process.

    Raises:
        EOFError: the process has ended.
        ValueError: the message is longer than it may be.
    """
    try:
        return answer.recv_bytes(limit_bytes)
    except OSError as error:
        if answer.closed:  # by multiprocessing, which reads nothing behind a length that it refuses
            raise ValueError("message too long") from error
        raise EOFError("the process ended within a message") from error
