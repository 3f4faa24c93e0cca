"""Ping a dead man's switch after each good poll. Its service raises an alarm when the pings stop.

The addresses are those of healthchecks.io (https://healthchecks.io/docs/http_api/): a GET reports success, one with
`/fail` behind the path a failure, and one with `/log` neither.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import httpx2 as httpx
import structlog

from integrations.errors import ConfigurationError, TransientError
from integrations.net.deadline import Deadline, http_events
from integrations.net.failures import describe_failure
from poller.logs import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

TIMEOUT_S = 10.0
EVERY_S = 55.0  # at least, between two pings; with one poll a minute, each is reported


class Heartbeat:
    """Pings an address. Failed pings are logged when they begin, and have no other effect."""

    def __init__(self, url: str, *, timeout_s: float = TIMEOUT_S, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare the addresses. Nothing is requested yet.

        Only we and the service know the address, so it is not logged.
        """
        good = httpx.URL(url)
        self._good, self._bad, self._neither = good, _behind(good, "/fail"), _behind(good, "/log")
        self._timeout_s, self._clock = timeout_s, clock
        self._http = httpx.Client(timeout=timeout_s, event_hooks=http_events())
        self._pinged_s = -EVERY_S + clock()
        self._told: datetime | None = None  # the last good poll that was reported
        self._told_failing = False
        self._unsent = Trouble(log, "heartbeat_not_sent")

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def check(self) -> str:
        """Request the address that counts as neither success nor failure, and describe the response in a line.

        The ping address itself is not requested: that would report success where a daemon may have fallen silent.

        Raises:
            TransientError: there is no response, or one that tells nothing (429, 5xx).
            ConfigurationError: the service says that it has no such address.
        """
        try:
            with Deadline(self._timeout_s):
                response = self._http.get(self._neither)
        except (httpx.HTTPError, TimeoutError) as error:
            raise TransientError(f"{self._good.host}: {describe_failure(error)}", outcome_unknown=False) from error
        seen = f"{self._good.host}: HTTP {response.status_code} for /log behind its address"
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS or response.is_server_error:
            raise TransientError(seen, outcome_unknown=False)
        if response.is_success and b"not found" in response.content:  # healthchecks.io's "OK (not found)"
            raise ConfigurationError(f"{seen}, and it is not known there: look at HEARTBEAT_URL")
        if response.is_success:
            return f"{seen}, which counts as no ping"
        return f"{seen}: at healthchecks.io that is a wrong address; a keeper of another kind may not know /log"

    def tell(self, looked_at: datetime | None, *, failing: bool) -> None:
        """Ping for a new good poll, or once when polls fail for too long. At most one ping a minute is sent."""
        if self._clock() - self._pinged_s < EVERY_S:
            return
        if failing and not self._told_failing:
            self._told_failing = self._ping(self._bad)
        elif not failing and looked_at is not None and looked_at != self._told and self._ping(self._good):
            self._told, self._told_failing = looked_at, False

    def _ping(self, url: httpx.URL) -> bool:
        self._pinged_s = self._clock()
        try:
            with Deadline(self._timeout_s):
                self._http.get(url).raise_for_status()
        except (httpx.HTTPError, TimeoutError) as error:
            # The text of the error contains the address.
            status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 0
            self._unsent.met(f"HTTP {status}" if status else describe_failure(error))
            return False
        self._unsent.over()
        return True


def _behind(url: httpx.URL, path: str) -> httpx.URL:
    return url.copy_with(path=url.path.rstrip("/") + path)
