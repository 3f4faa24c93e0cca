"""Facts of a run that has no state store."""

from __future__ import annotations

from datetime import UTC, datetime

from poller.model import Outcome
from poller.workflow.facts import InMemoryFacts
from poller.workflow.results import WorkResult

SINCE = datetime(2026, 11, 22, tzinfo=UTC)


def test_fact_kept_twice_keeps_its_first_text() -> None:
    facts = InMemoryFacts()
    assert [facts.remember("day", text) for text in ("monday", "tuesday")] == ["monday", "monday"]
    assert facts.recall(["day", "night"]) == {"day": "monday"}
    assert facts.recall([]) == {}


def test_latest_facts_of_a_prefix_come_last_first() -> None:
    facts = InMemoryFacts()
    for number in range(4):
        facts.remember(f"sender-{number}", str(number))
        facts.remember(f"claude-{number}", "")
    assert facts.latest("sender-", SINCE, 2) == [("sender-3", "3"), ("sender-2", "2")]
    assert len(facts.latest("sender-", SINCE, 10)) == 4
    assert facts.latest("image-", SINCE, 10) == []


def test_result_of_any_message_is_forgotten() -> None:
    """A run without a state store knows of no other message, so it waits for none."""
    assert InMemoryFacts().result("0123456789abcdef") == WorkResult(Outcome.FORGOTTEN)
    assert InMemoryFacts().result("0123456789abcdef", before="0123456789abcdef/support/1").ticket is None


def test_facts_of_two_runs_are_apart() -> None:
    InMemoryFacts().remember("day", "monday")
    assert InMemoryFacts().recall(["day"]) == {}
