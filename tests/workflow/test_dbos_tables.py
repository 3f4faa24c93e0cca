"""Our indexes on the tables of dbos: no answer depends on one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa

from poller.model import Outcome
from poller.workflow import dbos_tables
from tests.workflow.remembered import AT_FOUR

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.workflow.store import StateStore


def test_answers_without_our_indexes_are_the_same(store: StateStore) -> None:
    """As where the tables are another role's, or an update of dbos has dropped them."""

    def answers() -> list[object]:
        found = [store.with_outcomes([outcome]) for outcome in (Outcome.FAILED, Outcome.WAITING, Outcome.SUPPORT)]
        waiting = store.waiting(AT_FOUR - timedelta(days=9_999))
        return [store.counts(), *found, waiting, store.corrections(), store.facts("a-"), store.at_work()]

    before = answers()
    engine = store._database().engine
    schema = "" if engine.dialect.name == "sqlite" else "dbos."
    with engine.begin() as connection:
        for name, *_ in dbos_tables._definitions(engine.dialect.name):
            connection.execute(sa.text(f"DROP INDEX {schema}{name}"))
    assert answers() == before
    dbos_tables.create_indexes(engine)
    assert answers() == before


@pytest.mark.parametrize("state_url", ["postgresql"], indirect=True)
def test_indexes_of_another_roles_tables_are_left_out(state_url: str, logged: Callable[[], str]) -> None:
    """A daemon that may read and write, and not more, works as before."""
    with psycopg.connect(state_url, autocommit=True) as connection:
        connection.execute("DROP INDEX dbos.poller_corrections")
        connection.execute("DROP ROLE IF EXISTS onlooker")
        connection.execute("CREATE ROLE onlooker LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA dbos TO onlooker")
        connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA dbos TO onlooker")
    engine = sa.create_engine(state_url.replace("postgresql://poller@", "postgresql+psycopg://onlooker@"))
    dbos_tables.create_indexes(engine)
    engine.dispose()
    assert logged().count("indexes_not_created") == 1
