"""Run what reads other people's bytes in a process of its own, which sends nothing but bytes.

A fork server starts the processes. Its environment holds no secret, and a process that it forks copies no thread, no
descriptor and no setting of the daemon.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from contextlib import contextmanager
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

# When the machine or the daemon stops, all our processes get these signals. What is read is not at fault. The fork
# server gets them as well: where it ends first, nobody reads the exit code, and multiprocessing gives 255.
STOPPED: Final = {-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP, 255}
_KEPT: Final = ("PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ")  # and what begins with PYTHON

_processes = multiprocessing.get_context("forkserver")
# A process has the parser loaded, so a fork takes some milliseconds.
_processes.set_forkserver_preload([__name__, "poller.parsing.parser"])
_starting = threading.Lock()
_started = False


def warm_up() -> None:
    """Start the fork server, with an environment that holds no secret. It is best done before there are threads."""
    global _started  # noqa: PLW0603 - the fork server is one for the process, too
    with _starting:
        if _started:
            return
        # The fork server is started with the environment of this moment, and another way to give it one is not there.
        environment = dict(os.environ)
        try:
            for name in environment:
                if not (name in _KEPT or name.startswith("PYTHON")):
                    del os.environ[name]
            forkserver.ensure_running()
        finally:
            os.environ.update(environment)
        _started = True


@contextmanager
def run(
    target: Callable[..., None], *arguments: Any, limit_s: float
) -> Iterator[tuple[Connection, ForkServerProcess, threading.Event]]:
    """Run a function in a process of its own for the block, with a connection on which it sends bytes.

    Yield the connection, the process, and an event that says whether its time was over. The function gets the other end
    of the connection before its arguments. The time ends every wait, also that for the rest of a message.
    """
    warm_up()
    answer, say = _processes.Pipe(duplex=False)
    child = _processes.Process(target=target, args=(say, *arguments), daemon=True)
    child.start()
    say.close()
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
        child.kill()
        child.join()
        child.close()
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
