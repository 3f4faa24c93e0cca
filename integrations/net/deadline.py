"""Bound the total duration of a call, and ask a guard before a call that creates something is sent.

A timeout applies to each read, so a server that sends a byte now and then never exceeds it. One thread watches the
time of all calls. When a call's time is over, the thread cuts the connections that the call has used. Each client
registers its connections: it calls `watch` with a socket, or lets its library do so with `watched_pools` or
`http_events`. These two also ask the guard. A client of another kind calls `ask_guard` before it sends.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextvars import Token
    from types import TracebackType

    from urllib3.connectionpool import ConnectionPool

CALL_S = 60.0  # for a call that transfers little data
SLOWEST_BYTES_PER_S = 64 * 1024  # the lowest rate allowed for a call that transfers much data
UNHEARD_S = 20  # how long sent data may stay unacknowledged; no longer than a read waits for its answer


class Connected(Protocol):
    """A socket, or an object used in place of one."""

    def fileno(self) -> int:
        """Return the file descriptor, -1 when it is closed."""


class Deadline:
    """A context manager that bounds the total duration of the calls that this thread makes within it.

    Raises:
        TimeoutError: the calls did not end in time.
    """

    def __init__(self, seconds: float = CALL_S, *, size_bytes: int = 0, creates: bool = False) -> None:
        """Allow `seconds`, plus the time that `size_bytes` of data take at `SLOWEST_BYTES_PER_S`.

        `creates` says that the call creates or changes something, so that the guard is asked. See `guarded`.
        """
        self._seconds = seconds + size_bytes / SLOWEST_BYTES_PER_S
        self.creates = creates
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
            # From now on another call may use these connections.
            self._left = True
        if self._outer:
            _current.reset(self._outer)
        # Also without an error: some libraries take an answer for complete when the connection ends.
        if self._over and (error is None or isinstance(error, Exception)):
            raise TimeoutError(f"no end within {self._seconds:.0f} s") from error

    def watch(self, connection: Connected) -> None:
        """Cut this connection when the time is over."""
        with self._lock:
            if connection not in self._connections:
                _forget_unheard(connection)
            self._connections.add(connection)
            if self._over:
                _shut(connection)

    def renew(self) -> None:
        """Allow the whole time once more from now on, as the call has moved a piece of its data."""
        self.ends_s = time.monotonic() + self._seconds

    def cut(self) -> None:
        """Cut the connections, unless the block was left in the meantime."""
        with self._lock:
            if not self._left:
                self._over = True
                for connection in self._connections:
                    _shut(connection)


class _Clock:
    """A thread that ends the calls whose time is over.

    A thread for each call would take longer to start than most calls take.
    """

    def __init__(self) -> None:
        self._running: set[Deadline] = set()
        self._changed = threading.Condition()
        self._wakes_s = 0.0  # of the monotonic clock
        self._thread: threading.Thread | None = None

    def add(self, deadline: Deadline) -> None:
        with self._changed:
            self._running.add(deadline)
            # A forked process does not have the thread, and without it no call would be cut.
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
_guard: ContextVar[Callable[[], object] | None] = ContextVar("guard", default=None)


def watch(connection: Connected) -> None:
    """Register a connection with the deadline of the current call. Do nothing when there is no deadline."""
    if deadline := _current.get():
        deadline.watch(connection)


def renew() -> None:
    """Give the current call its whole time once more, see `Deadline.renew`. Do nothing when there is no deadline."""
    if deadline := _current.get():
        deadline.renew()


@contextmanager
def guarded(guard: Callable[[], object]) -> Iterator[None]:
    """Have `guard` called with the last bytes of every call that creates something within the block, in this thread.

    It is called on an open connection, before the header and before the body of a request is sent. An exception that
    it raises stops the call. Another thread, and a context that is not a copy of this one, have no guard.
    """
    token = _guard.set(guard)
    try:
        yield
    finally:
        _guard.reset(token)


def ask_guard() -> None:
    """Call the guard if the current call creates something. It raises when that must not be sent any more."""
    deadline, guard = _current.get(), _guard.get()
    if deadline and deadline.creates and guard:
        guard()


def _forget_unheard(connection: Connected) -> None:
    """Have the kernel drop data that stays unacknowledged (TCP_USER_TIMEOUT, RFC 5482), where it can.

    Otherwise the kernel retransmits it for minutes, even on a connection that was closed long ago. A call that had
    left no trace, and was therefore repeated, would then be carried out after all when the network is back.
    """
    if option := getattr(socket, "TCP_USER_TIMEOUT", None):
        with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as same:
            same.setsockopt(socket.IPPROTO_TCP, option, UNHEARD_S * 1000)


def _shut(connection: Connected) -> None:
    """Shut the connection down, also while another thread reads from it."""
    # Not by its own method: that drops TLS first, and the reader would take the remaining bytes for clear text.
    with suppress(OSError), socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.shutdown(socket.SHUT_RDWR)


def watched_pools(classes: Mapping[str, type[ConnectionPool]]) -> dict[str, type[ConnectionPool]]:
    """Return subclasses of the connection pools, by scheme, whose connections are watched.

    For urllib3's `PoolManager.pool_classes_by_scheme`.
    """
    return {scheme: _watched(pool) for scheme, pool in classes.items()}


def _watched(pool: Any) -> type[ConnectionPool]:
    connection = type("Watched", (_Watched, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


class _Watched:
    """A mixin placed before a connection class of urllib3."""

    sock: socket.socket | None
    connect: Callable[[], None]

    def send(self, content: Any) -> None:
        """Watch the connection, ask the guard, and send.

        Every header and body is sent through here, on a new connection or a kept one.
        """
        if self.sock is None:
            self.connect()
        if self.sock is not None:
            watch(self.sock)
        ask_guard()
        super().send(content)  # type: ignore[misc]  # http.client's, see `watched_pools`


def http_events() -> dict[str, list[Callable[[Any], None]]]:
    """Return the `event_hooks` of an httpx2 client whose connections are watched, and closed after each call."""

    def trace(event: str, told: dict[str, Any]) -> None:
        # Starting TLS replaces the socket of a connection (https://www.python-httpx.org/advanced/extensions/).
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            watch(told["return_value"].get_extra_info("socket"))
        elif event.endswith((".send_request_headers.started", ".send_request_body.started")):
            ask_guard()

    def request_begins(request: Any) -> None:
        # httpx2 reports the socket of a new connection only, so none is kept.
        request.headers["Connection"] = "close"
        request.extensions["trace"] = trace

    return {"request": [request_begins]}
