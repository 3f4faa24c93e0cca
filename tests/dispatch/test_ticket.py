"""What comes between a step and what it is to create: a process frozen, a mail that cannot be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError, TransientError
from poller.cli.samples import samples
from poller.dispatch import subtask as dispatch_subtask
from poller.dispatch.job import LazyMessage, StepContext
from poller.dispatch.notify import send_notification
from poller.dispatch.subtask import create_subtask
from poller.dispatch.ticket import create_note, create_ticket
from poller.model import Category, Classification, DispatchResult, Link
from poller.rendering import tickets
from poller.workflow.errors import StepDeferredError
from poller.workflow.steps import StepName
from tests.support.journal_record import JournalRecord
from tests.support.pipeline_harness import Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from poller.mailbox.source import Fetched

    Step = Callable[[StepContext, DispatchResult], DispatchResult]

REFERENCE = "0123456789abcdef"


def add_comment(job: StepContext, done: DispatchResult) -> DispatchResult:
    return dispatch_subtask.add_comment(job, done, REFERENCE, lambda: tickets.reply_comment(job.message.request, done))


STEPS = [create_ticket, create_note, create_subtask, add_comment]


class Bench(Desk):
    """One step of one mail, which is fetched in it; by a process that may be frozen meanwhile."""

    def __init__(self, sandbox: Sandbox, spool: Path) -> None:
        super().__init__(sandbox, spool)
        self.mails[REFERENCE] = samples()["modelisation"]
        self.record = JournalRecord()
        self.freezes = False
        self.fault: Exception | None = None  # of the mailbox
        assert self.services.hubspot
        assert self.services.clickup
        contact_id = self.services.hubspot.find_or_create_contact("ana@ruiz.example", "", "")
        subtask = self.services.clickup.create_subtask("Fauteuil", "Une demande")
        found = Classification(Category.MODELISATION, 1.0, "rules", "", needs_review=False)
        self._done = DispatchResult(found, contact_id=contact_id, subtask=Link(subtask.id, subtask.url))
        self._before = self._calls()

    def _calls(self) -> int:
        return len([*self.sandbox.hubspot.calls("POST"), *self.sandbox.clickup.calls("POST")])

    @property
    def created(self) -> int:
        """How often something was asked to be created."""
        return self._calls() - self._before

    def fetch(self, reference: str, path: Path) -> Fetched:
        self.record.lease_epoch += self.freezes
        if self.fault:
            raise self.fault
        return super().fetch(reference, path)

    def takes(self, step: Step) -> None:
        message = LazyMessage(REFERENCE, self, self.spool / "mail.eml", self.settings.imap)
        step(StepContext(self.record.execution(), message, self, self.services, self.settings), self._done)


@pytest.fixture
def bench(sandbox: Sandbox, tmp_path: Path) -> Bench:
    return Bench(sandbox, tmp_path)


@pytest.mark.parametrize("step", STEPS)
def test_frozen_machine_does_not_create_after_takeover(bench: Bench, step: Step) -> None:
    """Frozen behind the step's beginning, it waits; where the message is its own after all it creates it then."""
    bench.freezes = True
    with pytest.raises(StepDeferredError, match="out of touch"):
        bench.takes(step)
    assert bench.created == 0
    bench.freezes = False
    bench.takes(step)
    assert bench.created == 1


def test_a_letter_that_another_machine_may_have_sent_is_not_sent(bench: Bench) -> None:
    """The process before this one had it ready and died; this one is frozen while it gets it ready once more."""
    bench.record.execution().step(StepName.PREPARE_NOTIFICATION, lambda _: True)
    bench.freezes = True
    with pytest.raises(StepDeferredError, match="out of touch"):
        bench.takes(send_notification)
    assert bench.sandbox.smtp.messages == []
    bench.freezes = False
    bench.takes(send_notification)
    assert len(bench.sandbox.smtp.messages) == 1


@pytest.mark.parametrize("fault", [TransientError("IMAP FETCH: the connection was cut"), ConfigurationError("401")])
def test_mailbox_failure_does_not_open_service_circuit_breaker(bench: Bench, fault: Exception) -> None:
    """Its gate stays open for the others, and nothing is in doubt: there is no look for the ticket."""
    bench.fault = fault
    with pytest.raises(StepDeferredError):
        bench.takes(create_ticket)
    assert bench.record.breakers["hubspot"].open
    assert not bench.record.breakers["imap"].open
    bench.fault = None
    bench.sandbox.hubspot.requests.clear()
    bench.takes(create_ticket)
    assert [request.method for request in bench.sandbox.hubspot.requests] == ["POST"]
