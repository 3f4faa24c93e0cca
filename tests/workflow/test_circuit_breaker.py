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


def test_suspect_message_runs_alone() -> None:
    """It waits for those at work, keeps those who come later out, and nobody is beside it."""
    step_lock = SharedLock()
    neighbour, beside, leave_neighbour = entered(step_lock.shared())
    assert beside.wait(5)
    suspect, alone, leave_suspect = entered(step_lock.exclusive())
    assert not alone.wait(0.1)
    latecomer, late, leave_latecomer = entered(step_lock.shared())
    assert not late.wait(0.1)
    leave_neighbour.set()
    assert alone.wait(5)
    assert not late.wait(0.1)
    leave_suspect.set()
    assert late.wait(5)
    leave_latecomer.set()
    for thread in (neighbour, suspect, latecomer):
        thread.join(5)


def test_suspect_messages_run_one_at_a_time() -> None:
    """Or nobody could tell which of them killed the process."""
    step_lock = SharedLock()
    first, alone, leave_first = entered(step_lock.exclusive())
    assert alone.wait(5)
    second, beside, leave_second = entered(step_lock.exclusive())
    assert not beside.wait(0.1)
    leave_first.set()
    assert beside.wait(5)
    leave_second.set()
    for thread in (first, second):
        thread.join(5)


def test_open_circuit_breaker_lets_one_call_through_after_wait() -> None:
    """Whoever comes first tries the service; the others wait for what comes of it."""
    breaker = CircuitBreaker((10.0,))
    breaker.failed(NOW, NOW)
    assert breaker.wait(NOW) == NOW + timedelta(seconds=10)
    later = NOW + timedelta(seconds=11)
    assert breaker.wait(later) is None
    assert breaker.wait(later) == later + timedelta(seconds=10)
    breaker.answered()
    assert breaker.wait(later) is None
    assert breaker.wait(later) is None


def test_concurrent_failures_count_once_in_circuit_breaker() -> None:
    """A hiccup costs seconds, however many messages were inside; what lasts costs more with each try."""
    breaker = CircuitBreaker(delays_s=(2, 10, 60))
    for _ in range(8):
        breaker.failed(NOW, NOW)
    assert breaker.closed_until == NOW + timedelta(seconds=2)
    for delay_s in (10, 60):
        assert breaker.closed_until
        now = breaker.closed_until
        assert breaker.wait(now) is None
        breaker.failed(now, now)
        breaker.failed(now, now)
        assert breaker.closed_until == now + timedelta(seconds=delay_s)
