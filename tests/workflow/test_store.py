"""Counts and lists of messages by outcome, without reading them all, and a store that cannot be opened."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError
from poller.config import loader
from poller.config.settings import Settings
from poller.model import Category, Link, Outcome
from poller.workflow import corrections, database
from poller.workflow.engine import Engine
from poller.workflow.results import WorkResult
from poller.workflow.steps import StepName
from poller.workflow.store import StateStore, open_store
from tests.support.other_user import as_nobody

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from poller.workflow.journal import Journal
    from tests.support.postgres import Cluster

NAMES = ("support", "ignored", "failed", "waiting", "corrected", "again", "broken", "working", "receipt")
IDS = {name: f"{number:016x}" for number, name in enumerate(NAMES)}
AT_FOUR = datetime(2026, 11, 22, 14, tzinfo=UTC)
WAITS = WorkResult(Outcome.WAITING, step=StepName.LABEL, reason="IMAP", until=AT_FOUR)
TICKET, SUBTASK = Link("29000000001", "https://app.hubspot.com/1"), Link("86c000001", "https://app.clickup.com/1")
RETURNED = {
    IDS["support"]: WorkResult(Outcome.SUPPORT, category=Category.SUPPORT, ticket=TICKET),
    IDS["ignored"]: WorkResult(Outcome.IGNORED),
    IDS["failed"]: WorkResult(Outcome.FAILED, reason='it says "outcome":"waiting"'),
    IDS["waiting"]: WAITS,
    IDS["receipt"]: replace(WAITS, filed=Outcome.SUPPORT),
    IDS["corrected"]: WorkResult(Outcome.FAILED),
    f"{IDS['corrected']}/support/1": WorkResult(Outcome.SUPPORT),
    IDS["again"]: WorkResult(Outcome.SUPPORT, category=Category.SUPPORT, ticket=TICKET, subtask=SUBTASK),
    f"{IDS['again']}/modelisation/1": WorkResult(Outcome.MODELISATION),
    f"{IDS['again']}/support/2": WorkResult(Outcome.FAILED),
}


@pytest.fixture
def store(state_url: str, tmp_path: Path) -> Iterator[StateStore]:
    """Open the state with a message of each kind, two of them corrected, one at work."""
    done = threading.Event()

    def work(journal: Journal) -> WorkResult:
        if journal.reference == IDS["working"]:
            done.wait()
        if journal.reference == IDS["broken"]:
            raise RuntimeError
        if journal.reference == IDS["waiting"]:
            journal.step(StepName.CREATE_TICKET, lambda _: {"id": "29000000002", "url": "https://app.hubspot.com/2"})
        return RETURNED.get(journal.reference, WorkResult(Outcome.GONE))

    engine = Engine(state_url, tmp_path, work)
    engine.start()
    names = {"HOST": "imap.test", "USERNAME": "u", "PASSWORD": "p"}
    given = {f"IMAP_{name}": value for name, value in names.items()} | {"STATE_URL": state_url}
    try:
        for each in (*RETURNED, IDS["broken"], IDS["working"]):
            engine.submit(each)
        deadline = time.monotonic() + 20
        while len(engine.in_hand()) > 1 and time.monotonic() < deadline:
            continue
        with closing(open_store(loader.from_names(given))) as store:
            yield store
    finally:
        done.set()
        while engine._in_hand:  # or the stop waits a second for it
            continue
        engine.stop()


def test_counts_take_a_message_by_its_last_correction(store: StateStore) -> None:
    """A fault of our own is a wait, what waits for its receipt alone is done; facts are no messages."""
    counted = store.counts()
    assert counted == {
        Outcome.SUPPORT: 3,
        Outcome.IGNORED: 1,
        Outcome.FAILED: 2,
        Outcome.WAITING: 2,
        Outcome.WORKING: 1,
    }
    assert counted == Counter(each.status.result.final_outcome for each in corrections.current(store.messages()))


def test_messages_with_an_outcome_are_listed_oldest_first(store: StateStore) -> None:
    """As they stand by now, those first seen first."""
    asked: list[tuple[list[Outcome], list[str]]] = [
        ([Outcome.FAILED], ["failed", "again"]),
        ([Outcome.WAITING], ["waiting", "broken"]),
        ([Outcome.FAILED, Outcome.WAITING], ["failed", "waiting", "again", "broken"]),
        ([Outcome.MODELISATION], []),
        ([], []),
    ]
    for outcomes, names in asked:
        found = store.with_outcomes(outcomes)
        assert [corrections.message_of(each.reference) for each in found] == [IDS[name] for name in names]
        every = [each for each in corrections.current(store.messages()) if each.status.result.final_outcome in outcomes]
        assert found == every


def test_messages_with_an_outcome_since_a_time_leave_earlier_ones_out(store: StateStore) -> None:
    """To the millisecond, and what was seen before is left out, whatever has become of it since."""
    for message in store.messages():
        for since in (message.seen_at, message.seen_at + timedelta(milliseconds=1)):
            every = [
                m for m in corrections.current(store.messages(since)) if m.status.result.final_outcome is Outcome.FAILED
            ]
            assert store.with_outcomes([Outcome.FAILED], since) == every


def test_messages_are_found_by_ticket_and_subtask(store: StateStore) -> None:
    """As their last correction left them; one that still waits by the ticket that it has created."""
    found = {TICKET.id: ["support", "again"], SUBTASK.id: ["again"], "29000000002": ["waiting"], "2900000000": []}
    for object_id, names in found.items():
        messages = store.with_object(object_id)
        assert [corrections.message_of(each.reference) for each in messages] == [IDS[name] for name in names]
    assert store.with_object(SUBTASK.id)[0].status.outcome is Outcome.FAILED


def test_named_without_references_is_empty(store: StateStore) -> None:
    """Not everything, as dbos has it of an empty list."""
    assert store.named([]) == []


def test_reading_missing_state_raises_configuration_error(cluster: Cluster) -> None:
    """A command before the first start gets one line, on PostgreSQL as on SQLite."""
    with pytest.raises(ConfigurationError, match="nothing has run yet: PostgreSQL database"):
        open_store(Settings(state={"url": cluster.create()}))


def test_state_of_another_user_is_reported_as_such(tmp_path: Path) -> None:
    """A command under the wrong account is told so, and not that something is out of reach or crashed."""
    path = tmp_path / "poller.sqlite"
    database.write_ahead(f"sqlite:///{path}")
    path.chmod(0)
    with as_nobody(), pytest.raises(ConfigurationError, match=r"poller\.sqlite is another user's: run this as"):
        open_store(Settings(state={"url": f"sqlite:///{path}"}))
