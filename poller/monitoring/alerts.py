"""Who is told what keeps the daemon from its work: the admin, once when it begins and once when it is over."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from integrations.errors import ConfigurationError, ServiceError
from poller.rendering import incident

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from email.message import EmailMessage
    from zoneinfo import ZoneInfo

    from poller.rendering.incident import Cause
    from poller.workflow.facts import Memory

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CALM = timedelta(minutes=1)  # without it, before it is over: what comes and goes is one cause
PAUSE = timedelta(minutes=5)  # before a mail that could not be sent is tried again
REMEMBERED = timedelta(days=30)


class Alerts:
    """What has been told is kept in the memory: a restart tells nothing twice, and neither do machines that share it.

    Two machines that look in the same second may both tell; that is the worst of it.
    """

    def __init__(
        self,
        memory: Memory,
        send: Callable[[EmailMessage], None],
        *,
        sender: str,
        recipient: str,
        host: str,
        zone: ZoneInfo,
    ) -> None:
        """`send` raises a ServiceError or a ConfigurationError; `host` is this machine's name, without a space.

        `zone` is that of the times which the letters tell.
        """
        self._memory, self._send = memory, send
        self._begun = partial(incident.begun, sender=sender, recipient=recipient, zone=zone)
        self._over = partial(incident.over, sender=sender, recipient=recipient, zone=zone)
        self._host = host
        self._seen: dict[str, datetime] | None = None  # when each cause that has been told was last seen
        self._silent_until: datetime | None = None

    def tell(self, present: Iterable[Cause], now: datetime, undecided: Iterable[str] = ()) -> None:
        """Tell of every cause that is new, and of every one that was told and is no more; `now` is aware, UTC.

        `undecided` are keys of causes of which nobody knows yet: what was told of them stands.
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
        """Whether the admin has been told this, by now or by another machine."""
        if self._silent_until and now < self._silent_until:
            return False
        if self._last_word(key, now) is not is_over:
            try:
                self._send(letter)
            except (ServiceError, ConfigurationError) as error:
                log.warning("alert_not_sent", cause=key, reason=str(error))
                self._silent_until = now + PAUSE
                return False
            self._memory.remember(f"{_prefix(key)}{now.isoformat()}", json.dumps({"cause": key, "over": is_over}))
            log.warning("alert_sent", cause=key, over=is_over)
        return True

    def _last_word(self, key: str, now: datetime) -> bool:
        """Whether the last that was told of the cause is that it is over; nothing told is the same."""
        latest = self._memory.latest(_prefix(key), now - REMEMBERED, 1)
        return not latest or bool(json.loads(latest[0][1])["over"])

    def _told_before(self, now: datetime) -> list[str]:
        """The causes that were told of before this process began, and may be over by now; none of another machine's."""
        rows = [json.loads(value) for _, value in self._memory.latest("alert-", now - REMEMBERED, 1000)]
        last = {row["cause"]: row["over"] for row in reversed(rows)}
        ours = (key for key, is_over in last.items() if not is_over)
        return [key for key in ours if key == incident.WAITING or key.endswith(f" {self._host}")]


def _prefix(key: str) -> str:
    # The bar ends the key: no cause's prefix begins another's.
    return f"alert-{key}|"
