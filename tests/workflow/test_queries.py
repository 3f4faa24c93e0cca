"""The SQL for dbos' tables reads few rows, however many there are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from poller.model import Outcome

if TYPE_CHECKING:
    from poller.workflow.store import StateStore


@pytest.mark.parametrize("state_url", ["sqlite"], indirect=True)
def test_no_query_reads_all_rows(store: StateStore) -> None:
    """Each of them finds what it returns by an index, and scans none but those with few rows."""
    engine = store._database().engine
    asked: list[tuple[str, Any]] = []
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _r, sql, given, *_: asked.append((sql, given)))
    now = datetime.now(UTC)
    store.with_outcomes([Outcome.FAILED, Outcome.WAITING])
    store.waiting(now)
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
    assert set() < set(scans) <= partial - {"poller_outcomes", "poller_earlier_outcomes"}
