"""The step that decides for which team a request is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox import Fault
from poller.cli.samples import samples
from poller.dispatch.classify import classify, initial_result
from poller.model import Category, UploadDecision
from poller.triage.advice import Adviser
from poller.workflow.errors import StepDeferredError
from tests.support.pipeline_harness import REFERENCE, StepHarness
from tests.system.test_crash_matrix import undecided

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.sandbox import Sandbox


MAILS = samples()


@pytest.fixture
def bench(sandbox: Sandbox, tmp_path: Path) -> StepHarness:
    """Give a mail that the rules are unsure about, and Claude's answer to it."""
    sandbox.anthropic.decide = lambda _: {"category": "MODELISATION", "confidence": 0.9, "reason": "Un fauteuil."}
    return StepHarness(sandbox, tmp_path, undecided())


def test_answer_of_claude_is_kept_without_its_words(bench: StepHarness) -> None:
    """A model asked twice may answer differently, and its words may quote the mail."""
    first = classify(bench.context())
    assert (first.category, first.decided_by, first.reason) == (Category.MODELISATION, "claude", "Un fauteuil.")
    assert classify(bench.context()) == replace(first, reason="")
    assert "fauteuil" not in str(bench.record.entries)
    assert len(bench.sandbox.anthropic.calls("POST")) == 1


def test_opinion_is_kept_beside_the_decision(bench: StepHarness, tmp_path: Path) -> None:
    """A row of an earlier release has none, and is read all the same."""
    adviser = Adviser(tmp_path, decides=False)
    first = classify(bench.context(adviser=adviser))
    assert first.decided_by == "claude"
    assert first.opinion
    again = classify(bench.context(adviser=None))
    assert again == replace(first, reason="")
    (recorded,) = [entry["ok"] for _, entry in bench.record.entries if "ok" in entry]
    del recorded["opinion"]
    assert classify(bench.context(adviser=adviser)) == replace(again, opinion=None)


def entries(bench: StepHarness) -> int:
    return len(bench.record.entries)


def wait(bench: StepHarness) -> timedelta:
    """Run the step, which has to wait, and let the time pass. Return how long that is."""
    with pytest.raises(StepDeferredError) as deferred:
        classify(bench.context())
    waited = deferred.value.until - bench.record.now
    bench.record.now = deferred.value.until
    return waited


DOWN = Fault("status", "POST", status=529, times=None)


def test_outage_shorter_than_wait_misroutes_nothing(bench: StepHarness) -> None:
    """The request waits in growing intervals, and is asked about once more when the wait is over."""
    bench.sandbox.anthropic.fail(DOWN)
    began, waits = bench.record.now, 0
    while bench.record.now < began + timedelta(seconds=900):
        wait(bench)
        waits += 1
    assert bench.record.now == began + timedelta(seconds=900)
    assert entries(bench) <= 2 * waits <= 20
    bench.sandbox.anthropic.heal()
    found = classify(bench.context())
    assert (found.category, found.decided_by, found.needs_review) == (Category.MODELISATION, "claude", False)


@pytest.mark.parametrize("status", [529, 401], ids=["down", "refused"])
def test_rules_decide_after_the_wait(bench: StepHarness, status: int) -> None:
    bench.sandbox.anthropic.fail(replace(DOWN, status=status))
    began = bench.record.now
    while bench.record.now < began + timedelta(seconds=900):
        wait(bench)
        bench.record.now += timedelta(minutes=5)
    asked = len(bench.sandbox.anthropic.calls("POST"))
    found = classify(bench.context())
    assert (found.decided_by, found.needs_review) == ("rules without claude", True)
    assert len(bench.sandbox.anthropic.calls("POST")) == asked + 1
    assert not bench.record.breakers["anthropic"].is_closed
    assert bool(bench.record.faults) == (status == 401)


def test_rules_decide_at_once_where_nothing_waits(bench: StepHarness) -> None:
    bench.environment["ANTHROPIC_WAIT_S"] = "0"
    bench.sandbox.anthropic.fail(DOWN)
    assert classify(bench.context()).decided_by == "rules without claude"
    assert len(bench.sandbox.anthropic.calls("POST")) == 1


def test_wait_of_hours_that_claude_asks_for_ends_with_ours(bench: StepHarness) -> None:
    bench.sandbox.anthropic.fail(replace(DOWN, headers={"Retry-After": "7200"}))
    assert wait(bench) == timedelta(seconds=900)


def test_only_one_unsure_request_tries_claude(bench: StepHarness) -> None:
    """The others do not call it, and leave no more than two entries for each time that it is tried."""
    bench.sandbox.anthropic.fail(DOWN)
    wait(bench)
    other = bench.record.now + timedelta(seconds=300)
    bench.record.breakers["anthropic"].failed(bench.record.now, other)
    before, calls = entries(bench), len(bench.sandbox.anthropic.calls("POST"))
    wait(bench)
    assert (bench.record.now, entries(bench) - before) == (other, 2)
    assert len(bench.sandbox.anthropic.calls("POST")) == calls


def test_sure_request_flows_and_proves_nothing_about_claude(bench: StepHarness) -> None:
    """It is not asked about, and the others go on waiting."""
    bench.sandbox.anthropic.fail(DOWN)
    wait(bench)
    bench.record.entries.clear()
    bench.mails[REFERENCE] = MAILS["support"]
    assert classify(bench.context()).decided_by == "rules"
    breaker = bench.record.breakers["anthropic"]
    assert (breaker.is_closed, breaker.has_succeeded) == (False, False)
    assert len(bench.sandbox.anthropic.calls("POST")) == 1


def test_refusal_of_the_mail_proves_that_claude_is_there(bench: StepHarness) -> None:
    bench.sandbox.anthropic.stop_reason = "refusal"
    assert classify(bench.context()).decided_by == "rules without claude"
    assert bench.record.breakers["anthropic"].has_succeeded


def test_claude_is_not_called_over_its_daily_limit(bench: StepHarness) -> None:
    bench.environment["ANTHROPIC_MAX_CALLS_PER_DAY"] = "1"
    assert classify(bench.context()).decided_by == "claude"
    bench.record.entries.clear()
    assert classify(bench.context()).decided_by == "rules without claude"
    assert len(bench.sandbox.anthropic.calls("POST")) == 1


def test_initial_result_has_decisions_and_limits(bench: StepHarness) -> None:
    """A ticket names the limit that a file was over."""
    job = bench.context(upload_decisions=(UploadDecision.TOO_BIG,))
    begun = initial_result(job, bench.done.classification)
    assert begun.upload_decisions == (UploadDecision.TOO_BIG,)
    limits = bench.settings.r2
    assert (begun.max_file_bytes, begun.max_mail_bytes) == (limits.max_file_bytes, limits.max_mail_bytes)
