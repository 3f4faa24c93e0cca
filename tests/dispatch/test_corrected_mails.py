"""Read the corrected mails that Claude is shown, a few at a time and into memory alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from poller.cli.samples import samples
from poller.dispatch import corrected_mails
from poller.dispatch.classify import classify
from poller.dispatch.corrected_mails import AT_ONCE, CorrectedMails
from poller.errors import MessageGoneError
from poller.learning import embedding
from poller.learning.advice import Adviser
from poller.model import Category, Outcome
from poller.workflow.results import WorkResult
from tests.support.pipeline_harness import REFERENCE, StepHarness
from tests.system.test_crash_matrix import undecided

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.sandbox import Sandbox

VECTOR = (1.0, *(0.0 for _ in range(embedding.DIMENSIONS - 1)))


@pytest.fixture
def bench(sandbox: Sandbox, tmp_path: Path) -> StepHarness:
    """Give a mail that the rules are unsure about."""
    return StepHarness(sandbox, tmp_path, undecided())


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "embed", lambda texts: [VECTOR] * len(texts))


def correct(bench: StepHarness, number: int) -> str:
    """Have a person make a support request of a mail; return its reference."""
    reference = f"{number:016x}"
    bench.mails[reference] = samples()["support"]
    bench.results[reference] = WorkResult(Outcome.SUPPORT, category=Category.SUPPORT, decided_by="person")
    bench.results[f"{reference}/support/1"] = bench.results[reference]
    return reference


def of(bench: StepHarness) -> CorrectedMails:
    return CorrectedMails(bench, bench.spool, bench.settings.imap)


def test_claude_is_shown_what_people_corrected(bench: StepHarness, tmp_path: Path) -> None:
    """Read from where it is filed, and left in no file and no row."""
    correct(bench, 1)
    bench.record.facts = bench  # type: ignore[assignment]
    job = bench.context(adviser=Adviser(tmp_path, decides=False), corrected_mails=of(bench))
    classify(job)
    (asked,) = bench.sandbox.anthropic.requests
    assert isinstance(asked.body, dict)
    content = asked.body["messages"][0]["content"]
    (lesson,) = json.loads(content.removeprefix("<examples>").partition("</examples>")[0])
    assert (lesson["category"], lesson["subject"] != "") == ("SUPPORT", True)
    assert lesson["subject"] not in str(bench.record.entries)
    assert [path.name for path in tmp_path.glob("corrected*")] == []


@pytest.mark.usefixtures("_quick")
def test_each_request_reads_only_a_few_and_none_twice(bench: StepHarness) -> None:
    for number in range(AT_ONCE + 2):
        correct(bench, number)
    mails = of(bench)
    fetched = []
    for _ in range(3):
        found = mails.nearest(VECTOR, bench)
        fetched.append(bench.fetches)
    assert fetched == [AT_ONCE, AT_ONCE + 2, AT_ONCE + 2]
    assert len(found) == 6


@pytest.mark.usefixtures("_quick")
def test_correction_that_was_taken_back_is_shown_no_more(bench: StepHarness) -> None:
    reference = correct(bench, 1)
    mails = of(bench)
    assert len(mails.nearest(VECTOR, bench)) == 1
    del bench.results[f"{reference}/support/1"]
    assert mails.nearest(VECTOR, bench) == []


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(("fault", "tries"), [(TransientError("down"), 2), (MessageGoneError("gone"), 1)])
def test_mail_that_cannot_be_read_holds_nothing_up(bench: StepHarness, fault: Exception, tries: int) -> None:
    """One that is gone is not looked for again."""
    correct(bench, 1)
    mails = of(bench)
    bench.fault = fault
    assert mails.nearest(VECTOR, bench) == mails.nearest(VECTOR, bench) == []
    assert bench.fetches == tries


@pytest.mark.usefixtures("_quick")
def test_nothing_is_read_where_no_mail_is_embedded(bench: StepHarness) -> None:
    correct(bench, 1)
    assert corrected_mails.examples_for(None, bench, VECTOR) == ()
    assert corrected_mails.examples_for(of(bench), bench, None) == ()
    assert REFERENCE in bench.mails
    assert bench.fetches == 0
