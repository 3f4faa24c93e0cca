"""Run the steps of one message, with an entry recorded before and after each call.

Every step keeps a list of entries. `begun` is written before the call and one result after it: `ok`, `retry`, `fatal`.
When a message is taken up again, its entries are read from the first on, and a step acts only after the last one. An
entry carries the execution that wrote it. So `begun` without a result by the same execution means that the process died
in the call, and its outcome is unknown. That is the whole crash protocol. `engine.py` stores the entries.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload
from uuid import uuid4

import structlog

from integrations.errors import (
    BlockedError,
    CertificateError,
    ConfigurationError,
    CredentialsError,
    PermanentError,
    ServiceError,
    TransientError,
)
from integrations.net.deadline import guarded
from poller.child_process import ProcessStoppedError
from poller.errors import MessageGoneError
from poller.model import SERVICE_NAMES
from poller.workflow.circuit_breaker import CircuitBreaker
from poller.workflow.errors import (
    DependencyPendingError,
    MessageUnavailableError,
    OwnershipLostError,
    ServiceHeldBackError,
    StateUnavailableError,
    StepDeferredError,
    StepFailedError,
    UnusableMessageError,
)
from poller.workflow.history import Entry, crashes, doubts, first_begun, last_seen, since_asked
from poller.workflow.outage import disk_fault
from poller.workflow.retry import LONGEST_WAIT_S, Attempt

if TYPE_CHECKING:
    from typing import Self

    from poller.workflow.facts import FactStore
    from poller.workflow.retry import RetryPolicy
    from poller.workflow.shared_lock import SharedLock
    from poller.workflow.steps import StepName


Record = Callable[[str, Callable[[], "Entry"]], "Entry"]  # step name and maker -> the entry, made now or long ago


class Recorded(Protocol):
    """A value that a step may return."""

    def as_json(self) -> dict[str, Any]:
        """Return the recorded form."""

    @classmethod
    def from_json(cls, found: dict[str, Any], /) -> Self:
        """Read the recorded form."""


_T = TypeVar("_T")
_Value = TypeVar("_Value", bound=Recorded)


def _held(service: str, step: StepName) -> str:
    """Return why the open circuit breaker of a step's service, or of a part of that, keeps the message waiting."""
    name = SERVICE_NAMES.get(service, service)
    return f"{name} is out of reach" if service == step.service else f"{name}: a setting is wrong"


def _kind(error: PermanentError) -> str:
    """Return the kind of a failure, as in `StepFailedError`."""
    if isinstance(error, BlockedError):
        return "blocked"
    return "unusable" if isinstance(error, UnusableMessageError) else "refused"


log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

REFUSED_WAIT_S = 300.0  # before a service that refused our credentials is asked again
AGAIN_S = 10.0  # before it is checked again whether a dependency is done, or whether a message is still ours
LONGEST_AGAIN_S = 900.0  # the same for a dependency that has been waited for long, in case its end was not noticed
MAILBOX = "imap"  # the service behind the message itself, for every step that needs it
CRASHES = 3  # process deaths or unforeseen exceptions in one step of one message before it is put aside


@dataclass(frozen=True, slots=True)
class _Step:
    """A step to run."""

    name: StepName
    act: Callable[[Attempt], Any]
    gated: bool
    part: str
    is_value: bool


class Journal:
    """The steps of one message, in one execution."""

    def __init__(
        self,
        reference: str,
        record: Record,
        *,
        step_lock: SharedLock,
        breakers: dict[str, CircuitBreaker],
        retry_policy: RetryPolicy,
        halt: Callable[[str, ConfigurationError], None],
        store: FactStore,
        introduce: Callable[[str], bool] = lambda _: True,
        lease_epoch: Callable[[], int] = lambda: 0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Begin an execution.

        `record` stores an entry, or returns the one stored before. `halt` is called when a service refuses our
        credentials, and does not raise. `store` keeps the facts that all messages share. `introduce` is called by
        `introduced`. `lease_epoch` returns the lease epoch: the number of the unbroken time in which no other machine
        can have taken the message over.
        """
        self.reference, self.store, self._introduce = reference, store, introduce
        self._execution = uuid4().hex[:12]
        self._record, self._step_lock, self._breakers, self._patience = record, step_lock, breakers, retry_policy
        self._halt, self._lease_epoch, self._now = halt, lease_epoch, now
        self._begun_in = lease_epoch()
        self.running = ""  # the name of the step that runs or ran last
        self._detail = ""
        self._latest: datetime | None = None  # when a step that may do without its service waits no longer

    @overload
    def step(self, name: StepName, act: Callable[[Attempt], Any], *, gated: bool = True, part: str = "") -> Any: ...

    @overload
    def step(self, name: StepName, act: Callable[[Attempt], _Value], *, returns: type[_Value]) -> _Value: ...

    def step(
        self,
        name: StepName,
        act: Callable[[Attempt], Any],
        *,
        gated: bool = True,
        part: str = "",
        returns: type[Recorded] | None = None,
    ) -> Any:
        """Run `act` unless it is done, and return what it returned, now or when it was done.

        That is JSON, or a value of the class `returns`, which is recorded as JSON.

        A step that is not `gated` may do without its service, and calls it by `call_service`. A step that `searches` is
        not tried again before the effect of an earlier try would show. `part` names what the step uses of its service,
        with a circuit breaker of its own: a wrong setting, but for the key, keeps messages from that part alone.

        Raises:
            StepDeferredError: it is not done yet.
            StepFailedError: it will never be done.
            MessageGoneError: the message was taken away.
        """
        step, self.running = _Step(name, act, gated, part, is_value=returns is not None), str(name)
        history: list[Entry] = []
        with ExitStack() as stack:
            while True:
                entry = self._record(name, lambda: self._next(step, history, stack))
                if "ok" in entry:
                    if entry["by"] == self._execution:
                        log.info("step_done", ref=self.reference, step=name)
                    return returns.from_json(entry["ok"]) if returns else entry["ok"]
                history.append(entry)
                if "fatal" in entry and not self._stands(name, entry):
                    continue
                if "fatal" not in entry and ("begun" in entry or entry["by"] != self._execution):
                    continue
                self._leave(step, entry)

    def introduced(self, change: str) -> bool:
        """Return whether a change of the order of the steps, or of what one does, holds for this message.

        False if an earlier release recorded entries of this message from here on: entries are replayed by position, so
        they must find the steps of that release. True if the message came to this point under a release with the
        change. The answer is recorded as an entry, so `change` is a name that never changes, and every execution must
        ask at the same point.
        """
        return self._introduce(change)

    def call_service(self, name: StepName, call: Callable[[], _T], latest: datetime) -> _T | None:
        """Call the service of a step that is not gated, from within it, and return the answer.

        Until `latest` the step waits for the service as others do. From then on it makes one more call, and None is
        returned if that fails too.

        Raises:
            ServiceHeldBackError: another message tries the service first.
        """
        self._latest = latest
        breaker, now = self._breaker(name.service), self._now()
        until = breaker.wait(now)
        if until and now < latest:
            raise ServiceHeldBackError(until)
        try:
            answer = call()
        except (TransientError, ConfigurationError) as error:
            if now < latest:
                raise
            self._hold_back(name.service, error)
            log.warning("step_goes_without", ref=self.reference, step=name, reason=str(error))
            return None
        except BlockedError:
            raise
        except PermanentError:
            breaker.answered()
            raise
        breaker.answered()
        return answer

    def _stands(self, name: str, entry: Entry) -> bool:
        """Return whether a failure is still final.

        It is until a person asks again, and `Engine.resume` cuts this entry off.
        """
        verdict = self._record(name, lambda: {"stands": entry["by"] == self._execution})
        return bool(verdict["stands"])

    def confirm(self) -> None:
        """Make sure that the message has been ours ever since the step began.

        A process that was frozen goes on in the middle of a step, when another machine may have long done the rest. So
        this is called right before each action that cannot be undone, at a service by its client (`guarded`).

        Raises:
            OwnershipLostError: another machine may have taken it over.
        """
        if self._lease_epoch() != self._begun_in:
            raise OwnershipLostError

    def _leave(self, step: _Step, entry: Entry) -> None:
        """Raise the error that an unsuccessful entry of this execution stands for."""
        if "gone" in entry:
            raise MessageGoneError(step.name)
        if "fatal" in entry:
            log.error("step_failed", ref=self.reference, step=step.name, reason=entry["fatal"])
            raise StepFailedError(step.name, entry["kind"], entry["fatal"], self._detail)
        reason = entry.get("retry") or entry["wait"]
        tell = log.info if entry.get("turn") else log.warning
        tell("step_deferred", ref=self.reference, step=step.name, reason=reason, until=entry["until"])
        until = datetime.fromisoformat(entry["until"])
        raise StepDeferredError(step.name, reason, until, breaker=entry.get("gate", ""), behind=entry.get("behind", ""))

    def _next(self, step: _Step, history: list[Entry], stack: ExitStack) -> Entry:
        """Return the entry that follows the history: an intent, or after our own intent the result of acting on it."""
        if history and "begun" in history[-1] and history[-1]["by"] == self._execution:
            return self._act(step, history)
        gave_way = crashes(history)
        if gave_way >= CRASHES:
            return {"fatal": f"gave way {gave_way} times", "kind": "crashed", "by": self._execution}
        now = self._now()
        if step.name.searches and doubts(history) and (until := self._patience.visible_at(last_seen(history), now)):
            reason = "what was done may not show yet"
            return {"wait": reason, "until": until.isoformat(), "by": self._execution}
        for service in (step.part, step.name.service) if step.gated else ():
            if service and (until := self._breaker(service).wait(now)):
                held = {"wait": _held(service, step.name), "until": until.isoformat(), "gate": service}
                return held | {"by": self._execution}
        if not step.name.apart:
            stack.enter_context(self._step_lock.exclusive() if gave_way else self._step_lock.shared())
        self._begun_in = self._lease_epoch()
        return {"begun": now.isoformat(), "by": self._execution}

    def _act(self, step: _Step, history: list[Entry]) -> Entry:
        """Run a try and return its entry in any case.

        An exception that escaped from here would be recorded, and raised again for ever.
        """
        retries = [earlier for earlier in since_asked(history) if "retry" in earlier]
        self._latest = None
        try:
            # A first try that lies ahead was made before the clock was set back.
            since = min(first_begun(history), self._now())
            entry = self._try(step, Attempt(len(retries), doubts(history[:-1]), since), retries)
            json.dumps(entry, ensure_ascii=False).encode()  # as it will be recorded; a lone surrogate cannot be
        except Exception as error:  # noqa: BLE001  The one place that contains a message's failure.
            entry = self._gave_way(step, error, retries)
        for service in (step.part, step.name.service) if step.gated else ():
            if service:  # A trial that ended in the message's own trouble says nothing of the service.
                self._breaker(service).release(self._now())
        return {"by": self._execution} | entry

    def _try(self, step: _Step, attempt: Attempt, retries: list[Entry]) -> Entry:
        try:
            self.confirm()
            with guarded(self.confirm):
                value = step.act(attempt)
        except MessageUnavailableError as error:
            return self._failed(step, MAILBOX, error.cause, retries)
        except DependencyPendingError as error:
            if error.has_answered:
                self._breaker(step.name.service).answered()
            return self._not_yet(error, attempt)
        except ServiceHeldBackError as held:
            return {"wait": _held(step.name.service, step.name), "until": self._bounded(held.until).isoformat()}
        except StateUnavailableError as error:
            return {"unknown": False} | self._retried(self._now(), str(error), 0.0, retries)
        except (MessageGoneError, OwnershipLostError, ServiceError, ConfigurationError) as error:
            return self._failed(step, step.name.service, error, retries)
        if step.gated:
            self._breaker(step.name.service).answered(called=not step.name.is_preparation)
        if step.part:
            self._breaker(step.part).answered()
        return {"ok": value.as_json() if step.is_value else value}

    def _failed(self, step: _Step, service: str, error: Exception, retries: list[Entry]) -> Entry:
        """Return the entry of a failure, and hold other messages back where they have to wait, too.

        `service` is the one that failed.
        """
        now = self._now()
        match error:
            case MessageGoneError():
                return {"gone": True}
            case OwnershipLostError():
                # If another machine has the message now, this entry is refused, which ends this execution.
                until = now + timedelta(seconds=AGAIN_S)
                return {"wait": "out of touch with the other machines", "until": until.isoformat()}
            case TransientError():
                asked_s = self._hold_back(service, error)
                unknown = error.outcome_unknown and service == step.name.service
                return {"unknown": unknown} | self._retried(now, str(error), asked_s, retries)
            case PermanentError():
                self._detail = error.detail
                if step.gated and service == step.name.service and _kind(error) == "refused":
                    self._breaker(service).answered(called=False)  # It is there, and no proof that it takes our key.
                return {"fatal": str(error), "kind": _kind(error)}
            case ConfigurationError():
                # Not this message's failure. A restarted process tries it at once.
                if (
                    step.part
                    and service == step.name.service
                    and not isinstance(error, CredentialsError | CertificateError)
                ):
                    self._breaker(service).answered()
                    service = step.part
                self._hold_back(service, error)
                return {"wait": str(error), "until": now.isoformat(), "gate": service}
        return self._gave_way(step, error, retries, unknown=service == step.name.service)

    def _not_yet(self, error: DependencyPendingError, attempt: Attempt) -> Entry:
        """Return the entry of a wait for something else. The longer it lasts, the less often it is checked."""
        now = self._now()
        delay_s = min(max((now - attempt.since).total_seconds() / 2, AGAIN_S), LONGEST_AGAIN_S)
        entry = {"wait": str(error), "until": (now + timedelta(seconds=delay_s)).isoformat()}
        return entry | ({"behind": error.behind} if error.behind else {}) | ({"turn": True} if error.is_turn else {})

    def _hold_back(self, service: str, error: TransientError | ConfigurationError) -> float:
        """Keep other messages from a service that failed, and return for how many seconds it asked.

        They wait for as long as it asked, not for as long as this message has to. One that refused our credentials is
        not called before the admin can have mended it.
        """
        now, asked_s = self._now(), REFUSED_WAIT_S
        if isinstance(error, TransientError):
            asked_s = min(max(0.0, error.retry_after_s or 0.0), LONGEST_WAIT_S)
        else:
            self._halt(service, error)
        self._breaker(service).failed(now, now + timedelta(seconds=asked_s))
        return asked_s

    def _bounded(self, until: datetime) -> datetime:
        return min(until, self._latest) if self._latest else until

    def _retried(self, now: datetime, reason: str, asked_s: float, retries: list[Entry]) -> Entry:
        first = datetime.fromisoformat(retries[0]["at"]) if retries else now
        if now - first > self._patience.give_up_after:
            hours = self._patience.give_up_after / timedelta(hours=1)
            return {"fatal": f"{reason}, and so for {hours:.0f} hours", "kind": "unanswered"}
        until = self._bounded(self._patience.until(now, len(retries) + 1, asked_s))
        return {"retry": reason, "at": now.isoformat(), "until": until.isoformat()}

    def _gave_way(self, step: _Step, error: Exception, retries: list[Entry], *, unknown: bool = True) -> Entry:
        """Return the entry of an unforeseen exception. A process that was stopped from outside is none."""
        if isinstance(error, ProcessStoppedError):
            return {"unknown": False} | self._retried(self._now(), str(error), 0.0, retries)
        # The exception's text may quote the mail: its type and where it came from say enough.
        frames = [f"{at.filename}:{at.lineno}" for at in traceback.extract_tb(error.__traceback__)[-6:]]
        log.warning("step_crashed", ref=self.reference, step=step.name, error=type(error).__name__, frames=frames)
        now = self._now()
        until = self._patience.until(now, len(retries) + 1, None)
        bug = not disk_fault(error)  # A full disk is no fault of the message.
        return {
            "retry": type(error).__name__,
            "at": now.isoformat(),
            "until": until.isoformat(),
            "unknown": unknown,
            "bug": bug,
        }

    def _breaker(self, service: str) -> CircuitBreaker:
        return self._breakers.setdefault(service, CircuitBreaker(self._patience.delays_s))
