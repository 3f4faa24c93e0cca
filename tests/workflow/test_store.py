"""Counts and lists of messages by outcome, without reading them all, and a store that cannot be opened."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError
from poller.config.settings import Settings
from poller.daemon import cutoff
from poller.model import Outcome
from poller.workflow import corrections, database
from poller.workflow import store as store_module
from poller.workflow.cluster import CONNECTION
from poller.workflow.database import open_store
from tests.support.other_user import as_nobody
from tests.workflow.remembered import IDS, SUBTASK, TICKET

if TYPE_CHECKING:
    from pathlib import Path

    from poller.workflow.store import StateStore
    from tests.support.postgres import Cluster


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


def test_store_beside_the_daemon_notices_a_server_that_is_gone(database: str) -> None:
    """Its connection has the limits of the daemon's, and what the address says goes before them."""
    settings = Settings(state={"url": f"{database}?keepalives_idle=7"})
    with closing(open_store(settings)) as store, store._database().engine.connect() as connection:
        found = connection.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    expected = {name: str(value) for name, value in CONNECTION.items()} | {"keepalives_idle": "7"}
    assert found.items() >= expected.items()


def test_messages_and_facts_read_in_parts_are_complete(store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of one row, of which several may be of the same millisecond: nothing is missed, nothing comes twice."""
    whole = list(store.messages())
    whole_facts = store.facts("")
    mine = {"a-1": "one", "a-2": "two", "b": "three"}
    current = list(store.current())
    monkeypatch.setattr(store_module, "_AT_ONCE", 1)
    assert list(store.messages()) == whole
    assert [len(some) for some in store.messages_in_parts()] == [1] * len(whole)
    assert list(store.current()) == current == corrections.current(whole)
    assert store.facts("") == whole_facts == mine | {cutoff.FIRST_START: whole_facts[cutoff.FIRST_START]}
    assert list(store.facts_in_parts("a-")) == [{"a-1": "one"}, {"a-2": "two"}]
    assert list(store.facts_in_parts("a-", datetime.now(UTC) - timedelta(days=1))) == []


def test_messages_deleted_while_they_are_read_hide_no_other(store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """`poller purge` deletes each part before it reads the next."""
    monkeypatch.setattr(store_module, "_AT_ONCE", 2)
    whole = [each.reference for each in store.messages() if each.status.outcome is not Outcome.WORKING]
    read = []
    for some in store.messages_in_parts():
        done = [each.reference for each in some if each.status.outcome is not Outcome.WORKING]
        store.forget(done)
        read += done
    assert read == whole
    assert [each.reference for each in store.messages()] == [IDS["working"]]


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
