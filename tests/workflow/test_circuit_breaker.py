"""A circuit breaker lets one call through now and then, and everybody when the service answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from poller.workflow.circuit_breaker import CircuitBreaker

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def test_open_circuit_breaker_lets_one_call_through_after_wait() -> None:
    """The first caller tries the service, and the others wait for its result."""
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
    assert breaker.open_until == NOW + timedelta(seconds=2)
    for delay_s in (10, 60):
        assert breaker.open_until
        now = breaker.open_until
        assert breaker.wait(now) is None
        breaker.failed(now, now)
        breaker.failed(now, now)
        assert breaker.open_until == now + timedelta(seconds=delay_s)


def test_circuit_breaker_opened_by_a_wrong_clock_holds_nobody_back() -> None:
    """The clock was a day ahead when the service failed, and was set back since."""
    breaker = CircuitBreaker((10.0,))
    ahead = NOW + timedelta(days=1)
    breaker.failed(ahead, ahead)
    assert breaker.wait(NOW) is None
    assert breaker.wait(NOW) == NOW + timedelta(seconds=10)


def test_held_back_service_may_be_tried_now() -> None:
    """By one caller, whatever the service asked for. A service that answers is left as it is."""
    breaker = CircuitBreaker((10.0,))
    breaker.try_now(NOW)
    assert breaker.is_closed
    breaker.failed(NOW, NOW + timedelta(hours=1))
    breaker.try_now(NOW)
    assert breaker.wait(NOW) is None
    assert breaker.wait(NOW) == NOW + timedelta(seconds=10)
