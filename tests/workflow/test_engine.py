"""The record of a message outlives the process that wrote it: on SQLite, and on PostgreSQL.

Run as a program, this file is such a process: see `main`.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import event

from integrations.errors import ConfigurationError, PermanentError, TransientError
from poller.model import Category, Link, Outcome
from poller.workflow import dbos_runtime
from poller.workflow.database import is_writable
from poller.workflow.engine import Engine
from poller.workflow.errors import DependencyPendingError, StepFailedError
from poller.workflow.history import dispensable
from poller.workflow.lock import AlreadyRunningError
from poller.workflow.results import WorkResult
from poller.workflow.retry import RetryPolicy
from poller.workflow.steps import StepName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from poller.workflow.history import Entry
    from poller.workflow.journal import Journal
    from poller.workflow.retry import Attempt
    from poller.workflow.status import MessageStatus
    from tests.support.postgres import Cluster

REFERENCE = "0123456789abcdef"
TAKEOVER_S = 3.0
DEADLINE_S = 60.0
DONE = WorkResult(Outcome.SUPPORT)


@contextmanager
def running(url: str, directory: Path, work: Callable[[Journal], WorkResult]) -> Iterator[Engine]:
    """Run an engine; the waits between tries are short."""
    retry_policy = RetryPolicy(delays_s=(0.01,))
    engine = Engine(url, directory, work, retry_policy=retry_policy, takeover_s=TAKEOVER_S)
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()


def stopped(engine: Engine, reference: str = REFERENCE) -> MessageStatus:
    """Wait until no worker has the message, and return its status."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        status = engine.store.statuses([reference]).get(reference)
        if status and status.outcome is not Outcome.WORKING:
            return status
        time.sleep(0.02)
    raise AssertionError(f"{reference} is still being worked on")


def made_of(ticket: str, note: str = "") -> WorkResult:
    """Return the result of a support request with these ids."""
    return WorkResult(
        Outcome.SUPPORT, category=Category.SUPPORT, ticket=Link(ticket, "https://t.example"), note_id=note
    )


class Service:
    """A service with a ticket and a note for two steps; `refusals` are its first answers to the note, in order."""

    def __init__(self, *refusals: Exception) -> None:
        self.calls: list[str] = []
        self.refusals = list(refusals)

    def work(self, journal: Journal) -> WorkResult:
        """Run both steps; a failure is told of in a third one."""
        ticket = journal.step(StepName.FIND_ORIGINAL, self._create_ticket)
        try:
            note = journal.step(StepName.FIND_THREAD, self._create_note)
        except StepFailedError as failure:
            journal.step(StepName.PREPARE_RECEIPT, lambda _: self.calls.append("failure"))
            return WorkResult(Outcome.FAILED, step=failure.step, reason=failure.reason)
        return made_of(ticket, note)

    def _create_ticket(self, attempt: Attempt) -> str:
        self.calls.append("ticket" if not attempt.doubts else "search for the ticket")
        return "T1"

    def _create_note(self, attempt: Attempt) -> str:
        self.calls.append("note" if not attempt.doubts else "search for the note")
        if self.refusals:
            raise self.refusals.pop(0)
        return "N1"


def test_message_starts_at_once_when_engine_is_idle(
    state_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is begun with at once, and known like any other: asked for once more it is not done again."""
    for name in ("LOOK_S", "SHARED_LOOK_S"):
        monkeypatch.setattr(f"poller.workflow.dbos_runtime.{name}", DEADLINE_S)
    done: list[str] = []
    with running(state_url, tmp_path, lambda journal: done.append(journal.reference) or DONE) as engine:
        for _ in range(2):
            engine.submit(REFERENCE, at_once=True)
            assert stopped(engine).outcome is Outcome.SUPPORT
    assert done == [REFERENCE]


def test_paused_queue_continues_when_polled(state_url: str, tmp_path: Path) -> None:
    """What was queued meanwhile is not lost; among machines none rests, for another one may queue what it takes."""
    with running(state_url, tmp_path, lambda _: DONE) as engine:
        engine.poll_queue_for(())
        engine.submit(REFERENCE)
        if state_url.startswith("sqlite"):
            assert engine.store.statuses([REFERENCE])[REFERENCE].outcome is Outcome.WORKING
            engine.poll_queue()
        assert stopped(engine).outcome is Outcome.SUPPORT


def test_queue_rests_while_all_messages_are_worked_on(tmp_path: Path) -> None:
    """It is polled for one that is not, which may be in it."""
    begun, go_on = threading.Event(), threading.Event()

    def work(_: Journal) -> WorkResult:
        begun.set()
        assert go_on.wait(DEADLINE_S)
        return DONE

    with running(f"sqlite:///{tmp_path / 'state.sqlite'}", tmp_path, work) as engine:
        engine.submit(REFERENCE, at_once=True)
        assert begun.wait(DEADLINE_S)
        polled = []
        for messages in ({REFERENCE}, {REFERENCE, "another"}, set[str]()):
            engine.poll_queue_for(messages)
            polled.append(dbos_runtime._queue()._worker_concurrency)
        go_on.set()
        assert stopped(engine).outcome is Outcome.SUPPORT
    assert polled == [0, 4, 0]


def test_message_submitted_twice_runs_once(state_url: str, tmp_path: Path) -> None:
    """Every poll may submit it again: what it returned is kept, and nothing is done twice."""
    service = Service()
    with running(state_url, tmp_path, service.work) as engine:
        for _ in range(3):
            engine.submit(REFERENCE)
        assert stopped(engine).outcome is Outcome.SUPPORT
        engine.submit(REFERENCE)
        assert stopped(engine).result == made_of("T1", "N1")
        assert engine.store.statuses(["f" * 16]) == {}
    assert service.calls == ["ticket", "note"]


def test_waiting_message_resumes_after_finished_steps(state_url: str, tmp_path: Path) -> None:
    """It occupies no worker; taken up again, what was done stays done, also in another process's life."""
    service = Service(TransientError("503", outcome_unknown=False), TransientError("503"))
    with running(state_url, tmp_path, service.work) as engine:
        engine.submit(REFERENCE)
        status = stopped(engine)
        assert (status.outcome, status.result.until is not None) == (Outcome.WAITING, True)
        engine.resume(REFERENCE)
        assert stopped(engine).outcome is Outcome.WAITING
    with running(state_url, tmp_path, service.work) as engine:
        engine.resume(REFERENCE)
        assert stopped(engine).outcome is Outcome.SUPPORT
    assert service.calls == ["ticket", "note", "note", "search for the note"]


def test_waiting_messages_are_read_without_finished_ones(state_url: str, tmp_path: Path) -> None:
    """Of all messages only the few that wait are read, and those of the last month returned."""
    ends = {
        "today": (Outcome.WAITING, StepName.LABEL, 0),
        "finished": (Outcome.SUPPORT, StepName.LABEL, 1),
        "waits for a ticket": (Outcome.WAITING, StepName.FIND_ORIGINAL, 2),
        "a month ago, nearly": (Outcome.WAITING, StepName.SEND_RECEIPT, 29.5),
        "a month ago": (Outcome.WAITING, StepName.LABEL, 31),
    }
    waiting = {"today", "waits for a ticket", "a month ago, nearly"}

    def work(journal: Journal) -> WorkResult:
        outcome, step, _ = ends[journal.reference]
        return WorkResult(outcome, step=step, reason="IMAP")

    asked: list[str] = []
    with running(state_url, tmp_path, work) as engine:
        database = dbos_runtime.database()
        status = database.tables.workflow_status
        for reference, (_, _, days_ago) in ends.items():
            engine.submit(reference)
            stopped(engine, reference)
            older = status.update().values(created_at=status.c.created_at - int(days_ago * 86_400_000))
            with database.engine.begin() as connection:
                connection.execute(older.where(status.c.workflow_uuid == reference))
        me = threading.get_ident()
        heard = lambda *given: asked.append(repr(given[3])) if threading.get_ident() == me else None  # noqa: E731
        event.listen(SqlEngine, "before_cursor_execute", heard)
        try:
            assert engine.waiting().keys() == waiting
        finally:
            event.remove(SqlEngine, "before_cursor_execute", heard)
    *_, read = asked
    assert {reference for reference in ends if f"'{reference}'" in read} == {*waiting, "a month ago"}


def test_recorded_exception_is_not_raised_after_fix(state_url: str, tmp_path: Path) -> None:
    """A fault in the record of a step, of a release before this one: once mended, the message goes on from there."""
    broken = True

    def work(journal: Journal) -> WorkResult:
        def write() -> dict[str, str]:
            if broken:
                raise OverflowError
            return {"ok": "T1"}

        journal._record("create_contact", lambda: {"ok": "C1"})
        return made_of(journal._record("find_original", write)["ok"])

    with running(state_url, tmp_path, work) as engine:
        engine.submit(REFERENCE)
        assert stopped(engine).outcome is Outcome.WAITING
        broken = False
        engine.resume(REFERENCE)
        assert stopped(engine).outcome is Outcome.SUPPORT


def test_retried_message_resumes_at_failed_step(state_url: str, tmp_path: Path) -> None:
    """The ticket stays; what was done about the failure is forgotten, so that a second failure is told of too."""
    service = Service(PermanentError("400"), PermanentError("400"))
    with running(state_url, tmp_path, service.work) as engine:
        engine.submit(REFERENCE)
        assert stopped(engine).outcome is Outcome.FAILED
        engine.resume(REFERENCE)
        assert stopped(engine).outcome is Outcome.FAILED
        engine.resume(REFERENCE)
        assert stopped(engine).outcome is Outcome.SUPPORT
    assert service.calls == ["ticket", "note", "failure", "note", "failure", "note"]


def test_message_resumed_by_another_machine_is_not_resumed_again(state_url: str, tmp_path: Path) -> None:
    """Two machines see it wait, and one takes it up: what the other saw is no longer true, and it leaves it alone."""
    service = Service(TransientError("503"), PermanentError("400"))
    with running(state_url, tmp_path, service.work) as engine:
        engine.submit(REFERENCE)
        seen = stopped(engine)
        engine.resume(REFERENCE, seen)
        assert stopped(engine).outcome is Outcome.FAILED
        engine.resume(REFERENCE, seen)
        assert engine.store.statuses([REFERENCE])[REFERENCE].outcome is Outcome.FAILED
    assert service.calls.count("failure") == 1


def test_what_another_machine_did_meanwhile_is_not_dropped(
    state_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that froze as it resumed a message does not forget what the other one has created since."""
    service = Service(*[DependencyPendingError("at work")] * 2)
    with running(state_url, tmp_path, service.work) as engine:
        engine.submit(REFERENCE)
        stopped(engine)
        engine.resume(REFERENCE)
        seen = stopped(engine)

        def frozen(history: list[Entry], visible: Callable[[datetime], bool]) -> int:
            monkeypatch.undo()
            engine.resume(REFERENCE, seen)
            assert stopped(engine).outcome is Outcome.SUPPORT
            return dispensable(history, visible)

        monkeypatch.setattr("poller.workflow.engine.dispensable", frozen)
        engine.resume(REFERENCE, seen)
        assert stopped(engine).result == made_of("T1", "N1")
    assert service.calls == ["ticket", "note", "note", "note"]


def test_message_that_a_purge_has_deleted_is_not_resumed(tmp_path: Path) -> None:
    """It came back to the mailbox at that moment: the poll goes on, and the next one finds it new."""
    with (
        running(f"sqlite:///{tmp_path}/poller.sqlite", tmp_path, lambda _: DONE) as engine,
        pytest.raises(TransientError, match="deleted"),
    ):
        engine.resume(REFERENCE)


def test_running_message_is_not_resumed(state_url: str, tmp_path: Path) -> None:
    """A person and the daemon ask at once: it runs once."""
    began, go_on = threading.Event(), threading.Event()

    def work(journal: Journal) -> WorkResult:
        began.set()
        assert go_on.wait(DEADLINE_S)
        return made_of(journal.step(StepName.FIND_ORIGINAL, lambda _: "T1"))

    with running(state_url, tmp_path, work) as engine:
        engine.submit(REFERENCE)
        assert began.wait(DEADLINE_S)
        engine.resume(REFERENCE)
        go_on.set()
        assert stopped(engine).outcome is Outcome.SUPPORT


def test_state_directory_is_locked_by_one_daemon(state_url: str, tmp_path: Path) -> None:
    """They would write each other's spool files."""
    with running(state_url, tmp_path, Service().work), pytest.raises(AlreadyRunningError, match="already running"):
        Engine(state_url, tmp_path, Service().work).start()


def test_state_created_is_logged_only_after_successful_start(
    tmp_path: Path, logged: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    """What ends the start on the way has made none."""
    caplog.set_level("INFO")
    (tmp_path / "file").touch()
    url = f"sqlite:///{tmp_path}/poller.sqlite"
    with pytest.raises(ConfigurationError, match="Not a directory"):
        Engine(url, tmp_path / "file" / "directory", Service().work).start()
    assert "state_created" not in logged()
    with running(url, tmp_path, Service().work):
        assert "state_created" in logged()


def test_state_lock_is_held_until_last_thread_ends(state_url: str, tmp_path: Path, logged: Callable[[], str]) -> None:
    """A call that outlasts the stop still writes to the spool, and another daemon must not do so beside it.

    The log says what was stopped. What comes of it can be recorded no more, and that is no crash.
    """
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def slow(_: Attempt) -> None:
        began.set()
        assert go_on.wait(DEADLINE_S)

    def work(journal: Journal) -> WorkResult:
        try:
            journal.step(StepName.UPLOAD_FILES, slow)
        finally:
            ended.set()
        return DONE

    engine = Engine(state_url, tmp_path, work)
    engine.start()
    engine.submit(REFERENCE)
    assert began.wait(DEADLINE_S)
    engine.stop(timeout_s=1)
    told = logged()
    assert "step_stopped" in told
    assert "upload_files" in told
    try:
        with pytest.raises(AlreadyRunningError):
            Engine(state_url, tmp_path, work).start()
    finally:
        go_on.set()
        assert ended.wait(DEADLINE_S)
        assert engine._lock is not None
        engine._lock.close()
    while any(thread.name.startswith("dbos-executor") for thread in threading.enumerate()):
        threading.Event().wait(0.01)
    assert "background workflow" not in logged()


def test_refusing_database_raises_configuration_error(database: str, tmp_path: Path) -> None:
    """The daemon ends with a line; nothing is made, and the state is free for the next start."""
    with pytest.raises(ConfigurationError, match="STATE_URL"):
        Engine(database.replace("poller@", "nobody-here@"), tmp_path, Service().work).start()
    away = Engine("postgresql://poller@127.0.0.1:1/poller", tmp_path, Service().work)
    with pytest.raises(TransientError, match="out of reach"):
        away.start()
    away.stop()
    with running(database, tmp_path, Service().work):
        pass


def test_kill_in_call_leaves_only_that_step_in_doubt(state_url: str, tmp_path: Path) -> None:
    """SIGKILL of the process; the next one, on whatever machine, goes on with a search."""
    child = subprocess.Popen(
        [sys.executable, __file__, state_url, tmp_path],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert "note\n" in child.stdout
    child.send_signal(signal.SIGKILL)
    child.communicate()
    service = Service()
    with running(state_url, tmp_path, service.work) as engine:
        assert stopped(engine).outcome is Outcome.SUPPORT
    assert service.calls == ["search for the note"]


def test_database_restart_is_waited_for(database: str, cluster: Cluster, tmp_path: Path) -> None:
    """PostgreSQL crashes between a call and its record: the call is not made again."""
    service = Service()

    def work(journal: Journal) -> WorkResult:
        def create_ticket(_: Attempt) -> str:
            service.calls.append("ticket")
            cluster.stop()
            cluster.start()
            return "T1"

        return made_of(journal.step(StepName.FIND_ORIGINAL, create_ticket))

    with running(database, tmp_path, work) as engine:
        engine.submit(REFERENCE)
        assert stopped(engine).outcome is Outcome.SUPPORT
    assert service.calls == ["ticket"]


def test_stop_waits_for_no_database_that_went_away_under_a_look(
    database: str, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for the answer, and the service manager would kill the daemon in the end."""
    look, away = dbos_runtime.at_work, threading.Event()

    def at_work() -> set[str]:
        if not away.is_set():
            cluster.stop()
            away.set()
        return look()

    monkeypatch.setattr(dbos_runtime, "at_work", at_work)
    engine = Engine(database, tmp_path, lambda _: DONE, takeover_s=1.0)
    engine.start()
    stop = threading.Thread(target=engine.stop)
    try:
        assert away.wait(DEADLINE_S)
        until_outage(engine)
        stop.start()
        stop.join(DEADLINE_S)
        assert not stop.is_alive()
    finally:
        engine.outage.give_up()
        cluster.start()
        stop.join(DEADLINE_S)


def make_read_only(url: str, *, to: str) -> None:
    """Let the database take no writes, as a standby, or let it take them again."""
    with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=off") as admin:
        name = url.rpartition("/")[2]
        admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {to}')
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid() AND %s = 'on'",
            [to],
        )


def until_outage(engine: Engine) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while engine.outage.current is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert engine.outage.current is not None


def test_read_only_database_is_waited_for(database: str, tmp_path: Path) -> None:
    """As after a failover: the connections end, and the next ones reach a standby. The call is not made again."""
    service = Service()

    def work(journal: Journal) -> WorkResult:
        def create_ticket(_: Attempt) -> str:
            service.calls.append("ticket")
            make_read_only(database, to="on")
            return "T1"

        return made_of(journal.step(StepName.FIND_ORIGINAL, create_ticket))

    with running(database, tmp_path, work) as engine:
        engine.submit(REFERENCE)
        until_outage(engine)
        assert not is_writable(database)
        engine.outage.end()
        until_outage(engine)  # It is tried again, and refused again.
        make_read_only(database, to="off")
        assert is_writable(database)
        assert stopped(engine).outcome is Outcome.SUPPORT
    assert service.calls == ["ticket"]


def test_message_taken_over_by_another_machine_is_released(database: str, tmp_path: Path) -> None:
    """Of what a machine that was taken over still returns nothing is kept, and it does not wait for the other's end."""
    began, go_on = threading.Event(), threading.Event()

    def create_ticket(_: Attempt) -> str:
        began.set()
        assert go_on.wait(DEADLINE_S)
        return "T1"

    before = set(threading.enumerate())
    with running(
        database, tmp_path, lambda journal: made_of(journal.step(StepName.FIND_ORIGINAL, create_ticket))
    ) as engine:
        engine.submit(REFERENCE)
        assert began.wait(DEADLINE_S)
        with psycopg.connect(database, autocommit=True) as other:
            other.execute("UPDATE dbos.workflow_status SET executor_id = 'other', owner_xid = 'other'")
        go_on.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(DEADLINE_S / 10)
        assert not thread.is_alive()
    with psycopg.connect(database) as other:
        entries = other.execute("SELECT output FROM dbos.operation_outputs").fetchall()
    assert len(entries) == 1
    assert "begun" in entries[0][0]


def main(url: str, directory: str) -> None:
    """Create the ticket, say so on standard output when the note is about to be created, and hang there."""

    def hang(_: Attempt) -> None:
        sys.stdout.write("note\n")
        sys.stdout.flush()
        signal.pause()

    def work(journal: Journal) -> WorkResult:
        journal.step(StepName.FIND_ORIGINAL, lambda _: "T1")
        return made_of("T1", journal.step(StepName.FIND_THREAD, hang))

    with running(url, Path(directory), work) as engine:
        engine.submit(REFERENCE)
        stopped(engine)


if __name__ == "__main__":
    main(*sys.argv[1:])


def test_message_keeps_the_steps_of_the_release_that_recorded_them(state_url: str, tmp_path: Path) -> None:
    """The earlier release came behind the point with the first message, and only up to it with the second."""
    called: list[str] = []
    down: set[str] = set()

    def step(journal: Journal, name: StepName) -> None:
        def act(_: Attempt) -> None:
            if name in down:
                raise TransientError("503", outcome_unknown=False)
            called.append(name)

        journal.step(name, act)

    def work(journal: Journal, *, is_new: bool) -> WorkResult:
        step(journal, StepName.FIND_ORIGINAL)
        if is_new and journal.introduced("thread first"):
            step(journal, StepName.FIND_THREAD)
        step(journal, StepName.PREPARE_RECEIPT)
        step(journal, StepName.SEND_RECEIPT)
        return DONE

    stops = {"behind": StepName.PREPARE_RECEIPT, "before": StepName.FIND_ORIGINAL}
    with running(state_url, tmp_path, partial(work, is_new=False)) as engine:
        for reference, name in stops.items():
            down.add(name)
            engine.submit(reference)
            assert stopped(engine, reference).outcome is Outcome.WAITING
            down.clear()
    made: dict[str, list[str]] = {}
    for reference in (*stops, "new"):
        called.clear()
        down.add(StepName.SEND_RECEIPT)  # Each is replayed once more, and comes to the same answer.
        with running(state_url, tmp_path, partial(work, is_new=True)) as engine:
            if reference in stops:
                engine.resume(reference)
            else:
                engine.submit(reference)
            assert stopped(engine, reference).outcome is Outcome.WAITING
            down.clear()
            engine.resume(reference)
            assert stopped(engine, reference).outcome is Outcome.SUPPORT
        made[reference] = called[:]
    whole = ["find_original", "find_thread", "prepare_receipt", "send_receipt"]
    assert made == {"behind": ["prepare_receipt", "send_receipt"], "before": whole, "new": whole}


def test_message_resumed_often_keeps_few_rows(state_url: str, tmp_path: Path) -> None:
    """A wait has no end, and each execution reads every row. What was done before the wait stays."""
    service = Service(*[DependencyPendingError("the message that it answers is still at work")] * 12)
    with running(state_url, tmp_path, service.work) as engine:
        engine.submit(REFERENCE)
        rows = []
        for _ in range(12):
            status = stopped(engine)
            assert status.outcome is Outcome.WAITING
            rows.append(len(engine.store.journal(REFERENCE)))
            engine.resume(REFERENCE, status)
        assert stopped(engine).result == made_of("T1", "N1")
    assert rows == [4] + [6] * 11
    assert service.calls == ["ticket"] + ["note"] * 13
