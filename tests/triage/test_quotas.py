"""What is counted, and that it is counted once: on SQLite and PostgreSQL, across processes."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from poller.config.settings import Settings
from poller.model import Outcome
from poller.triage import claude_budget, quotas
from poller.workflow.engine import Engine
from poller.workflow.results import WorkResult
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from poller.workflow.journal import Journal

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)
SETTINGS = Settings.model_validate({"r2": {"secret_access_key": "k"}, "imap": {"username": "support@f.example"}})


class Memory:
    """What the engine keeps, in a list."""

    def __init__(self) -> None:
        self.facts: dict[str, tuple[datetime, str]] = {}
        self.now = NOW

    def remember(self, key: str, value: str) -> str:
        return self.facts.setdefault(key, (self.now, value))[1]

    def recall(self, keys: Iterable[str]) -> dict[str, str]:
        return {key: self.facts[key][1] for key in keys if key in self.facts}

    def latest(self, prefix: str, since: datetime, limit: int) -> list[tuple[str, str]]:
        found = [(key, value) for key, (at, value) in self.facts.items() if key.startswith(prefix) and at >= since]
        return found[::-1][:limit]

    def result(self, reference: str, before: str = "") -> WorkResult:
        del before
        raise AssertionError(reference)


@pytest.fixture
def store() -> Memory:
    return Memory()


def arrive(store: Memory, number: int, *, max_per_h: int = 3, size_bytes: int = 0, sender: str = "s") -> quotas.Slot:
    """A message of the sender is received."""
    reference = f"{number:016x}"
    had = quotas.account(store, sender, reference, store.now, max_per_h)
    turn = had.turn(reference, store.now, max_per_h)
    return quotas.reserve_slot(store, sender, reference, store.now, turn, had.uploaded_bytes + size_bytes)


def test_messages_over_hourly_limit_follow_at_that_rate(store: Memory) -> None:
    """Ten at once with three allowed: three an hour, in order, each told once when its turn is."""
    turns = [arrive(store, number) for number in range(10)]
    assert [(turn.at - NOW) / quotas.HOUR for turn in turns] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]


def test_hourly_limit_uses_sliding_window(store: Memory) -> None:
    """A message every 20 minutes is no flood; a fourth within the hour waits for the end of the first one's."""
    waits = []
    for number, minutes in enumerate((0, 20, 40, 60, 80, 90)):
        store.now = NOW + timedelta(minutes=minutes)
        waits.append((arrive(store, number).at - store.now) / timedelta(minutes=1))
    assert waits == [0, 0, 0, 0, 0, 10]


def test_consecutive_waits_are_one_episode(store: Memory) -> None:
    """The first that waits begins it; a day later, or for another sender, there is another."""
    episodes = [arrive(store, number).episode for number in range(8)]
    assert episodes == ["", "", ""] + [f"{3:016x}"] * 5
    assert [arrive(store, number, sender="t").episode for number in range(10, 14)] == ["", "", "", f"{13:016x}"]
    store.now += timedelta(hours=26)
    assert [arrive(store, number).episode for number in range(20, 24)] == ["", "", "", f"{23:016x}"]


def test_sender_just_above_limit_is_reported_once(store: Memory) -> None:
    """Every few messages one waits: the admin hears of the first."""
    told = 0
    for number in range(40):
        store.now += timedelta(minutes=19)
        told += arrive(store, number).episode == f"{number:016x}"
    assert told == 1


def test_resubmitted_message_keeps_its_slot(store: Memory) -> None:
    """The process died after the booking: it does not stand in its own way, and counts once."""
    first = [arrive(store, number, size_bytes=10) for number in range(4)]
    store.now += timedelta(minutes=5)
    assert arrive(store, 3, size_bytes=10) == first[3]
    assert quotas.account(store, "s", f"{3:016x}", store.now, 3).uploaded_bytes == 30
    assert quotas.account(store, "s", "f" * 16, store.now, 3).uploaded_bytes == 40


def test_without_limit_nothing_waits_and_uploads_are_counted(store: Memory) -> None:
    turns = [arrive(store, number, max_per_h=0, size_bytes=100) for number in range(5)]
    assert {(turn.at, turn.episode) for turn in turns} == {(NOW, "")}
    assert quotas.account(store, "s", "f" * 16, NOW, 0).uploaded_bytes == 500


def test_sender_uploads_are_counted_per_day(store: Memory) -> None:
    store.now = NOW.replace(hour=23)
    arrive(store, 0, size_bytes=700)
    arrive(store, 1, size_bytes=200)
    assert quotas.account(store, "s", "f" * 16, store.now, 3).uploaded_bytes == 900
    assert quotas.account(store, "t", "f" * 16, store.now, 3).uploaded_bytes == 0
    store.now += timedelta(hours=2)
    assert quotas.account(store, "s", "f" * 16, store.now, 3).uploaded_bytes == 0


def test_image_counts_as_seen_from_second_mail_on(store: Memory) -> None:
    """By sender; the first mail itself, tried again, has not seen it before."""

    def seen(sender: str, reference: str, *images: str) -> set[str]:
        return quotas.seen_before(store, SETTINGS, sender, reference, images)

    assert seen("s", "1", "aa") == set()
    assert seen("s", "1", "aa") == set()
    assert seen("s", "2", "aa", "bb") == {"aa"}
    assert seen("t", "3", "aa") == set()
    assert len(seen("u", "4", *map(str, range(500)))) == 0
    assert len(store.facts) == 3 + quotas.IMAGES


def test_state_holds_only_pseudonyms_of_senders(store: Memory) -> None:
    """A pseudonym is of this installation, and the same each time."""
    other = Settings.model_validate({"r2": {"secret_access_key": "other"}})
    one = quotas.pseudonym(SETTINGS, "jeanne@petit.example")
    assert one == quotas.pseudonym(SETTINGS, "jeanne@petit.example")
    assert len({one, quotas.pseudonym(other, "jeanne@petit.example"), quotas.pseudonym(Settings(), "x", "\udc80")}) == 3
    arrive(store, 1, sender=one)
    quotas.seen_before(store, SETTINGS, one, "1", ["aa"])
    assert "petit" not in str(store.facts)


class Claude:
    def __init__(self) -> None:
        self.asked = 0

    def ask(self, system: str, content: str, schema: dict[str, Any]) -> Any:
        del system, content, schema
        self.asked += 1
        return SimpleNamespace(values={})


def test_daily_call_limit_survives_restart(store: Memory) -> None:
    """The next day has as many; a restart does not begin the day anew."""
    claude = Claude()
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
    """Return an engine whose messages each keep a fact within a step."""

    def work(journal: Journal) -> WorkResult:
        store = journal.store
        assert store is not None
        kept: str = journal.step(StepName.RECEIVE, lambda _: store.remember("a-%_1", "2"))
        return WorkResult(Outcome.SUPPORT, thread=kept)

    engine = Engine(state_url, tmp_path, work)
    engine.start()
    yield engine
    engine.stop()


def test_facts_are_kept_in_step_and_listed_newest_first(engine: Engine) -> None:
    """A prefix is taken as it stands, and other messages' facts are no step of this one."""
    assert engine.store.remember("a-%_1", "1") == "1"
    engine.store.remember("a-%_2", "2")
    engine.store.remember("a-%%3", "3")
    engine.store.remember("b", "4")
    engine.submit("0" * 16)
    while not (status := engine.store.statuses(["0" * 16]).get("0" * 16)) or status.result.outcome is Outcome.WORKING:
        time.sleep(0.02)
    assert status.result == WorkResult(Outcome.SUPPORT, thread="1")
    since = datetime.now(UTC) - timedelta(minutes=1)
    assert sorted(engine.store.latest("a-%_", since, 9)) == [("a-%_1", "1"), ("a-%_2", "2")]
    assert len(engine.store.latest("a-", since, 2)) == 2
    assert engine.store.latest("a-", since + timedelta(hours=1), 9) == []


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
