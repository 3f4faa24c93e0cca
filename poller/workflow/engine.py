"""Run each message as one durable workflow of dbos, and record which steps are done and what each returned.

The workflow id is the message's reference. A worker runs the workflow until it is finished or must wait. Waiting ends
the workflow, so that it occupies no worker. `resume` continues after the last recorded entry. `dbos_runtime` configures
dbos.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import IO, TYPE_CHECKING, Any

import structlog
from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_error

from integrations.errors import ConfigurationError, TransientError
from poller.errors import MessageGoneError
from poller.model import Outcome
from poller.workflow import database, dbos_runtime, dbos_tables, lock
from poller.workflow.circuit_breaker import CircuitBreaker
from poller.workflow.cluster import ClusterMembership
from poller.workflow.errors import StepDeferredError
from poller.workflow.history import dispensable
from poller.workflow.journal import Journal
from poller.workflow.outage import StateOutage, disk_fault
from poller.workflow.results import WorkResult
from poller.workflow.retry import RetryPolicy
from poller.workflow.shared_lock import SharedLock
from poller.workflow.status import INTERNAL_ERROR, MessageStatus
from poller.workflow.store import StateStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from dbos._sys_db import StepInfo

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# Behind every entry: dbos drops none, and the replay reads all of them and goes on.
END = 2**31 - 1
STOP_S = 60  # for which a stop waits for the messages in hand


class Engine:
    """Runner of messages through `work`, a few at a time, each from its first unfinished step.

    A process can have one engine only: dbos is a singleton, and so are the workflows registered with it.
    """

    def __init__(
        self,
        url: str,
        directory: Path,
        work: Callable[[Journal], WorkResult],
        *,
        workers: int = 4,
        retry_policy: RetryPolicy | None = None,
        takeover_s: float = 90.0,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare the engine. `directory` holds the lock. `work` returns the result of a message.

        `takeover_s` is for `ClusterMembership`. `prepare` is called when the state is ours and nothing is at work yet.
        """
        self._url, self._directory, self._work, self._workers = url, directory, work, workers
        self._patience, self._takeover_s = retry_policy or RetryPolicy(), takeover_s
        self._step_lock, self._prepare = SharedLock(), prepare
        self._lock: IO[str] | None = None
        self._in_hand: dict[str, Journal] = {}
        self._machines: ClusterMembership | None = None  # on PostgreSQL alone
        if not url.startswith("sqlite"):
            self._machines = ClusterMembership(url, takeover_s, at_work=self._at_work, take_over=self._take_over)
        self.outage = StateOutage()
        # Usable once the engine has started.
        self.store = StateStore(dbos_runtime.database, unavailable=self.outage)
        self.breakers: dict[str, CircuitBreaker] = {}
        self.faults: dict[str, ConfigurationError] = {}  # by service: settings that cannot work, found on the way

    def start(self) -> None:
        """Take the state, launch dbos, and continue what was in hand when the process last ended.

        Raises:
            AlreadyRunningError: the state is another daemon's.
            TransientError: the database is out of reach, or the disk is full or fails.
            ConfigurationError: there can be no state in this directory, or the database refuses us.
        """
        found = database.check(self._url)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = lock.lock(self._directory)
            if not self._machines:
                database.write_ahead(self._url)
            self._prepare()
        except OSError as error:
            where = f"{self._directory}: {error.strerror}; look at STATE_URL"
            raise TransientError(where) if disk_fault(error) else ConfigurationError(where) from error
        dbos_runtime.launch(
            self._url,
            self.execute,
            # dbos continues at once what an executor of this name had in hand. On SQLite the lock proves it dead.
            executor=self._machines.name if self._machines else "poller",
            workers=self._workers,
            takeover_s=self._takeover_s,
            alone=not self._machines,
            unavailable=self.outage,
        )
        dbos_tables.create_indexes(dbos_runtime.database().engine)
        if not self._machines:
            dbos_runtime.share_connection()
            dbos_tables.prepare_statements(dbos_runtime.database())
        if found.endswith(database.FRESH):
            log.info("state_created", state=found.partition(",")[0])
        if self._machines:
            self._machines.start()

    def stop(self, timeout_s: int | None = STOP_S) -> None:
        """Finish the messages in hand, take no further one, and release the state.

        A message that is not finished in time keeps its thread, and with it the state, until the process ends. With
        None the stop waits for as long as it takes.
        """
        if self._machines:
            self._machines.stop_taking_over()
        if timeout_s is None:
            timeout_s = sys.maxsize
        elif not self._in_hand:
            timeout_s = 0  # dbos waits a whole second before it checks whether anything is in hand.
        DBOS.destroy(workflow_completion_timeout_sec=timeout_s)
        for reference, journal in list(self._in_hand.items()):
            log.warning("step_stopped", ref=reference, step=journal.running, why=f"not done within {timeout_s} s")
            dbos_runtime.silence()  # which cannot record what comes of it, and would call that a crash
        self.outage.give_up()
        if self._machines:
            self._machines.stop()
        if self._lock and not self._in_hand:
            self._lock.close()

    def submit(self, reference: str, *, at_once: bool = False) -> None:
        """Queue a message, or begin with it where nothing is at work. A message that is known is left as it is.

        Raises:
            StateUnavailableError: the state takes nothing. The message may be queued all the same.
        """
        with self.outage.recorded(), SetWorkflowID(reference):
            if at_once:  # dbos polls its queue only now and then.
                DBOS.start_workflow(dbos_runtime.message, reference)
            else:
                DBOS.enqueue_workflow(dbos_runtime.QUEUE, dbos_runtime.message, reference)

    def poll_queue(self) -> None:
        """Poll the queue: any message may be in it."""
        dbos_runtime.set_concurrency(self._workers)

    def poll_queue_for(self, messages: Collection[str]) -> None:
        """Poll the queue only while one of these messages may be in it: a poll costs a millisecond."""
        if self._machines:  # This machine does not learn what another one queues.
            return
        queued = any(reference not in self._in_hand for reference in messages)
        dbos_runtime.set_concurrency(self._workers if queued else 0)

    def in_hand(self) -> set[str]:
        """Return the messages that this process continues.

        At its start, they are those that were in hand when the process last ended.
        """
        return self.store.at_work(self._machines.name if self._machines else None)

    def waiting(self) -> dict[str, MessageStatus]:
        """Return the messages of this month that wait, in the mailbox or not.

        Raises:
            StateUnavailableError: the database is out of reach.
        """
        return self.store.waiting(datetime.now(UTC) - timedelta(days=30))

    def resume(self, reference: str, seen: MessageStatus | None = None) -> None:
        """Resume a waiting message where it stopped, a failed one from the failed step.

        If the status is no longer what was `seen`, the message is left alone: another machine was quicker.

        Raises:
            TransientError: it was deleted. The next scan finds a message that is new.
            StateUnavailableError: the state takes nothing.
        """
        message = next(iter(self.store.named([reference])), None)
        if message is None:
            raise TransientError("`poller purge` has just deleted what was recorded of the message")
        status = message.status
        if status.outcome is Outcome.WORKING or (seen and seen != status):
            return
        steps = self._steps(reference)
        # dbos would drop the entries whatever another machine has added to them since.
        if (count := self._droppable(steps, status)) and not self.store.drop_entries(message, steps, count):
            log.info("message_resumed_elsewhere", ref=reference)
            return
        try:
            with self.outage.recorded():
                DBOS.rewind_workflow(reference, queue_name=dbos_runtime.QUEUE, start_step=END)
        except dbos_error.DBOSException:
            if self.store.statuses([reference])[reference] == status:
                raise
            log.info("message_resumed_elsewhere", ref=reference)

    def _droppable(self, steps: list[StepInfo], status: MessageStatus) -> int:
        """Return how many of the last entries a resumed message must not find, or can do without."""
        if status.outcome is Outcome.FAILED:
            # The entries about the failure are dropped, and the step that failed is tried once more.
            # `audit --fix` may have closed one that never failed here: nothing is dropped.
            names = [step["function_name"] if "fatal" in (step["output"] or ()) else "" for step in steps[::-1]]
            return names.index(status.result.step) if status.result.step in names else 0
        if status.result.reason == INTERNAL_ERROR:
            # An exception that was recorded would be raised again at each replay.
            return len(steps) - next((at for at, step in enumerate(steps) if step["error"] is not None), len(steps))
        now = datetime.now(UTC)
        of_step = list(takewhile(lambda step: step["function_name"] == status.result.step, reversed(steps)))[::-1]
        history = [step["output"] or {} for step in of_step]
        return dispensable(history, lambda tried: self._patience.visible_at(tried, now) is None)

    def _steps(self, reference: str) -> list[StepInfo]:
        with self.outage.recorded():
            return DBOS.list_workflow_steps(reference)

    def breaker(self, service: str) -> CircuitBreaker:
        """Return the circuit breaker of a service."""
        return self.breakers.setdefault(service, CircuitBreaker(self._patience.delays_s))

    def execute(self, reference: str) -> dict[str, Any]:
        """Work on a message until it is finished or must wait: the body of the workflow."""
        journal = Journal(
            reference,
            lambda name, make: DBOS.run_step({"name": str(name)}, make),
            step_lock=self._step_lock,
            breakers=self.breakers,
            retry_policy=self._patience,
            halt=self._halt,
            store=self.store,
            introduce=DBOS.patch,
            lease_epoch=self._machines.lease_epoch if self._machines else lambda: 0,
        )
        self._in_hand[reference] = journal
        try:
            result = self._work(journal)
        except StepDeferredError as wait:
            result = WorkResult(
                Outcome.WAITING,
                step=wait.step,
                reason=wait.reason,
                until=wait.until,
                breaker=wait.breaker,
                behind=wait.behind,
            )
        except MessageGoneError:
            result = WorkResult(Outcome.GONE)
        except dbos_error.DBOSWorkflowConflictIDError:
            log.warning("message_lost_to_another_machine", ref=reference)
            # If it were raised, dbos would keep this thread, and the process, until the other machine has finished.
            raise SystemExit from None
        finally:
            self._in_hand.pop(reference, None)
        return result.as_json()

    def _at_work(self) -> set[str]:
        with self.outage.failing_fast():  # A stop waits for who looks for machines.
            return dbos_runtime.at_work()

    def _take_over(self, machines: set[str]) -> None:
        with self.outage.failing_fast():
            dbos_runtime.take_over(machines)

    def _halt(self, service: str, fault: ConfigurationError) -> None:
        self.faults[service] = fault
