"""The base of the HTTP stand-ins: a service on loopback that records its requests and fails on demand."""

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
    "timeout",  # send nothing for `seconds`, then close, and do nothing
    "cut_after_commit",  # do it, then close without an answer
    "status_after_commit",  # do it, then answer `status`: a gateway that timed out
    "hang_after_commit",  # do it, then send nothing for `seconds`, and close
    "slow",  # do it, and answer after `seconds`
    "trickle",  # do it, and answer one byte a second
]
_COMMITTED = {"slow", "cut_after_commit", "status_after_commit", "hang_after_commit", "trickle"}


@dataclass(frozen=True, slots=True)
class Fault:
    """A failure to inject: its kind, the requests it applies to, and how often."""

    kind: FaultKind
    method: str = ""  # "POST"; "" for any
    path: str | re.Pattern[str] = "/"  # a prefix of the path as it was sent, or a pattern that occurs in it
    times: int | None = 1  # None until `heal`
    status: int = 503
    body: object = None  # bytes, str, or a value sent as JSON; None for the service's usual body for `status`
    headers: Mapping[str, str] = field(default_factory=dict)  # such as {"Retry-After": "86400"}
    seconds: float = 60.0  # the longest duration of a hang: `heal`, `reset` and `stop` end it early

    def matches(self, request: Recorded) -> bool:
        """Return True when the fault applies to this request."""
        if self.method and self.method != request.method:
            return False
        return (
            request.path.startswith(self.path) if isinstance(self.path, str) else bool(self.path.search(request.path))
        )


class RejectedError(Exception):
    """A request that the service refused. Nothing was done."""

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
        """Count one more request and return True, or refuse it without counting and return False."""
        now = self._clock()
        while self._admitted and self._admitted[0] <= now - self.per_s:
            self._admitted.popleft()
        if len(self._admitted) >= self.limit:
            return False
        self._admitted.append(now)
        return True

    @property
    def remaining(self) -> int:
        """The number of requests that are still admitted now."""
        return self.limit - len(self._admitted)

    @property
    def reset_in_s(self) -> float:
        """Seconds until the oldest counted request expires, 0.0 when none is counted."""
        return max(0.0, self._admitted[0] + self.per_s - self._clock()) if self._admitted else 0.0


class StandIn:
    """A service on 127.0.0.1. `answer` is specific to a service, and the rest is common to all.

    It keeps its port across `stop` and `start`, so that a test can simulate an outage that ends.
    """

    def __init__(self) -> None:
        self.port = 0  # known once started; a restart keeps it
        self.requests: list[Recorded] = []  # all of them in the order of arrival, failed ones included
        self._faults: list[Fault] = []
        self._released = threading.Event()  # set to end the current hangs
        self._hanging = threading.Semaphore(0)  # one for each hang that `wait_for_hang` has not returned yet
        self._lock = threading.RLock()
        self._server: Server | None = None

    def answer(self, request: Recorded) -> Answer:
        """Carry out a request. One runs at a time.

        Raises:
            RejectedError: the service refuses the request, and nothing was done.
        """
        raise NotImplementedError

    def error(self, status: int) -> object:
        """Return the body that this service sends with an error status."""
        return {"error": status}

    @property
    def url(self) -> str:
        """The URL of the service, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen. At the first start the system chooses the port."""
        self._server = Server(self.port, self._serve)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name=type(self).__name__, daemon=True).start()

    def stop(self) -> None:
        """Close the port and every connection, and end every hang."""
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
        """Inject a fault. Of several that match a request, the one that was set first applies first."""
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
        """Wait until a request hangs and return True, or False when none did in time.

        With a fault that commits first, the request has been carried out by then.
        """
        return self._hanging.acquire(timeout=timeout_s)

    def calls(self, method: str, path: str = "/") -> list[Recorded]:
        """Return the requests so far with this method whose path begins with `path`."""
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
