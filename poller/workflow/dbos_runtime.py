"""Configure and run dbos: its settings, its log, and our two workflows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, _sys_db, _utils, _workflow_commands
from dbos import error as dbos_error
from dbos._dbos import _get_dbos_instance
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from integrations.errors import TransientError
from poller import logs
from poller.workflow import outage
from poller.workflow.cluster import CONNECTION

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    import sqlalchemy as sa
    from dbos import Queue
    from dbos._sys_db import SystemDatabase
    from sqlalchemy.engine import ExceptionContext
    from sqlalchemy.pool import ConnectionPoolEntry

    from poller.workflow.outage import StateOutage

QUEUE = "messages"
MESSAGE, FACT = "message", "fact"  # workflow names: of a message, and of a short text under a key
# Recorded rows are replayed by position: a later release inserts a step only at the end or behind `Journal.introduced`.
APPLICATION_VERSION = "1"
# Seconds between two polls of the queue. Several machines that share a database poll less often.
LOOK_S, SHARED_LOOK_S = 0.1, 0.2
OWN_LOOK_S = 1.0  # the same for dbos' own queue: begun outside ours, and in hand at the last end
# SQLSTATE of a transaction that the server ended: a deadlock, and one that idled. The server is there.
ROLLED_BACK = {"40P01", "25P03"}
READ_ONLY = "25006"  # SQLSTATE of a write to a standby, which a machine may reach first after a failover
TURN_S = 60.0  # longest wait for the one connection to a file
LOCKED_S = 1.0  # longest wait of the thread that has it for another process that writes
UNUSED_S = 20.0  # between dbos' polls for features that we do not use

_Result = TypeVar("_Result")
_outages = logs.Outages()  # added to the logger at each start. The logger keeps it once
_execute: Callable[[str], dict[str, Any]] | None = None


def launch(
    url: str,
    execute: Callable[[str], dict[str, Any]],
    *,
    executor: str,
    workers: int,
    takeover_s: float,
    alone: bool,
    unavailable: StateOutage,
) -> None:
    """Start dbos, which continues what an executor of this name had in hand.

    `execute` works on a message. `alone` says that no other process works on this database. Calls to it that fail from
    now on are recorded in `unavailable`, and the threads that may wait try them again until they work.

    Raises:
        TransientError: the database is out of reach, or its disk is full.
    """
    global _execute  # noqa: PLW0603  dbos finds the workflow by name, so its function belongs to the process.
    _execute = execute
    config = DBOSConfig(
        name="figurative-poller",
        system_database_url=url,
        application_version=APPLICATION_VERSION,
        executor_id=executor,
        serializer=DBOSPortableJSONSerializer(),
        max_executor_threads=workers + 4,
        # A file takes one transaction at a time. Who waits for the one connection gets it at once, where SQLite would
        # look again and again. And a file does not hang up as a server does, so it needs no check.
        db_engine_kwargs={"pool_size": 1, "max_overflow": 0, "pool_timeout": TURN_S, "pool_pre_ping": False}
        if alone
        else {"pool_pre_ping": True, "connect_args": CONNECTION | {"application_name": executor}},
        # A machine that freezes within a transaction holds rows. The machine that takes over must find them free.
        sys_db_idle_transaction_timeout_sec=takeover_s / 3,
        # dbos polls for notifications, which we never send, and a stop waits for its next poll.
        notification_listener_polling_interval_sec=0.1,
        log_level="CRITICAL",  # we report a failed start ourselves, in one line
    )
    # These jobs search for delayed workflows and deadlines, of which we have none. Among machines they hold a
    # lock meanwhile, which does not outlast a long wait.
    _workflow_commands._BACKGROUND_JOBS_INTERVAL_SEC = UNUSED_S if alone else 1.0  # noqa: SLF001
    _wait_out(unavailable)
    try:
        DBOS(config=config)
        _queue()._polling_interval_sec = LOOK_S if alone else SHARED_LOOK_S  # noqa: SLF001
        _own_queue()._polling_interval_sec = OWN_LOOK_S  # noqa: SLF001
        _own_queue()._worker_concurrency = workers  # noqa: SLF001
        set_concurrency(workers)
        with unavailable.failing_fast():
            DBOS.launch()
        event.listen(database().engine, "handle_error", _leave_standby)
    except OperationalError as error:
        DBOS.destroy()
        raise TransientError(f"{outage.disk_fault(error) or outage.AWAY}: look at STATE_URL") from error
    # dbos' own handler writes plain text and bypasses our format.
    dbos_log = logging.getLogger("dbos")
    dbos_log.handlers.clear()
    dbos_log.propagate = True
    dbos_log.setLevel(logging.WARNING)
    dbos_log.addFilter(_outages)


def _leave_standby(context: ExceptionContext) -> None:
    """Treat a server that takes no writes as one that is away: no connection to it is used again."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True


def share_connection() -> None:
    """Have a thread that finds the file locked give its one connection back, and come again later.

    `poller purge` locks it, for as long as VACUUM takes. A thread that only reads need not wait for that.
    """

    def limit_wait(connection: sqlite3.Connection, record: ConnectionPoolEntry, _: object) -> None:
        if "limited" not in record.info:
            connection.execute(f"PRAGMA busy_timeout = {LOCKED_S * 1000:.0f}")
            record.info["limited"] = True

    event.listen(database().engine, "checkout", limit_wait)


def _wait_out(unavailable: StateOutage) -> None:
    """Have dbos try a call again that failed because of the disk, as it does where a PostgreSQL server is away.

    Without it the thread of a message would end, and the message would stay in hand until the next start.
    """

    def retriable_on_sqlite(error: Exception) -> bool:
        if _utils.retriable_sqlite_exception(error):  # another process holds the file's lock
            return True
        return _is_tried_again(outage.disk_fault(error))

    def retriable_on_postgresql(error: Exception) -> bool:
        if not _utils.retriable_postgres_exception(error):
            return False
        is_rolled_back = getattr(getattr(error, "orig", None), "sqlstate", None) in ROLLED_BACK
        return is_rolled_back or _is_tried_again(outage.AWAY)

    def _is_tried_again(reason: str) -> bool:
        if reason:
            unavailable.begin(reason)
        return bool(reason) and unavailable.is_waited_out()

    _sys_db.retriable_sqlite_exception = retriable_on_sqlite  # type: ignore[assignment,attr-defined]  # a parameter's name
    _sys_db.retriable_postgres_exception = retriable_on_postgresql  # type: ignore[assignment,attr-defined]  # likewise


def silence() -> None:
    """Keep dbos from logging until the next launch."""
    logging.getLogger("dbos").setLevel(logging.CRITICAL)


def set_concurrency(workers: int) -> None:
    """Set how many messages of the queue may be at work. With 0, a poll of it costs nothing."""
    _queue()._worker_concurrency = workers  # noqa: SLF001


def _queue() -> Queue:
    # A queue with a public name is read from the database at each poll, and found only a second after it is registered.
    return _get_dbos_instance()._registry._register_internal_queue(QUEUE)  # noqa: SLF001


def _own_queue() -> Queue:
    return _get_dbos_instance()._registry.get_internal_queue()  # noqa: SLF001


@DBOS.workflow(name=MESSAGE, max_recovery_attempts=1_000_000)  # type: ignore[untyped-decorator,unused-ignore]
def message(reference: str) -> dict[str, Any]:
    """Work on one message.

    The journal counts crashes by step. dbos would also count those of the other messages in hand.
    """
    if _execute is None:
        raise RuntimeError("the engine is not running")
    return _execute(reference)


@DBOS.workflow(name=FACT)  # type: ignore[untyped-decorator,unused-ignore]
def _fact(value: str) -> str:
    """Return a text. An earlier release kept each fact by this workflow. One that was cut short is run to its end."""
    return value


def result_of_fact(key: str) -> str | None:
    """Return the text of a fact that a workflow keeps, as soon as it has ended. None: there is no such fact (any more).

    It counts as no step of a message.
    """
    try:
        return str(database().await_workflow_result(key, OWN_LOOK_S, fail_if_missing=True))
    except dbos_error.DBOSNonExistentWorkflowError:
        return None


def in_transaction(system: SystemDatabase, act: Callable[[sa.Connection], _Result]) -> _Result:
    """Return what `act` returns, within one transaction on dbos' database. It is tried again as dbos' own calls are."""

    @_sys_db.db_retry(sys_db=system)
    def attempt() -> _Result:
        with system.engine.begin() as connection:
            return act(connection)

    return attempt()


def database() -> SystemDatabase:
    """Return dbos' system database, for queries that its API does not have. See `store`."""
    return _get_dbos_instance()._sys_db  # noqa: SLF001


def at_work() -> set[str]:
    """Return the machines that have messages in hand."""
    rows = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
    return {row.executor_id for row in rows if row.executor_id}


def take_over(machines: set[str]) -> None:
    """Queue what these machines had in hand.

    A machine among them that is alive after all can record nothing more of it.
    """
    # The public resume_workflows does not check which machine owns a message by now. Two would take from each other.
    DBOS._recover_pending_workflows(sorted(machines))  # noqa: SLF001
