"""Read the corrected mails that Claude is shown, a few at a time and into memory alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from integrations.errors import TransientError
from poller.cli.samples import samples
from poller.dispatch import corrected_mails
from poller.dispatch.classify import classify
from poller.dispatch.corrected_mails import AT_ONCE, CorrectedMails
from poller.errors import MessageGoneError, MessageWithheldError
from poller.learning import embedding
from poller.model import Outcome
from poller.triage.advice import Adviser
from poller.workflow.facts import InMemoryFacts
from poller.workflow.results import WorkResult
from poller.workflow.status import Entry
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


class Corrected(InMemoryFacts):
    """The state of mails that a person made support requests of."""

    def __init__(self, bench: StepHarness, number: int) -> None:
        super().__init__()
        references = [f"{each:016x}" for each in range(number)]
        bench.mails |= dict.fromkeys(references, samples()["support"])
        self.ids = [f"{each}/support/1" for each in references]
        self.outcome = Outcome.SUPPORT

    def corrections(self) -> list[str]:
        return self.ids

    def result(self, reference: str, before: str = "") -> WorkResult:
        del reference, before
        return WorkResult(self.outcome)

    def journal(self, reference: str) -> list[Entry]:
        at = datetime(2026, 11, 22, 10, tzinfo=UTC)
        assert reference in self.ids
        return [Entry("receive", at, {"ok": {"received_at": at.isoformat()}})]


def of(bench: StepHarness) -> CorrectedMails:
    return CorrectedMails(bench, bench.spool, bench.settings.imap)


def test_claude_is_shown_what_people_corrected(bench: StepHarness, tmp_path: Path) -> None:
    """Read from where it is filed, and left in no file and no row."""
    bench.record.facts = Corrected(bench, 1)
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
    mails, store = of(bench), Corrected(bench, AT_ONCE + 2)
    fetched = []
    for _ in range(3):
        found = mails.nearest(VECTOR, store)
        fetched.append(bench.fetches)
    assert fetched == [AT_ONCE, AT_ONCE + 2, AT_ONCE + 2]
    assert len(found) == 6


@pytest.mark.usefixtures("_quick")
def test_correction_that_was_taken_back_is_shown_no_more(bench: StepHarness) -> None:
    mails, store = of(bench), Corrected(bench, 1)
    assert len(mails.nearest(VECTOR, store)) == 1
    store.ids.clear()
    assert mails.nearest(VECTOR, store) == []


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(
    ("fault", "tries"), [(TransientError("down"), 2), (MessageGoneError("gone"), 1), (MessageWithheldError(), 1)]
)
def test_mail_that_cannot_be_read_holds_nothing_up(bench: StepHarness, fault: Exception, tries: int) -> None:
    """One that is gone, or that the mail server does not give, is not looked for again."""
    mails, store = of(bench), Corrected(bench, 1)
    bench.fault = fault
    assert mails.nearest(VECTOR, store) == mails.nearest(VECTOR, store) == []
    assert bench.fetches == tries


def test_mails_that_end_the_embedding_are_read_only_once(bench: StepHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next request reads the next ones."""

    def embed(texts: list[str]) -> list[embedding.Vector]:
        if len(texts) == AT_ONCE:
            raise embedding.EmbeddingFailedError("exit code -9")
        return [VECTOR] * len(texts)

    monkeypatch.setattr(embedding, "embed", embed)
    mails, store = of(bench), Corrected(bench, AT_ONCE + 1)
    assert [len(mails.nearest(VECTOR, store)) for _ in range(2)] == [0, 1]
    assert bench.fetches == AT_ONCE + 1


@pytest.mark.usefixtures("_quick")
def test_correction_at_work_is_shown_when_it_is_done(bench: StepHarness) -> None:
    mails, store = of(bench), Corrected(bench, 1)
    store.outcome = Outcome.WORKING
    assert mails.nearest(VECTOR, store) == []
    store.outcome = Outcome.SUPPORT
    assert len(mails.nearest(VECTOR, store)) == 1


@pytest.mark.usefixtures("_quick")
def test_nothing_is_read_where_no_mail_is_embedded(bench: StepHarness) -> None:
    store = Corrected(bench, 1)
    assert corrected_mails.examples_for(None, store, VECTOR) == ()
    assert corrected_mails.examples_for(of(bench), store, None) == ()
    assert REFERENCE in bench.mails
    assert bench.fetches == 0
