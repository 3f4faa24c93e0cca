"""The state of the daemon at one moment, as the parts that report it read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from poller.workflow.outage import Outage


class Wait(NamedTuple):
    """One message that waits."""

    since: datetime  # when it arrived, or was put under a category by a person; aware, UTC
    service: str  # the service that it waits for, "" for none
    reason: str  # fit for a log


@dataclass(frozen=True, slots=True)
class DaemonStatus:
    """A daemon at one moment; nothing of any message's content."""

    in_progress: frozenset[str]  # references of the messages in hand
    waiting: tuple[str, ...]  # the service that each waiting message waits for, "" for none
    waits: tuple[Wait, ...]  # those of the waiting messages that should not have to wait
    unreadable: Mapping[int, datetime]  # UIDs that the mail server lists and does not give, each with since when
    refused: Mapping[str, str]  # services that refuse our credentials, each with its reason
    unreachable: tuple[str, ...]  # services whose circuit breaker is open
    first_start: date  # the day of the first start; date.max until it is known
    misconfigured: frozenset[str] = frozenset()  # those of `refused` where another setting is wrong than a key
    untrusted: frozenset[str] = frozenset()  # those of `refused` that cannot prove who they are
    may_pass: frozenset[str] = frozenset()  # those of `refused` that may well be over soon: nobody is told yet
    unproven: frozenset[str] = frozenset()  # services that have not answered this process yet
    outage: Outage | None = None  # of the state; None: it takes what is recorded, as far as is known
