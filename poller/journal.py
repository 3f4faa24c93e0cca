"""One message's steps: what is written down before and after each, and what that says on taking the message up again.

Every step keeps a list of entries. `begun` is written before the call and one result after it: `ok`, `retry`, `fatal`.
A message that is taken up again reads the entries from the first on, and acts only past the last one. An entry carries
the execution that wrote it, so `begun` without a result by the same execution means that the process died in the call:
its outcome is unknown. That is the whole crash protocol; how entries are stored is `engine.py`'s business.
"""

from __future__ import annotations

import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import uniform
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import structlog

from integrations.errors import ConfigurationError, PermanentError, TransientError
from poller.gates import DELAYS_S, Floor, Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    Entry = dict[str, Any]  # JSON: {"by": execution, "ok" | "begun" | "retry" | "wait" | "gone" | "fatal": ...}
    Record = Callable[[str, Callable[[], Entry]], Entry]  # step name and maker -> the entry, made now or long ago

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LONGEST_WAIT_S = 3600.0  # whatever a service asks for
CRASHES = 3  # process deaths or unforeseen exceptions in one step of one message before it is put aside


class MustWaitError(Exception):
    """The message goes on later; nothing is lost and nobody needs to act."""

    def __init__(self, step: str, reason: str, until: datetime, gate: str = "") -> None:
        """`until` is aware, UTC; `gate` is the service whose return ends the wait sooner, "" for none."""
        super().__init__(f"{step}: {reason}")
        self.step, self.reason, self.until, self.gate = step, reason, until, gate


class StepFailedError(Exception):
    """The message needs a person."""

    def __init__(self, step: str, kind: str, reason: str, detail: str = "") -> None:
        """`kind` is "refused", "unanswered" or "crashed"; `reason` is fit for a log, `detail` for the admin alone."""
        super().__init__(f"{step}: {reason}")
        self.step, self.kind, self.reason, self.detail = step, kind, reason, detail


class MessageGoneError(Exception):
    """The message is no longer in the mailbox: a person took it, which is their right."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a step must know of the tries before this one."""

    failures: int  # tries that ended in an error
    doubts: int  # tries that may have had their effect: with any, look before you act
    since: datetime  # when the first try began; aware, UTC


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, and for how long in all."""

    delays_s: tuple[float, ...] = DELAYS_S
    give_up_after: timedelta = timedelta(hours=120)

    def until(self, now: datetime, failures: int, retry_after_s: float | None) -> datetime:
        """When to try again after so many failures (1 or more), never sooner than the service asked."""
        delay_s = self.delays_s[min(failures, len(self.delays_s)) - 1] * uniform(0.8, 1.2)  # noqa: S311  no secret
        return now + timedelta(seconds=min(max(delay_s, retry_after_s or 0.0), LONGEST_WAIT_S))


class Journal:
    """The steps of one message, in one execution."""

    def __init__(
        self,
        reference: str,
        record: Record,
        *,
        floor: Floor,
        gates: dict[str, Gate],
        patience: Patience,
        halt: Callable[[ConfigurationError], None],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`record` stores an entry or gives back the one stored before; `halt` hears of settings that cannot work."""
        self.reference = reference
        self._execution = uuid4().hex[:12]
        self._record, self._floor, self._gates, self._patience = record, floor, gates, patience
        self._halt, self._now = halt, now
        self._detail = ""

    def step(self, name: str, act: Callable[[Attempt], Any], service: str = "") -> Any:
        """What `act` returned (JSON), this time or the time it was done.

        Raises:
            MustWaitError: it is not done yet.
            StepFailedError: it never will be.
            MessageGoneError: the message was taken away.
        """
        history: list[Entry] = []
        with ExitStack() as stack:
            while True:
                entry = self._record(name, lambda: self._next(name, act, service, history, stack))
                if "ok" in entry:
                    if entry["by"] == self._execution:
                        log.info("step_done", ref=self.reference, step=name)
                    return entry["ok"]
                history.append(entry)
                if "begun" in entry or entry["by"] != self._execution:
                    continue
                self._leave(name, service, entry)

    def _leave(self, name: str, service: str, entry: Entry) -> None:
        """Raise what an entry of this execution that is no success means."""
        if "gone" in entry:
            raise MessageGoneError(name)
        if "fatal" in entry:
            log.error("step_failed", ref=self.reference, step=name, reason=entry["fatal"])
            raise StepFailedError(name, entry["kind"], entry["fatal"], self._detail)
        reason = entry.get("retry") or entry["wait"]
        log.warning("step_deferred", ref=self.reference, step=name, reason=reason, until=entry["until"])
        until = datetime.fromisoformat(entry["until"])
        raise MustWaitError(name, reason, until, service if "wait" in entry else "")

    def _next(
        self, name: str, act: Callable[[Attempt], Any], service: str, history: list[Entry], stack: ExitStack
    ) -> Entry:
        """The entry that follows the history: an intent, or behind an intent of ours the result of acting on it."""
        now = self._now()
        if history and "begun" in history[-1] and history[-1]["by"] == self._execution:
            begun = [datetime.fromisoformat(entry["begun"]) for entry in history if "begun" in entry]
            failures = sum("retry" in entry for entry in history)
            return self._act(name, act, service, Attempt(failures, _doubts(history[:-1]), min(begun)))
        crashes = _crashes(history)
        if crashes >= CRASHES:
            return {"fatal": f"gave way {crashes} times", "kind": "crashed", "by": self._execution}
        gate = self._gates.setdefault(service, Gate(self._patience.delays_s)) if service else None
        if gate and (until := gate.wait(now)):
            return {"wait": f"{service} is out of reach", "until": until.isoformat(), "by": self._execution}
        stack.enter_context(self._floor.alone() if crashes else self._floor.shared())
        return {"begun": now.isoformat(), "by": self._execution}

    def _act(self, name: str, act: Callable[[Attempt], Any], service: str, attempt: Attempt) -> Entry:
        entry: Entry = {"by": self._execution}
        failures = attempt.failures + 1
        try:
            value = act(attempt)
        except MessageGoneError:
            entry["gone"] = True
        except TransientError as error:
            until = self._patience.until(self._now(), failures, error.retry_after_s)
            if service:
                self._gates[service].failed(self._now(), until)
            if self._now() - attempt.since > self._patience.give_up_after:
                days = self._patience.give_up_after.days
                entry |= {"fatal": f"{error}, and so for {days} days", "kind": "unanswered"}
            else:
                entry |= {"retry": str(error), "until": until.isoformat(), "unknown": error.outcome_unknown}
        except PermanentError as error:
            self._detail = error.detail
            entry |= {"fatal": str(error), "kind": "refused"}
        except ConfigurationError as error:
            self._halt(error)
            entry |= {"retry": str(error), "until": self._now().isoformat(), "unknown": False}
        except Exception as error:  # noqa: BLE001  The one place that contains a message's failure.
            # The text of an unforeseen exception may quote the mail: its type and where it came from say enough.
            frames = [f"{at.filename}:{at.lineno}" for at in traceback.extract_tb(error.__traceback__)[-6:]]
            log.warning("step_crashed", ref=self.reference, step=name, error=type(error).__name__, frames=frames)
            until = self._patience.until(self._now(), failures, None)
            entry |= {"retry": type(error).__name__, "until": until.isoformat(), "unknown": True, "bug": True}
        else:
            entry["ok"] = value
            if service:
                self._gates[service].answered()
        return entry


def _deaths(history: list[Entry]) -> int:
    """How often the process died in the step: `begun` entries whose execution never wrote a result."""
    return sum("begun" in entry and entry["by"] != after["by"] for entry, after in pairwise([*history, {"by": ""}]))


def _crashes(history: list[Entry]) -> int:
    """How often the step gave way since a person last asked for it: a process death or an unforeseen exception."""
    fatal = max((index for index, entry in enumerate(history) if "fatal" in entry), default=-1)
    recent = history[fatal + 1 :]
    return _deaths(recent) + sum("bug" in entry for entry in recent)


def _doubts(history: list[Entry]) -> int:
    """How many tries may have had their effect."""
    return _deaths(history) + sum(bool(entry.get("unknown")) for entry in history)
