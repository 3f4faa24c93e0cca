"""A bound on the whole of a call: a timeout is for each read, and whoever sends a byte now and then never meets it.

One thread watches the time of all calls, and when it is over cuts the connections that the call has used. Each client
says which these are: `watch` a socket, or let the library do it, see `watched_pools` and `http_events`.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token
    from types import TracebackType

    from urllib3.connectionpool import ConnectionPool

CALL_S = 60.0  # for a call that moves little
SLOWEST_BYTES_PER_S = 64 * 1024  # of one that moves much
UNHEARD_S = 20  # that what was sent may go unacknowledged; less than any read waits for its answer


class Connected(Protocol):
    """A socket, or what stands in for one."""

    def fileno(self) -> int:
        """The number of the open file, -1 when it is closed."""


class Deadline:
    """Calls made within it, by this thread, end in time: a context manager.

    Raises:
        TimeoutError: they did not.
    """

    def __init__(
        self, seconds: float = CALL_S, *, size_bytes: int = 0, confirm: Callable[[], object] | None = None
    ) -> None:
        """`size_bytes` is what has to be moved besides, which has its own time.

        `confirm` is asked when the connection stands, before the header and before the body of a request goes out; what
        it raises stops the call.
        """
        self._seconds = seconds + size_bytes / SLOWEST_BYTES_PER_S
        self.confirm = confirm
        self._lock = threading.Lock()
        self._connections: set[Connected] = set()
        self._over = self._left = False
        self.ends_s = 0.0  # of the monotonic clock; known when it begins
        self._outer: Token[Deadline | None] | None = None

    def __enter__(self) -> Self:
        self._outer = _current.set(self)
        self.ends_s = time.monotonic() + self._seconds
        _clock.add(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        _clock.remove(self)
        with self._lock:
            # From now on the connections may be at work for another call.
            self._left = True
        if self._outer:
            _current.reset(self._outer)
        # Without an error, too: where a connection ends, some libraries take an answer for complete.
        if self._over and (error is None or isinstance(error, Exception)):
            raise TimeoutError(f"no end within {self._seconds:.0f} s") from error

    def watch(self, connection: Connected) -> None:
        """Cut this one when the time is over."""
        with self._lock:
            if connection not in self._connections:
                _forget_unheard(connection)
            self._connections.add(connection)
            if self._over:
                _shut(connection)

    def cut(self) -> None:
        """Its time is over, unless it was left in the meantime."""
        with self._lock:
            if not self._left:
                self._over = True
                for connection in self._connections:
                    _shut(connection)


class _Clock:
    """Ends the calls whose time is over; a thread for each call would take longer to start than most calls take."""

    def __init__(self) -> None:
        self._running: set[Deadline] = set()
        self._changed = threading.Condition()
        self._wakes_s = 0.0  # of the monotonic clock
        self._thread: threading.Thread | None = None

    def add(self, deadline: Deadline) -> None:
        with self._changed:
            self._running.add(deadline)
            # A process that was forked has none, and without one no call would ever be cut again.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif deadline.ends_s < self._wakes_s:
                self._changed.notify()

    def remove(self, deadline: Deadline) -> None:
        with self._changed:
            self._running.discard(deadline)

    def _run(self) -> None:
        with self._changed:
            while True:
                now_s = time.monotonic()
                over = {deadline for deadline in self._running if deadline.ends_s <= now_s}
                self._running -= over
                for deadline in over:
                    deadline.cut()
                self._wakes_s = min((deadline.ends_s for deadline in self._running), default=now_s + CALL_S)
                self._changed.wait(self._wakes_s - now_s)


_clock = _Clock()
_current: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def watch(connection: Connected) -> None:
    """Let the deadline of the call at hand know a connection that it uses; without a deadline, nothing."""
    if deadline := _current.get():
        deadline.watch(connection)


def _confirm() -> None:
    """Ask whoever makes the call at hand whether it may still go out."""
    if (deadline := _current.get()) and deadline.confirm:
        deadline.confirm()


def _forget_unheard(connection: Connected) -> None:
    """Have the kernel drop what nobody acknowledges (TCP_USER_TIMEOUT, RFC 5482), where it can.

    Else it goes on sending that for minutes, on a connection that was closed long ago too: a call of which nothing was
    to be seen, and which was therefore made once more, would be done after all when the network is back.
    """
    if option := getattr(socket, "TCP_USER_TIMEOUT", None):
        with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as same:
            same.setsockopt(socket.IPPROTO_TCP, option, UNHEARD_S * 1000)


def _shut(connection: Connected) -> None:
    """End it under the eyes of whoever reads from it."""
    # Not by its own method: TLS would be taken off it first, and the reader be given what is left in clear text.
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


def watched_pools(classes: Mapping[str, type[ConnectionPool]]) -> dict[str, type[ConnectionPool]]:
    """The same classes of connection pools, by scheme, for urllib3's `PoolManager.pool_classes_by_scheme`."""
    return {scheme: _watched(pool) for scheme, pool in classes.items()}


def _watched(pool: Any) -> type[ConnectionPool]:
    connection = type("Watched", (_Watched, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _Watched:
    """What is put before a class of urllib3's connections."""

    sock: socket.socket | None
    connect: Callable[[], None]

    def send(self, content: Any) -> None:
        """Every request goes out here, header and body, on a new connection or on one that was kept."""
        if self.sock is None:
            self.connect()
        if self.sock is not None:
            watch(self.sock)
        _confirm()
        super().send(content)  # type: ignore[misc]  # http.client's, see `watched_pools`


def http_events() -> dict[str, list[Callable[[Any], None]]]:
    """The `event_hooks` of an httpx client whose connections are to be watched, and end with each call."""

    def trace(event: str, told: dict[str, Any]) -> None:
        # TLS is put on a connection by making another socket of it (https://www.python-httpx.org/advanced/extensions/).
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            watch(told["return_value"].get_extra_info("socket"))
        elif event.endswith((".send_request_headers.started", ".send_request_body.started")):
            _confirm()

    def request_begins(request: Any) -> None:
        # Only of a new connection the socket is told.
        request.headers["Connection"] = "close"
        request.extensions["trace"] = trace

    return {"request": [request_begins]}
