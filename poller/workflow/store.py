"""Read and delete what is recorded of each message, and keep facts."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextvars import Context
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from dbos import DBOSClient, DBOSPortableJSONSerializer

from integrations.errors import ConfigurationError
from poller.model import Outcome
from poller.workflow import corrections, database, dbos_runtime, outage
from poller.workflow.dbos_runtime import FACT, MESSAGE
from poller.workflow.results import WorkResult
from poller.workflow.status import INTERNAL_ERROR, Entry, MessageRecord, MessageStatus
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from dbos import WorkflowStatus
    from dbos._sys_db import StepInfo, SystemDatabase

    from poller.config.settings import Settings
    from poller.workflow.outage import StateOutage


_AT_WORK = ("ENQUEUED", "PENDING", "DELAYED")  # dbos' words for a message in progress
_AT_ONCE = 500  # rows that are asked for, or deleted, by one statement
AFTER_A_FAULT = timedelta(minutes=5)


class StateStore:
    """What is recorded of messages, their corrections, and facts.

    The daemon reads it through the database connection of its engine. `open_store` opens it beside a daemon.

    Where the database is out of reach, every method raises StateUnavailableError in the daemon. Beside it they raise
    TransientError, and ConfigurationError where nothing has run on it yet.
    """

    def __init__(
        self,
        database: Callable[[], SystemDatabase],
        close: Callable[[], None] | None = None,
        unavailable: StateOutage | None = None,
    ) -> None:
        """Read through dbos' system database, which need not be there yet.

        `close` closes the connection of a store that was opened beside the daemon. `unavailable` is where a store in
        the daemon records that the database takes nothing.
        """
        # dbos cannot find a message by its result, so its tables are queried here. Its version is pinned.
        self._database, self.close = database, close or (lambda: None)
        self._errors = unavailable.recorded if unavailable else outage.errors_beside

    def remember(self, key: str, value: str) -> str:
        """Keep a short text under a key, for good, and return the text that was kept there first.

        It is for the process of the engine alone.
        """
        with self._errors():
            # In a context of its own: a step may call this, and it must not count as a step of the message.
            return Context().run(dbos_runtime.remember, key, value)

    def recall(self, keys: Iterable[str]) -> dict[str, str]:
        """Return what is kept under each key. A key under which nothing is kept is missing."""
        return {row.workflow_id: str(row.output) for row in self._list(keys, status="SUCCESS")}

    def latest(self, prefix: str, since: datetime, limit: int) -> list[tuple[str, str]]:
        """Return the last keys with this prefix kept since then, the latest first, each with its text."""
        with self._errors():
            rows = self._database().list_workflows(
                workflow_id_prefix=prefix,
                start_time=since.isoformat(),
                status="SUCCESS",
                sort_desc=True,
                limit=limit,
                load_input=False,
            )
        return [(row.workflow_id, str(row.output)) for row in rows]

    def facts(self, prefix: str, before: datetime | None = None) -> dict[str, str]:
        """Return the texts kept under the keys that begin with `prefix`, by key.

        With `before`, only those from before that moment are returned.
        """
        with self._errors():
            rows = self._database().list_workflows(
                name=FACT,
                workflow_id_prefix=prefix,
                end_time=before.isoformat() if before else None,
                status="SUCCESS",
                load_input=False,
            )
        return {row.workflow_id: str(row.output) for row in rows}

    def statuses(self, references: Iterable[str]) -> dict[str, MessageStatus]:
        """Return the status of each message. A message that was never submitted is missing."""
        return {row.workflow_id: status_of(row) for row in self._list(references)}

    def last(self, reference: str, before: str = "") -> tuple[str, MessageStatus | None]:
        """Return the id and status of the last work on a message, its corrections included. None: there is none.

        With `before`, the last work before the correction of that id.
        """
        done = corrections.chain(reference, self.statuses)
        earlier = list(takewhile(lambda each: each[0] != before, done.items()))
        return earlier[-1] if earlier else (reference, None)

    def result(self, reference: str, before: str = "") -> WorkResult:
        """Return the result of the work on a message when it last stopped. See `FactStore`."""
        _, status = self.last(reference, before)
        return status.result if status else WorkResult(Outcome.FORGOTTEN)

    def messages(self, since: datetime | None = None) -> list[MessageRecord]:
        """Return all messages, or those first seen since then, in the order in which they were first seen."""
        with self._errors():
            rows = self._database().list_workflows(
                name=MESSAGE, start_time=since.isoformat() if since else None, load_input=False
            )
        return [_remembered(row) for row in rows]

    def named(self, references: Iterable[str]) -> list[MessageRecord]:
        """Return the messages of these references that there are, in the order in which they were first seen."""
        return sorted(map(_remembered, self._list(references, name=MESSAGE)), key=lambda message: message.seen_at)

    def _list(
        self, ids: Iterable[str], *, name: str | None = None, status: str | None = None
    ) -> Iterator[WorkflowStatus]:
        """Yield the workflows with these ids, asked for in parts."""
        wanted = list(ids)
        # For an empty list of ids, dbos returns everything.
        for start in range(0, len(wanted), _AT_ONCE):
            with self._errors():
                rows = self._database().list_workflows(
                    workflow_ids=wanted[start : start + _AT_ONCE], name=name, status=status, load_input=False
                )
            yield from rows

    def counts(self) -> Counter[Outcome]:
        """Count the messages of each outcome. Of a corrected message the last correction counts."""
        final = self._final_outcomes().subquery()
        query = sa.select(final.c.outcome, sa.func.count()).group_by(final.c.outcome)
        found = Counter({Outcome(outcome): int(count) for outcome, count in self._rows(query)})
        # Corrections are few, so their rows are read.
        ids = self._corrections()
        done = self.named({*ids, *map(corrections.message_of, ids)})
        found.subtract(message.status.result.final_outcome for message in done)
        found.update(message.status.result.final_outcome for message in corrections.current(done))
        return +found

    def with_outcomes(self, outcomes: Collection[Outcome], since: datetime | None = None) -> list[MessageRecord]:
        """Return the messages with these outcomes, the first seen first. `since` keeps those first seen since then."""
        final = self._final_outcomes().subquery()
        first_ms = since.timestamp() * 1000 if since else 0
        query = sa.select(final.c.id).where(
            final.c.outcome.in_([str(outcome) for outcome in outcomes]), final.c.seen_ms >= first_ms
        )
        ids = [name for (name,) in self._rows(query)]
        wanted = set(map(corrections.message_of, ids))
        corrected = [each for each in self._corrections() if corrections.message_of(each) in wanted]
        done = [each for each in self.named(wanted.union(ids, corrected)) if since is None or each.seen_at >= since]
        return [message for message in corrections.current(done) if message.status.result.final_outcome in outcomes]

    def waiting(self, since: datetime) -> dict[str, MessageStatus]:
        """Return the messages and corrections that wait and were first seen since then, by id."""
        status = self._database().tables.workflow_status.c
        joined, result = _returned(self._database())
        query = (
            sa.select(status.workflow_uuid)
            .select_from(joined)
            .where(
                status.name == MESSAGE,
                status.status == "SUCCESS",
                status.created_at >= int(since.timestamp() * 1000),
                result["outcome"].as_string() == Outcome.WAITING.value,
            )
        )
        return self.statuses(name for (name,) in self._rows(query))

    def current(self, references: Iterable[str]) -> list[MessageRecord]:
        """Return the messages of these references that there are, each as its last correction left it."""
        wanted = set(references)
        corrected = [each for each in self._corrections() if corrections.message_of(each) in wanted]
        return corrections.current(self.named(wanted.union(corrected)))

    def with_object(self, object_id: str) -> list[MessageRecord]:
        """Return the messages whose ticket or subtask has this id, as their last corrections left them.

        Those that only answer its first message are among them.
        """
        system = self._database()
        status, steps = system.tables.workflow_status.c, system.tables.operation_outputs.c
        joined, result = _returned(system)
        has_it = [result[(name, "id")].as_string() == object_id for name in ("ticket", "subtask")]
        ended = sa.select(status.workflow_uuid).select_from(joined).where(status.name == MESSAGE, sa.or_(*has_it))
        # A message that still waits has no result with its ticket yet.
        created = sa.select(steps.workflow_uuid).where(
            steps.function_name.in_([str(StepName.CREATE_TICKET), str(StepName.CREATE_SUBTASK)]),
            _json(system, steps.output)[("ok", "id")].as_string() == object_id,
        )
        found = {corrections.message_of(name) for (name,) in self._rows(ended.union(created))}
        return self.current(found)

    def _corrections(self) -> list[str]:
        """Return the ids of all corrections."""
        rows = self._database().tables.workflow_status.c
        query = sa.select(rows.workflow_uuid).where(rows.name == MESSAGE, rows.workflow_uuid.contains("/"))
        return [name for (name,) in self._rows(query)]

    def _final_outcomes(self) -> sa.Select[Any]:
        """Return the query for the `final_outcome` of every message and correction.

        SQL counts the messages, so that a hundred thousand rows need not be read.
        """
        status = self._database().tables.workflow_status.c
        joined, result = _returned(self._database())
        outcome = sa.case(
            (status.status.in_(_AT_WORK), Outcome.WORKING.value),
            (status.status != "SUCCESS", Outcome.WAITING.value),
            else_=sa.func.coalesce(result["filed"].as_string(), result["outcome"].as_string(), Outcome.WAITING.value),
        )
        columns = status.workflow_uuid.label("id"), status.created_at.label("seen_ms"), outcome.label("outcome")
        return sa.select(*columns).select_from(joined).where(status.name == MESSAGE)

    def _rows(self, query: sa.Select[Any] | sa.CompoundSelect[Any]) -> Sequence[Any]:
        with self._errors(), self._database().engine.connect() as connection:
            return connection.execute(query).all()

    def stopped(self, since: datetime) -> list[MessageRecord]:
        """Return the messages that finished, or began to wait, at that moment or later."""
        with self._errors():
            rows = self._database().list_workflows(name=MESSAGE, completed_after=since.isoformat(), load_input=False)
        return [_remembered(row) for row in rows]

    def journal(self, reference: str) -> list[Entry]:
        """Return everything that was recorded about a message, in order."""
        with self._errors():
            steps = self._database().list_workflow_steps(reference)
        return [
            Entry(step["function_name"], _time(step["completed_at_epoch_ms"]), step["output"])
            for step in steps
            if isinstance(step["output"], dict)  # a fact that a message keeps for others is no entry of its journal
        ]

    def digest(self, reference: str) -> str:
        """Return the digest of the content that the work on a message began with, "" where none is recorded."""
        received = (entry.content.get("ok") for entry in self.journal(reference) if entry.step == StepName.RECEIVE)
        return next((str(found.get("digest", "")) for found in received if isinstance(found, dict)), "")

    def close_waiting(self, message: MessageRecord, outcome: Outcome) -> bool:
        """Record that a waiting message has this outcome. Return False if its record is another one by now."""
        result, tables = message.status.result, self._database().tables
        if result.outcome is not Outcome.WAITING:
            return False
        output = json.dumps(replace(result, outcome=outcome, until=None, breaker="").as_json())
        rows = tables.workflow_status
        update = sa.update(rows).where(*_as_read(rows.c, message), rows.c.status == "SUCCESS")
        now_ms = int(datetime.now(UTC).timestamp() * 1000)
        with self._errors(), self._database().engine.begin() as connection:
            if not connection.execute(update.values(updated_at=now_ms)).rowcount:
                return False
            # An earlier release kept the result in the first of the tables, where the second has no row.
            for table in (rows, tables.workflow_output):
                its = table.c.workflow_uuid == message.reference, table.c.output.is_not(None)
                connection.execute(sa.update(table).where(*its).values(output=output))
        return True

    def drop_entries(self, message: MessageRecord, entries: Sequence[StepInfo], count: int) -> bool:
        """Delete the last `count` entries of a message at rest, all of whose entries are given.

        Return False if its record, or its last entry, is another one by now.
        """
        rows, steps = self._database().tables.workflow_status, self._database().tables.operation_outputs
        # Locked until they are deleted, so that no other machine takes the message up in between.
        unchanged = sa.select(rows.c.workflow_uuid).where(*_as_read(rows.c, message)).with_for_update()
        its = steps.c.workflow_uuid == message.reference
        # SQLite records when a message came to rest in whole seconds. An entry has the milliseconds.
        newest = sa.select(steps.c.function_id, steps.c.completed_at_epoch_ms).where(its)
        last, first = entries[-1], entries[-count]["function_id"]
        with self._errors(), self._database().engine.begin() as connection:
            if connection.execute(unchanged).first() is None:
                return False
            found = connection.execute(newest.order_by(steps.c.function_id.desc()).limit(1)).first()
            if found is None or tuple(found) != (last["function_id"], last["completed_at_epoch_ms"]):
                return False
            connection.execute(sa.delete(steps).where(its, steps.c.function_id >= first))
        return True

    def forget(self, ids: Iterable[str]) -> None:
        """Delete messages by reference, and facts by key, with all that was recorded about them."""
        wanted = list(ids)
        with self._errors():
            for start in range(0, len(wanted), _AT_ONCE):
                self._database().delete_workflows(wanted[start : start + _AT_ONCE])


def open_store(settings: Settings) -> StateStore:
    """Open the state store of these settings, beside a daemon that may be at work on it. It must be closed.

    Raises:
        ConfigurationError: nothing has run on it yet, or the database refuses us.
        TransientError: the database is out of reach.
    """
    path = Path(settings.state_url.split("///", 1)[-1])
    if settings.state_url.startswith("sqlite"):
        _look_for(path)
    elif (found := database.check(settings.state_url)).endswith(database.FRESH):
        raise ConfigurationError(f"nothing has run yet: {found}")
    with outage.errors_beside():
        client = DBOSClient(
            system_database_url=settings.state_url,
            serializer=DBOSPortableJSONSerializer(),
            retry_connection_errors=False,
        )
    return StateStore(lambda: client._sys_db, client.destroy)  # noqa: SLF001  the connection, see `StateStore`


def _returned(system: SystemDatabase) -> tuple[sa.FromClause, sa.ColumnElement[Any]]:
    """Return a join of all workflows with their results, and what each returned, as JSON."""
    status, output = system.tables.workflow_status, system.tables.workflow_output
    result = _json(system, sa.func.coalesce(output.c.output, status.c.output))
    return status.outerjoin(output, output.c.workflow_uuid == status.c.workflow_uuid), result


def _json(system: SystemDatabase, text: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    # JSON of SQLite is text, and a cast would make a number of it.
    as_json = sa.type_coerce if system.engine.dialect.name == "sqlite" else sa.cast
    return as_json(text, sa.JSON)


def _as_read(row: Any, message: MessageRecord) -> tuple[sa.ColumnElement[bool], ...]:
    """Return the conditions under which the record of a message at rest is still the one that was read."""
    changed_ms = round(message.changed_at.timestamp() * 1000)
    return row.workflow_uuid == message.reference, row.status.not_in(_AT_WORK), row.updated_at == changed_ms


def _look_for(path: Path) -> None:
    try:
        path.stat()
    except PermissionError:  # of its directory; `Path.is_file` of Python 3.14 does not tell
        pass
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigurationError(f"nothing has run yet: there is no state in {path.parent}") from None
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        raise ConfigurationError(f"{path} is another user's: run this as the one that the daemon runs as")


def _remembered(row: WorkflowStatus) -> MessageRecord:
    return MessageRecord(row.workflow_id, _time(row.created_at), _time(row.updated_at), status_of(row))


def status_of(row: WorkflowStatus) -> MessageStatus:
    """Return the status of a workflow's message."""
    if row.status in _AT_WORK:
        return MessageStatus(WorkResult(Outcome.WORKING))
    if row.status != "SUCCESS" or row.output is None:
        # A fault in our own workflow, outside of any step: the message stays where it is and is tried again later.
        until = datetime.fromtimestamp((row.updated_at or 0) / 1000, UTC) + AFTER_A_FAULT
        result = WorkResult(Outcome.WAITING, reason=INTERNAL_ERROR, until=until)
    else:
        result = WorkResult.from_json(row.output)
    return MessageStatus(result, _time(row.created_at) if result.outcome is Outcome.WAITING else None)


def _time(epoch_ms: int | None) -> datetime:
    return datetime.fromtimestamp((epoch_ms or 0) / 1000, UTC)
