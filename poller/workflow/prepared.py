"""Build dbos' statements for an entry once, where it builds them for each: on SQLite that takes most of their time.

dbos itself does so for PostgreSQL (`SystemDatabase._execute_prepared`). A statement here answers for the usual case
alone. In every other case dbos' own method is called, which looks again and raises what there is to raise.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from dbos._context import current_owner_xid

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbos._sys_db import OperationResultInternal, RecordedResult, SystemDatabase

_RECORDED = (
    *("workflow_uuid", "function_id", "function_name", "started_at_epoch_ms", "completed_at_epoch_ms"),
    *("output", "error", "child_workflow_id", "serialization", "application_name"),
)


def use(system: SystemDatabase) -> None:
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
