"""A disk that fills up for a while under the daemon: an outage like any other."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox import Fault
from poller.cli.samples import samples
from poller.daemon import daemon as daemon_module
from poller.daemon import loop
from tests.support.recording_server import Listener, http
from tests.support.running_daemon import running
from tests.support.small_disk import SmallDisk, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Office
    from tests.support.sd_notify_listener import Manager

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
BEGUN, OVER = "[Alerte] Le service ne peut plus rien enregistrer", "[Fin d’alerte] Le service enregistre de nouveau"


@pytest.fixture
def disk(office: Office, tmp_path: Path) -> Iterator[SmallDisk]:
    """The disk on which the office's state lies."""
    with small_disk(tmp_path / "disk") as made:
        shutil.copytree(office.state, made.path / "state")
        office.state = made.path / "state"
        office.environment["STATE_URL"] = f"sqlite:///{office.state / 'poller.sqlite'}"
        yield made


def test_start_on_full_disk_is_tried_again_later(office: Office, disk: SmallDisk) -> None:
    """Exit code 75, which systemd starts again, and never 78; with room it starts."""
    disk.fill()
    assert [office.begin("once").end().returncode for _ in range(2)] == [75, 75]
    disk.empty()
    assert [status.outcome for status in office.once(samples()["support"]).values()] == ["support"]


def test_disk_that_fills_and_empties_loses_and_doubles_nothing(
    office: Office, disk: SmallDisk, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message in hand waits for room to record its ticket, and a new one for room to be taken up.

    The admin is told by mail and by the heartbeat, once, and when it is over.
    """
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setattr(loop, "WATCH_S", 0.1)
    monkeypatch.setattr(daemon_module, "PROBE_S", 0.1)
    monkeypatch.setattr("poller.monitoring.alerts.CALM", timedelta(seconds=0.3))
    monkeypatch.setattr("poller.monitoring.heartbeat.EVERY_S", 0.0)
    office.fail("hubspot", Fault("slow", "POST", "/crm/objects/2026-09/tickets"))
    office.sandbox.imap.deliver(samples()["support"])
    with Listener(http(OK)) as keeper:
        office.environment |= {
            "ALERTS_POLLS_FAILING_MIN": "0.0001",
            "HEARTBEAT_URL": f"http://127.0.0.1:{keeper.port}/ping",
            "IMAP_POLL_INTERVAL_S": "0.5",
        }
        with running(office.settings):
            assert office.sandbox.hubspot.wait_for_hang()
            disk.fill()
            office.sandbox.hubspot.heal()
            office.sandbox.imap.deliver(samples()["bug"])
            while "state not writable since" not in (said := manager.until("STATUS")["STATUS"]):
                continue
            assert "the disk is full" in said
            subjects: list[str] = []
            while BEGUN not in subjects or b"GET /ping/fail " not in keeper.received:
                manager.until("STATUS")
                subjects = [str(letter.message["Subject"]) for letter in office.sandbox.smtp.messages]
            disk.empty()
            while office.mailboxes() != {"Support": 2} or OVER not in subjects:
                manager.until("STATUS")
                subjects = [str(letter.message["Subject"]) for letter in office.sandbox.smtp.messages]
    assert office.counts()["tickets"] == 2
    assert subjects.count(BEGUN) == 1
    assert keeper.received.count(b"GET /ping/fail ") == 1
