"""What is written down around a call, and what a message does when it is taken up again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from integrations.errors import ConfigurationError, PermanentError, TransientError
from integrations.net.deadline import Deadline, ask_guard
from poller.errors import MessageGoneError
from poller.workflow.circuit_breaker import CircuitBreaker
from poller.workflow.errors import MessageUnavailableError, StepDeferredError, StepFailedError
from poller.workflow.journal import Journal
from poller.workflow.retry import Attempt, RetryPolicy
from poller.workflow.shared_lock import SharedLock
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 11, 22, 9, tzinfo=UTC)


class ProcessDiedError(BaseException):
    """A kill -9 at this very point."""


class Memory:
    """What the engine keeps, in a list: entries by position, given back to the execution that replays them."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, dict[str, Any]]] = []
        self.breakers: dict[str, CircuitBreaker] = {}
        self.faults: list[tuple[str, ConfigurationError]] = []
        self.now = START
        self.lease_epoch = 0

    def ask_again(self) -> None:
        """What a person's retry does: everything behind the last failure is forgotten."""
        while "fatal" not in self.entries[-1][1]:
            self.entries.pop()

    def execution(self, **retry_policy: Any) -> Journal:
        """The message taken up (again)."""
        position = iter(range(1_000))

        def record(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
            at = next(position)
            if at == len(self.entries):
                self.entries.append((name, make()))
            assert self.entries[at][0] == name
            return self.entries[at][1]

        return Journal(
            "0123456789abcdef",
            record,
            step_lock=SharedLock(),
            breakers=self.breakers,
            retry_policy=RetryPolicy(**retry_policy),
            halt=lambda service, fault: self.faults.append((service, fault)),
            lease_epoch=lambda: self.lease_epoch,
            now=lambda: self.now,
        )


@pytest.fixture
def store() -> Memory:
    return Memory()


def raising(error: BaseException) -> Callable[[Attempt], Any]:
    def act(_: Attempt) -> Any:
        raise error

    return act


def test_finished_step_is_not_repeated(store: Memory) -> None:
    """The second execution gets what the first one returned, without a call."""
    assert store.execution().step(StepName.FIND_THREAD, lambda _: {"id": "7"}) == {"id": "7"}
    assert store.execution().step(StepName.FIND_THREAD, raising(AssertionError("called"))) == {"id": "7"}


def test_first_try_makes_no_check(store: Memory) -> None:
    """Nothing went wrong, so no look is paid for."""
    assert store.execution().step(StepName.FIND_THREAD, lambda attempt: [attempt.failures, attempt.doubts]) == [0, 0]


def test_retry_after_crash_in_call_is_in_doubt(store: Memory) -> None:
    """The intent was written and no result: the call may have been carried out."""
    with pytest.raises(ProcessDiedError):
        store.execution().step(StepName.FIND_THREAD, raising(ProcessDiedError()))
    store.now += timedelta(hours=1)
    attempt = store.execution().step(StepName.FIND_THREAD, lambda attempt: [attempt.doubts, attempt.since.isoformat()])
    assert attempt == [1, START.isoformat()]


@pytest.mark.parametrize(("unknown", "doubts"), [(True, 1), (False, 0)])
def test_retry_is_in_doubt_only_after_unknown_outcome(store: Memory, *, unknown: bool, doubts: int) -> None:
    """A timeout is a doubt; a refused connection is none."""
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.FIND_THREAD, raising(TransientError("504", outcome_unknown=unknown)))
    assert store.execution().step(StepName.FIND_THREAD, lambda attempt: attempt.doubts) == doubts


def test_retry_delay_grows_and_honours_retry_after(store: Memory) -> None:
    """The table of delays with a fifth of jitter, Retry-After where it is longer, an hour at the most."""
    waits = []
    for retry_after_s in (None, None, 500.0, 1e6):
        with pytest.raises(StepDeferredError) as caught:
            store.execution(delays_s=(2, 10)).step(
                StepName.FIND_THREAD, raising(TransientError("429", retry_after_s=retry_after_s))
            )
        waits.append((caught.value.until - store.now).total_seconds())
    assert 1.6 <= waits[0] <= 2.4
    assert 8 <= waits[1] <= 12
    assert waits[2:] == [500, 3600]


@pytest.mark.parametrize(
    ("retry_after_s", "closed_s"),
    [
        (500.0, 500),
        (31_536_000.0, 3600),
        (1e12, 3600),
        (1e308, 3600),
        (float("inf"), 3600),
        (float("nan"), 2),
        (-5.0, 2),
    ],
)
def test_circuit_breaker_honours_retry_after_up_to_an_hour(
    store: Memory, retry_after_s: float, closed_s: float
) -> None:
    """Whatever it asks: a number beyond all calendars is an hour, and what is no number is nothing."""
    with pytest.raises(StepDeferredError) as caught:
        store.execution().step(StepName.UPDATE_TICKET, raising(TransientError("429", retry_after_s=retry_after_s)))
    assert store.breakers["hubspot"].closed_until == START + timedelta(seconds=closed_s)
    assert timedelta(0) < caught.value.until - START <= timedelta(hours=1)


@pytest.mark.parametrize(
    "act",
    [
        lambda _: "\ud800",  # half a character: JSON has it, the memory has not
        lambda _: {1, 2},
        raising(TransientError("HubSpot create ticket: HTTP 500 \ud800")),
        raising(TransientError("the gate below cannot count so far")),
    ],
)
def test_unrecordable_result_counts_as_failure(store: Memory, act: Callable[[Attempt], Any]) -> None:
    """What the record cannot hold, and what goes wrong while it is made, is a fault like any other, and is counted."""
    store.breakers["hubspot"] = CircuitBreaker((1e300,))
    for _ in range(3):
        with pytest.raises(StepDeferredError):
            store.execution().step(StepName.UPDATE_TICKET, act)
        store.breakers["hubspot"].closed_until = None
    with pytest.raises(StepFailedError, match="gave way 3 times"):
        store.execution().step(StepName.UPDATE_TICKET, act)
    json.dumps(store.entries, ensure_ascii=False).encode()


def test_unreachable_service_is_tried_by_one_message_at_a_time(store: Memory) -> None:
    """While its gate is closed nobody else calls; once it answers, everybody may."""
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.CREATE_SUBTASK, raising(TransientError("refused")))
    other = Memory()
    other.breakers, other.now = store.breakers, store.now
    with pytest.raises(StepDeferredError) as caught:
        other.execution().step(StepName.CREATE_SUBTASK, raising(AssertionError("called")))
    assert caught.value.breaker == "clickup"
    other.now = store.now = START + timedelta(minutes=5)
    third = Memory()
    third.breakers, third.now = store.breakers, store.now
    assert other.execution().step(StepName.CREATE_SUBTASK, lambda _: "tried") == "tried"
    assert third.execution().step(StepName.CREATE_SUBTASK, lambda _: "open") == "open"


def test_wait_for_circuit_breaker_is_no_failure(store: Memory) -> None:
    """Being kept out leaves neither a failure nor a doubt behind."""
    store.breakers["clickup"] = CircuitBreaker()
    store.breakers["clickup"].failed(START, START + timedelta(seconds=60))
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.CREATE_SUBTASK, lambda _: "called")
    store.now += timedelta(minutes=2)
    assert store.execution().step(StepName.CREATE_SUBTASK, lambda a: [a.failures, a.doubts]) == [0, 0]


def test_permanent_error_fails_step_with_reason(store: Memory) -> None:
    """The reason is kept; the service's own words only travel to the admin."""
    with pytest.raises(StepFailedError) as caught:
        store.execution().step(
            StepName.CREATE_TICKET, raising(PermanentError("HubSpot 400", detail="words of the mail"))
        )
    assert (caught.value.step, caught.value.reason, caught.value.detail) == (
        "create_ticket",
        "HubSpot 400",
        "words of the mail",
    )
    assert "words of the mail" not in str(store.entries)


def test_resumed_failed_step_fails_again_without_call(store: Memory) -> None:
    """Taken up again on the way to telling of it, the message fails as it did, without another call."""
    with pytest.raises(StepFailedError):
        store.execution().step(StepName.FIND_THREAD, raising(PermanentError("400")))
    for _ in range(2):
        with pytest.raises(StepFailedError, match="400"):
            store.execution().step(StepName.FIND_THREAD, raising(AssertionError("called")))


def test_failed_step_is_retried_on_request(store: Memory) -> None:
    """The failure is history then."""
    with pytest.raises(StepFailedError):
        store.execution().step(StepName.FIND_THREAD, raising(PermanentError("400")))
    store.ask_again()
    assert store.execution().step(StepName.FIND_THREAD, lambda _: "done") == "done"
    assert store.execution().step(StepName.FIND_THREAD, lambda _: "done") == "done"


@pytest.mark.parametrize("error", [RecursionError(), MemoryError(), ValueError("the customer's words")])
def test_unexpected_error_fails_message_after_three_times(store: Memory, error: Exception) -> None:
    """A message that breaks our code waits twice and then needs a person; its words are written nowhere."""
    for _ in range(3):
        with pytest.raises(StepDeferredError):
            store.execution().step(StepName.FIND_THREAD, raising(error))
    with pytest.raises(StepFailedError, match="gave way 3 times"):
        store.execution().step(StepName.FIND_THREAD, raising(AssertionError("touched")))
    assert "customer" not in str(store.entries)


def test_message_that_kills_process_fails_after_three_times(store: Memory) -> None:
    """The intent is on record before the message is touched, so deaths are counted."""
    for _ in range(3):
        with pytest.raises(ProcessDiedError):
            store.execution().step(StepName.FIND_THREAD, raising(ProcessDiedError()))
    with pytest.raises(StepFailedError, match="gave way 3 times"):
        store.execution().step(StepName.FIND_THREAD, raising(AssertionError("touched")))


def test_crash_is_counted_despite_entry_of_other_execution(store: Memory) -> None:
    """An entry of another execution behind an intent is no result of it."""
    with pytest.raises(ProcessDiedError):
        store.execution().step(StepName.CREATE_SUBTASK, raising(ProcessDiedError()))
    store.breakers["clickup"].failed(START, START + timedelta(seconds=60))
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.CREATE_SUBTASK, raising(AssertionError("called")))
    store.now += timedelta(minutes=2)
    assert store.execution().step(StepName.CREATE_SUBTASK, lambda attempt: attempt.doubts) == 1


def test_configuration_error_is_reported_and_not_counted(store: Memory) -> None:
    """A refused key is the daemon's affair: the message waits, without a doubt and without a crash to its name."""
    fault = ConfigurationError("HubSpot refused the key: check HUBSPOT_API_KEY")
    for _ in range(4):
        with pytest.raises(StepDeferredError):
            store.execution().step(StepName.UPDATE_TICKET, raising(fault))
        store.now += timedelta(hours=1)
    assert store.faults == [("hubspot", fault)] * 4
    assert store.execution().step(StepName.UPDATE_TICKET, lambda a: [a.failures, a.doubts]) == [0, 0]


def test_refusing_service_is_not_called_by_next_message(store: Memory) -> None:
    """One 401 is enough until somebody has mended the key."""
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.UPDATE_TICKET, raising(ConfigurationError("401")))
    with pytest.raises(StepDeferredError) as caught:
        store.execution().step(StepName.UPDATE_TICKET, raising(AssertionError("called")))
    assert caught.value.breaker == "hubspot"


def test_step_fails_after_five_days_of_failures(store: Memory) -> None:
    """Like a mail server, we give up after five days, and say so."""
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.UPDATE_TICKET, raising(TransientError("HubSpot 500")))
    store.now += timedelta(days=6)
    with pytest.raises(StepFailedError, match="HubSpot 500, and so for 120 hours"):
        store.execution().step(StepName.UPDATE_TICKET, raising(TransientError("HubSpot 500")))
    store.ask_again()
    store.now += timedelta(days=6)
    with pytest.raises(StepDeferredError):  # A person asked for it again: it has five more days.
        store.execution().step(StepName.UPDATE_TICKET, raising(TransientError("HubSpot 500")))


def test_requested_retry_stays_in_doubt(store: Memory) -> None:
    """The last try before we gave up may have been carried out: the retry looks."""
    outcomes = (TransientError("429", outcome_unknown=False), TransientError("504", outcome_unknown=True))
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.UPDATE_TICKET, raising(outcomes[0]))
    store.now += timedelta(days=6)
    with pytest.raises(StepFailedError):
        store.execution().step(StepName.UPDATE_TICKET, raising(outcomes[1]))
    store.ask_again()
    store.breakers.clear()
    assert store.execution().step(StepName.UPDATE_TICKET, lambda attempt: attempt.doubts) == 1


def test_own_waits_do_not_count_towards_five_days(store: Memory) -> None:
    """A wrong key for days, or a message that was away for days, leaves the service its five days."""
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.UPDATE_TICKET, raising(ConfigurationError("401")))
    store.now += timedelta(days=6)
    with pytest.raises(MessageGoneError):
        store.execution().step(StepName.UPDATE_TICKET, raising(MessageGoneError()))
    store.now += timedelta(days=6)
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.UPDATE_TICKET, raising(TransientError("HubSpot 500")))


def test_failing_message_does_not_block_other_messages(store: Memory) -> None:
    """Its own waits grow; the gate is closed for what the service asked, and opens at the next answer."""
    for _ in range(4):
        with pytest.raises(StepDeferredError):
            store.execution().step(StepName.UPDATE_TICKET, raising(TransientError("500")))
        store.breakers["hubspot"].answered()  # by another message
        store.now += timedelta(minutes=20)
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.UPDATE_TICKET, raising(TransientError("500")))
    closed_until = store.breakers["hubspot"].closed_until
    assert closed_until is not None
    assert closed_until - store.now <= timedelta(seconds=2)


@pytest.mark.parametrize(
    "cause", [TransientError("IMAP FETCH: the connection was cut"), ConfigurationError("401"), RuntimeError("exit -9")]
)
def test_unreadable_message_keeps_service_circuit_breaker_closed(store: Memory, cause: Exception) -> None:
    """The mailbox is away, or the parser died, before HubSpot was asked: its gate is open, and nothing in doubt."""
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.UPDATE_TICKET, raising(MessageUnavailableError(cause)))
    assert store.breakers["hubspot"].open
    assert {service for service, _ in store.faults} <= {"imap"}
    store.now += timedelta(minutes=10)
    assert store.execution().step(StepName.UPDATE_TICKET, lambda attempt: attempt.doubts) == 0


def test_full_disk_does_not_fail_the_message(store: Memory) -> None:
    """It waits as for a service, and is not put aside."""
    for _ in range(4):
        with pytest.raises(StepDeferredError):
            store.execution().step(StepName.FIND_THREAD, raising(OSError(28, "No space left on device")))
    assert store.execution().step(StepName.FIND_THREAD, lambda _: "room again") == "room again"


def test_step_without_circuit_breaker_ignores_open_one(store: Memory) -> None:
    """It is called although the gate is closed: it knows what to do."""
    store.breakers["anthropic"] = CircuitBreaker()
    store.breakers["anthropic"].failed(START, START + timedelta(seconds=60))
    assert store.execution().step(StepName.CLASSIFY, lambda _: "by rules", gated=False) == "by rules"


def test_removed_message_ends_and_continues_when_back(store: Memory) -> None:
    """It ends there, and goes on when it comes back."""
    with pytest.raises(MessageGoneError):
        store.execution().step(StepName.FIND_THREAD, raising(MessageGoneError()))
    assert store.execution().step(StepName.FIND_THREAD, lambda attempt: [attempt.failures, attempt.doubts]) == [0, 0]


def test_frozen_process_does_not_call_after_takeover(store: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine may have done it meanwhile; if none has, the message goes on without a failure or a doubt."""
    monkeypatch.setattr("poller.workflow.journal.AGAIN_S", 10.0)
    journal = store.execution()
    record = journal._record

    def freeze_after_the_intent(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        entry = record(name, make)
        store.lease_epoch += "begun" in entry
        return entry

    journal._record = freeze_after_the_intent
    with pytest.raises(StepDeferredError) as caught:
        journal.step(StepName.UPDATE_TICKET, raising(AssertionError("called")))
    assert (caught.value.until - store.now, caught.value.breaker) == (timedelta(seconds=10), "")
    assert store.execution().step(StepName.UPDATE_TICKET, lambda a: [a.failures, a.doubts]) == [0, 0]


def thawed(store: Memory, *, creates: bool) -> Callable[[Attempt], Any]:
    """A try that is frozen while it fetches the mail, and then sends something."""

    def act(_: Attempt) -> str:
        store.lease_epoch += 1
        with Deadline(creates=creates):
            ask_guard()
        return "sent"

    return act


def test_frozen_step_detects_takeover_before_its_call(store: Memory) -> None:
    """What takes long comes first in a step, then the question, then the call."""
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.UPDATE_TICKET, thawed(store, creates=True))
    assert store.breakers["hubspot"].open
    assert store.execution().step(StepName.UPDATE_TICKET, lambda a: [a.failures, a.doubts]) == [0, 0]


def test_a_read_is_not_held_up(store: Memory) -> None:
    """It changes nothing, whatever another machine has done; and behind a step that failed no guard is left."""
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.UPDATE_TICKET, thawed(store, creates=True))
    assert thawed(store, creates=True)(Attempt(0, 0, START)) == "sent"
    assert store.execution().step(StepName.UPDATE_TICKET, thawed(store, creates=False)) == "sent"


def test_check_waits_until_effect_is_visible(store: Memory) -> None:
    """A list that lags would say that nothing was done: the message leaves its worker, as for any wait."""
    with pytest.raises(ProcessDiedError):
        store.execution().step(StepName.CREATE_SUBTASK, raising(ProcessDiedError()))
    store.now += timedelta(seconds=4)
    for _ in range(2):
        with pytest.raises(StepDeferredError) as caught:
            store.execution().step(StepName.CREATE_SUBTASK, raising(AssertionError("called")))
        assert (caught.value.until, caught.value.breaker) == (START + timedelta(seconds=10), "")

    def time_out(_: Attempt) -> None:
        store.now += timedelta(seconds=30)
        raise TransientError("timeout")

    store.now = START + timedelta(seconds=10)
    with pytest.raises(StepDeferredError):
        store.execution().step(StepName.CREATE_SUBTASK, time_out)
    store.now += timedelta(seconds=9)
    with pytest.raises(StepDeferredError) as caught:  # counted from the failure: until then it may have been done
        store.execution().step(StepName.CREATE_SUBTASK, raising(AssertionError("called")))
    assert caught.value.until == START + timedelta(seconds=50)
    store.now += timedelta(seconds=1)
    attempt = store.execution().step(StepName.CREATE_SUBTASK, lambda a: [a.failures, a.doubts])
    assert attempt == [1, 2]


@pytest.mark.parametrize(
    ("step", "unknown", "back_s"),
    [(StepName.FIND_THREAD, True, 0), (StepName.SEND_RECEIPT, False, 0), (StepName.SEND_RECEIPT, True, 60)],
)
def test_step_without_check_does_not_wait_for_visibility(
    store: Memory, *, step: StepName, unknown: bool, back_s: float
) -> None:
    """Nothing is in doubt, or the step needs no look; and a clock that was put back is not waited for."""
    failure = TransientError("failed", outcome_unknown=unknown)
    with pytest.raises(StepDeferredError):
        store.execution().step(step, raising(failure))
    store.now -= timedelta(seconds=back_s)
    assert store.execution().step(step, lambda _: "tried") == "tried"
