"""Format the content of the state store for a person or a program."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from poller.escaping import one_line
from poller.model import LABELS, SERVICE_NAMES, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from poller.monitoring.status_file import PollStatus
    from poller.workflow.status import Entry, MessageRecord, MessageStatus

_VALUE_CHARS = 2_000
_BESIDE = 3  # values returned by a step that fit into its line
# What a service that refuses us stops, and what goes on.
_EFFECTS = {
    "anthropic": "unsure mail waits for a while, sure mail goes on",
    "r2": "mail with files to upload waits, other mail goes on",
    "hubspot": "mail waits for its ticket",
    "clickup": "MODELISATION mail waits for its subtask, SUPPORT mail goes on",
    "smtp": "mail waits for its notification, tickets are opened",
    LABELS: "tickets are opened, mail stays in the inbox until it can be filed",
}
RESULTS = ("ok", "retry", "wait", "fatal", "gone")  # results of an attempt, see `journal`


def line(reference: str, status: MessageStatus, now: datetime) -> str:
    """Return the outcome of a message in one line for a person. `now` is aware."""
    result = status.result
    links = [link.url for link in (result.ticket, result.subtask) if link]
    reason = f"{result.step}: {result.reason}" if result.step else result.reason
    files = f"{len(result.files)} file(s)" if result.files else ""
    until = _until(result.until, now) if result.until else ""
    return "  ".join(part for part in (reference, result.final_outcome.upper(), *links, files, reason, until) if part)


def as_json(reference: str, status: MessageStatus) -> dict[str, Any]:
    """Return the outcome of a message for a program."""
    return {"reference": reference} | status.result.as_json()


def status(
    counts: Mapping[Outcome, int],
    waiting: Sequence[MessageRecord],
    poll_status: PollStatus | None,
    *,
    running: bool | None,
) -> dict[str, Any]:
    """Return the number of messages by outcome, the services they wait for, and the state of the polls.

    `counts` and `waiting` come from the `StateStore`. `running` is None if it cannot be known: with PostgreSQL the
    daemon may run on another machine.
    """
    services = Counter(message.status.service for message in waiting)
    oldest = min((message.seen_at for message in waiting), default=None)
    return {
        "outcomes": dict(counts),
        "waiting": {"oldest_since": oldest and oldest.isoformat(), "services": dict(services)},
        "last_poll_at": poll_status.looked_at.isoformat() if poll_status and poll_status.looked_at else None,
        "polls_failing_since": poll_status.failing_since.isoformat()
        if poll_status and poll_status.failing_since
        else None,
        "polls_failing_because": poll_status.reason if poll_status else "",
        "unreadable": poll_status.unreadable if poll_status else 0,
        "refused": dict(poll_status.refused) if poll_status else {},
        "daemon_running": running,
    }


def status_lines(
    counts: Mapping[Outcome, int], waiting: Sequence[MessageRecord], poll_status: PollStatus | None, now: datetime
) -> Iterator[str]:
    """Yield the content of `status` as lines for a person."""
    for outcome, count in sorted(counts.items()):
        yield f"{count:>7}  {outcome.upper()}"
    if waiting:
        services = Counter(_kept_by(message.status) for message in waiting)
        yield f"the oldest waits since {_moment(min(message.seen_at for message in waiting))}; they wait for:"
        yield from (f"{count:>7}  {why}" for why, count in services.most_common())
    if poll_status:
        yield (
            f"last good poll {_age(now, poll_status.looked_at)} ago"
            if poll_status.looked_at
            else "no poll was good yet"
        )
        if poll_status.failing_since:
            yield f"polls fail since {_moment(poll_status.failing_since)}: {poll_status.reason}"
        for service, reason in poll_status.refused.items():
            effect = _EFFECTS.get(service, "all mail waits")
            yield f"{SERVICE_NAMES.get(service, service)} refuses us: {reason}; {effect}"
        if poll_status.unreadable:
            yield f"{poll_status.unreadable:>7}  that the mail server lists and does not give; the log has their UIDs"


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


def try_lines(tried: dict[str, Any]) -> Iterator[str]:
    """Yield an attempt of a step as lines for a person. A long returned value follows on lines of its own."""
    kind = next(kind for kind in (*RESULTS, "begun") if kind in tried)
    returned = list(_returned(tried.get("ok"))) or ["done"]
    beside = ", ".join(returned) if len(returned) <= _BESIDE else ""
    said = {"ok": beside, "begun": "begun, and no end of it yet", "gone": "the message was gone"}
    word = {"retry": "failed", "wait": "waits", "fatal": "FAILED for good"}.get(kind, "")
    what = said[kind] if kind in said else f"{word}: {tried[kind]}"
    again = f"; again at {tried['until'][:19].replace('T', ' ')}" if "until" in tried else ""
    number = f"try {tried['attempt']}" if tried["attempt"] > 1 else ""
    took = f"{tried['took_s']:.1f} s" if tried["took_s"] is not None else ""
    yield f"  {tried['at'][:19].replace('T', ' ')}  {tried['step']:<22} {number:<6} {took:>7}  {what}{again}".rstrip()
    if kind == "ok" and not beside:
        yield from (f"      {each}" for each in returned)


def _returned(value: Any, name: str = "") -> Iterator[str]:
    """Yield each value that a step returned as "name: value", without empty ones."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _returned(part, f"{name}.{key}" if name else key)
    elif isinstance(value, list) and any(isinstance(part, dict | list) for part in value):
        for number, part in enumerate(value, 1):
            yield from _returned(part, f"{name} {number}".strip())
    elif value not in (None, "", []):
        words = ", ".join(map(str, value)) if isinstance(value, list) else value
        words = {True: "yes", False: "no"}[value] if isinstance(value, bool) else one_line(str(words), _VALUE_CHARS)
        yield f"{name}: {words}" if name else words


def _without_end(begun: Entry, attempts: Counter[str]) -> dict[str, Any]:
    at = begun.at.isoformat()
    return {"step": begun.step, "at": at, "attempt": attempts[begun.step], "took_s": None, "begun": at}


def _kept_by(status: MessageStatus) -> str:
    return SERVICE_NAMES.get(status.service) or status.result.reason


def _until(due: datetime, now: datetime) -> str:
    # The time of the next attempt depends on the service, and on whether a daemon runs.
    return f"until {_moment(due)}" if due > now else "due now"


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _age(now: datetime, then: datetime) -> str:
    seconds = max(0, int((now - then).total_seconds()))
    for unit, size in (("days", 172_800), ("h", 7_200), ("min", 120)):
        if seconds >= size:
            return f"{seconds // (size // 2)} {unit}"
    return f"{seconds} s"
