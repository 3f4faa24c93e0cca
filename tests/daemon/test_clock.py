"""The clock of the machine is set, and the intervals of the daemon stay as long as they are."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from types import SimpleNamespace
from typing import TYPE_CHECKING
from unittest.mock import ANY

import pytest

from poller.daemon import loop
from poller.daemon.clock import STEP_S, ClockWatch, Interval
from poller.daemon.loop import RELOAD, STOP, Asked, Loop
from poller.errors import MessageWithheldError
from poller.mailbox import scanner, withheld
from poller.mailbox.variants import Variants
from tests.support.imap_account import NAMES, a_mail
from tests.support.imap_provider import Provider

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Office

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize("previous", [None, NOW, NOW - timedelta(days=20_000)], ids=["first", "usual", "set forward"])
def test_next_run_is_one_interval_away(previous: datetime | None) -> None:
    """It makes up for none of those that a clock without a battery has missed since 1970."""
    assert Interval(60).get_next_fire_time(previous, NOW) == NOW + timedelta(seconds=60)


@pytest.mark.parametrize("by_s", [-3600.0, 86_400.0])
def test_clock_that_was_set_is_noticed_once(by_s: float) -> None:
    """The wall clock and the steady one part. Time that passes, and a correction by seconds, is no step."""
    now = {"wall": 1e9, "steady": 50.0}
    watch = ClockWatch(lambda: now["wall"], lambda: now["steady"])
    now = {"wall": 1e9 + 100 + STEP_S / 2, "steady": 150.0}
    assert watch.step_s() == 0
    now["wall"] += by_s
    assert watch.step_s() == by_s
    assert watch.step_s() == 0


def test_settings_that_are_tried_are_not_lost_when_the_clock_is_set(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop that asked for them is over, so the next one reads them."""
    monkeypatch.setattr(loop, "CLOCK_S", 0.01)
    monkeypatch.setattr(loop, "check_in_background", lambda *_: None)  # still asks the services
    wall = iter([0.0, *[3600.0] * 1000])
    monkeypatch.setattr(loop, "ClockWatch", lambda: ClockWatch(lambda: next(wall), lambda: 0.0))
    asked = SimpleQueue[Asked]()
    asked.put(RELOAD)
    Loop(office.settings, asked).run(lambda: office.settings)
    assert asked.get_nowait() == RELOAD


def test_loop_begins_anew_when_the_clock_was_set(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that it keeps belongs to the old clock: it goes on with the same settings, in a loop of its own."""
    monkeypatch.setattr(loop, "CLOCK_S", 0.01)
    wall = iter([3600.0, *[0.0] * 1000])
    monkeypatch.setattr(loop, "ClockWatch", lambda: ClockWatch(lambda: next(wall), lambda: 0.0))
    settings = office.settings
    first = Loop(settings, asked := SimpleQueue[Asked]())
    assert first.run(lambda: settings) is settings
    asked.put(STOP)
    assert Loop(settings, asked, first).run(lambda: settings) is None


def test_mailbox_out_of_reach_stays_so_when_the_clock_is_set(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that is set each minute has a new loop each minute, and the admin has to be told all the same."""
    monkeypatch.setattr(loop, "CLOCK_S", 0.01)
    office.environment |= {"IMAP_PORT": "9"}
    settings, asked = office.settings, SimpleQueue[Asked]()
    first = Loop(settings, asked)
    step_s = iter([3600.0])

    class SetAfterPoll(ClockWatch):
        def step_s(self) -> float:
            return next(step_s) if first.health.failing_since else 0.0

    monkeypatch.setattr(loop, "ClockWatch", SetAfterPoll)
    assert first.run(lambda: settings) is settings
    second = Loop(settings, asked, first)
    since = second.health.failing_since
    assert since is not None
    assert since - datetime.now(UTC) > timedelta(minutes=50)
    assert Loop(office.settings, asked, first).health.failing_since is None, "other settings may well be right"


def test_message_that_is_unreadable_stays_so_when_the_clock_is_set(
    office: Office, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Since as long ago as before. One is refused, one withheld, and one that is not known yet becomes so in time."""
    with Provider("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 AUTH=PLAIN") as server:
        for number in range(4):
            server.deliver(a_mail(number))
        refused, held, unknown, _ = server.boxes["INBOX"]
        server.refused, server.withheld, server.strange = {refused: "NO Internal failure"}, {held: "NIL"}, {unknown}
        office.environment |= {f"IMAP_{name.upper()}": str(getattr(server, name)) for name in NAMES}
        settings, asked = office.settings, SimpleQueue[Asked]()
        first = Loop(settings, asked)
        with closing(first.daemon.inbox) as inbox:
            inbox.variants = Variants()  # no state is open
            reference = inbox.scan()[0]
            with pytest.raises(MessageWithheldError):
                inbox.fetch(reference, tmp_path / "mail.eml")
        later_s = time.monotonic() + 3600
        for module in (scanner, withheld):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: later_s))
        with closing(Loop(settings, asked, first).daemon.inbox) as inbox:
            inbox.variants = Variants()
            inbox.scan()
            ages = {uid: (datetime.now(UTC) - since).total_seconds() for uid, since in inbox.unreadable.items()}
        assert ages == {refused: pytest.approx(3600, abs=60), held: pytest.approx(3600, abs=60), unknown: ANY}
