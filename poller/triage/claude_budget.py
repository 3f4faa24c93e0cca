"""Bound the tokens that Claude may cost a day."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from poller.triage.quotas import day_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.triage.classification import Classifier, ClassifierAnswer
    from poller.workflow.facts import FactStore


class OverBudgetError(Exception):
    """The day's calls are used up. Asking again today is of no use."""


class DailyBudget:
    """Claude, with a limited number of calls a day (UTC)."""

    def __init__(
        self,
        claude: Classifier,
        store: FactStore,
        max_calls_per_day: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Nothing is asked yet."""
        self._claude, self._store, self._max, self._now = claude, store, max_calls_per_day, now

    def ask(self, system: str, content: str, schema: dict[str, Any]) -> ClassifierAnswer:
        """Ask Claude, if the day has a call left. See `integrations.claude.Claude.ask`.

        Raises:
            OverBudgetError: the day's calls are used up.
        """
        if not self._claim():
            raise OverBudgetError("the day's calls are used up: see ANTHROPIC_MAX_CALLS_PER_DAY")
        return self._claude.ask(system, content, schema)

    def _claim(self) -> bool:
        """Take the day's next call, or return False when none is left.

        Each call has a number, which belongs to the process that records it first.
        """
        now, mine = self._now(), uuid4().hex
        prefix = f"claude-{day_of(now)}-"
        midnight = datetime.combine(now.date(), time(), UTC)
        last = self._store.latest(prefix, midnight, 1)
        number = int(last[0][0].removeprefix(prefix)) + 1 if last else 0
        while number < self._max:
            if self._store.remember(f"{prefix}{number}", mine) == mine:
                return True
            number += 1
        return False
