"""`poller once`, killed at a chosen moment of a chosen call: SIGKILL from inside, so that the moment is exact.

A server of one process for each case. Standard input takes a case a line, in JSON (see `Case`); standard output answers
each with the number of the signal that ended the process, or with minus its exit code. Everything is loaded once, which
takes seconds; a case is a fork of that, made while there is one thread.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from dataclasses import asdict, dataclass
from multiprocessing import forkserver
from typing import TYPE_CHECKING, Any

import poller.daemon  # noqa: F401  loaded once for all cases
from poller import configuration
from poller.__main__ import main
from poller.journal import Journal
from poller.services import services

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.journal import Attempt

BEFORE = "before"  # the call is about to go out
COMMITTED = "committed"  # the service has acted; its answer has reached this machine, and nobody has read it
ANSWERED = "answered"  # the answer is read, and the result is not yet recorded
POINTS = (BEFORE, COMMITTED, ANSWERED)


@dataclass(frozen=True, slots=True)
class Case:
    """Where a process dies."""

    environment: dict[str, str]
    log: str  # the file that the process's output goes to
    step: str  # by its name in the journal
    request: str  # what stands in the bytes of the call that has the effect
    point: str  # one of POINTS
    number: int = 1  # the first such call, or a later one

    def __str__(self) -> str:
        """A line for the server."""
        return json.dumps(asdict(self))


def die() -> None:
    """End as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(case: Case) -> None:
    """Let this process die where the case says."""
    if case.point == ANSWERED:
        _arm_the_journal(case)
    else:
        _arm_the_wire(case)


def _arm_the_journal(case: Case) -> None:
    left = case.number
    step = Journal.step

    def watched(self: Journal, name: str, act: Callable[[Attempt], Any], *others: Any, **options: Any) -> Any:
        def acted(attempt: Attempt) -> Any:
            nonlocal left
            value = act(attempt)
            left -= name == case.step
            return value if left else die()

        return step(self, name, acted, *others, **options)

    Journal.step = watched  # type: ignore[method-assign]


def _arm_the_wire(case: Case) -> None:
    """Watch what every client sends, whatever its library: HTTP, SMTP and IMAP all end in these methods."""
    watch = _Watch(case)
    for name in ("send", "sendall"):
        setattr(socket.socket, name, watch.sending(getattr(socket.socket, name)))
    for name in ("recv", "recv_into"):
        setattr(socket.socket, name, watch.receiving(getattr(socket.socket, name)))


class _Watch:
    """The bytes of all connections, until the moment comes."""

    def __init__(self, case: Case) -> None:
        self._request, self._point, self._left = case.request.encode(), case.point, case.number
        self._expecting = False  # an answer that only asks for the body: RFC 9110 section 10.1.1
        self._peek = socket.socket.recv

    def sending(self, send: Callable[..., Any]) -> Callable[..., Any]:
        def watched(connection: socket.socket, data: Any, *flags: int) -> Any:
            if self._left:
                self._left -= self._request in bytes(data)
                self._expecting = not self._left and b"100-continue" in bytes(data).lower()
                if not self._left and self._point == BEFORE:
                    die()
            else:
                self._expecting = False
            return send(connection, data, *flags)

        return watched

    def receiving(self, receive: Callable[..., Any]) -> Callable[..., Any]:
        def watched(connection: socket.socket, *arguments: Any) -> Any:
            if not self._left and not self._expecting:
                self._peek(connection, 1, socket.MSG_PEEK)
                die()
            return receive(connection, *arguments)

        return watched


def run(case: Case) -> None:
    """The command, in this process; it does not return."""
    log = os.open(case.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    # The server that parses is the parent's and lives on; whether it does, only the parent can ask the system.
    forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined]
    os.environ |= case.environment
    sys.argv = ["poller", "once"]
    arm(case)
    main()


def serve() -> None:
    """Run one case after the other, until the input ends."""
    forkserver.ensure_running()
    loaded = False
    for line in sys.stdin:
        case = Case(**json.loads(line))
        # The clients load most of their code when they are made.
        loaded = loaded or bool(services(configuration.from_names(case.environment)))
        child = os.fork()
        if not child:
            run(case)
        print(-os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201  the answer
