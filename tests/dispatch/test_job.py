"""A message that is fetched when a step needs it, and the context of the steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from integrations.errors import ConfigurationError, TransientError
from poller.cli.samples import samples
from poller.dispatch.job import skip
from poller.dispatch.ticket import create_ticket
from poller.errors import MessageGoneError
from poller.model import Outcome
from poller.workflow.errors import MessageUnavailableError, StepDeferredError
from poller.workflow.steps import StepName
from tests.support.pipeline_harness import REFERENCE, StepHarness

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from poller.mailbox.source import Fetched


@pytest.fixture
def bench(sandbox: Sandbox, tmp_path: Path) -> StepHarness:
    """Give a mail with a contact and a subtask."""
    harness = StepHarness(sandbox, tmp_path, samples()["modelisation"])
    harness.open_ticket()
    return harness


@pytest.mark.parametrize("fault", [TransientError("IMAP FETCH: the connection was cut"), ConfigurationError("401")])
def test_mailbox_failure_does_not_open_service_circuit_breaker(bench: StepHarness, fault: Exception) -> None:
    """The others may call the service, and nothing is in doubt: there is no search for the ticket."""
    bench.fault = fault
    with pytest.raises(StepDeferredError):
        bench.takes(create_ticket)
    assert bench.record.breakers["hubspot"].is_closed
    assert not bench.record.breakers["imap"].is_closed
    bench.fault = None
    bench.sandbox.hubspot.requests.clear()
    bench.takes(create_ticket)
    assert [request.method for request in bench.sandbox.hubspot.requests] == ["POST"]


def test_message_is_fetched_once_and_discarded(bench: StepHarness) -> None:
    """Nothing is fetched before a step needs it, and no copy is left."""
    message = bench.message()
    assert bench.fetches == 0
    assert message.request is message.request
    assert (message.request.reference, bench.fetches) == (REFERENCE, 1)
    path = bench.spool / "mail.eml"
    assert path.exists()
    for _ in range(2):
        message.discard()
    assert not path.exists()


@pytest.mark.parametrize(
    "fault", [TransientError("IMAP FETCH: timeout"), ConfigurationError("401"), OSError(28, "full")]
)
def test_message_that_cannot_be_read_is_unavailable(bench: StepHarness, fault: Exception) -> None:
    bench.fault = fault
    with pytest.raises(MessageUnavailableError) as caught:
        _ = bench.message().request
    assert caught.value.cause is fault
    bench.message().look()  # it may still be there


def test_message_that_was_taken_away_is_gone(bench: StepHarness) -> None:
    bench.fault = MessageGoneError()
    with pytest.raises(MessageGoneError):
        bench.message().look()


def test_message_that_is_filed_is_fetched_from_its_outcome(bench: StepHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its receipt quotes it, and it has left the inbox."""
    asked: list[Outcome] = []
    fetch_filed = bench.fetch_filed

    def noted(reference: str, outcome: Outcome, *given: Any) -> Fetched:
        asked.append(outcome)
        return fetch_filed(reference, outcome, *given)

    monkeypatch.setattr(bench, "fetch_filed", noted)
    message = bench.message()
    message.filed(Outcome.SUPPORT, bench.record.now)
    assert message.request.reference == REFERENCE
    assert asked == [Outcome.SUPPORT]


def test_step_skipped_twice_is_recorded_once(bench: StepHarness) -> None:
    once = skip(bench.done, StepName.CREATE_NOTE)
    assert skip(skip(once, StepName.CREATE_NOTE), StepName.CREATE_TICKET).skipped == ("create_note", "create_ticket")
