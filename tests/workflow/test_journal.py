"""The entries that are written around a call, and their reading when a message is resumed."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from integrations.errors import BlockedError, ConfigurationError, CredentialsError, PermanentError, TransientError
from integrations.net.deadline import Deadline, ask_guard
from poller.child_process import ProcessStoppedError
from poller.errors import MessageGoneError
from poller.model import Outcome
from poller.workflow.circuit_breaker import CircuitBreaker
from poller.workflow.errors import (
    DependencyPendingError,
    MessageUnavailableError,
    StateUnavailableError,
    StepDeferredError,
    StepFailedError,
    UnusableMessageError,
)
from poller.workflow.journal import CRASHES
from poller.workflow.results import Participants, Received, WorkResult
from poller.workflow.retry import Attempt
from poller.workflow.steps import StepName
from tests.support.journal_record import START, JournalRecord, ProcessDiedError, raising

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def record() -> JournalRecord:
    """Give an empty record."""
    return JournalRecord()


def test_finished_step_is_not_repeated(record: JournalRecord) -> None:
    """The second execution gets what the first one returned, without a call."""
    assert record.execution().step(StepName.FIND_THREAD, lambda _: {"id": "7"}) == {"id": "7"}
    assert record.execution().step(StepName.FIND_THREAD, raising(AssertionError("called"))) == {"id": "7"}


def test_first_try_makes_no_check(record: JournalRecord) -> None:
    """Nothing went wrong, so no search is paid for."""
    assert record.execution().step(StepName.FIND_THREAD, lambda attempt: [attempt.failures, attempt.doubts]) == [0, 0]


def test_retry_after_crash_in_call_is_in_doubt(record: JournalRecord) -> None:
    """The intent was written and no result: the call may have been carried out."""
    with pytest.raises(ProcessDiedError):
        record.execution().step(StepName.FIND_THREAD, raising(ProcessDiedError()))
    record.now += timedelta(hours=1)
    attempt = record.execution().step(StepName.FIND_THREAD, lambda attempt: [attempt.doubts, attempt.since.isoformat()])
    assert attempt == [1, START.isoformat()]


@pytest.mark.parametrize(("unknown", "doubts"), [(True, 1), (False, 0)])
def test_retry_is_in_doubt_only_after_unknown_outcome(record: JournalRecord, *, unknown: bool, doubts: int) -> None:
    """A timeout is a doubt; a refused connection is none."""
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.FIND_THREAD, raising(TransientError("504", outcome_unknown=unknown)))
    assert record.execution().step(StepName.FIND_THREAD, lambda attempt: attempt.doubts) == doubts


def test_retry_delay_grows_and_honours_retry_after(record: JournalRecord) -> None:
    """The table of delays with a fifth of jitter, Retry-After where it is longer, an hour at the most."""
    waits = []
    for retry_after_s in (None, None, 500.0, 1e6):
        with pytest.raises(StepDeferredError) as caught:
            record.execution(delays_s=(2, 10)).step(
                StepName.FIND_THREAD, raising(TransientError("429", retry_after_s=retry_after_s))
            )
        waits.append((caught.value.until - record.now).total_seconds())
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
    record: JournalRecord, retry_after_s: float, closed_s: float
) -> None:
    """Whatever it asks: a number beyond all calendars is an hour, and what is no number is nothing."""
    with pytest.raises(StepDeferredError) as caught:
        record.execution().step(StepName.UPDATE_TICKET, raising(TransientError("429", retry_after_s=retry_after_s)))
    assert record.breakers["hubspot"].open_until == START + timedelta(seconds=closed_s)
    assert timedelta(0) < caught.value.until - START <= timedelta(hours=1)


@pytest.mark.parametrize(
    "act",
    [
        lambda _: "\ud800",  # half a character: JSON has it, the state store has not
        lambda _: {1, 2},
        raising(TransientError("HubSpot create ticket: HTTP 500 \ud800")),
        raising(TransientError("the breaker below cannot count so far")),
    ],
)
def test_unrecordable_result_counts_as_failure(record: JournalRecord, act: Callable[[Attempt], Any]) -> None:
    """What the record cannot hold, and what goes wrong while it is made, is a fault like any other, and is counted."""
    record.breakers["hubspot"] = CircuitBreaker((1e300,))
    for _ in range(3):
        with pytest.raises(StepDeferredError):
            record.execution().step(StepName.UPDATE_TICKET, act)
        record.breakers["hubspot"].open_until = None
    with pytest.raises(StepFailedError, match="gave way 3 times"):
        record.execution().step(StepName.UPDATE_TICKET, act)
    json.dumps(record.entries, ensure_ascii=False).encode()


def test_unreachable_service_is_tried_by_one_message_at_a_time(record: JournalRecord) -> None:
    """While its circuit breaker is open no other message calls; once it answers, all may."""
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.CREATE_SUBTASK, raising(TransientError("refused")))
    other = JournalRecord()
    other.breakers, other.now = record.breakers, record.now
    with pytest.raises(StepDeferredError) as caught:
        other.execution().step(StepName.CREATE_SUBTASK, raising(AssertionError("called")))
    assert caught.value.breaker == "clickup"
    other.now = record.now = START + timedelta(minutes=5)
    third = JournalRecord()
    third.breakers, third.now = record.breakers, record.now
    assert other.execution().step(StepName.CREATE_SUBTASK, lambda _: "tried") == "tried"
    assert third.execution().step(StepName.CREATE_SUBTASK, lambda _: "open") == "open"


@pytest.mark.parametrize(
    "error",
    [
        PermanentError("HTTP 400"),
        BlockedError("a firewall blocks what this call contains"),
        MessageGoneError(),
        MessageUnavailableError(TransientError("IMAP FETCH: the connection was cut")),
        DependencyPendingError("the message that it answers is still at work"),
        ValueError("a fault of our own"),
    ],
)
@pytest.mark.parametrize("part", ["", "hubspot-support"])
def test_trial_that_ends_in_its_own_trouble_lets_the_next_message_try(
    record: JournalRecord, error: Exception, part: str
) -> None:
    """It says nothing of the service, which need not be away for one more delay."""
    for service in filter(None, ("hubspot", part)):
        record.breakers[service] = CircuitBreaker((60.0,))
        record.breakers[service].failed(START, START)
    record.now = START + timedelta(seconds=60)
    other = JournalRecord()
    other.breakers, other.now = record.breakers, record.now
    with pytest.raises((StepDeferredError, StepFailedError, MessageGoneError)):
        record.execution().step(StepName.CREATE_TICKET, raising(error), part=part)
    assert other.execution().step(StepName.CREATE_TICKET, lambda _: "tried", part=part) == "tried"


@pytest.mark.parametrize(
    ("error", "is_there"),
    [
        (PermanentError("HTTP 400"), True),
        (BlockedError("a firewall blocks what this call contains"), False),
        (UnusableMessageError("the message has no sender address"), False),
    ],
)
def test_service_that_refuses_a_message_is_in_reach(record: JournalRecord, error: Exception, *, is_there: bool) -> None:
    """A firewall is not the service, and a message that is not fit for it never reaches it."""
    record.breakers["hubspot"] = CircuitBreaker((0.0,))
    record.breakers["hubspot"].failed(START, START)
    with pytest.raises(StepFailedError):
        record.execution().step(StepName.CREATE_TICKET, raising(error))
    breaker = record.breakers["hubspot"]
    assert (breaker.is_closed, breaker.has_succeeded) == (is_there, False)


def test_wait_for_circuit_breaker_is_no_failure(record: JournalRecord) -> None:
    """Being kept out leaves neither a failure nor a doubt behind."""
    record.breakers["clickup"] = CircuitBreaker()
    record.breakers["clickup"].failed(START, START + timedelta(seconds=60))
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.CREATE_SUBTASK, lambda _: "called")
    record.now += timedelta(minutes=2)
    assert record.execution().step(StepName.CREATE_SUBTASK, lambda a: [a.failures, a.doubts]) == [0, 0]


def test_permanent_error_fails_step_with_reason(record: JournalRecord) -> None:
    """The reason is kept; the service's own words only travel to the admin."""
    with pytest.raises(StepFailedError) as caught:
        record.execution().step(
            StepName.CREATE_TICKET, raising(PermanentError("HubSpot 400", detail="words of the mail"))
        )
    assert (caught.value.step, caught.value.reason, caught.value.detail) == (
        "create_ticket",
        "HubSpot 400",
        "words of the mail",
    )
    assert "words of the mail" not in str(record.entries)


def test_resumed_failed_step_fails_again_without_call(record: JournalRecord) -> None:
    """Taken up again on the way to telling of it, the message fails as it did, without another call."""
    with pytest.raises(StepFailedError):
        record.execution().step(StepName.FIND_THREAD, raising(PermanentError("400")))
    for _ in range(2):
        with pytest.raises(StepFailedError, match="400"):
            record.execution().step(StepName.FIND_THREAD, raising(AssertionError("called")))


def test_failed_step_is_retried_on_request(record: JournalRecord) -> None:
    """The failure is history then."""
    with pytest.raises(StepFailedError):
        record.execution().step(StepName.FIND_THREAD, raising(PermanentError("400")))
    record.ask_again()
    assert record.execution().step(StepName.FIND_THREAD, lambda _: "done") == "done"
    assert record.execution().step(StepName.FIND_THREAD, lambda _: "done") == "done"


@pytest.mark.parametrize("error", [RecursionError(), MemoryError(), ValueError("the customer's words")])
def test_unexpected_error_fails_message_after_three_times(record: JournalRecord, error: Exception) -> None:
    """A message that breaks our code waits twice and then needs a person; its words are written nowhere."""
    for _ in range(3):
        with pytest.raises(StepDeferredError):
            record.execution().step(StepName.FIND_THREAD, raising(error))
    with pytest.raises(StepFailedError, match="gave way 3 times"):
        record.execution().step(StepName.FIND_THREAD, raising(AssertionError("touched")))
    assert "customer" not in str(record.entries)


def test_message_that_kills_process_fails_after_three_times(record: JournalRecord) -> None:
    """The intent is on record before the message is touched, so deaths are counted."""
    for _ in range(3):
        with pytest.raises(ProcessDiedError):
            record.execution().step(StepName.FIND_THREAD, raising(ProcessDiedError()))
    with pytest.raises(StepFailedError, match="gave way 3 times"):
        record.execution().step(StepName.FIND_THREAD, raising(AssertionError("touched")))


def test_crash_is_counted_despite_entry_of_other_execution(record: JournalRecord) -> None:
    """An entry of another execution behind an intent is no result of it."""
    with pytest.raises(ProcessDiedError):
        record.execution().step(StepName.CREATE_SUBTASK, raising(ProcessDiedError()))
    record.breakers["clickup"].failed(START, START + timedelta(seconds=60))
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.CREATE_SUBTASK, raising(AssertionError("called")))
    record.now += timedelta(minutes=2)
    assert record.execution().step(StepName.CREATE_SUBTASK, lambda attempt: attempt.doubts) == 1


def test_configuration_error_is_reported_and_not_counted(record: JournalRecord) -> None:
    """A refused key is the daemon's affair: the message waits, without a doubt and without a crash to its name."""
    fault = ConfigurationError("HubSpot refused the key: check HUBSPOT_API_KEY")
    for _ in range(4):
        with pytest.raises(StepDeferredError):
            record.execution().step(StepName.UPDATE_TICKET, raising(fault))
        record.now += timedelta(hours=1)
    assert record.faults == [("hubspot", fault)] * 4
    assert record.execution().step(StepName.UPDATE_TICKET, lambda a: [a.failures, a.doubts]) == [0, 0]


def test_refusing_service_is_not_called_by_next_message(record: JournalRecord) -> None:
    """One 401 is enough until a person has mended the key."""
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.UPDATE_TICKET, raising(ConfigurationError("401")))
    with pytest.raises(StepDeferredError) as caught:
        record.execution().step(StepName.UPDATE_TICKET, raising(AssertionError("called")))
    assert caught.value.breaker == "hubspot"


def test_wrong_setting_of_a_part_holds_back_that_part_alone(record: JournalRecord) -> None:
    """The service has answered: what does not need that part goes on. A refused key keeps all of them away."""
    fault = ConfigurationError("HTTP 400: studio is required")
    with pytest.raises(StepDeferredError) as caught:
        record.execution().step(StepName.CREATE_TICKET, raising(fault), part="hubspot-support")
    assert (record.faults, caught.value.breaker) == ([("hubspot-support", fault)], "hubspot-support")
    with pytest.raises(StepDeferredError, match=r"^create_ticket: HubSpot \(SUPPORT tickets\): a setting is wrong$"):
        record.execution().step(StepName.CREATE_TICKET, raising(AssertionError("called")), part="hubspot-support")
    record.entries.clear()
    goes_on = record.execution()
    assert goes_on.step(StepName.CREATE_TICKET, lambda _: "7", part="hubspot-modelisation") == "7"
    assert goes_on.step(StepName.CREATE_NOTE, lambda _: "8") == "8"
    record.entries.clear()
    with pytest.raises(StepDeferredError) as caught:
        record.execution().step(StepName.CREATE_TICKET, raising(CredentialsError("401")), part="hubspot-modelisation")
    assert caught.value.breaker == "hubspot"


def test_step_fails_after_five_days_of_failures(record: JournalRecord) -> None:
    """Like a mail server, we give up after five days, and say so."""
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.UPDATE_TICKET, raising(TransientError("HubSpot 500")))
    record.now += timedelta(days=6)
    with pytest.raises(StepFailedError, match="HubSpot 500, and so for 120 hours"):
        record.execution().step(StepName.UPDATE_TICKET, raising(TransientError("HubSpot 500")))
    record.ask_again()
    record.now += timedelta(days=6)
    with pytest.raises(StepDeferredError):  # A person asked for it again: it has five more days.
        record.execution().step(StepName.UPDATE_TICKET, raising(TransientError("HubSpot 500")))


def test_requested_retry_stays_in_doubt(record: JournalRecord) -> None:
    """The last try before we gave up may have been carried out: the retry searches."""
    outcomes = (TransientError("429", outcome_unknown=False), TransientError("504", outcome_unknown=True))
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.UPDATE_TICKET, raising(outcomes[0]))
    record.now += timedelta(days=6)
    with pytest.raises(StepFailedError):
        record.execution().step(StepName.UPDATE_TICKET, raising(outcomes[1]))
    record.ask_again()
    record.breakers.clear()
    assert record.execution().step(StepName.UPDATE_TICKET, lambda attempt: attempt.doubts) == 1


def test_own_waits_do_not_count_towards_five_days(record: JournalRecord) -> None:
    """A wrong key for days, or a message that was away for days, leaves the service its five days."""
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.UPDATE_TICKET, raising(ConfigurationError("401")))
    record.now += timedelta(days=6)
    with pytest.raises(MessageGoneError):
        record.execution().step(StepName.UPDATE_TICKET, raising(MessageGoneError()))
    record.now += timedelta(days=6)
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.UPDATE_TICKET, raising(TransientError("HubSpot 500")))


def test_failing_message_does_not_block_other_messages(record: JournalRecord) -> None:
    """Its own waits grow; the circuit breaker is open as long as the service asked, and closes at the next answer."""
    for _ in range(4):
        with pytest.raises(StepDeferredError):
            record.execution().step(StepName.UPDATE_TICKET, raising(TransientError("500")))
        record.breakers["hubspot"].answered()  # by another message
        record.now += timedelta(minutes=20)
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.UPDATE_TICKET, raising(TransientError("500")))
    open_until = record.breakers["hubspot"].open_until
    assert open_until is not None
    assert open_until - record.now <= timedelta(seconds=2)


@pytest.mark.parametrize(
    "cause", [TransientError("IMAP FETCH: the connection was cut"), ConfigurationError("401"), RuntimeError("exit -9")]
)
def test_unreadable_message_keeps_service_circuit_breaker_closed(record: JournalRecord, cause: Exception) -> None:
    """The mailbox is away, or the parser died, before HubSpot was called: nothing is in doubt, and others call it."""
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.UPDATE_TICKET, raising(MessageUnavailableError(cause)))
    assert record.breakers["hubspot"].is_closed
    assert {service for service, _ in record.faults} <= {"imap"}
    record.now += timedelta(minutes=10)
    assert record.execution().step(StepName.UPDATE_TICKET, lambda attempt: attempt.doubts) == 0


def test_full_disk_does_not_fail_the_message(record: JournalRecord) -> None:
    """It waits as for a service, and is not put aside."""
    for _ in range(4):
        with pytest.raises(StepDeferredError):
            record.execution().step(StepName.FIND_THREAD, raising(OSError(28, "No space left on device")))
    assert record.execution().step(StepName.FIND_THREAD, lambda _: "space again") == "space again"


def test_stopped_process_is_no_crash(record: JournalRecord, logged: Callable[[], str]) -> None:
    """A daemon that is stopped while it reads a mail puts none aside, however often. The log says what was stopped."""
    stopped = MessageUnavailableError(ProcessStoppedError("the parser was stopped"))
    for _ in range(CRASHES + 1):
        with pytest.raises(StepDeferredError, match="the parser was stopped"):
            record.execution().step(StepName.RECEIVE, raising(stopped))
    assert "step_crashed" not in logged()
    assert record.execution().step(StepName.RECEIVE, lambda _: "started again") == "started again"


def test_step_without_circuit_breaker_ignores_open_one(record: JournalRecord) -> None:
    """It is called although the circuit breaker is open: it can do without the service."""
    record.breakers["anthropic"] = CircuitBreaker()
    record.breakers["anthropic"].failed(START, START + timedelta(seconds=60))
    assert record.execution().step(StepName.CLASSIFY, lambda _: "by rules", gated=False) == "by rules"


def test_removed_message_ends_and_continues_when_back(record: JournalRecord) -> None:
    """It ends there, and goes on when it comes back."""
    with pytest.raises(MessageGoneError):
        record.execution().step(StepName.FIND_THREAD, raising(MessageGoneError()))
    assert record.execution().step(StepName.FIND_THREAD, lambda attempt: [attempt.failures, attempt.doubts]) == [0, 0]


def test_frozen_process_does_not_call_after_takeover(record: JournalRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another machine may have done it meanwhile; if none has, the message goes on without a failure or a doubt."""
    monkeypatch.setattr("poller.workflow.journal.AGAIN_S", 10.0)
    journal = record.execution()
    kept = journal._record

    def freeze_after_the_intent(name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        entry = kept(name, make)
        record.lease_epoch += "begun" in entry
        return entry

    journal._record = freeze_after_the_intent
    with pytest.raises(StepDeferredError) as caught:
        journal.step(StepName.UPDATE_TICKET, raising(AssertionError("called")))
    assert (caught.value.until - record.now, caught.value.breaker) == (timedelta(seconds=10), "")
    assert record.execution().step(StepName.UPDATE_TICKET, lambda a: [a.failures, a.doubts]) == [0, 0]


def thawed(record: JournalRecord, *, creates: bool) -> Callable[[Attempt], Any]:
    """A try that is frozen while it fetches the mail, and then sends something."""

    def act(_: Attempt) -> str:
        record.lease_epoch += 1
        with Deadline(creates=creates):
            ask_guard()
        return "sent"

    return act


def test_frozen_step_detects_takeover_before_its_call(record: JournalRecord) -> None:
    """What takes long comes first in a step, then the question, then the call."""
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.UPDATE_TICKET, thawed(record, creates=True))
    assert record.breakers["hubspot"].is_closed
    assert record.execution().step(StepName.UPDATE_TICKET, lambda a: [a.failures, a.doubts]) == [0, 0]


def test_a_read_is_not_held_up(record: JournalRecord) -> None:
    """It changes nothing, whatever another machine has done; and behind a step that failed no guard is left."""
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.UPDATE_TICKET, thawed(record, creates=True))
    assert thawed(record, creates=True)(Attempt(0, 0, START)) == "sent"
    assert record.execution().step(StepName.UPDATE_TICKET, thawed(record, creates=False)) == "sent"


def test_check_waits_until_effect_is_visible(record: JournalRecord) -> None:
    """A list that lags would say that nothing was done: the message leaves its worker, as for any wait."""
    with pytest.raises(ProcessDiedError):
        record.execution().step(StepName.CREATE_SUBTASK, raising(ProcessDiedError()))
    record.now += timedelta(seconds=4)
    for _ in range(2):
        with pytest.raises(StepDeferredError) as caught:
            record.execution().step(StepName.CREATE_SUBTASK, raising(AssertionError("called")))
        assert (caught.value.until, caught.value.breaker) == (START + timedelta(seconds=10), "")

    def time_out(_: Attempt) -> None:
        record.now += timedelta(seconds=30)
        raise TransientError("timeout")

    record.now = START + timedelta(seconds=10)
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.CREATE_SUBTASK, time_out)
    record.now += timedelta(seconds=9)
    with pytest.raises(StepDeferredError) as caught:  # counted from the failure: until then it may have been done
        record.execution().step(StepName.CREATE_SUBTASK, raising(AssertionError("called")))
    assert caught.value.until == START + timedelta(seconds=50)
    record.now += timedelta(seconds=1)
    attempt = record.execution().step(StepName.CREATE_SUBTASK, lambda a: [a.failures, a.doubts])
    assert attempt == [1, 2]


@pytest.mark.parametrize(
    ("step", "unknown", "back_s"),
    [(StepName.FIND_THREAD, True, 0), (StepName.SEND_RECEIPT, False, 0), (StepName.SEND_RECEIPT, True, 60)],
)
def test_step_without_check_does_not_wait_for_visibility(
    record: JournalRecord, *, step: StepName, unknown: bool, back_s: float
) -> None:
    """Nothing is in doubt, or the step makes no search; and a clock that was put back is not waited for."""
    failure = TransientError("failed", outcome_unknown=unknown)
    with pytest.raises(StepDeferredError):
        record.execution().step(step, raising(failure))
    record.now -= timedelta(seconds=back_s)
    assert record.execution().step(step, lambda _: "tried") == "tried"


RESULT = WorkResult(Outcome.IGNORED, reason="bulk")


def test_step_with_a_value_class_records_its_json_and_returns_it(record: JournalRecord) -> None:
    """The execution that does the step and the one that replays it get the same value."""
    for act in (lambda _: RESULT, raising(AssertionError("called"))):
        assert record.execution().step(StepName.FIND_ORIGINAL, act, returns=WorkResult) == RESULT
    assert [entry["ok"] for _, entry in record.entries if "ok" in entry] == [{"outcome": "ignored", "reason": "bulk"}]


def test_step_with_a_value_class_reads_the_row_of_an_earlier_release(record: JournalRecord) -> None:
    """Such a row is JSON, and lacks what that release did not know."""
    row = {"ignored": None, "key": "thread-1", "forebears": []}
    record.entries = [
        ("receive", {"begun": START.isoformat(), "by": "long ago"}),
        ("receive", {"ok": row, "by": "long ago"}),
    ]
    found = record.execution().step(StepName.RECEIVE, raising(AssertionError("called")), returns=Received)
    assert found == Received(None, None, "thread-1", (), Participants())


def test_step_with_a_value_that_has_no_json_counts_as_failure(record: JournalRecord) -> None:
    with pytest.raises(StepDeferredError, match="AttributeError"):
        record.execution().step(StepName.FIND_ORIGINAL, lambda _: "no value", returns=WorkResult)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("step", [StepName.CREATE_TICKET, StepName.RECEIVE, StepName.FIND_THREAD])
def test_unavailable_state_is_charged_to_no_service(record: JournalRecord, step: StepName) -> None:
    """A step that reads a fact while the database is away waits; every service and every other message goes on."""
    with pytest.raises(StepDeferredError, match="the database is away") as caught:
        record.execution().step(step, raising(StateUnavailableError("the database is away")))
    assert (caught.value.step, caught.value.breaker) == (step, "")
    assert [service for service, breaker in record.breakers.items() if service and not breaker.is_closed] == []
    assert record.faults == []
    other = JournalRecord()
    other.breakers = record.breakers
    assert other.execution().step(step, lambda _: "done") == "done"


def test_unavailable_state_leaves_no_call_in_doubt(record: JournalRecord) -> None:
    """The service was not called, so the next try makes no search for what it may have created."""
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.CREATE_TICKET, raising(StateUnavailableError("the database is away")))
    assert record.execution().step(StepName.CREATE_TICKET, lambda a: [a.failures, a.doubts]) == [1, 0]


@pytest.mark.parametrize(
    ("long", "other"),
    [([], ["create_ticket"]), (["inspect_models"], [])],
    ids=["beside one that died", "after it died itself"],
)
def test_inspection_holds_up_no_step_of_another_message(
    record: JournalRecord, long: list[str], other: list[str]
) -> None:
    """A step that was in hand at a death runs alone, and a look into models takes minutes."""
    beside = JournalRecord()
    beside.step_lock = record.step_lock
    for each, died in ((record, long), (beside, other)):
        each.entries += [(name, {"begun": START.isoformat(), "by": "dead"}) for name in died]
        each.now += timedelta(minutes=5)
    made: list[str] = []

    def ticket() -> None:
        made.append(beside.execution().step(StepName.CREATE_TICKET, lambda _: "ticket"))

    def inspect(_: Attempt) -> list[str]:
        worker = threading.Thread(target=ticket, daemon=True)
        worker.start()
        worker.join(5)
        return list(made)

    assert record.execution().step(StepName.INSPECT_MODELS, inspect) == ["ticket"]
