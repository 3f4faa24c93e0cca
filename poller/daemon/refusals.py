"""Know which services refuse us, and which refusals call for a person."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import structlog

from integrations.errors import CertificateError, CredentialsError
from poller.logs import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from integrations.errors import ConfigurationError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

ENOUGH, LASTING_S = 3, 120.0  # refusals, over this time: then a person has to know
APART_S = 600.0  # between two refusals of one trouble at most: a refused login is tried every five minutes


class Refusals:
    """The services that refuse us, each with its words."""

    def __init__(self) -> None:
        """Begin with none."""
        self._words: dict[str, str] = {}
        self._last: dict[str, ConfigurationError] = {}  # by service: its last refusal, over by now or not
        self._troubles: dict[str, Trouble] = {}
        self._logins = LoginRefusals()

    def add(self, service: str, fault: ConfigurationError) -> None:
        """Record a refusal of the service."""
        self._words[service], self._last[service] = str(fault), fault
        if service == "imap":
            self._logins.add()

    def tell(self, service: str) -> None:
        """Log the last refusal of the service, unless that was logged."""
        self._trouble(service).met(str(self._last[service]), service=service)

    def over(self, service: str) -> None:
        """Log that the service does not refuse us any more, if it did."""
        self._trouble(service).over()

    def answered(self, service: str) -> None:
        """Record that the service has answered since."""
        self._words.pop(service, None)
        if service != "imap":  # whose polls alone show that it takes our login
            self.over(service)

    def current(self) -> dict[str, str]:
        """Return the services that refuse us, each with its words."""
        return dict(self._words)

    @property
    def untrusted(self) -> frozenset[str]:
        """Return the services whose certificate was refused last."""
        return frozenset(name for name, fault in list(self._last.items()) if isinstance(fault, CertificateError))

    @property
    def misconfigured(self) -> frozenset[str]:
        """Return the services that refused another setting than a key last."""
        keys = {name for name, fault in list(self._last.items()) if isinstance(fault, CredentialsError)}
        return frozenset(self._last.keys() - keys - self.untrusted)

    @property
    def may_pass(self) -> frozenset[str]:
        """Return the services whose refusals do not call for a person yet."""
        return frozenset({"imap"} if self._logins.may_pass else ())

    def _trouble(self, service: str) -> Trouble:
        return self._troubles.setdefault(service, Trouble(log, "service_refused", logging.ERROR))


class LoginRefusals:
    """The refusals of the mailbox's login in a row: a server in trouble refuses a login for a moment."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with none. `clock` returns seconds and is monotonic."""
        self._clock = clock
        self._count, self._first_s, self._last_s = 0, 0.0, 0.0

    def add(self) -> None:
        """Record a refusal."""
        now_s = self._clock()
        if not self._count or now_s - self._last_s > APART_S:
            self._count, self._first_s = 0, now_s
        self._count, self._last_s = self._count + 1, now_s

    @property
    def may_pass(self) -> bool:
        """Return whether there were refusals, and too few of them or over too short a time to call for a person."""
        return bool(self._count) and (self._count < ENOUGH or self._clock() - self._first_s < LASTING_S)
