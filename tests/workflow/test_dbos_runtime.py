"""The settings of dbos, and the facts that it keeps for us."""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from integrations.errors import TransientError
from poller.workflow import dbos_runtime
from poller.workflow.errors import StateUnavailableError
from poller.workflow.outage import StateOutage
from poller.workflow.store import StateStore
from tests.workflow.test_engine import DEADLINE_S, DONE, REFERENCE, running, stopped

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from poller.workflow.journal import Journal
    from poller.workflow.results import WorkResult


def test_remember_keeps_first_value_of_key(state_url: str, tmp_path: Path) -> None:
    """And of what was not asked for nothing comes, whatever else is remembered."""
    with running(state_url, tmp_path, lambda _: DONE) as engine:
        assert [engine.store.remember("day", value) for value in ("monday", "tuesday")] == ["monday", "monday"]
        assert engine.store.recall(["day", "night"]) == {"day": "monday"}
        assert engine.store.recall([]) == {}


def test_fact_cut_short_in_earlier_release_keeps_its_text(state_url: str, tmp_path: Path) -> None:
    """There a fact was kept by a workflow, which the next start runs to its end, even if no message is at work."""
    with running(state_url, tmp_path, lambda _: DONE) as engine:
        engine.submit(REFERENCE)
        stopped(engine)
        database = dbos_runtime.database()
        tables = database.tables
        status, given = sa.insert(tables.workflow_status), sa.insert(tables.workflow_input)
        row = {"workflow_uuid": "day", "name": "fact", "status": "PENDING", "serialization": "portable_json"}
        with database.engine.begin() as connection:
            message = tables.workflow_status.c.workflow_uuid == REFERENCE
            machine = connection.scalar(sa.select(tables.workflow_status.c.executor_id).where(message))
            connection.execute(status.values(executor_id=machine, application_version="1", **row))
            connection.execute(given.values(workflow_uuid="day", inputs='{"positionalArgs":["monday"],"namedArgs":{}}'))
    with running(state_url, tmp_path, lambda _: DONE) as engine:
        engine.poll_queue_for(())
        assert engine.store.remember("day", "tuesday") == "monday"
        assert engine.store.recall(["day"]) == {"day": "monday"}


def test_fact_read_by_a_message_waits_out_an_outage(tmp_path: Path) -> None:
    """It costs no attempt of the step. Who may not wait is told at once."""
    faults: list[threading.Thread] = []

    def fail(*_: object) -> None:
        if threading.current_thread() in faults:
            faults.clear()
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error

    def work(journal: Journal) -> WorkResult:
        event.listen(dbos_runtime.database().engine, "do_execute", fail)
        faults.append(threading.current_thread())
        assert journal.store.recall(["day"]) == {"day": "monday"}
        faults.append(threading.current_thread())
        with engine.outage.failing_fast(), pytest.raises(StateUnavailableError):
            journal.store.recall(["day"])
        return DONE

    with running(f"sqlite:///{tmp_path}/state.sqlite", tmp_path, work) as engine:
        engine.store.remember("day", "monday")
        engine.submit(REFERENCE)
        assert stopped(engine).outcome is DONE.outcome
    assert not faults


def test_fact_that_a_purge_deletes_meanwhile_is_kept_anew(
    state_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its key was taken when it was to be kept, and free when it was read."""
    with running(state_url, tmp_path, lambda _: DONE) as engine:
        store = engine.store
        store.remember("day", "monday")
        recall = StateStore.recall

        def purged(self: StateStore, keys: Iterable[str]) -> dict[str, str]:
            monkeypatch.undo()
            store.forget(["day"])
            return recall(self, keys)

        monkeypatch.setattr(StateStore, "recall", purged)
        assert store.remember("day", "tuesday") == "tuesday"
        assert store.recall(["day"]) == {"day": "tuesday"}


def test_threads_that_meet_a_lock_keep_no_reader_out(tmp_path: Path) -> None:
    """`poller purge` may lock the file for minutes. All workers may meet that at once, and the poll only reads."""
    url = f"sqlite:///{tmp_path}/poller.sqlite"
    with running(url, tmp_path, lambda _: DONE):
        engine = dbos_runtime.database().engine
        with engine.connect() as connection:
            held_s = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() / 1000
        threads = 32 + 4  # the most workers that there may be, and the daemon's own threads
        assert isinstance(engine.pool, sa.QueuePool)
        assert threads * held_s < engine.pool.timeout()


def test_server_that_is_gone_without_a_word_ends_its_connections(database: str, tmp_path: Path) -> None:
    """As a machine that was replaced: no answer comes any more, and no end of the connection either."""
    with running(database, tmp_path, lambda _: DONE), dbos_runtime.database().engine.connect() as connection:
        number = connection.connection.driver_connection.pgconn.socket  # type: ignore[union-attr]
        with socket.socket(fileno=os.dup(number)) as to_server:
            wanted = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            idle_s, interval_s, count = (to_server.getsockopt(socket.IPPROTO_TCP, each) for each in wanted)
            assert idle_s + interval_s * count <= 30
            assert 0 < to_server.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000


def test_machine_is_at_work_while_it_has_a_message_in_hand(state_url: str, tmp_path: Path) -> None:
    """The others take over from such a machine alone."""
    began, go_on = threading.Event(), threading.Event()

    def work(_: Journal) -> WorkResult:
        began.set()
        assert go_on.wait(DEADLINE_S)
        return DONE

    with running(state_url, tmp_path, work) as engine:
        assert dbos_runtime.at_work() == set()
        engine.submit(REFERENCE)
        assert began.wait(DEADLINE_S)
        try:
            (name,) = dbos_runtime.at_work()
            assert (name == "poller") is state_url.startswith("sqlite")
        finally:
            go_on.set()
        stopped(engine)
        assert dbos_runtime.at_work() == set()


def test_launch_without_its_database_raises_transient_error() -> None:
    """The database was there when the daemon checked it, and has gone since."""
    with pytest.raises(TransientError, match="out of reach"):
        dbos_runtime.launch(
            "postgresql://poller@127.0.0.1:1/poller",
            lambda _: {},
            executor="poller",
            workers=1,
            takeover_s=90,
            alone=False,
            unavailable=StateOutage(),
        )


def test_log_of_dbos_goes_through_ours(state_url: str, tmp_path: Path) -> None:
    """Its own handler writes plain text to standard error."""
    with running(state_url, tmp_path, lambda _: DONE):
        log = logging.getLogger("dbos")
        assert (log.handlers, log.propagate, log.level) == ([], True, logging.WARNING)
