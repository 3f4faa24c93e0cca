"""The ground that the HTTP stand-ins share: a service on loopback that records what it is sent and fails on demand."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, Self

from integrations.sandbox.loopback_server import Answer, Server

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from integrations.sandbox.loopback_server import Connection, Recorded

FaultKind = Literal[
    "status",  # answer `status`, and do nothing
    "garbage",  # answer 200 with a page of HTML, and do nothing: a captive portal, a proxy's error page
    "reset",  # RST the connection, and do nothing
    "timeout",  # say nothing for `seconds`, then close, and do nothing
    "cut_after_commit",  # do it, then close without a word
    "status_after_commit",  # do it, then answer `status`: a gateway that lost patience
    "hang_after_commit",  # do it, then say nothing for `seconds`
    "slow",  # do it, and answer after `seconds`
    "trickle",  # do it, and answer one byte a second
]
_COMMITTED = {"slow", "cut_after_commit", "status_after_commit", "hang_after_commit", "trickle"}


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, with which requests, and how often."""

    kind: FaultKind
    method: str = ""  # "POST"; "" for any
    path: str | re.Pattern[str] = "/"  # what the path begins with, as it was sent; or a pattern to be found in it
    times: int | None = 1  # None until `heal`
    status: int = 503
    body: object = None  # bytes, str, or what becomes JSON; None for the service's usual words for `status`
    headers: Mapping[str, str] = field(default_factory=dict)  # such as {"Retry-After": "86400"}, true or not
    seconds: float = 60.0  # of a hang, at most: `heal`, `reset` and `stop` end it

    def matches(self, request: Recorded) -> bool:
        """Whether this request is one of those that go wrong."""
        if self.method and self.method != request.method:
            return False
        return (
            request.path.startswith(self.path) if isinstance(self.path, str) else bool(self.path.search(request.path))
        )


class RejectedError(Exception):
    """The service says no; nothing was done."""

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.answer = Answer(status, body, headers or {})


class RateLimit:
    """At most `limit` requests in any `per_s` seconds."""

    def __init__(self, limit: int, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self.per_s = per_s
        self._clock = clock
        self._admitted: deque[float] = deque()

    def admit(self) -> bool:
        """Count one more request, or refuse it; a refused one does not count."""
        now = self._clock()
        while self._admitted and self._admitted[0] <= now - self.per_s:
            self._admitted.popleft()
        if len(self._admitted) >= self.limit:
            return False
        self._admitted.append(now)
        return True

    @property
    def remaining(self) -> int:
        """How many more are admitted now."""
        return self.limit - len(self._admitted)

    @property
    def reset_in_s(self) -> float:
        """Seconds until the oldest request counted is forgotten; 0.0 when none is."""
        return max(0.0, self._admitted[0] + self.per_s - self._clock()) if self._admitted else 0.0


class StandIn:
    """A service on 127.0.0.1: `answer` is what it does, the rest is the same for all.

    It keeps its port over `stop` and `start`, so an outage that ends can be played.
    """

    def __init__(self) -> None:
        self.port = 0  # the one that the system gave, once started
        self.requests: list[Recorded] = []  # every one, in the order of arrival, those that went wrong too
        self._faults: list[Fault] = []
        self._released = threading.Event()  # set when the hangs of this moment are over
        self._hanging = threading.Semaphore(0)  # one for each hang that began and that nobody waited for yet
        self._lock = threading.RLock()
        self._server: Server | None = None

    def answer(self, request: Recorded) -> Answer:
        """Carry a request out. One runs at a time.

        Raises:
            RejectedError: the service refuses it, and nothing was done.
        """
        raise NotImplementedError

    def error(self, status: int) -> object:
        """The body that this service sends with a status of failure."""
        return {"error": status}

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen; at the first time on a port of the system's choice."""
        self._server = Server(self.port, self._serve)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name=type(self).__name__, daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection; what hangs is let go."""
        self.heal()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def fail(self, fault: Fault) -> None:
        """Let requests go wrong; of several faults that match, the first one set strikes first."""
        with self._lock:
            self._faults.append(fault)

    def heal(self) -> None:
        """End every fault, and every hang."""
        with self._lock:
            self._faults.clear()
            self._released.set()
            self._released = threading.Event()

    def reset(self) -> None:
        """Forget everything: requests, faults, and what the service keeps."""
        self.heal()
        with self._lock:
            self.requests.clear()
            self._hanging = threading.Semaphore(0)

    def wait_for_hang(self, timeout_s: float = 30.0) -> bool:
        """Wait until a request hangs, behind its commit where the fault is of that kind; False when none did."""
        return self._hanging.acquire(timeout=timeout_s)

    def calls(self, method: str, path: str = "/") -> list[Recorded]:
        """The requests so far with this method, on paths that begin like this."""
        with self._lock:
            return [each for each in self.requests if each.method == method and each.path.startswith(path)]

    def _take_fault(self, request: Recorded) -> Fault | None:
        for at, fault in enumerate(self._faults):
            if fault.matches(request):
                if fault.times is None:
                    return fault
                if fault.times > 1:
                    self._faults[at] = replace(fault, times=fault.times - 1)
                else:
                    del self._faults[at]
                return fault
        return None

    def _carried_out(self, request: Recorded) -> Answer:
        with self._lock:
            try:
                return self.answer(request)
            except RejectedError as rejected:
                return rejected.answer

    def _serve(self, connection: Connection, request: Recorded) -> None:
        with self._lock:
            self.requests.append(request)
            fault = self._take_fault(request)
            released = self._released
        if fault is None:
            connection.send(self._carried_out(request))
            return
        answer = self._carried_out(request) if fault.kind in _COMMITTED else Answer()
        match fault.kind:
            case "status" | "status_after_commit":
                body = self.error(fault.status) if fault.body is None else fault.body
                connection.send(Answer(fault.status, body, fault.headers))
            case "garbage":
                connection.send(Answer(200, fault.body or "<html><body>Please log in to the network.</body></html>"))
            case "reset":
                connection.reset()
            case "cut_after_commit":
                connection.close_connection = True
            case "timeout" | "hang_after_commit":
                self._hanging.release()
                released.wait(fault.seconds)
                connection.close_connection = True
            case "slow":
                self._hanging.release()
                released.wait(fault.seconds)
                connection.send(answer)
            case "trickle":
                connection.trickle(answer, released)
