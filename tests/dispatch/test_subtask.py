"""ClickUp's subtask and its comments: created once, and found by a later try."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox import Fault
from poller.dispatch import subtask
from poller.dispatch.subtask import create_subtask
from poller.rendering.phrases import marker
from poller.workflow.errors import StepDeferredError
from tests.support.pipeline_harness import REFERENCE, StepHarness

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.dispatch.job import StepContext
    from poller.model import DispatchResult

    Step = Callable[[StepContext, DispatchResult], DispatchResult]


def add_comment(job: StepContext, done: DispatchResult) -> DispatchResult:
    """Add a comment that is found by the reference."""
    return subtask.add_comment(job, done, REFERENCE, lambda: f"{job.message.request.subject} {marker(REFERENCE)}")


STEPS = [create_subtask, add_comment]


@pytest.mark.parametrize("step", STEPS)
def test_frozen_machine_does_not_create_after_takeover(bench: StepHarness, step: Step) -> None:
    """Frozen behind the step's beginning, it waits; where the message is its own after all it creates it then."""
    bench.freezes = True
    with pytest.raises(StepDeferredError, match="out of touch"):
        bench.takes(step)
    assert bench.created == 0
    bench.freezes = False
    bench.takes(step)
    assert bench.created == 1


@pytest.mark.parametrize("step", STEPS)
def test_step_whose_answer_was_lost_creates_nothing_twice(bench: StepHarness, step: Step) -> None:
    """The object is there, and the answer to the call was cut: the next try finds it."""
    bench.sandbox.clickup.fail(Fault("cut_after_commit", "POST"))
    with pytest.raises(StepDeferredError):
        bench.takes(step)
    bench.record.now += timedelta(minutes=5)
    done = bench.takes(step)
    first, *others = bench.sandbox.clickup.subtasks
    if step is create_subtask:
        assert [each.id for each in others] == [done.subtask.id if done.subtask else ""]
    else:
        assert (len(first.comments), others) == (1, [])


def test_subtask_made_by_other_work_is_found_by_a_search(bench: StepHarness) -> None:
    """A correction does not know how far the work before it came."""
    made = bench.takes(create_subtask)
    bench.record.entries.clear()
    assert create_subtask(bench.context(), bench.done, look=True).subtask == made.subtask
    assert len(bench.sandbox.clickup.subtasks) == 2


def test_subtask_is_due_working_days_after_arrival(bench: StepHarness) -> None:
    """The mail came on Sunday, 22 November 2026."""
    bench.environment["CLICKUP_DUE_WORKING_DAYS"] = "2"
    del bench.settings
    made = bench.takes(create_subtask).subtask
    assert made
    due_date = bench.sandbox.clickup.tasks[made.id].due_date
    assert due_date == datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp() * 1000


def test_comment_on_a_deleted_subtask_forgets_it(bench: StepHarness) -> None:
    """The result is without it, and so is every text that is made of the result."""
    bench.sandbox.clickup.tasks.pop(bench.sandbox.clickup.subtasks[0].id)
    assert bench.takes(add_comment).subtask is None


def test_comment_without_a_subtask_makes_no_call(bench: StepHarness) -> None:
    bench.done = replace(bench.done, subtask=None)
    assert bench.takes(add_comment) == bench.done
    assert (bench.created, bench.record.entries) == (0, [])


@pytest.mark.parametrize("step", STEPS)
def test_step_without_clickup_is_skipped(bench: StepHarness, step: Step) -> None:
    bench.services = replace(bench.services, clickup=None)
    assert bench.takes(step).skipped == (step.__name__,)
