"""Parse a mail in a process of its own.

Whatever a mail does to the parser, the daemon and its other mails are not affected.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from poller import child_process, confinement
from poller.parsing import request_json

if TYPE_CHECKING:
    from datetime import datetime
    from multiprocessing.connection import Connection
    from typing import Any

    from poller.model import Request

LIMIT_S = 60.0  # the slowest mail known takes two
CPU_S = 120  # never before LIMIT_S of the clock
FILE_BYTES = 1 << 30  # of what it lays down of a wrapped mail
_STATUS_BYTES = 1_000


class ParserDiedError(Exception):
    """The parsing process ended without an answer, but not because of the mail. Or the header alone is too much."""


class _BeatenError(Exception):
    """The mail is too much for the parser. `str()` says in a few English words in which way."""


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


def _run(name: str, limit_s: float, path: Path, *arguments: Any) -> Request:
    """Run a function of `parser` in a process of its own, and return its result."""
    with (
        tempfile.TemporaryDirectory(prefix="parser-", ignore_cleanup_errors=True) as directory,
        child_process.run(_answer, name, Path(directory), path, *arguments, limit_s=limit_s) as (answer, child, late),
    ):
        try:
            failed = json.loads(child_process.received(answer, _STATUS_BYTES))
            if failed:
                raise OSError(*failed)
            return request_json.loads(child_process.received(answer, request_json.MAX_BYTES), path)
        except EOFError as error:
            child.join()
            if late.is_set():
                raise _BeatenError(f"parser stopped after {limit_s:.0f} s") from error
            if child.exitcode in child_process.STOPPED:
                raise ParserDiedError(f"exit code {child.exitcode}") from error
            raise _BeatenError(f"parser ended with exit code {child.exitcode}") from error
        # A process that was taken over may say anything.
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise _BeatenError("parser gave no request") from error


def _answer(say: Connection, name: str, directory: Path, *arguments: Any) -> None:
    """Parse the mail in the child process, and send the request, or the error of the disk, to the parent.

    Both are JSON. Standard error is discarded, because a printed exception may quote the mail.
    """
    from poller.parsing import parser  # noqa: PLC0415  the daemon itself never needs its 4 MB of libraries

    confinement.close_all_but(say.fileno())
    os.environ.clear()
    tempfile.tempdir = str(directory)
    confinement.limit(CPU_S)
    confinement.confine(directory, FILE_BYTES, readable=[arguments[0]])
    try:
        request = getattr(parser, name)(*arguments)
    except OSError as error:  # the disk's fault, not the mail's
        say.send_bytes(json.dumps([error.errno, error.strerror]).encode())
        return
    content = request_json.dumps(request)
    say.send_bytes(b"[]")
    say.send_bytes(content)
