"""Read and delete what is recorded of each message, and keep facts."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from poller.model import Outcome
from poller.workflow import corrections, dbos_runtime, outage, queries
from poller.workflow.results import WorkResult
from poller.workflow.status import Entry, moment, record_of_row
from poller.workflow.steps import AT_THE_END, StepName

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from dbos._sys_db import StepInfo, SystemDatabase

    from poller.workflow.outage import StateOutage
    from poller.workflow.status import MessageRecord, MessageStatus


_AT_ONCE = 500  # rows that are asked for, or deleted, by one statement


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
        self._database, self.close = database, close or (lambda: None)
        self._errors = unavailable.recorded if unavailable else outage.errors_beside

    def remember(self, key: str, value: str) -> str:
        """Keep a short text under a key, for good, and return the text that was kept there first.

        It is for the process of the engine alone.
        """
        system = self._database()
        with self._errors():
            # One that `poller purge` deletes before it is read is kept anew.
            while not dbos_runtime.in_transaction(
                system, lambda connection: queries.keep_fact(system, connection, key, value)
            ):
                if key in (kept := self.recall([key])):
                    return kept[key]
                # An earlier release kept a fact by a workflow, and this one was cut short.
                if (first := dbos_runtime.result_of_fact(key)) is not None:
                    return first
        return value

    def recall(self, keys: Iterable[str]) -> dict[str, str]:
        """Return what is kept under each key. A key under which nothing is kept is missing."""
        some = (self._rows(queries.FACTS_OF, keys=part) for part in _in_parts(keys))
        return {row.workflow_uuid: str(json.loads(row.output)) for rows in some for row in rows}

    def latest(self, prefix: str, since: datetime, limit: int) -> list[tuple[str, str]]:
        """Return the last keys with this prefix kept since then, the latest first, each with its text."""
        query = queries.latest_facts(self._database(), prefix, int(since.timestamp() * 1000), limit)
        return [(row.workflow_uuid, str(json.loads(row.output))) for row in self._rows(query)]

    def facts(self, prefix: str) -> dict[str, str]:
        """Return the texts kept under the keys that begin with `prefix`, by key."""
        return {key: text for some in self.facts_in_parts(prefix) for key, text in some.items()}

    def facts_in_parts(self, prefix: str, before: datetime | None = None) -> Iterator[dict[str, str]]:
        """Yield the texts kept under the keys that begin with `prefix`, by key, a few hundred at a time.

        With `before`, only those from before that moment are returned. Those of an earlier part may be deleted
        meanwhile.
        """
        last, before_ms = "", int(before.timestamp() * 1000) if before else None
        while rows := self._rows(queries.facts_after(self._database(), prefix, last, before_ms, _AT_ONCE)):
            last = rows[-1].workflow_uuid
            yield {row.workflow_uuid: str(json.loads(row.output)) for row in rows}

    def statuses(self, references: Iterable[str]) -> dict[str, MessageStatus]:
        """Return the status of each message. A message that was never submitted is missing."""
        return {message.reference: message.status for message in self._named(references)}

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

    def messages(self, since: datetime | None = None) -> Iterator[MessageRecord]:
        """Return all messages, or those first seen since then, in the order in which they were first seen."""
        return (each for some in self.messages_in_parts(since) for each in some)

    def current(self, since: datetime | None = None) -> Iterator[MessageRecord]:
        """Yield each message once, as its last correction left it, the first seen first.

        They are read a few hundred at a time. A correction that begins meanwhile may be left out.
        """
        last = corrections.last_of_each(self.corrections())
        told = set()
        for some in self.messages_in_parts(since):
            here = {corrections.message_of(each.reference) for each in some}
            corrected = self.named(last[reference] for reference in here & last.keys())
            as_left = {corrections.message_of(each.reference): each for each in corrected}
            for each in some:
                reference = corrections.message_of(each.reference)
                if reference in last and reference not in told:
                    told.add(reference)
                    yield as_left.get(reference, each)
                elif reference == each.reference and reference not in last:
                    yield each

    def messages_in_parts(self, since: datetime | None = None) -> Iterator[list[MessageRecord]]:
        """Yield what `messages` does, a few hundred at a time. Those of an earlier part may be deleted meanwhile."""
        since_ms = int(since.timestamp() * 1000) if since else 0
        last = (0, "")
        while rows := self._rows(queries.messages_after(since_ms, last, _AT_ONCE)):
            last = rows[-1].created_at, rows[-1].workflow_uuid
            yield [record_of_row(row) for row in rows]

    def named(self, references: Iterable[str]) -> list[MessageRecord]:
        """Return the messages of these references that there are, in the order in which they were first seen."""
        return sorted(self._named(references), key=lambda message: message.seen_at)

    def _named(self, references: Iterable[str]) -> Iterator[MessageRecord]:
        for some in _in_parts(references):
            yield from map(record_of_row, self._rows(queries.MESSAGES_OF, ids=some))

    def counts(self) -> Counter[Outcome]:
        """Count the messages of each outcome. Of a corrected message the last correction counts."""
        found = self._counted(queries.outcome_counts(self._database()))
        unsettled = self._unsettled()
        replaced = corrections.replaced(self.corrections())
        found.update(outcome for name, outcome in unsettled.items() if name not in replaced)
        for some in _in_parts(replaced - unsettled.keys()):
            found.subtract(self._counted(queries.outcome_counts_of(self._database(), some)))
        return +found

    def _counted(self, query: sa.CompoundSelect[Any]) -> Counter[Outcome]:
        found: Counter[Outcome] = Counter()
        for outcome, count in self._rows(query):
            found[Outcome(outcome)] += int(count)
        return found

    def _unsettled(self) -> dict[str, Outcome]:
        """Return the messages without a result, by id: at work, or broken by a fault of our own."""
        unsettled = queries.unsettled(self._database())
        return {name: Outcome.WORKING if at_work else Outcome.WAITING for name, _, at_work in self._rows(unsettled)}

    def at_work(self, executor: str | None = None) -> set[str]:
        """Return the messages and corrections that are queued or worked on, or those of one executor."""
        unsettled = queries.unsettled(self._database())
        return {name for name, owner, at_work in self._rows(unsettled) if at_work and executor in {None, owner}}

    def with_outcomes(self, outcomes: Collection[Outcome], since: datetime | None = None) -> list[MessageRecord]:
        """Return the messages with these outcomes, the first seen first. `since` keeps those first seen since then."""
        ids = [name for (name,) in self._rows(queries.ids_with(self._database(), outcomes))]
        ids += [name for name, outcome in self._unsettled().items() if outcome in outcomes]
        wanted = set(map(corrections.message_of, ids))
        corrected = [each for each in self.corrections() if corrections.message_of(each) in wanted]
        done = [each for each in self.named(wanted.union(ids, corrected)) if since is None or each.seen_at >= since]
        return [message for message in corrections.current(done) if message.status.result.final_outcome in outcomes]

    def waiting(self, since: datetime) -> dict[str, MessageStatus]:
        """Return the messages and corrections that wait and were first seen since then, by id."""
        system = self._database()
        asked = queries.ids_with(system, [Outcome.WAITING]), queries.ids_waiting_at(system, AT_THE_END)
        ids = [name for query in asked for (name,) in self._rows(query)]
        return {
            each.reference: each.status
            for each in self.named(set(ids))
            if each.status.outcome is Outcome.WAITING and each.seen_at >= since
        }

    def corrections(self) -> list[str]:
        """Return the ids of all corrections, the first begun first. They are few."""
        return [name for (name,) in self._rows(queries.correction_ids(self._database()))]

    def current_of(self, references: Iterable[str]) -> list[MessageRecord]:
        """Return the messages of these references that there are, each as its last correction left it."""
        wanted = set(references)
        corrected = [each for each in self.corrections() if corrections.message_of(each) in wanted]
        return corrections.current(self.named(wanted.union(corrected)))

    def with_object(self, object_id: str) -> list[MessageRecord]:
        """Return the messages whose ticket or subtask has this id, as their last corrections left them.

        Those that only answer its first message are among them.
        """
        found = self._rows(queries.ids_with_object(self._database(), object_id))
        return self.current_of(corrections.message_of(name) for (name,) in found)

    def _rows(self, query: sa.Select[Any] | sa.CompoundSelect[Any], **given: Any) -> Sequence[Any]:
        with self._errors():
            return dbos_runtime.in_transaction(
                self._database(), lambda connection: connection.execute(query, given).all()
            )

    def stopped(self, since: datetime) -> list[MessageRecord]:
        """Return the messages that finished, or began to wait, at that moment or later."""
        query = queries.ids_stopped_since(self._database(), int(since.timestamp() * 1000))
        return self.named(name for (name,) in self._rows(query))

    def journal(self, reference: str) -> list[Entry]:
        """Return everything that was recorded about a message, in order."""
        with self._errors():
            steps = self._database().list_workflow_steps(reference)
        return [
            Entry(step["function_name"], moment(step["completed_at_epoch_ms"]), step["output"])
            for step in steps
            if isinstance(step["output"], dict)  # a fact that a message keeps for others is no entry of its journal
        ]

    def digest(self, reference: str) -> str:
        """Return the digest of the content that the work on a message began with, "" where none is recorded."""
        received = (entry.content.get("ok") for entry in self.journal(reference) if entry.step == StepName.RECEIVE)
        return next((str(found.get("digest", "")) for found in received if isinstance(found, dict)), "")

    def close_waiting(self, message: MessageRecord, result: WorkResult) -> bool:
        """Record that a waiting message has this result. Return False if its record is another one by now."""
        tables = self._database().tables
        if message.status.outcome is not Outcome.WAITING:
            return False
        output = json.dumps(result.as_json())
        rows = tables.workflow_status
        update = sa.update(rows).where(*queries.as_read(rows.c, message), rows.c.status == "SUCCESS")
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
        """Delete the last `count` entries of a message at rest, all of whose entries are given. See `remember`.

        Return False if its record, or its last entry, is another one by now.
        """
        rows, steps = self._database().tables.workflow_status, self._database().tables.operation_outputs
        # Locked until they are deleted, so that no other machine takes the message up in between.
        unchanged = sa.select(rows.c.workflow_uuid).where(*queries.as_read(rows.c, message)).with_for_update()
        its = steps.c.workflow_uuid == message.reference
        # SQLite records when a message came to rest in whole seconds. An entry has the milliseconds.
        newest = sa.select(steps.c.function_id, steps.c.completed_at_epoch_ms).where(its)
        newest = newest.order_by(steps.c.function_id.desc()).limit(1)
        last, first = entries[-1], entries[-count]["function_id"]

        def drop(connection: sa.Connection) -> bool:
            found = connection.execute(unchanged).first() and connection.execute(newest).first()
            if tuple(found or ()) != (last["function_id"], last["completed_at_epoch_ms"]):
                return False
            connection.execute(sa.delete(steps).where(its, steps.c.function_id >= first))
            return True

        with self._errors():
            return dbos_runtime.in_transaction(self._database(), drop)

    def forget(self, ids: Iterable[str]) -> None:
        """Delete messages by reference, and facts by key, with all that was recorded about them."""
        with self._errors():
            for some in _in_parts(ids):
                self._database().delete_workflows(some)


def _in_parts(ids: Iterable[str]) -> Iterator[list[str]]:
    rest = list(ids)
    for start in range(0, len(rest), _AT_ONCE):
        yield rest[start : start + _AT_ONCE]
