"""Messages in hand and waiting: which is resumed when, and how many are asked about at once."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import event

from poller.cli.samples import samples
from poller.daemon import scheduler
from poller.daemon.daemon import Daemon
from poller.daemon.scheduler import SHORT_WAIT_S, Scheduler
from poller.model import Outcome
from poller.workflow.circuit_breaker import CircuitBreaker
from poller.workflow.results import WorkResult
from poller.workflow.retry import LONGEST_WAIT_S
from poller.workflow.status import MessageStatus
from tests.support.running_daemon import waiting_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Office


HOUR = timedelta(hours=1)


@contextmanager
def statements(heard: Callable[..., object]) -> Iterator[None]:
    """Call `heard` at each statement of SQLAlchemy in the block."""
    event.listen(SqlEngine, "before_cursor_execute", heard)
    try:
        yield
    finally:
        event.remove(SqlEngine, "before_cursor_execute", heard)


def test_tick_checks_long_queue_in_parts(office: Office) -> None:
    """And for each of it before long, so that none that stops is missed."""
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    daemon.start()
    try:
        office.sandbox.imap.deliver(samples()["auto_reply"])
        daemon.poll()
        (reference,) = daemon.working
        daemon.working.update(f"{number:016x}" for number in range(2 * scheduler.AT_ONCE))
        asked: list[int] = []  # of the state store, by each tick
        stopped: list[str] = []
        with statements(lambda *given: asked.append(asked.pop() + len(given[3]))):
            deadline = time.monotonic() + 30
            while not stopped and time.monotonic() < deadline:
                asked.append(0)
                stopped += daemon.tick()
        assert stopped == [reference]
        assert max(asked) < 1.5 * scheduler.AT_ONCE
    finally:
        daemon.stop()


class Engine:
    """An engine of which each call is recorded. `stopped` are the messages that are not at work any more."""

    def __init__(self) -> None:
        self.store, self.stopped = self, {}
        self.resumed: list[str] = []
        self.paused: list[bool] = []
        self._breakers: defaultdict[str, CircuitBreaker] = defaultdict(CircuitBreaker)

    def breaker(self, service: str) -> CircuitBreaker:
        return self._breakers[service]

    def pause_queue(self, paused: bool) -> None:
        self.paused.append(paused)

    def resume(self, reference: str, _seen: MessageStatus | None = None) -> None:
        self.resumed.append(reference)

    def statuses(self, references: list[str]) -> dict[str, MessageStatus]:
        working = MessageStatus(WorkResult(Outcome.WORKING))
        return {reference: self.stopped.get(reference, working) for reference in references}


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def load(engine: Engine) -> Scheduler:
    return Scheduler(engine, lambda: None)


def waits_for(service: str, after: timedelta) -> MessageStatus:
    return waiting_at(datetime.now(UTC) + after, {"step": "create_ticket", "reason": "HTTP 503", "gate": service})


def test_tick_resumes_only_messages_that_are_due(engine: Engine, load: Scheduler) -> None:
    load.waiting = {"due": waits_for("", -HOUR), "early": waits_for("", HOUR)}
    assert load.tick() == {}
    assert engine.resumed == ["due"]
    assert (load.waiting.keys(), load.working) == ({"early"}, {"due"})


def test_tick_resumes_one_message_per_service_that_is_down(engine: Engine, load: Scheduler) -> None:
    """It tries the service. The others would be deferred again."""
    long_ago = datetime.now(UTC) - HOUR
    engine.breaker("hubspot").failed(long_ago, long_ago)
    load.waiting = {f"{number}": waits_for("hubspot", -HOUR) for number in range(3)}
    load.waiting["other"] = waits_for("clickup", -HOUR)
    load.tick()
    assert engine.resumed == ["0", "other"]


def test_tick_resumes_every_message_once_its_service_answers(engine: Engine, load: Scheduler) -> None:
    """However long each was told to wait."""
    engine.breaker("hubspot").answered()
    load.waiting = {f"{number}": waits_for("hubspot", HOUR) for number in range(3)}
    load.tick()
    assert engine.resumed == ["0", "1", "2"]


def test_tick_returns_stopped_messages_and_pauses_idle_queue(engine: Engine, load: Scheduler) -> None:
    engine.stopped = {"done": MessageStatus(WorkResult(Outcome.SUPPORT)), "late": waits_for("", HOUR)}
    load.working = {"done", "late", "busy"}
    assert load.tick() == engine.stopped
    assert (load.working, load.waiting.keys(), engine.paused[-1]) == ({"busy"}, {"late"}, False)
    engine.stopped["busy"] = MessageStatus(WorkResult(Outcome.FAILED))
    assert load.tick().keys() == {"busy"}
    assert engine.paused[-1] is True


@pytest.mark.parametrize(("after_s", "soon"), [(SHORT_WAIT_S / 2, True), (SHORT_WAIT_S * 100, False)])
def test_only_short_waits_end_soon(load: Scheduler, after_s: float, *, soon: bool) -> None:
    assert not load.soon()
    load.waiting = {"waits": waits_for("", timedelta(seconds=after_s))}
    assert load.soon() is soon


def test_message_that_ends_gives_waiting_ones_more_time(load: Scheduler, engine: Engine) -> None:
    """One of them may have waited for it."""
    load.waiting = {"waits": waits_for("", timedelta(seconds=SHORT_WAIT_S / 2))}
    load._waited = {"waits": datetime.now(UTC) - HOUR}
    assert not load.soon()
    engine.stopped = {"done": MessageStatus(WorkResult(Outcome.SUPPORT))}
    load.working = {"done"}
    load.tick()
    assert load.soon()


def test_message_that_ends_resumes_those_that_wait_for_it(load: Scheduler, engine: Engine) -> None:
    """Long before they are due. A correction ends as well, and one that waits for its receipt alone is done."""
    late = datetime.now(UTC) + HOUR
    wait = {"step": "find_thread", "reason": "at work"}
    load.waiting = {each: waiting_at(late, wait | {"behind": each[-1]}) for each in ("a for 1", "b for 2", "c for 3")}
    filed = WorkResult(Outcome.WAITING, step="send_receipt", until=late, filed=Outcome.SUPPORT)
    engine.stopped = {"1/support/1": MessageStatus(WorkResult(Outcome.SUPPORT)), "2": MessageStatus(filed)}
    load.working = {"1/support/1", "2", "3"}
    load.tick()
    assert engine.resumed == ["a for 1", "b for 2"]
    assert load.waiting.keys() == {"2", "c for 3"}


def test_woken_message_is_resumed_at_once_and_kept_in_hand(load: Scheduler, engine: Engine) -> None:
    """By the thread that wakes it. The queue is not paused before it is looked into."""
    load.waiting = engine.stopped = {"one": waits_for("", HOUR)}
    load.wake("one")
    assert (engine.resumed, engine.paused) == (["one"], [False])
    engine.stopped = {}
    load.tick()
    assert (load.working, load.waiting, engine.paused[-1], engine.resumed) == ({"one"}, {}, False, ["one"])


@pytest.mark.parametrize("outcome", [Outcome.WORKING, Outcome.FAILED, Outcome.GONE])
def test_message_that_waits_no_more_is_not_woken(load: Scheduler, engine: Engine, outcome: Outcome) -> None:
    """As one that ended, or that a person took away, before its turn came."""
    engine.stopped = {"one": MessageStatus(WorkResult(outcome))}
    load.wake("one")
    load.wake("forgotten")
    assert engine.resumed == []


def test_no_message_waits_longer_than_the_longest_wait(engine: Engine) -> None:
    """The time that it waits for is a day off: the clock was a day ahead when it was made."""
    now = [50.0]
    load = Scheduler(engine, lambda: None, lambda: now[0])
    load.waiting = {"waits": waits_for("", 24 * HOUR)}
    for after_s, resumed in ((0, []), (LONGEST_WAIT_S - 1, []), (1, ["waits"])):
        now[0] += after_s
        load.tick()
        assert engine.resumed == resumed
