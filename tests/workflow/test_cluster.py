"""Machines that hear of each other over PostgreSQL, and know when they may have been given up."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
from structlog.testing import capture_logs

from poller.workflow.cluster import OWN_BEATS, SILENT_BEATS, ClusterMembership

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOWHERE = "postgresql://poller@127.0.0.1:1/nowhere"
BEAT_S = 0.05
DEADLINE_S = 30


class Clock:
    """Seconds since boot, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def alive(
    url: str, at_work: Callable[[], set[str]] = set, take_over: Callable[[set[str]], None] = lambda _: None
) -> Iterator[ClusterMembership]:
    """A machine that beats twenty times a second."""
    machine = ClusterMembership(url, SILENT_BEATS * BEAT_S, at_work=at_work, take_over=take_over)
    machine.start()
    try:
        yield machine
    finally:
        machine.stop_taking_over()
        machine.stop()


class TakeoverLog:
    """The machines at work, as another one is told, and those that it takes over from."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.counted = threading.Semaphore(0)
        self.taken_over: set[str] = set()
        self.took_over = threading.Event()

    def at_work(self) -> set[str]:
        self.counted.release()
        return self.names

    def take_over(self, names: set[str]) -> None:
        self.taken_over |= names
        self.took_over.set()

    def wait(self, number: int) -> None:
        """Wait until the machine has counted so often."""
        for _ in range(number):
            assert self.counted.acquire(timeout=DEADLINE_S)


def test_takeover_only_from_machine_without_heartbeat(database: str) -> None:
    """Twice the patience with one that lives takes nothing from it; when it falls silent its messages are taken."""
    scanner = TakeoverLog()
    with alive(database, scanner.at_work, scanner.take_over) as first:
        with alive(database) as second:
            scanner.names = {first.name, second.name}
            scanner.wait(2 * SILENT_BEATS)
            assert not scanner.taken_over
        assert scanner.took_over.wait(DEADLINE_S)
        assert scanner.taken_over == {second.name}


def test_takeover_from_unknown_machine_waits_as_long(database: str) -> None:
    """One that died before we were there: not at the first beat, and in the end."""
    scanner = TakeoverLog("long dead")
    with alive(database, scanner.at_work, scanner.take_over):
        scanner.wait(SILENT_BEATS - 1)
        assert not scanner.taken_over
        assert scanner.took_over.wait(DEADLINE_S)
    assert scanner.taken_over == {"long dead"}


def test_refused_beat_ends_no_machine(database: str) -> None:
    """As where a failover leads to a standby for a while. It beats again when it may, or it would do nothing more."""
    scanner, function = TakeoverLog(), "FUNCTION pg_notify(text, text)"
    with psycopg.connect(database, autocommit=True) as admin, capture_logs() as logged:
        admin.execute("CREATE ROLE machine LOGIN")
        admin.execute("GRANT ALL ON ALL TABLES IN SCHEMA dbos TO machine")
        admin.execute(f"REVOKE EXECUTE ON {function} FROM PUBLIC")
        with alive(database.replace("poller@", "machine@"), scanner.at_work) as machine:
            while not logged:
                assert machine._thread.is_alive()
                threading.Event().wait(BEAT_S)
            admin.execute(f"GRANT EXECUTE ON {function} TO PUBLIC")
            scanner.wait(1)
        admin.execute("DROP OWNED BY machine")
        admin.execute("DROP ROLE machine")


def test_stopping_machine_takes_over_nothing(database: str) -> None:
    """Its engine is gone by then; the others hear it to the end."""
    scanner, others = TakeoverLog("long dead"), TakeoverLog()
    with (
        alive(database, others.at_work, others.take_over),
        alive(database, scanner.at_work, scanner.take_over) as ending,
    ):
        ending.stop_taking_over()
        others.names = {ending.name}
        others.wait(2 * SILENT_BEATS)
    assert not scanner.taken_over
    assert not others.taken_over


def test_reconnect_restarts_silence_count(database: str) -> None:
    """What was said while it did not listen is lost: silence counts from the new connection."""
    scanner = TakeoverLog("quiet")
    with alive(database, scanner.at_work, scanner.take_over) as machine:
        scanner.wait(SILENT_BEATS - 2)
        scanner.names = set()
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", (machine.name,)
            )
        scanner.counted = threading.Semaphore(0)
        scanner.names = {"quiet"}
        scanner.wait(SILENT_BEATS - 2)
        assert not scanner.taken_over
        assert scanner.took_over.wait(DEADLINE_S)


def test_machine_names_are_unique() -> None:
    """Not after a restart, and not on a copy of the machine."""
    names = {ClusterMembership(NOWHERE, 90, at_work=set, take_over=lambda _: None).name for _ in range(10)}
    assert len(names) == 10


@pytest.mark.parametrize(
    ("beats", "unbroken"), [(OWN_BEATS - 1, True), (OWN_BEATS + 1, False), (100 * SILENT_BEATS, False)]
)
@pytest.mark.parametrize("beats_first", [True, False])
def test_lease_epoch_ends_before_takeover(*, beats: int, unbroken: bool, beats_first: bool) -> None:
    """After a freeze it is another one, whether the beat or the worker wakes first."""
    clock = Clock()
    machine = ClusterMembership(NOWHERE, SILENT_BEATS * 7.5, at_work=set, take_over=lambda _: None, clock=clock)
    before = machine.lease_epoch()
    clock.now += 7.5 * beats
    if beats_first:
        machine._touched_at(clock.now)
    assert (machine.lease_epoch() == before) is unbroken


def test_lease_epoch_changes_while_database_is_unreachable() -> None:
    """While the database does not answer, what began a moment ago may have been taken over as well."""
    clock = Clock()
    machine = ClusterMembership(NOWHERE, 90, at_work=set, take_over=lambda _: None, clock=clock)
    clock.now += 60
    assert machine.lease_epoch() != machine.lease_epoch()


def test_machine_that_does_not_hear_itself_takes_over_from_none(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As through a pooler that delivers no NOTIFY: every other machine would be dead to it. It says so once."""
    monkeypatch.setattr(psycopg.Connection, "add_notify_handler", lambda *_: None)
    scanner, touched = TakeoverLog("alive"), threading.Semaphore(0)
    touch = ClusterMembership._touched_at
    monkeypatch.setattr(ClusterMembership, "_touched_at", lambda *given: (touched.release(), touch(*given)))
    with capture_logs() as logged, alive(database, scanner.at_work, scanner.take_over):
        for _ in range(SILENT_BEATS + 2):
            assert touched.acquire(timeout=DEADLINE_S)
    assert not scanner.taken_over
    assert [line["log_level"] for line in logged if line["event"] == "machine_deaf"] == ["error"]
