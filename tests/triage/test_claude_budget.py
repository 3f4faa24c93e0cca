"""Bound the calls to Claude in a day, across restarts and concurrent requests."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from poller.model import Outcome
from poller.triage import claude_budget
from poller.workflow.engine import Engine
from poller.workflow.results import WorkResult
from tests.triage.helpers import NOW, DatedFacts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Claude:
    def __init__(self) -> None:
        self.asked = 0

    def ask(self, system: str, content: str, schema: dict[str, Any]) -> Any:
        del system, content, schema
        self.asked += 1
        return SimpleNamespace(values={})


def test_daily_call_limit_survives_restart() -> None:
    """The next day has as many; a restart does not begin the day anew."""
    claude, store = Claude(), DatedFacts()
    for hours, asked in ((0, 3), (1, 3), (16, 6)):
        store.now = NOW + timedelta(hours=hours)
        for _ in range(4):
            try:
                claude_budget.DailyBudget(claude, store, 3, lambda: store.now).ask("", "", {})
            except claude_budget.OverBudgetError as error:
                assert "ANTHROPIC_MAX_CALLS_PER_DAY" in str(error)  # noqa: PT017  the loop goes on after it
        assert claude.asked == asked


@pytest.fixture
def engine(state_url: str, tmp_path: Path) -> Iterator[Engine]:
    engine = Engine(state_url, tmp_path, lambda _: WorkResult(Outcome.SUPPORT))
    engine.start()
    yield engine
    engine.stop()


def test_concurrent_requests_take_different_daily_calls(engine: Engine) -> None:
    """Each call of the day has a number that is kept for one of them."""
    claude = Claude()
    budgets = [claude_budget.DailyBudget(claude, engine.store, 4) for _ in range(2)]
    for number in range(6):
        try:
            budgets[number % 2].ask("", "", {})
        except claude_budget.OverBudgetError:
            assert number >= 4
    assert claude.asked == 4
