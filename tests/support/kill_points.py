"""Kill a process at a chosen moment of a chosen call: SIGKILL from inside, so that the moment is exact."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from poller.workflow.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.workflow.retry import Attempt

BEFORE = "before"  # the call is about to go out
COMMITTED = "committed"  # the service has acted; its answer has reached this machine, and is not read
ANSWERED = "answered"  # the answer is read, and the result is not yet recorded
POINTS = (BEFORE, COMMITTED, ANSWERED)


@dataclass(frozen=True, slots=True)
class Death:
    """The point at which a process dies."""

    step: str  # by its name in the journal
    request: str  # what stands in the bytes of the call that has the effect
    point: str  # one of POINTS
    number: int = 1  # the first such call, or a later one


def die() -> None:
    """End as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def arm(death: Death) -> None:
    """Let this process die at this point."""
    if death.point == ANSWERED:
        _arm_the_journal(death)
    else:
        _arm_the_wire(death)


def _arm_the_journal(death: Death) -> None:
    left = death.number
    step = Journal.step

    def watched(self: Journal, name: str, act: Callable[[Attempt], Any], *others: Any, **options: Any) -> Any:
        def acted(attempt: Attempt) -> Any:
            nonlocal left
            value = act(attempt)
            left -= name == death.step
            return value if left else die()

        return step(self, name, acted, *others, **options)

    Journal.step = watched  # type: ignore[method-assign]


def _arm_the_wire(death: Death) -> None:
    """Watch what every client sends, whatever its library: HTTP, SMTP and IMAP all end in these methods."""
    watch = _Watch(death)
    for name in ("send", "sendall"):
        setattr(socket.socket, name, watch.sending(getattr(socket.socket, name)))
    for name in ("recv", "recv_into"):
        setattr(socket.socket, name, watch.receiving(getattr(socket.socket, name)))


class _Watch:
    """The bytes of all connections, until the moment comes."""

    def __init__(self, death: Death) -> None:
        self._request, self._point, self._left = death.request.encode(), death.point, death.number
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
