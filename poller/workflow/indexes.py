"""Add to dbos' tables the indexes that our queries need, on SQLite and PostgreSQL.

The results of messages are JSON in a column. An index on what it says cannot differ from it, as a table of our own
could. No answer depends on an index: without them the queries of `store` are slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# An index serves a query that has the same words, literals included. Each of these is about a column of one table.
IS_RESULT = sa.text("substr(output, 1, 1) = '{'")  # of a message: a fact is a JSON string
IS_CORRECTION = sa.text("name = 'message' AND workflow_uuid LIKE '%/%'")
IS_FACT = sa.text("name = 'fact'")
_NO_INDEX_SQLSTATE = "42501"  # insufficient_privilege: the tables are another role's


def filed(dialect: str) -> sa.ColumnElement[str]:
    """Return the expression for what a result has as `filed`."""
    return sa.literal_column(_member("filed", dialect))


def final_outcome(dialect: str) -> sa.ColumnElement[str]:
    """Return the expression for the `final_outcome` of a result."""
    return sa.literal_column(f"coalesce({_member('filed', dialect)}, {_member('outcome', dialect)})")


def step(dialect: str) -> sa.ColumnElement[str]:
    """Return the expression for the step that a result names. No index has it."""
    return sa.literal_column(_member("step", dialect))


def key(column: sa.ColumnElement[str], dialect: str) -> sa.ColumnElement[str]:
    """Return a key in the order of its bytes, in which those with one prefix are neighbours."""
    return column if dialect == "sqlite" else sa.collate(column, "C")


def _member(name: str, dialect: str) -> str:
    return f"json_extract(output, '$.{name}')" if dialect == "sqlite" else f"(output::json ->> '{name}')"


def create(engine: sa.Engine) -> None:
    """Create the indexes that are missing. The first time it takes a second for each 100,000 messages.

    Where the tables are another role's, that is logged, and none is created.
    """
    sqlite = engine.dialect.name == "sqlite"
    known = "SELECT name FROM sqlite_master" if sqlite else "SELECT indexname FROM pg_indexes WHERE schemaname = 'dbos'"
    with engine.connect() as connection:
        there = set(connection.scalars(sa.text(known)))
    schema = "" if sqlite else "dbos."
    for name, table, definition in _definitions(engine.dialect.name):
        if name in there:
            continue
        try:
            with engine.begin() as connection:
                if not sqlite:  # Of two machines that start at once, one waits for the other.
                    connection.execute(sa.text(f"LOCK TABLE {schema}{table} IN SHARE ROW EXCLUSIVE MODE"))
                connection.execute(sa.text(f"CREATE INDEX IF NOT EXISTS {name} ON {schema}{table} {definition}"))
        except sa.exc.ProgrammingError as error:
            if getattr(error.orig, "sqlstate", None) != _NO_INDEX_SQLSTATE:
                raise
            log.warning("indexes_not_created", reason="the tables of the state are another role's")
            return


def _definitions(dialect: str) -> Iterator[tuple[str, str, str]]:
    """Yield the name of each index, its table, and the rest of its definition."""
    outcome = f"({final_outcome(dialect)}, {filed(dialect)}) WHERE {IS_RESULT}"
    yield "poller_outcomes", "workflow_output", outcome
    yield "poller_earlier_outcomes", "workflow_status", outcome  # where an earlier release kept the results
    yield "poller_corrections", "workflow_status", f"(created_at, workflow_uuid) WHERE {IS_CORRECTION}"
    if dialect != "sqlite":  # whose primary key is in the order of bytes
        yield "poller_facts", "workflow_status", f'(workflow_uuid COLLATE "C") WHERE {IS_FACT}'
