"""Parse a mail in a process of its own.

Whatever a mail does to the parser, the daemon and its other mails are not affected.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
from multiprocessing import forkserver
from typing import TYPE_CHECKING

from poller import fork_server

if TYPE_CHECKING:
    from datetime import datetime
    from multiprocessing.connection import Connection
    from pathlib import Path
    from typing import Any

    from poller.model import Request

LIMIT_S = 60.0  # the slowest mail known takes two
REST_S = 10.0  # for the rest of an answer, which is in the memory of the process
MEMORY_BYTES = 2 << 30  # address space: far above what any mail needs, far below what would hurt the server
# When the machine or the daemon stops, all our processes get these signals. The mail is not at fault. The fork server
# gets them as well: where it ends first, nobody reads the exit code, and multiprocessing gives 255.
_STOPPED = {-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP, 255}

# The fork server has the parser loaded. A fork takes some milliseconds a mail, and copies no thread of ours.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__, "poller.parsing.parser"])


class ParserDiedError(Exception):
    """The parsing process ended without an answer, but not because of the mail. Or the header alone is too much."""


class _BeatenError(Exception):
    """The mail is too much for the parser. `str()` says in a few English words in which way."""


def warm_up() -> None:
    """Start the fork server, so that the first mail need not wait for its imports."""
    forkserver.ensure_running()


def parse(path: Path, account: str, received_at: datetime, *, unreadable: str, limit_s: float = LIMIT_S) -> Request:
    """The same as `parser.parse`, within bounds of time and memory.

    A mail beyond them is read by `parser.header_only`, with `unreadable` in place of its text.

    Raises:
        OSError: the spool file cannot be read, or the disk is full.
        ParserDiedError: the process was stopped, or not even the header can be read.
    """
    try:
        return _run("parse", limit_s, path, account, received_at)
    except _BeatenError as error:
        why = str(error)
    try:
        return _run("header_only", LIMIT_S, path, account, received_at, why, unreadable)
    except _BeatenError as error:
        raise ParserDiedError(f"{why}; its header: {error}") from error


def _run(name: str, limit_s: float, *arguments: Any) -> Request:
    """Run a function of `parser` in a process of its own, and return its result."""
    answer, say = _processes.Pipe(duplex=False)
    child = _processes.Process(target=_answer, args=(say, name, *arguments), daemon=True)
    try:
        fork_server.start(child, answer, say)
    except fork_server.ForkServerDiedError as error:
        raise ParserDiedError("the fork server died") from error
    # It ends the wait for the rest of an answer that was begun.
    rest = threading.Timer(limit_s + REST_S, child.kill)
    rest.start()
    try:
        if not answer.poll(limit_s):
            raise _BeatenError(f"parser stopped after {limit_s:.0f} s")
        answered: Request | OSError = answer.recv()
    except EOFError as error:
        code = fork_server.exit_code(child)
        if code in _STOPPED:
            raise ParserDiedError(f"exit code {code}") from error
        raise _BeatenError(f"parser ended with exit code {code}") from error
    finally:
        rest.cancel()
        rest.join()
        fork_server.end(child)
        answer.close()
    if isinstance(answered, OSError):
        raise answered
    return answered


def _answer(say: Connection, name: str, *arguments: Any) -> None:
    """Parse the mail in the child process, and send the request or the OSError to the parent.

    Standard error is discarded, because a printed exception may quote the mail.
    """
    from poller.parsing import parser  # noqa: PLC0415  # the daemon itself never needs its 4 MB of libraries

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    try:
        request = getattr(parser, name)(*arguments)
    except OSError as error:  # the disk's fault, not the mail's
        request = error
    say.send(request)
