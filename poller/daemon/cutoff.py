"""Keep in the state store the days that decide which messages are left alone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poller.workflow.facts import FactStore

FIRST_START = "first-start"  # key of the fact that holds the day of the first start
SINCE = "since-"  # prefix of facts, with a day: it was once the day before which messages are left alone


def first_start(store: FactStore) -> date:
    """Return the day (UTC) of the first start on this state store: today, if there was none."""
    today = datetime.now(UTC).date()
    # The clock may have been ahead at the first start, and mail that has come since must not be left alone for it.
    return min(date.fromisoformat(store.remember(FIRST_START, today.isoformat())), today)


def keep(store: FactStore, since: date | None) -> None:
    """Record the day before which messages are left alone from now on. None: no message is left alone."""
    store.remember(f"{SINCE}{since or date.min}", "")


def earliest_cutoff(store: FactStore) -> date | None:
    """Return the day before which no message was ever taken up. None when all of them were once asked for."""
    # Read each time, because another machine may have been told to take all.
    first = min(date.fromisoformat(key.removeprefix(SINCE)) for key in store.facts(SINCE))
    return None if first == date.min else first
