"""Format the content of the state store for a person or a program."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from poller.escaping import one_line
from poller.model import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import tzinfo

    from poller.workflow.results import WorkResult
    from poller.workflow.status import Entry, MessageRecord, MessageStatus

_VALUE_CHARS = 2_000
_YES_NO = {True: "yes", False: "no"}
_BESIDE = 3  # values returned by a step that fit into its line
_TOLD = {"category", "decided_by", "reason", "ignored", "url"}  # values returned by a step that tell a person something
RESULTS = ("ok", "retry", "wait", "fatal", "gone")  # results of an attempt, see `journal`


def line(reference: str, status: MessageStatus, now: datetime) -> str:
    """Return the outcome of a message in one line for a person. `now` is in the time zone that it is told in."""
    result = status.result
    links = [link.url for link in (result.ticket, result.subtask) if link]
    count = len(result.files)
    files = f"{count} file{'s' if count > 1 else ''}" if count else ""
    until = _until(result.until, now) if result.until else ""
    return "  ".join(
        part for part in (reference, result.final_outcome.upper(), *links, files, cause(result), until) if part
    )


def cause(result: WorkResult) -> str:
    """Return why a message waits, failed or is ignored, "" for none of these."""
    return f"{result.step}: {result.reason}" if result.step else result.reason


def as_json(reference: str, status: MessageStatus) -> dict[str, Any]:
    """Return the outcome of a message for a program."""
    return {"reference": reference} | status.result.as_json()


def whole(message: MessageRecord, tried: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return everything that is stored about a message, for a program. `tried` is `tries` of its journal."""
    times = {"seen_at": message.seen_at.isoformat(), "changed_at": message.changed_at.isoformat()}
    outcome = message.status.outcome
    result = None if outcome is Outcome.WORKING else message.status.result.as_json()
    known = {"reference": message.reference, "outcome": outcome, "result": result}
    return known | times | {"steps": tried}


def tries(entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """Yield each attempt of each step: `step`, `at` (its end), `attempt` (from 1), `took_s`, and its result.

    The result is one of RESULTS, with the returned value or the reason. It is `begun` for an attempt without an end:
    the attempt is in progress, or the process died in it.
    """
    attempts: Counter[str] = Counter()
    begun: Entry | None = None
    for entry in entries:
        if "begun" in entry.content:
            if begun:
                yield _without_end(begun, attempts)
            begun = entry
            attempts[entry.step] += 1
        elif any(kind in entry.content for kind in RESULTS):
            took_s = round((entry.at - begun.at).total_seconds(), 3) if begun else None
            content = {name: value for name, value in entry.content.items() if name != "by"}
            shown = {"attempt": attempts[entry.step], "took_s": took_s}
            yield {"step": entry.step, "at": entry.at.isoformat()} | shown | content
            if "ok" in content:
                del attempts[entry.step]  # The entry of the next file begins at attempt 1.
            begun = None
    if begun:
        yield _without_end(begun, attempts)


def try_lines(tried: dict[str, Any], zone: tzinfo | None, *, verbose: bool = False) -> Iterator[str]:
    """Yield an attempt of a step as lines for a person. A long returned value follows on lines of its own.

    Links, ids and reasons are told, and with `verbose` everything that the step returned, under its stored name.
    """
    kind = next(kind for kind in (*RESULTS, "begun") if kind in tried)
    values = _returned(tried.get("ok"))
    returned = [f"{name}: {words}" if name else words for name, words in values] if verbose else list(_told(values))
    returned = returned or ["done"]
    beside = ", ".join(returned) if len(returned) <= _BESIDE else ""
    said = {"ok": beside, "begun": "begun, and no end of it yet", "gone": "the message was gone"}
    word = {"retry": "failed", "wait": "waits", "fatal": "FAILED for good"}.get(kind, "")
    what = said[kind] if kind in said else f"{word}: {tried[kind]}"
    again = f"; again at {_moment(tried['until'], zone)}" if "until" in tried else ""
    number = f"try {tried['attempt']}" if tried["attempt"] > 1 else ""
    took = f"{tried['took_s']:.1f} s" if tried["took_s"] is not None else ""
    yield f"  {_moment(tried['at'], zone)}  {tried['step']:<22} {number:<6} {took:>7}  {what}{again}".rstrip()
    if kind == "ok" and not beside:
        yield from (f"      {each}" for each in returned)


def _told(values: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield the returned values that tell a person something."""
    for name, words in values:
        last = name.rpartition(".")[2]
        if last == "url" or (not name and words not in _YES_NO.values()):
            yield words
        elif name == "opinion.category":
            yield f"opinion: {words}"
        elif last in _TOLD:
            yield f"{last}: {words}"


def _returned(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield each value that a step returned with its name, without empty ones. A bare value has the name ""."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _returned(part, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        for number, part in enumerate(value, 1):
            yield from _returned(part, f"{name} {number}".strip())
    elif value not in (None, "", []):
        words = ", ".join(map(str, value)) if isinstance(value, list) else value
        yield name, _YES_NO[value] if isinstance(value, bool) else one_line(str(words), _VALUE_CHARS)


def _without_end(begun: Entry, attempts: Counter[str]) -> dict[str, Any]:
    at = begun.at.isoformat()
    return {"step": begun.step, "at": at, "attempt": attempts[begun.step], "took_s": None, "begun": at}


def _until(due: datetime, now: datetime) -> str:
    # The time of the next attempt depends on the service, and on whether a daemon runs.
    return f"until {moment(due, now.tzinfo)}" if due > now else "due now"


def moment(at: datetime, zone: tzinfo | None) -> str:
    """Format a moment in the reader's time zone, with the name of the zone."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def _moment(at: str, zone: tzinfo | None) -> str:
    return moment(datetime.fromisoformat(at), zone)
