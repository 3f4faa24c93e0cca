"""What the entries of a step say of the tries behind us; how they come about, see `journal`."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from typing import Any

Entry = dict[str, Any]  # JSON: {"by": execution, "ok" | "begun" | "retry" | "wait" | "gone" | "fatal": ...}


def first_begun(history: list[Entry]) -> datetime:
    """When the first try began."""
    return min(datetime.fromisoformat(entry["begun"]) for entry in history if "begun" in entry)


def last_seen(history: list[Entry]) -> datetime:
    """The last moment known of the last try: its failure, or its beginning where nothing was heard of it again."""
    times = [entry.get("at") or entry["begun"] for entry in history if "at" in entry or "begun" in entry]
    return datetime.fromisoformat(times[-1])


def since_asked(history: list[Entry]) -> list[Entry]:
    """The history since a person last asked for the step, or put the message back, or since it was first tried."""
    last = max((index for index, entry in enumerate(history) if "fatal" in entry or "gone" in entry), default=-1)
    return history[last + 1 :]


def crashes(history: list[Entry]) -> int:
    """How often the step gave way since a person last asked for it: a process death or an unforeseen exception."""
    recent = since_asked(history)
    return _deaths(recent) + sum(bool(entry.get("bug")) for entry in recent)


def doubts(history: list[Entry]) -> int:
    """How many tries may have had their effect, whoever has asked for others since."""
    return _deaths(history) + sum(bool(entry.get("unknown")) for entry in history)


def _deaths(history: list[Entry]) -> int:
    """How often the process died in the step: `begun` entries whose execution never wrote a result."""
    return sum("begun" in entry and entry["by"] != after["by"] for entry, after in pairwise([*history, {"by": ""}]))
