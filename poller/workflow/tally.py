"""How many messages stand where, and which: each as its last correction left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poller.workflow import corrections

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Collection
    from datetime import datetime

    from poller.workflow.status import Remembered
    from poller.workflow.store import Memory


def counts(memory: Memory) -> Counter[str]:
    """How many messages of each outcome."""
    found = memory.counts()
    # Of all that was done about a corrected message the last counts; these are few, and read.
    ids = memory.corrections()
    done = memory.named({*ids, *map(corrections.message_of, ids)})
    found.subtract(message.standing.came_to for message in done)
    found.update(message.standing.came_to for message in corrections.current(done))
    return +found


def standing(memory: Memory, outcomes: Collection[str], since: datetime | None = None) -> list[Remembered]:
    """The messages of these outcomes, those first seen first; with `since` of what was first seen since then."""
    ids = memory.ids(outcomes, since)
    wanted = set(map(corrections.message_of, ids))
    corrected = [each for each in memory.corrections() if corrections.message_of(each) in wanted]
    done = [each for each in memory.named(wanted.union(ids, corrected)) if since is None or each.seen_at >= since]
    return [message for message in corrections.current(done) if message.standing.came_to in outcomes]
