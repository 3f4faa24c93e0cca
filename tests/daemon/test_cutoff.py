"""Days that decide which messages are left alone."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from poller.daemon import cutoff
from poller.workflow.facts import InMemoryFacts


def test_first_start_is_kept_from_the_first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key and its form are those of every release."""

    class Stopped(datetime):
        day = 22

        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime(2026, 11, cls.day, 23, 59, tzinfo=tz)  # type: ignore[arg-type]

    monkeypatch.setattr(cutoff, "datetime", Stopped)
    store = InMemoryFacts()
    assert cutoff.first_start(store) == date(2026, 11, 22)
    Stopped.day = 23
    assert cutoff.first_start(store) == date(2026, 11, 22)
    assert store.recall(["first-start"]) == {"first-start": "2026-11-22"}
    Stopped.day = 21
    assert cutoff.first_start(store) == date(2026, 11, 21), "the clock was a day ahead at the first start"


@pytest.mark.parametrize(
    ("kept", "earliest"),
    [
        ([date(2026, 11, 22)], date(2026, 11, 22)),
        ([date(2026, 11, 22), date(2026, 11, 1), date(2026, 12, 1)], date(2026, 11, 1)),
        ([date(2026, 11, 22), None, date(2026, 11, 1)], None),
    ],
    ids=["one", "earliest of some", "all were asked for once"],
)
def test_earliest_cutoff_is_minimum_of_all_kept(kept: list[date | None], earliest: date | None) -> None:
    store = InMemoryFacts()
    for day in kept:
        cutoff.keep(store, day)
    assert cutoff.earliest_cutoff(store) == earliest
    assert {key for key, _ in store.latest("since-", datetime.fromtimestamp(0, UTC), 9)} == {
        f"since-{day or '0001-01-01'}" for day in kept
    }
