"""Read the entries of one step, from its first try to its last.

`journal.py` says when they are written.
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Entry = dict[str, Any]  # JSON: {"by": execution, "ok" | "begun" | "retry" | "wait" | "gone" | "fatal": ...}

TRIES_KEPT = 8  # of a step that fails, with their entries; by then its delay grows no more


def first_begun(history: list[Entry]) -> datetime:
    """Return when the first try began."""
    return min(datetime.fromisoformat(entry["begun"]) for entry in history if "begun" in entry)


def last_seen(history: list[Entry]) -> datetime:
    """Return the last moment known of the last try.

    That is when it failed, or when it began where it left no result.
    """
    times = [entry.get("at") or entry["begun"] for entry in history if "at" in entry or "begun" in entry]
    return datetime.fromisoformat(times[-1])


def since_asked(history: list[Entry]) -> list[Entry]:
    """Return the entries since a person last asked for the step or put the message back, or else all of them."""
    last = max((index for index, entry in enumerate(history) if "fatal" in entry or "gone" in entry), default=-1)
    return history[last + 1 :]


def crashes(history: list[Entry]) -> int:
    """Count the crashes of the step since a person last asked for it: process deaths and unforeseen exceptions."""
    recent = since_asked(history)
    return deaths(recent) + sum(bool(entry.get("bug")) for entry in recent)


def doubts(history: list[Entry]) -> int:
    """Count the tries that may have had their effect, including those before a person last asked for the step."""
    return deaths(history) + sum(bool(entry.get("unknown")) for entry in history)


def dispensable(history: list[Entry], visible: Callable[[datetime], bool]) -> int:
    """Count the last entries of a waiting step that can be deleted, so that no wait adds entries without bound.

    They are waits, and failed tries beyond the first few, each with its `begun`. The first try since a person last
    asked for the step stays, for its time. A crash stays. A try that may have had its effect stays unless an earlier
    one does and `visible`, called with the time of the try, says that a search finds what was done then.
    """
    done = [index for index, entry in enumerate(history) if "ok" in entry]  # of a step of the same name before it
    left = since_asked(history[done[-1] + 1 :] if done else history)
    count = len(left)
    while left and (size := _dispensable(left, visible)):
        del left[-size:]
    return count - len(left)


def _dispensable(history: list[Entry], visible: Callable[[datetime], bool]) -> int:
    """Return the number of entries, 1 or 2, of the last try or wait if they can be deleted, else 0."""
    last, before = history[-1], history[:-1]
    tried = bool(before) and "begun" in before[-1] and before[-1]["by"] == last["by"]
    earlier = before[:-1] if tried else before
    if tried and not any("begun" in entry for entry in earlier):
        return 0
    if "retry" in last:
        settled = not last.get("unknown") or (doubts(earlier) and visible(datetime.fromisoformat(last["at"])))
        if last.get("bug") or not settled or sum("retry" in entry for entry in earlier) < TRIES_KEPT:
            return 0
    elif "wait" not in last:
        return 0
    return 1 + tried


def deaths(history: list[Entry]) -> int:
    """Count the process deaths in the step: `begun` entries whose execution never wrote a result."""
    return sum("begun" in entry and entry["by"] != after["by"] for entry, after in pairwise([*history, {"by": ""}]))
