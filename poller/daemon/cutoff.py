"""The days that decide which messages are left alone, as they are remembered."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poller.workflow.facts import Memory

FIRST_START = "first-start"  # under which the day of the first start is remembered
SINCE = "since-"  # and under this with a day, that it was once the day before which messages are left alone
LOOKED_BACK = 1_000  # such days; a setting that was changed more often than that is nobody's


def first_start(memory: Memory) -> date:
    """The day (UTC) of the first start on this memory: today, if there was none."""
    return date.fromisoformat(memory.remember(FIRST_START, datetime.now(UTC).date().isoformat()))


def keep(memory: Memory, since: date | None) -> None:
    """Remember that messages from before that day are left alone from now on; None: that none is."""
    memory.remember(f"{SINCE}{since or date.min}", "")


def reach(memory: Memory) -> date | None:
    """The day before which no message was ever taken up; None when all of them were once asked for."""
    # Asked for anew each time: another machine may have been told to take all.
    kept = memory.latest(SINCE, datetime.fromtimestamp(0, UTC), LOOKED_BACK)
    first = min(date.fromisoformat(key.removeprefix(SINCE)) for key, _ in kept)
    return None if first == date.min else first
