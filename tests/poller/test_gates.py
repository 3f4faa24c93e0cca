"""Who may go on, and who must wait."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from poller.workflow.circuit_breaker import CircuitBreaker
from poller.workflow.shared_lock import SharedLock

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def entered(enter: object) -> tuple[threading.Thread, threading.Event, threading.Event]:
    """A thread that enters, says so, and stays until it is let go."""
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with enter:  # type: ignore[attr-defined]
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=stay)
    thread.start()
    return thread, inside, leave


def test_a_suspect_runs_alone() -> None:
    """It waits for those at work, keeps those who come later out, and nobody is beside it."""
    floor = SharedLock()
    neighbour, beside, leave_neighbour = entered(floor.shared())
    assert beside.wait(5)
    suspect, alone, leave_suspect = entered(floor.exclusive())
    assert not alone.wait(0.1)
    latecomer, late, leave_latecomer = entered(floor.shared())
    assert not late.wait(0.1)
    leave_neighbour.set()
    assert alone.wait(5)
    assert not late.wait(0.1)
    leave_suspect.set()
    assert late.wait(5)
    leave_latecomer.set()
    for thread in (neighbour, suspect, latecomer):
        thread.join(5)


def test_two_suspects_do_not_run_side_by_side() -> None:
    """Or nobody could tell which of them killed the process."""
    floor = SharedLock()
    first, alone, leave_first = entered(floor.exclusive())
    assert alone.wait(5)
    second, beside, leave_second = entered(floor.exclusive())
    assert not beside.wait(0.1)
    leave_first.set()
    assert beside.wait(5)
    leave_second.set()
    for thread in (first, second):
        thread.join(5)


def test_a_closed_gate_lets_one_in_when_its_time_is_up() -> None:
    """Whoever comes first tries the service; the others wait for what comes of it."""
    gate = CircuitBreaker((10.0,))
    gate.failed(NOW, NOW)
    assert gate.wait(NOW) == NOW + timedelta(seconds=10)
    later = NOW + timedelta(seconds=11)
    assert gate.wait(later) is None
    assert gate.wait(later) == later + timedelta(seconds=10)
    gate.answered()
    assert gate.wait(later) is None
    assert gate.wait(later) is None


def test_a_failure_that_all_in_hand_meet_is_one() -> None:
    """A hiccup costs seconds, however many messages were inside; what lasts costs more with each try."""
    gate = CircuitBreaker(delays_s=(2, 10, 60))
    for _ in range(8):
        gate.failed(NOW, NOW)
    assert gate.closed_until == NOW + timedelta(seconds=2)
    for delay_s in (10, 60):
        assert gate.closed_until
        now = gate.closed_until
        assert gate.wait(now) is None
        gate.failed(now, now)
        gate.failed(now, now)
        assert gate.closed_until == now + timedelta(seconds=delay_s)
