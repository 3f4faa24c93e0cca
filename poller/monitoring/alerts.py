"""Alert the admin to what blocks the daemon: one mail when an incident begins and one when it is over."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from integrations.errors import ConfigurationError, ServiceError
from poller.logs import Trouble
from poller.rendering import incident
from poller.workflow.errors import StateUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import tzinfo
    from email.message import EmailMessage

    from poller.rendering.incident import Incident
    from poller.workflow.facts import FactStore

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CALM = timedelta(minutes=1)  # without the incident, before it is over: one that comes and goes is one incident
PAUSE = timedelta(minutes=5)  # before a mail that could not be sent is tried again
REMEMBERED = timedelta(days=30)


class Alerts:
    """Sender of the alerts.

    Sent alerts are kept in the state store, so neither a restart nor another machine that shares it repeats one. Two
    machines that check in the same second may both send. That is the worst case.
    """

    def __init__(
        self,
        store: FactStore,
        send: Callable[[EmailMessage], None],
        *,
        sender: str,
        recipient: str,
        host: str,
        zone: tzinfo,
    ) -> None:
        """Prepare the alerts. `send` raises a ServiceError or a ConfigurationError.

        `host` is this machine's name, without a space. `zone` is the time zone of the times in the mails.
        """
        self._store, self._send = store, send
        self._begun = partial(incident.incident_mail, sender=sender, recipient=recipient, zone=zone)
        self._over = partial(incident.over, sender=sender, recipient=recipient, zone=zone)
        self._host = host
        self._seen: dict[str, datetime] | None = None  # when each cause that was reported was last seen
        self._silent_until: datetime | None = None
        self._unrecorded: dict[
            str, bool
        ] = {}  # by cause: the last mail that the state did not take, if that it is over
        self._unsent = Trouble(log, "alert_not_sent")

    def tell(self, present: Iterable[Incident], now: datetime, undecided: Iterable[str] = ()) -> None:
        """Report every new cause, and the end of every reported one that is over. `now` is aware, UTC.

        `undecided` holds the keys of causes whose state is not known yet. They are not reported as over.
        """
        if self._seen is None:
            self._seen = dict.fromkeys(self._told_before(now), now)
        for cause in present:
            if cause.key in self._seen or self._say(cause.key, self._begun(cause, now=now), now, is_over=False):
                self._seen[cause.key] = now
        self._seen |= {key: now for key in undecided if key in self._seen}
        for key in [key for key, seen in self._seen.items() if now - seen >= CALM]:
            if self._say(key, self._over(key, now=now), now, is_over=True):
                del self._seen[key]

    def _say(self, key: str, letter: EmailMessage, now: datetime, *, is_over: bool) -> bool:
        """Send the mail unless it was sent already. Return whether the admin has it, from this or another machine."""
        if self._silent_until and now < self._silent_until:
            return False
        if self._last_word(key, now) is not is_over:
            try:
                self._send(letter)
            except (ServiceError, ConfigurationError) as error:
                self._unsent.met(str(error), cause=key)
                self._silent_until = now + PAUSE
                return False
            self._unsent.over()
            log.warning("alert_sent", cause=key, over=is_over)
            try:
                self._store.remember(f"{_prefix(key)}{now.isoformat()}", json.dumps({"cause": key, "over": is_over}))
                self._unrecorded.pop(key, None)
            except StateUnavailableError:  # as of the outage that this very mail tells of
                self._unrecorded[key] = is_over
        return True

    def _last_word(self, key: str, now: datetime) -> bool:
        """Return whether the last mail about the cause said that it is over. True when there was none."""
        if key in self._unrecorded:
            return self._unrecorded[key]
        try:
            latest = self._store.latest(_prefix(key), now - REMEMBERED, 1)
        except StateUnavailableError:
            return True  # At worst the admin is told twice.
        return not latest or bool(json.loads(latest[0][1])["over"])

    def _told_before(self, now: datetime) -> list[str]:
        """Return the reported causes that began before this process and may be over by now.

        Those of another machine are left out.
        """
        rows = [json.loads(value) for _, value in self._store.latest("alert-", now - REMEMBERED, 1000)]
        last = {row["cause"]: row["over"] for row in reversed(rows)}
        ours = (key for key, is_over in last.items() if not is_over)
        return [key for key in ours if key == incident.WAITING or key.endswith(f" {self._host}")]


def _prefix(key: str) -> str:
    # The bar ends the key, so that no cause's prefix is the beginning of another's.
    return f"alert-{key}|"
