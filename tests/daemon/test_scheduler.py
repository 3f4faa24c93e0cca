"""Messages in hand and waiting: which is resumed when, and how many are asked about at once."""

from __future__ import annotations

import threading
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
from poller.daemon.retry_requests import EVERYTHING
from poller.daemon.scheduler import SHORT_WAIT_S, Scheduler
from poller.dispatch.receive import TOO_OFTEN
from poller.model import Outcome
from poller.workflow.circuit_breaker import CircuitBreaker
from poller.workflow.corrections import message_of
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
        ours = threading.get_ident()  # the workers ask as well

        def count(*given: object) -> None:
            if threading.get_ident() == ours:
                asked.append(asked.pop() + len(given[3]))  # type: ignore[arg-type]

        with statements(count):
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
        self.last_works: dict[str, str] = {}  # of a message that was corrected: its last correction
        self.left: dict[str, MessageStatus] = {}  # what waited when the process before ended
        self.resumed: list[str] = []
        self.polled: list[set[str] | None] = []  # the messages that the queue is polled for, None for any
        self._breakers: defaultdict[str, CircuitBreaker] = defaultdict(CircuitBreaker)

    def breaker(self, service: str) -> CircuitBreaker:
        return self._breakers[service]

    def poll_queue(self) -> None:
        self.polled.append(None)

    def poll_queue_for(self, messages: set[str]) -> None:
        self.polled.append(messages)

    def resume(self, reference: str, _seen: MessageStatus | None = None) -> None:
        self.resumed.append(reference)

    def in_hand(self) -> set[str]:
        return set()

    def waiting(self) -> dict[str, MessageStatus]:
        return self.left

    def last(self, reference: str) -> tuple[str, MessageStatus | None]:
        last = self.last_works.get(reference, reference)
        return last, self.stopped.get(last)

    def statuses(self, references: list[str]) -> dict[str, MessageStatus]:
        working = MessageStatus(WorkResult(Outcome.WORKING))
        return {reference: self.stopped.get(reference, working) for reference in references}


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def load(engine: Engine) -> Scheduler:
    return Scheduler(engine, lambda: None)


def waits_for(service: str, after: timedelta, reason: str = "HTTP 503") -> MessageStatus:
    return waiting_at(datetime.now(UTC) + after, {"step": "create_ticket", "reason": reason, "gate": service})


def tried(load: Scheduler, waiting: dict[str, MessageStatus]) -> None:
    """Have messages wait that this process has tried."""
    load.waiting, load._tried = waiting, set(waiting)


def test_tick_resumes_only_messages_that_are_due(engine: Engine, load: Scheduler) -> None:
    tried(load, {"due": waits_for("", -HOUR), "early": waits_for("", HOUR)})
    assert load.tick() == {}
    assert engine.resumed == ["due"]
    assert (load.waiting.keys(), load.working) == ({"early"}, {"due"})


def test_tick_resumes_one_message_per_service_that_is_down(engine: Engine, load: Scheduler) -> None:
    """It tries the service. The others would be deferred again."""
    long_ago = datetime.now(UTC) - HOUR
    engine.breaker("hubspot").failed(long_ago, long_ago)
    tried(load, {f"{number}": waits_for("hubspot", -HOUR) for number in range(3)} | {"o": waits_for("clickup", -HOUR)})
    load.tick()
    assert engine.resumed == ["0", "o"]


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
    assert (load.working, load.waiting.keys(), engine.polled[-1]) == ({"busy"}, {"late"}, {"busy"})
    engine.stopped["busy"] = MessageStatus(WorkResult(Outcome.FAILED))
    assert load.tick().keys() == {"busy"}
    assert engine.polled[-1] == set()


@pytest.mark.parametrize(("after_s", "soon"), [(SHORT_WAIT_S / 2, True), (SHORT_WAIT_S * 100, False)])
def test_only_short_waits_end_soon(load: Scheduler, after_s: float, *, soon: bool) -> None:
    assert not load.soon()
    tried(load, {"waits": waits_for("", timedelta(seconds=after_s))})
    assert load.soon() is soon


def test_message_that_ends_gives_waiting_ones_more_time(load: Scheduler, engine: Engine) -> None:
    """One of them may have waited for it."""
    tried(load, {"waits": waits_for("", timedelta(seconds=SHORT_WAIT_S / 2))})
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
    names = "a for 1", "b for 2", "c for 3"
    tried(load, {each: waiting_at(late, wait | {"behind": each[-1]}) for each in names})
    filed = WorkResult(Outcome.WAITING, step="send_receipt", until=late, filed=Outcome.SUPPORT)
    engine.stopped = {"1/support/1": MessageStatus(WorkResult(Outcome.SUPPORT)), "2": MessageStatus(filed)}
    load.working = {"1/support/1", "2", "3"}
    load.tick()
    assert engine.resumed == ["a for 1", "b for 2"]
    assert engine.polled[-1] is None  # the queue, in which they are now
    assert load.waiting.keys() == {"2", "c for 3"}


def test_woken_message_is_resumed_at_once_and_kept_in_hand(load: Scheduler, engine: Engine) -> None:
    """By the thread that wakes it. The queue is not paused before it is looked into."""
    load.waiting = engine.stopped = {"one": waits_for("", HOUR)}
    load.wake("one")
    assert (engine.resumed, engine.polled) == (["one"], [None])
    engine.stopped = {}
    load.tick()
    assert (load.working, load.waiting, engine.polled[-1], engine.resumed) == ({"one"}, {}, {"one"}, ["one"])


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
    tried(load, {"waits": waits_for("", 24 * HOUR)})
    for after_s, resumed in ((0, []), (LONGEST_WAIT_S - 1, []), (1, ["waits"])):
        now[0] += after_s
        load.tick()
        assert engine.resumed == resumed


def test_new_process_tries_at_once_what_waits(load: Scheduler, engine: Engine) -> None:
    """One message a tick tries a service that has not answered yet; from the first answer on all go on."""
    load.waiting = {f"{number}": waits_for("hubspot", HOUR) for number in range(4)} | {"o": waits_for("clickup", HOUR)}
    load.waiting["turn"] = waits_for("", HOUR, TOO_OFTEN)
    assert load.soon()
    load.tick()
    assert engine.resumed == ["0", "o"]
    load.tick()
    assert engine.resumed == ["0", "o", "1"]
    engine.breaker("hubspot").answered()
    load.tick()
    assert (engine.resumed[3:], load.waiting.keys()) == (["2", "3"], {"turn"})


def test_new_process_waits_for_a_service_that_fails_again(load: Scheduler, engine: Engine) -> None:
    """The message that tried it is tried when it is due, and the others when the circuit breaker lets one through."""
    load.waiting = {"0": waits_for("", HOUR), "1": waits_for("", HOUR)}
    load.tick()
    now = datetime.now(UTC)
    engine.breaker("hubspot").failed(now, now + HOUR)
    engine.stopped["0"] = waits_for("", HOUR)
    for _ in range(3):
        load.tick()
    assert (engine.resumed, load.waiting.keys()) == (["0"], {"0", "1"})
    assert not load.soon()


@pytest.mark.parametrize(("asked", "resumed"), [("1", ["1"]), ("unknown", []), (EVERYTHING, ["0"])])
def test_asked_message_is_tried_at_once(load: Scheduler, engine: Engine, asked: str, resumed: list[str]) -> None:
    """By one message first, though its service asked to be left alone for an hour."""
    now = datetime.now(UTC)
    engine.breaker("hubspot").failed(now, now + HOUR)
    tried(load, {"0": waits_for("hubspot", HOUR), "1/support/1": waits_for("", HOUR)})
    engine.last_works = {"1": "1/support/1"}
    load.try_now({asked})
    load.tick()
    assert [message_of(each) for each in engine.resumed] == resumed
    assert (engine.breaker("hubspot").wait(now + HOUR / 2) is None) is bool(resumed)


def test_asked_message_that_no_scan_finds_is_tried(load: Scheduler, engine: Engine) -> None:
    """The state knows of it."""
    engine.stopped = {"1": waits_for("hubspot", HOUR)}
    load.try_now({"1"})
    load.tick()
    assert engine.resumed == ["1"]


def test_new_process_counts_what_waits_in_the_state(load: Scheduler, engine: Engine) -> None:
    """Before a scan has found it, as `poller status` does, and until it has ended. It is not resumed unseen."""
    filed = WorkResult(Outcome.WAITING, step="send_receipt", filed=Outcome.SUPPORT)
    engine.left = {"1": waits_for("hubspot", HOUR), "2/support/1": waits_for("r2", HOUR), "3": MessageStatus(filed)}
    load.begin()
    load.tick()
    assert engine.resumed == ["3"]
    assert [status.service for status in load.waiting_messages()] == ["hubspot", "r2"]
    load.working.add("2/support/1")
    assert len(load.waiting_messages()) == 1
    engine.stopped = {"2/support/1": MessageStatus(WorkResult(Outcome.SUPPORT))}
    load.tick()
    load.working.clear()
    assert [status.service for status in load.waiting_messages()] == ["hubspot"]
