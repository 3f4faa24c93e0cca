"""Start and end processes of the fork server, each within a time.

The parent of such a process is the fork server, which tells us that it has begun and how it has ended. A fork server
that hangs, as one that was stopped, is killed. The next start begins another one.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from multiprocessing import forkserver
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

START_S = 30.0  # a fork takes some milliseconds, and the first one waits for the imports
END_S = 10.0  # from the kill of a process to its end


class ForkServerDiedError(Exception):
    """The fork server was killed, or hung and was killed by us, before the process had begun."""


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
    # multiprocessing names it nowhere else.
    if pid := forkserver._forkserver._forkserver_pid:  # type: ignore[attr-defined]  # noqa: SLF001
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
