"""A mail parsed in a process of its own: whatever it does to the parser, the daemon and its other mails live on."""

from __future__ import annotations

import multiprocessing
import os
import resource
from typing import TYPE_CHECKING

from poller import parsing
from poller.journal import UnusableMessageError

if TYPE_CHECKING:
    from datetime import datetime
    from multiprocessing.connection import Connection
    from pathlib import Path

    from poller.request import Request

LIMIT_S = 60.0  # the slowest mail known takes two
MEMORY_BYTES = 2 << 30  # address space: far above what any mail needs, far below what would hurt the server

# A server that has the parser loaded and forks it: some milliseconds a mail, and no thread of ours is copied.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([parsing.__name__])


class ParserDiedError(Exception):
    """The parsing process ended without an answer: out of memory, out of stack, killed."""


def parse(path: Path, account: str, received_at: datetime, *, limit_s: float = LIMIT_S) -> Request:
    """The same as `parsing.parse`, within bounds of time and memory.

    Raises:
        UnusableMessageError: it takes too long; it always would.
        ParserDiedError: the process ended without an answer.
    """
    answer, say = _processes.Pipe(duplex=False)
    child = _processes.Process(target=_parse, args=(say, path, account, received_at), daemon=True)
    child.start()
    say.close()
    try:
        if not answer.poll(limit_s):
            raise UnusableMessageError(f"the message takes over {limit_s:.0f} s to read")
        request: Request = answer.recv()
    except EOFError as error:
        child.join()
        raise ParserDiedError(f"exit code {child.exitcode}") from error
    finally:
        child.kill()
        child.join()
        child.close()
        answer.close()
    return request


def _parse(say: Connection, path: Path, account: str, received_at: datetime) -> None:
    """The child's part. What it would print of an exception may quote the mail, so nobody hears it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    say.send(parsing.parse(path, account, received_at))
