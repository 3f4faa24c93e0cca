"""The step that decides for which team a request is."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox import Fault
from poller.dispatch.classify import CLAUDE_TRIES, classify, initial_result
from poller.model import Category, UploadDecision
from poller.workflow.errors import StepDeferredError
from tests.support.pipeline_harness import StepHarness
from tests.system.test_crash_matrix import undecided

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.sandbox import Sandbox


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


def test_rules_decide_after_claude_has_failed(bench: StepHarness) -> None:
    """The step waits for Claude a few times, and then the request goes on without."""
    bench.sandbox.anthropic.fail(Fault("status", "POST", status=500, times=None))
    for _ in range(CLAUDE_TRIES):
        with pytest.raises(StepDeferredError):
            classify(bench.context())
        bench.record.now += timedelta(minutes=30)
    found = classify(bench.context())
    assert (found.decided_by, found.needs_review) == ("rules without claude", True)
    assert len(bench.sandbox.anthropic.calls("POST")) == CLAUDE_TRIES


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
