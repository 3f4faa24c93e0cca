"""Write the SQL for dbos' tables that dbos has no call for. Its version is pinned.

Only a search by ticket or subtask reads all rows: a state may remember a million messages. `dbos_tables` has what that
takes.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from dbos._schemas.system_database import SystemSchema

from poller.model import Outcome
from poller.workflow import dbos_tables
from poller.workflow.dbos_runtime import APPLICATION_VERSION, FACT, MESSAGE
from poller.workflow.status import AT_WORK
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from dbos._sys_db import SystemDatabase

    from poller.workflow.status import MessageRecord

# Statuses of dbos other than SUCCESS, in the words of its partial indexes.
_AT_WORK = ("status IN ('ENQUEUED', 'PENDING')", "status = 'DELAYED'")
_BROKEN = "status IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED')"

# Built once: messages are read at each tick, and some facts are kept and read for every message.
_STATUS, _OUTPUT = SystemSchema.workflow_status, SystemSchema.workflow_output
_INSERT_TEXT = sa.insert(_OUTPUT)
_BOTH = _STATUS.outerjoin(_OUTPUT, _OUTPUT.c.workflow_uuid == _STATUS.c.workflow_uuid)
_RESULT = sa.func.coalesce(_OUTPUT.c.output, _STATUS.c.output).label("output")
_MESSAGES = (
    sa.select(_STATUS.c.workflow_uuid, _STATUS.c.created_at, _STATUS.c.updated_at, _STATUS.c.status, _RESULT)
    .select_from(_BOTH)
    .where(_STATUS.c.name == MESSAGE)
)
MESSAGES_OF: Final = _MESSAGES.where(_STATUS.c.workflow_uuid.in_(sa.bindparam("ids", expanding=True)))
_FACTS = (
    sa.select(_STATUS.c.workflow_uuid, _RESULT)
    .select_from(_BOTH)
    .where(dbos_tables.IS_FACT, _STATUS.c.status == "SUCCESS")
)
FACTS_OF: Final = _FACTS.where(_STATUS.c.workflow_uuid.in_(sa.bindparam("keys", expanding=True)))


def outcome_counts(system: SystemDatabase) -> sa.CompoundSelect[Any]:
    """Select each outcome with a number of messages and corrections of which it is final. One may come twice.

    It reads a part of an index for each outcome, as SQLite takes a third longer to group them.
    """
    final = dbos_tables.final_outcome(system.engine.dialect.name)
    return sa.union_all(
        *(
            sa.select(sa.literal(str(outcome)), sa.func.count())
            .select_from(table)
            .where(dbos_tables.IS_RESULT, final == str(outcome))
            for table in _with_results(system)
            for outcome in Outcome
        )
    )


def outcome_counts_of(system: SystemDatabase, ids: Collection[str]) -> sa.CompoundSelect[Any]:
    """Select what `outcome_counts` does of the messages and corrections with these ids."""
    final = dbos_tables.final_outcome(system.engine.dialect.name)
    return sa.union_all(
        *(
            sa.select(final, sa.func.count())
            .select_from(table)
            .where(dbos_tables.IS_RESULT, table.c.workflow_uuid.in_(ids))
            .group_by(final)
            for table in _with_results(system)
        )
    )


def ids_with(system: SystemDatabase, outcomes: Collection[Outcome]) -> sa.CompoundSelect[Any]:
    """Select the ids of the messages and corrections whose result has one of these final outcomes."""
    final = dbos_tables.final_outcome(system.engine.dialect.name)
    wanted = [str(outcome) for outcome in outcomes]
    return sa.union_all(
        *(
            sa.select(table.c.workflow_uuid).where(dbos_tables.IS_RESULT, final.in_(wanted))
            for table in _with_results(system)
        )
    )


def ids_waiting_at(system: SystemDatabase, steps: Collection[StepName]) -> sa.CompoundSelect[Any]:
    """Select the ids of the messages and corrections that wait at one of these steps, a receipt included.

    One that waited for its receipt until `audit --fix` closed it is among them.
    """
    dialect = system.engine.dialect.name
    final, filed, step = dbos_tables.final_outcome(dialect), dbos_tables.filed(dialect), dbos_tables.step(dialect)
    # Both columns of the index are given. For `IS NOT NULL`, SQLite would read all of the first.
    every = [str(outcome) for outcome in Outcome]
    conditions = [(final == Outcome.WAITING.value,), (final.in_(every), filed > "")]
    return sa.union_all(
        *(
            sa.select(table.c.workflow_uuid).where(dbos_tables.IS_RESULT, *condition, step.in_([str(s) for s in steps]))
            for table in _with_results(system)
            for condition in conditions
        )
    )


def unsettled(system: SystemDatabase) -> sa.CompoundSelect[Any]:
    """Select the id, the executor, and whether it is at work, of messages and corrections without a result."""
    table = system.tables.workflow_status
    columns = table.c.workflow_uuid, table.c.executor_id
    conditions = [(status, True) for status in _AT_WORK] + [(_BROKEN, False)]
    return sa.union_all(
        *(
            sa.select(*columns, sa.literal(at_work)).where(sa.text(status), table.c.name == MESSAGE)
            for status, at_work in conditions
        )
    )


def correction_ids(system: SystemDatabase) -> sa.Select[Any]:
    """Select the ids of all corrections, the first begun first."""
    row = system.tables.workflow_status.c
    return sa.select(row.workflow_uuid).where(dbos_tables.IS_CORRECTION).order_by(row.created_at, row.workflow_uuid)


def ids_stopped_since(system: SystemDatabase, since_ms: int) -> sa.Select[Any]:
    """Select the ids of the messages and corrections that finished, or began to wait, since then."""
    table = system.tables.workflow_status
    return sa.select(table.c.workflow_uuid).where(table.c.completed_at >= since_ms, table.c.name == MESSAGE)


def messages_after(since_ms: int, last: tuple[int, str], limit: int) -> sa.Select[Any]:
    """Select the next messages and corrections first seen since then, behind the last one, with their results.

    `last` is when it was seen and its id.
    """
    place = _STATUS.c.created_at, _STATUS.c.workflow_uuid
    # The first condition seems to follow from the second, and is what uses the index.
    later = _MESSAGES.where(_STATUS.c.created_at >= max(since_ms, last[0]), sa.tuple_(*place) > sa.tuple_(*last))
    return later.order_by(*place).limit(limit)


def keep_fact(system: SystemDatabase, connection: sa.Connection, key: str, text: str) -> bool:
    """Insert a fact as a workflow would leave it. Return False where there is one under its key."""
    if connection.execute(_insert_fact(system.dialect.insert), {"workflow_uuid": key}).first() is None:
        return False
    connection.execute(_INSERT_TEXT, {"workflow_uuid": key, "output": json.dumps(text)})
    return True


@cache
def _insert_fact(insert: Callable[[sa.Table], Any]) -> Any:
    """Return the statement that inserts a fact under the key `workflow_uuid`, if there is none, and returns the key."""
    row = {"name": FACT, "status": "SUCCESS", "serialization": "portable_json"}
    values = {"workflow_uuid": sa.bindparam("workflow_uuid"), "application_version": APPLICATION_VERSION, **row}
    return insert(_STATUS).values(values).on_conflict_do_nothing().returning(_STATUS.c.workflow_uuid)


def latest_facts(system: SystemDatabase, prefix: str, since_ms: int, limit: int) -> sa.Select[Any]:
    """Select the last keys that have a prefix and were kept since then, the latest first, with their texts."""
    row = system.tables.workflow_status.c
    facts = _FACTS.where(row.created_at >= since_ms, row.workflow_uuid.startswith(prefix, autoescape=True))
    return facts.order_by(row.created_at.desc()).limit(limit)


def facts_after(system: SystemDatabase, prefix: str, last: str, before_ms: int | None, limit: int) -> sa.Select[Any]:
    """Select the next facts whose key has a prefix, behind the last key, with their texts."""
    row = system.tables.workflow_status.c
    key = dbos_tables.key(row.workflow_uuid, system.engine.dialect.name)
    behind = key > last if last else key >= prefix
    query = _FACTS.where(behind, key < f"{prefix}\U0010ffff").order_by(key).limit(limit)
    return query if before_ms is None else query.where(row.created_at <= before_ms)


def _with_results(system: SystemDatabase) -> tuple[sa.Table, sa.Table]:
    """Return the tables that have results: an earlier release kept them in the second. None is in both."""
    return system.tables.workflow_output, system.tables.workflow_status


def ids_with_object(system: SystemDatabase, object_id: str) -> sa.CompoundSelect[Any]:
    """Select the ids of the messages and corrections whose ticket or subtask has this id. It reads all results."""
    status, output = system.tables.workflow_status, system.tables.workflow_output
    steps = system.tables.operation_outputs.c
    result = _json(system, sa.func.coalesce(output.c.output, status.c.output))
    has_it = [result[(name, "id")].as_string() == object_id for name in ("ticket", "subtask")]
    joined = status.outerjoin(output, output.c.workflow_uuid == status.c.workflow_uuid)
    ended = sa.select(status.c.workflow_uuid).select_from(joined).where(status.c.name == MESSAGE, sa.or_(*has_it))
    # A message that still waits has no result with its ticket yet.
    created = sa.select(steps.workflow_uuid).where(
        steps.function_name.in_([str(StepName.CREATE_TICKET), str(StepName.CREATE_SUBTASK)]),
        _json(system, steps.output)[("ok", "id")].as_string() == object_id,
    )
    return ended.union(created)


def as_read(row: Any, message: MessageRecord) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions under which the record of a message at rest is still the one that was read."""
    changed_ms = round(message.changed_at.timestamp() * 1000)
    return row.workflow_uuid == message.reference, row.status.not_in(AT_WORK), row.updated_at == changed_ms


def _json(system: SystemDatabase, text: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    # JSON of SQLite is text, and a cast would make a number of it.
    as_json = sa.type_coerce if system.engine.dialect.name == "sqlite" else sa.cast
    return as_json(text, sa.JSON)
