"""Health of the polls, as the watchdog and a person are told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from poller.backoff import POLL_ASKED_MOST_S, POLL_DELAYS_S, POLL_REFUSED_S
from poller.monitoring.poll_health import LATE_S, PollHealth

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> PollHealth:
    return PollHealth(interval_s=60, clock=clock)


def test_delay_is_what_the_server_asks_within_bounds(health: PollHealth) -> None:
    """A quarter of an hour at most; the usual delay where it asks for less, or for nothing."""
    assert health.failed(NOW, "", asked_s=92.4) == 92.4
    assert health.failed(NOW, "", asked_s=1e9) == POLL_ASKED_MOST_S
    assert health.failed(NOW, "", asked_s=0.001) <= POLL_DELAYS_S[2]


def local(moment: datetime) -> str:
    return moment.astimezone().strftime("%H:%M")


def test_watchdog_is_fed_unless_a_scan_hangs(health: PollHealth, clock: Clock) -> None:
    """A scan that never ends starves the watchdog, from its first moment on."""
    assert health.is_alive()
    health.began()
    assert not health.is_alive()
    health.good(NOW)
    assert health.is_alive()
    clock.s += 60 + LATE_S - 1
    health.ticked()
    assert health.is_alive()


def test_watchdog_is_not_fed_when_ticks_stop(health: PollHealth, clock: Clock) -> None:
    """Polls go on, as IDLE asks for them, and what waits is resumed by nobody."""
    for _ in range(3):
        clock.s += LATE_S / 2
        health.good(NOW)
    assert not health.is_alive()
    health.ticked()
    assert health.is_alive()


def test_watchdog_is_not_fed_when_no_scan_begins(health: PollHealth, clock: Clock) -> None:
    """A restart mends a daemon whose scheduler has stopped."""
    health.began()
    health.good(NOW)
    clock.s += 60 + LATE_S + 1
    health.ticked()
    assert not health.is_alive()


def test_watchdog_is_fed_while_mail_server_is_down(health: PollHealth, clock: Clock) -> None:
    """Each scan ends for days, with an error each time."""
    for _ in range(50):
        health.began()
        clock.s += 30
        delay_s = health.failed(NOW, "IMAP: no answer in time")
        health.ticked()
        assert health.is_alive()
        clock.s += delay_s
        assert health.is_alive()


def test_failed_scans_back_off(health: PollHealth) -> None:
    """By the table and never longer, with half of it left to chance; one that succeeds begins anew."""
    delays = [health.failed(NOW, "") for _ in range(8)]
    table = [*POLL_DELAYS_S, *[POLL_DELAYS_S[-1]] * 8]
    assert all(most / 2 <= delay <= most for delay, most in zip(delays, table, strict=False))
    assert len({health.failed(NOW, "") for _ in range(8)}) > 1
    health.good(NOW)
    assert health.failed(NOW, "") <= POLL_DELAYS_S[0]
    assert max(POLL_DELAYS_S) <= 60  # a server that is back is found within a minute


def test_refusing_mail_server_is_polled_seldom(health: PollHealth) -> None:
    """Some lock an account that asks often; but a mailbox that is being made anew is there again in a moment."""
    delays = [health.failed(NOW, "", refused=True) for _ in range(len(POLL_DELAYS_S) + 1)]
    assert delays[0] <= POLL_DELAYS_S[0]
    assert delays[-1] >= POLL_REFUSED_S / 2


def test_failing_since_is_first_consecutive_failure(health: PollHealth) -> None:
    """Whoever is told that polls fail is told since when."""
    for minute in range(3):
        health.failed(NOW + timedelta(minutes=minute), "")
    assert health.failing_since == NOW
    health.good(NOW)
    assert health.failing_since is None


def test_systemd_status_is_one_complete_line(health: PollHealth) -> None:
    """Waiting messages, the last poll, and unreachable services with their times."""

    def status(after_s: float, *, in_hand: int = 0, waiting: int = 12, out_of_reach: tuple[str, ...] = ()) -> str:
        now = NOW + timedelta(seconds=after_s)
        return health.status(now, in_hand=in_hand, waiting=waiting, out_of_reach=out_of_reach)

    assert status(0, waiting=0) == "0 waiting, first poll under way"
    health.good(NOW)
    assert status(8, in_hand=3) == "3 in hand, 12 waiting, last poll 8 s ago"
    since = local(NOW + timedelta(seconds=10))
    assert status(10, out_of_reach=("clickup",)).endswith(f", ClickUp unreachable since {since}")
    assert status(600, out_of_reach=("clickup", "smtp")).endswith(
        f"last poll 10 min ago, ClickUp unreachable since {since}, "
        f"SMTP unreachable since {local(NOW + timedelta(seconds=600))}"
    )
    assert "ClickUp" not in status(601)
    assert local(NOW + timedelta(seconds=700)) in status(700, out_of_reach=("clickup",)), "it has been back in between"
    health.failed(NOW, "IMAP SEARCH: no answer in time")
    assert status(720).endswith(f"mailbox out of reach since {local(NOW)} (IMAP SEARCH: no answer in time)")
    assert (NOW.astimezone().strftime("%Y-%m-%d ")) in status(3 * 86400)
