"""Start the fork server, and start and end its processes, each within a time.

The fork server's environment holds no secret, and a process that it forks copies no thread, no descriptor and no
setting of the daemon. It tells us that a process has begun and how it has ended. A fork server that hangs, as one that
was stopped, is killed. The next start begins another one.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

START_S = 30.0  # a fork takes some milliseconds, and the first one waits for the imports
END_S = 10.0  # from the kill of a process to its end
_KEPT: Final = ("PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TMPDIR", "TZ")  # and what begins with PYTHON

processes = multiprocessing.get_context("forkserver")
# A process has the parser and its confinement loaded, so a fork takes some milliseconds.
processes.set_forkserver_preload(["poller.parsing.parser_process", "poller.parsing.parser", "charset_normalizer"])
_starting = threading.Lock()
_clean_pid: int | None = None  # of the fork server that was started without our environment


class ForkServerDiedError(Exception):
    """The fork server was killed, or hung and was killed by us, before the process had begun."""


def warm_up() -> None:
    """Start the fork server if none is known, with an environment that holds no secret.

    It is best done before there are threads.
    """
    global _clean_pid  # noqa: PLW0603 - the fork server is one for the process, too
    with _starting:
        if _clean_pid is not None and _clean_pid == _pid():
            return
        # The fork server is started with the environment of this moment, and another way to give it one is not there.
        environment = dict(os.environ)
        try:
            for name in environment:
                if not (name in _KEPT or name.startswith("PYTHON")):
                    del os.environ[name]
            _go_without_tracker()
            # Ctrl-C goes to all processes of a terminal. These end when we do, and would end with a traceback.
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                forkserver.ensure_running()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        finally:
            os.environ.update(environment)
        _clean_pid = _pid()


def _go_without_tracker() -> None:
    """Start no process that tracks shared memory and semaphores: we have none, and it takes 8 MB."""
    tracker = resource_tracker._resource_tracker  # noqa: SLF001 - the fork server asks for it in any case
    if tracker._fd is None:  # type: ignore[attr-defined]  # noqa: SLF001
        tracker._fd = os.open(os.devnull, os.O_WRONLY)  # type: ignore[attr-defined]  # noqa: SLF001 - it counts as alive


def start(child: ForkServerProcess, answer: Connection, say: Connection, limit_s: float = START_S) -> None:
    """Start the process, and close `say`, our copy of its end of the pipe that it answers through.

    Raises:
        ForkServerDiedError: it has not begun in time.
    """
    too_late = threading.Timer(limit_s, _kill_fork_server)
    too_late.daemon = True
    too_late.start()
    try:
        child.start()
    except (EOFError, ConnectionError) as error:
        answer.close()
        raise ForkServerDiedError from error
    finally:
        too_late.cancel()
        say.close()


def exit_code(child: ForkServerProcess, limit_s: float = END_S) -> int | None:
    """Return the exit code of a process that is about to end. 255 where nobody knows it."""
    child.join(limit_s)
    if child.exitcode is None:
        child.kill()
        child.join(limit_s)
    if child.exitcode is None:
        _kill_fork_server()  # Nobody else would tell us.
        child.join(limit_s)
    return child.exitcode


def end(child: ForkServerProcess, limit_s: float = END_S) -> None:
    """Kill the process, and free what we hold of it."""
    child.kill()
    if exit_code(child, limit_s) is not None:
        child.close()


def _kill_fork_server() -> None:
    global _clean_pid  # noqa: PLW0603 - see `warm_up`
    _clean_pid = None
    if pid := _pid():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _pid() -> int | None:
    # multiprocessing names it nowhere else.
    pid: int | None = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]  # noqa: SLF001
    return pid
