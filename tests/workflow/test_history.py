"""Which entries of a step are kept while it waits, and what they tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from integrations.errors import ConfigurationError, TransientError
from poller.workflow.errors import DependencyPendingError, MessageUnavailableError, StepDeferredError, StepFailedError
from poller.workflow.history import TRIES_KEPT
from poller.workflow.retry import Attempt
from poller.workflow.steps import StepName
from tests.support.journal_record import START, JournalRecord, raising

HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class AttemptValue:
    """What a step is told of its earlier tries, as the value that it returns."""

    it: Attempt

    def as_json(self) -> dict[str, Any]:
        return {"failures": self.it.failures, "doubts": self.it.doubts, "since": self.it.since.isoformat()}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> AttemptValue:
        return cls(Attempt(found["failures"], found["doubts"], datetime.fromisoformat(found["since"])))


@pytest.fixture
def record() -> JournalRecord:
    """Give an empty record."""
    return JournalRecord()


@pytest.mark.parametrize(
    "error",
    [
        DependencyPendingError("the message that it answers is still at work"),
        TransientError("connection refused"),
        TransientError("504", outcome_unknown=True),
        ConfigurationError("401"),
        MessageUnavailableError(TransientError("the mailbox is out of reach")),
    ],
    ids=["dependency", "outage", "doubt", "refused key", "mailbox"],
)
def test_wait_of_five_days_leaves_some_dozens_of_entries(record: JournalRecord, error: Exception) -> None:
    """However often it is resumed. What is known of the tries goes on to hold: how many failed, and any doubt."""
    end = START + timedelta(days=5)
    while record.now < end:
        with pytest.raises(StepDeferredError) as caught:
            record.execution().step(StepName.UPDATE_TICKET, raising(error))
        record.now = max(caught.value.until, record.now + timedelta(seconds=1 if record.now < START + HOUR else 300))
        record.resume()
        for breaker in record.breakers.values():
            breaker.open_until = record.now
    assert len(record.entries) <= 24
    doubted = getattr(error, "outcome_unknown", False)
    attempt: Attempt = record.execution().step(StepName.UPDATE_TICKET, AttemptValue, returns=AttemptValue).it
    assert (attempt.since, bool(attempt.doubts)) == (START, doubted)


def test_step_asked_for_again_waits_longer_and_gives_up_again(record: JournalRecord) -> None:
    """The tries before the request are over: those after it are kept and counted by themselves."""
    failing = raising(TransientError("503"))

    def days_until_it_fails() -> float:
        began, tries = record.now, 0
        while tries < 1_000:
            tries += 1
            try:
                record.execution().step(StepName.FIND_THREAD, failing, gated=False)
            except StepDeferredError as wait:
                record.now = wait.until
                record.resume()
            except StepFailedError:
                return (record.now - began) / timedelta(days=1)
        raise AssertionError(f"{tries} tries in {record.now - began}")

    assert days_until_it_fails() == pytest.approx(5, abs=0.1)
    record.ask_again()
    assert days_until_it_fails() == pytest.approx(5, abs=0.1)


def test_wait_for_another_message_grows_and_names_it(record: JournalRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poller.workflow.journal.AGAIN_S", 10.0)
    waits = []
    for _ in range(20):
        with pytest.raises(StepDeferredError) as caught:
            record.execution().step(StepName.FIND_THREAD, raising(DependencyPendingError("at work", "root")))
        waits.append(caught.value.until - record.now)
        record.now = caught.value.until
        record.resume()
    assert waits == sorted(waits)
    assert (waits[0].total_seconds(), waits[-1].total_seconds(), caught.value.behind) == (10, 900, "root")


def test_doubt_that_no_search_shows_yet_is_kept(record: JournalRecord) -> None:
    """Without it the next try would search too soon, find nothing, and create a second one."""
    for _ in range(TRIES_KEPT + 2):
        with pytest.raises(StepDeferredError):
            record.execution(settle_s=0).step(
                StepName.CREATE_TICKET, raising(TransientError("504", outcome_unknown=True)), gated=False
            )
    entries = list(record.entries)
    record.resume()
    assert record.entries == entries
    record.now += timedelta(seconds=10)
    record.resume()
    assert len(record.entries) == 2 * TRIES_KEPT


def test_crash_is_kept_however_long_the_step_fails(record: JournalRecord) -> None:
    for _ in range(TRIES_KEPT):
        with pytest.raises(StepDeferredError):
            record.execution().step(StepName.FIND_THREAD, raising(TransientError("503")), gated=False)
        record.now += HOUR
    with pytest.raises(StepDeferredError):
        record.execution().step(StepName.FIND_THREAD, raising(ZeroDivisionError()), gated=False)
    entries = list(record.entries)
    record.resume()
    assert record.entries == entries
