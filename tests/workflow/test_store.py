"""Counts and lists of messages by outcome, without reading them all, and a store that cannot be opened."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa

from integrations.errors import ConfigurationError
from poller.config import loader
from poller.config.settings import Settings
from poller.model import Outcome
from poller.workflow import corrections, database, indexes
from poller.workflow import store as store_module
from poller.workflow.engine import Engine
from poller.workflow.results import WorkResult
from poller.workflow.steps import StepName
from poller.workflow.store import StateStore, open_store
from tests.support.other_user import as_nobody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from poller.workflow.journal import Journal
    from tests.support.postgres import Cluster

NAMES = ("support", "ignored", "failed", "waiting", "corrected", "again", "broken", "working", "receipt")
IDS = {name: f"{number:016x}" for number, name in enumerate(NAMES)}
AT_FOUR = datetime(2026, 11, 22, 14, tzinfo=UTC)
WAITS = WorkResult(Outcome.WAITING, step=StepName.LABEL, reason="IMAP", until=AT_FOUR)
RETURNED = {
    IDS["support"]: WorkResult(Outcome.SUPPORT),
    IDS["ignored"]: WorkResult(Outcome.IGNORED),
    IDS["failed"]: WorkResult(Outcome.FAILED, reason='it says "outcome":"waiting"'),
    IDS["waiting"]: WAITS,
    IDS["receipt"]: replace(WAITS, filed=Outcome.SUPPORT),
    IDS["corrected"]: WorkResult(Outcome.FAILED),
    f"{IDS['corrected']}/support/1": WorkResult(Outcome.SUPPORT),
    IDS["again"]: WorkResult(Outcome.SUPPORT),
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
        for key, text in (("a-1", "one"), ("a-2", "two"), ("b", "three")):
            engine.store.remember(key, text)
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


def test_messages_and_facts_read_in_parts_are_complete(store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of one row, of which several may be of the same millisecond: nothing is missed, nothing comes twice."""
    whole = list(store.messages())
    whole_facts = store.facts("")
    current = list(store.current())
    monkeypatch.setattr(store_module, "_AT_ONCE", 1)
    assert list(store.messages()) == whole
    assert [len(some) for some in store.messages_in_parts()] == [1] * len(whole)
    assert list(store.current()) == current == corrections.current(whole)
    assert store.facts("") == whole_facts == {"a-1": "one", "a-2": "two", "b": "three"}
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


def test_answers_without_our_indexes_are_the_same(store: StateStore) -> None:
    """As where the tables are another role's, or an update of dbos has dropped them."""

    def answers() -> list[object]:
        found = [store.with_outcomes([outcome]) for outcome in (Outcome.FAILED, Outcome.WAITING, Outcome.SUPPORT)]
        waiting = store.waiting_at({StepName.LABEL}, AT_FOUR - timedelta(days=9_999))
        return [store.counts(), *found, waiting, store.corrections(), store.facts("a-"), store.at_work()]

    before = answers()
    engine = store._database().engine
    schema = "" if engine.dialect.name == "sqlite" else "dbos."
    with engine.begin() as connection:
        for name, *_ in indexes._definitions(engine.dialect.name):
            connection.execute(sa.text(f"DROP INDEX {schema}{name}"))
    assert answers() == before
    indexes.create(engine)
    assert answers() == before


@pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)
def test_no_query_reads_all_rows(store: StateStore) -> None:
    """Each of them finds what it returns by an index, and scans none but those with few rows. Counting scans one."""
    engine, asked = store._database().engine, []
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _r, sql, given, *_: asked.append((sql, given)))
    now = datetime.now(UTC)
    store.with_outcomes([Outcome.FAILED, Outcome.WAITING])
    store.waiting_at({StepName.LABEL}, now)
    store.stopped(now)
    store.latest("a-", now, 1)
    store.at_work()
    store.counts()
    assert list(store.current(now)) == [] != store.facts("a-")
    assert len(asked) < 20
    with engine.connect() as connection:
        plans = [
            row[3]
            for sql, given in tuple(asked)
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", given)
        ]
        partial = set(connection.scalars(sa.text("SELECT name FROM sqlite_master WHERE sql LIKE '% WHERE %'")))
    scans = [plan.rpartition("INDEX ")[2] for plan in plans if plan.startswith("SCAN")]
    assert set(scans) <= partial
    assert scans.count("poller_outcomes") == 1


@pytest.mark.parametrize("state_url", ["postgresql"], indirect=True)
def test_indexes_of_another_roles_tables_are_left_out(state_url: str, logged: Callable[[], str]) -> None:
    """A daemon that may read and write, and not more, works as before."""
    with psycopg.connect(state_url, autocommit=True) as connection:
        connection.execute("DROP INDEX dbos.poller_corrections")
        connection.execute("DROP ROLE IF EXISTS reader")
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA dbos TO reader")
        connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA dbos TO reader")
    engine = sa.create_engine(state_url.replace("postgresql://poller@", "postgresql+psycopg://reader@"))
    indexes.create(engine)
    engine.dispose()
    assert logged().count("indexes_not_created") == 1


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
