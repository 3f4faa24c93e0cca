"""Add to dbos' tables the indexes that our queries need, and build its own statements for an entry once.

The results of messages are JSON in a column. An index on what it says cannot differ from it, as a table of our own
could. No answer depends on an index: without them the queries of `store` are slower.

On SQLite dbos builds its statements anew for each entry, which takes most of their time. A statement here answers for
the usual case alone. In every other case dbos' own method is called, which looks again and raises what there is to
raise.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog
from dbos._context import current_owner_xid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dbos._sys_db import OperationResultInternal, RecordedResult, SystemDatabase

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# An index serves a query that has the same words, literals included. Each of these is about a column of one table.
IS_RESULT = sa.text("substr(output, 1, 1) = '{'")  # of a message: a fact is a JSON string
IS_CORRECTION = sa.text("name = 'message' AND workflow_uuid LIKE '%/%'")
IS_FACT = sa.text("name = 'fact'")
_RECORDED = (
    *("workflow_uuid", "function_id", "function_name", "started_at_epoch_ms", "completed_at_epoch_ms"),
    *("output", "error", "child_workflow_id", "serialization", "application_name"),
)
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


def create_indexes(engine: sa.Engine) -> None:
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


def prepare_statements(system: SystemDatabase) -> None:
    """Have dbos' database, on SQLite, use statements that are built here once."""
    status, entries = system.tables.workflow_status, system.tables.operation_outputs
    is_of_message = status.c.workflow_uuid == sa.bindparam("message", type_=sa.Text)
    has_number = entries.c.function_id == sa.bindparam("number", type_=sa.Integer)
    is_entry = sa.and_(entries.c.workflow_uuid == status.c.workflow_uuid, has_number)
    found = sa.select(status.c.status, entries.c.function_id).select_from(status.outerjoin(entries, is_entry))
    # A write, so that the transaction begins with it: see `_check_owner_txn`.
    owner = sa.update(status).where(is_of_message).values(owner_xid=status.c.owner_xid).returning(status.c.owner_xid)
    record = system.dialect.insert(entries).values(
        {name: sa.bindparam(name) for name in _RECORDED} | {"retention_timestamp": system._now_ms_sql()}  # noqa: SLF001
    )
    record = record.on_conflict_do_update(
        index_elements=["workflow_uuid", "function_id"],
        set_={"completed_at_epoch_ms": entries.c.completed_at_epoch_ms},
    ).returning(entries.c.completed_at_epoch_ms)
    check_owner = partial(_check_owner, owner, system._check_owner_txn)  # noqa: SLF001
    methods = {
        "_check_operation_execution_txn": partial(
            _check_entry,
            found.where(is_of_message),
            system._check_operation_execution_txn,  # noqa: SLF001
        ),
        "_check_owner_txn": check_owner,
        "_record_operation_result_txn": partial(
            _record_entry,
            record,
            system.app_name,
            check_owner,
            system._record_operation_result_txn,  # noqa: SLF001
        ),
    }
    for name, method in methods.items():
        setattr(system, name, method)


def _check_entry(
    statement: sa.Select[Any],
    own: Callable[..., RecordedResult | None],
    workflow_id: str,
    function_id: int,
    function_name: str,
    conn: sa.Connection,
) -> RecordedResult | None:
    """Return None if a message that is not cancelled has no entry of this number."""
    row = conn.execute(statement, {"message": workflow_id, "number": function_id}).first()
    if row and row[0] != "CANCELLED" and row[1] is None:
        return None
    return own(workflow_id, function_id, function_name, conn)


def _check_owner(
    statement: sa.Executable, own: Callable[..., None], conn: sa.Connection, workflow_id: str, owner_xid: str
) -> None:
    """Return if this execution owns the message."""
    if conn.execute(statement, {"message": workflow_id}).scalar() != owner_xid:
        own(conn, workflow_id, owner_xid)


def _record_entry(
    statement: sa.Executable,
    application_name: str | None,
    check_owner: Callable[[sa.Connection, str, str], None],
    own: Callable[..., None],
    result: OperationResultInternal,
    completed_at_epoch_ms: int,
    conn: sa.Connection,
    *,
    owner_xid: str | None = None,
    child_values: dict[str, Any] | None = None,
) -> None:
    """Record an entry whose number is free, if this execution owns the message."""
    owner_xid = owner_xid or current_owner_xid(result["workflow_uuid"])
    if owner_xid is not None:
        check_owner(conn, result["workflow_uuid"], owner_xid)
    row = dict(result) | {"completed_at_epoch_ms": completed_at_epoch_ms, "application_name": application_name}
    if conn.execute(statement, row).scalar() != completed_at_epoch_ms:
        own(result, completed_at_epoch_ms, conn, owner_xid=owner_xid, child_values=child_values)
