"""The daemon's schedule: it goes on through outages, and reports them."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError
from integrations.sandbox import Fault
from poller import backoff
from poller.cli.samples import samples
from poller.cli.status import Overview
from poller.daemon import loop
from poller.daemon.daemon import Daemon
from poller.daemon.loop import RELOAD, STOP, Asked, Loop
from poller.mailbox import new_messages
from poller.monitoring import status_file
from tests.support.imap_account import NAMES
from tests.support.imap_provider import Provider
from tests.support.recording_server import Listener, http
from tests.support.running_daemon import running, waiting_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.config.settings import Settings
    from tests.conftest import Office
    from tests.support.sd_notify_listener import Manager

NEVER_S = 3600.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


@pytest.fixture(autouse=True)
def _polls_alone_speak(monkeypatch: pytest.MonkeyPatch, manager: Manager) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setattr(loop, "WATCH_S", NEVER_S)


def subjects(office: Office) -> list[str]:
    return [str(letter.message["Subject"]) for letter in office.sandbox.smtp.messages]


def test_daemon_starts_while_mail_server_is_down(office: Office, manager: Manager) -> None:
    """Ready at once, at work on it with short waits whatever the interval is, and not to be restarted for it."""
    office.environment |= {"IMAP_PORT": "9", "IMAP_POLL_INTERVAL_S": str(NEVER_S)}
    with running(office.settings):
        manager.until("READY")
        for _ in range(2):
            status = manager.until("WATCHDOG")["STATUS"]
            assert status.startswith("0 waiting, mailbox out of reach since ")
            assert "nothing listens there" in status


def test_new_mail_is_admitted_at_once(office: Office, manager: Manager) -> None:
    """At once, an hour before the next poll."""
    office.environment["IMAP_POLL_INTERVAL_S"] = str(NEVER_S)
    with running(office.settings):
        manager.until("READY")
        for _ in range(2):  # the first poll, and that when the watch has begun
            assert manager.until("STATUS")["STATUS"].startswith("0 waiting, last poll")
        office.sandbox.imap.deliver(samples()["support"])
        while not manager.until("STATUS")["STATUS"].startswith("1 in hand") and office.mailboxes() != {"Support": 1}:
            continue


def test_messages_that_a_poll_puts_off_are_read_at_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each poll reads one of them here. Two polls come of themselves, and the next one an hour later."""
    office.environment["IMAP_POLL_INTERVAL_S"] = str(NEVER_S)
    monkeypatch.setattr(new_messages, "BODY_BYTES", 1)
    for number in range(4):
        office.sandbox.imap.deliver(b"From: a@b.example\r\nSubject: Facture\r\n\r\nFacture %d fausse.\r\n" % number)
    with running(office.settings):
        deadline = time.monotonic() + 60
        while office.mailboxes().get("INBOX") and time.monotonic() < deadline:
            continue
    assert sum(office.mailboxes().values()) == 4
    assert "INBOX" not in office.mailboxes()


def test_idle_watch_restarts_after_unexpected_error(
    office: Office, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report job restarts it: the mail that comes then is taken up an hour before the next poll."""
    office.environment |= {"IMAP_POLL_INTERVAL_S": str(NEVER_S), "IMAP_TIMEOUT_S": "1"}
    monkeypatch.setattr(loop, "WATCH_S", 0.05)
    died = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _: died.set())
    at_work = Loop(office.settings, asked := SimpleQueue[Asked]())
    wake, at_work._idle._wake = at_work.wake, lambda: wake() if died.is_set() else 1 // 0
    thread = threading.Thread(target=at_work.run, args=(lambda: office.settings,), daemon=True)
    thread.start()
    while not died.is_set() or not manager.until("STATUS")["STATUS"].startswith("0 waiting, last poll"):
        manager.until("STATUS")
    office.sandbox.imap.deliver(samples()["support"])
    while office.mailboxes() != {"Support": 1}:
        manager.until("STATUS")
    asked.put(STOP)
    thread.join()


def test_watchdog_is_fed_during_long_scan(office: Office) -> None:
    """A scan of a hundred thousand messages takes longer than the watchdog waits, and does not hang."""
    for name in ("support", "bug", "auto_reply"):
        office.sandbox.imap.deliver(samples()[name])
    heard: list[int] = []
    daemon = Daemon(office.settings, retry_policy=office.retry_policy, progress=lambda: heard.append(1))
    daemon.start()
    daemon.poll()
    daemon.stop()
    assert len(heard) == 6, "each is read, and each is handed over"


def test_long_poll_failure_is_reported(office: Office, manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """By mail, and by the heartbeat's other address."""
    monkeypatch.setattr(loop, "WATCH_S", 0.05)
    with Listener(http(OK)) as keeper:
        office.environment |= {
            "IMAP_PORT": "9",
            "ALERTS_POLLS_FAILING_MIN": "0.0001",
            "HEARTBEAT_URL": f"http://127.0.0.1:{keeper.port}/ping",
        }
        with running(office.settings):
            manager.until("WATCHDOG")
            while not (subjects(office) and b"/ping/fail" in keeper.received):
                manager.until("STATUS")
    assert subjects(office) == ["[Alerte] La boîte de réception n’est plus relevée"]
    assert keeper.received.count(b"GET /ping/fail ") == keeper.received.count(b"GET ") == 1


def test_wake_does_not_shorten_back_off_that_server_asked_for(office: Office, manager: Manager) -> None:
    """Whatever IDLE reports meanwhile."""
    closed = "BAD Request is throttled. Suggested Backoff Time: 600000 milliseconds"
    with Provider("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 AUTH=PLAIN", closed=closed) as server:
        office.environment |= {f"IMAP_{name.upper()}": str(getattr(server, name)) for name in NAMES}
        with running(office.settings) as at_work:
            while "out of reach" not in manager.until("STATUS")["STATUS"]:
                continue
            at_work.wake()
            job = at_work._scheduler.get_job("poll")
            assert job.next_run_time - datetime.now(UTC) > timedelta(minutes=9)


def test_unreadable_message_is_reported_while_polls_are_good(
    office: Office, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By mail, in the status and to `poller status`, while polls are good."""
    monkeypatch.setattr(loop, "WATCH_S", 0.05)
    monkeypatch.setattr(backoff, "POLL_DELAYS_S", (0.01,))
    with Provider("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 AUTH=PLAIN UIDPLUS MOVE") as server:
        server.deliver(samples()["support"])
        (uid,) = server.boxes["INBOX"]
        server.refused = {uid: "NO Internal failure reading the message"}
        office.environment |= {f"IMAP_{name.upper()}": str(getattr(server, name)) for name in NAMES}
        office.environment |= {"ALERTS_POLLS_FAILING_MIN": "0.0001", "IMAP_POLL_INTERVAL_S": "0.1"}
        with running(office.settings):
            while "[Alerte] Un message ne peut pas être lu" not in subjects(office):
                status = manager.until("STATUS")["STATUS"]
            while "1 unreadable, last poll" not in status:
                status = manager.until("STATUS")["STATUS"]
            # The first poll fails: it gets nothing at all. The file is written by another job than the status.
            while (poll_status := status_file.read(office.state)) is None or poll_status.failing_since:
                status = manager.until("STATUS")["STATUS"]
    assert "mailbox out of reach" not in status
    assert poll_status.unreadable == 1
    (line,) = (line for line in Overview({}, [], poll_status).lines(datetime.now(UTC)) if "does not give" in line)
    assert line.split()[0] == "1"


def test_long_waiting_mail_is_reported(office: Office, manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since the mail came, not since we began; and the status names the service that it waits for."""
    monkeypatch.setattr(loop, "WATCH_S", 0.05)
    office.environment |= {"ALERTS_WAITING_MIN": "0.0001"}
    office.fail("hubspot", Fault("status", path="/crm", status=503, times=None))
    office.sandbox.imap.deliver(samples()["support"])
    with running(office.settings):
        while not subjects(office):
            status = manager.until("STATUS")["STATUS"]
        while "1 waiting" not in status:
            status = manager.until("STATUS")["STATUS"]
    assert "HubSpot unreachable since" in status
    (letter,) = office.sandbox.smtp.messages
    assert letter.message["Subject"] == "[Alerte] Des messages attendent depuis plus de 0,0001 minute"


def test_error_in_reporting_does_not_stop_polls(
    office: Office, monkeypatch: pytest.MonkeyPatch, logged: Callable[[], str]
) -> None:
    """Polls go on; the log says once which job it was, its type and its place, and not its words."""
    monkeypatch.delenv("NOTIFY_SOCKET")
    monkeypatch.setattr(loop, "WATCH_S", 0.05)
    # More minutes than a span of time can have, which nobody asks for before something waits.
    office.environment |= {"ALERTS_WAITING_MIN": "1e300", "NOTIFICATION_EMAIL": ""}
    office.fail("hubspot", Fault("status", path="/crm", status=503, times=None))
    office.sandbox.imap.deliver(samples()["support"])
    said = ""
    with running(office.settings) as at_work:
        deadline = time.monotonic() + 30
        while "job_failed" not in said and time.monotonic() < deadline:
            office.mailboxes()
            said += logged()
        office.sandbox.imap.deliver(samples()["auto_reply"])
        at_work.wake()
        while office.mailboxes().get("Ignorés") != 1 and time.monotonic() < deadline:
            continue
    assert office.mailboxes() == {"INBOX": 1, "Ignorés": 1}
    said += logged()
    (line,) = (line for line in said.splitlines() if "job_failed" in line)
    assert "job=report" in line
    assert "error=OverflowError" in line
    assert "reporter.py" in line
    assert "too large" not in said


def test_reload_waits_for_running_messages(office: Office, manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than a stop would; the watchdog is fed meanwhile, and the next loop finds the state free."""
    monkeypatch.setattr(loop, "STOP_S", 1)
    monkeypatch.setattr(loop, "FEED_S", 0.5)
    office.fail("hubspot", Fault("slow", "POST", "/crm"))
    office.sandbox.imap.deliver(samples()["support"])
    asked: SimpleQueue[Asked] = SimpleQueue()
    ended: list[Settings | None] = []
    settings = office.settings
    first = threading.Thread(target=lambda: ended.append(Loop(settings, asked).run(lambda: settings)), daemon=True)
    first.start()
    assert office.sandbox.hubspot.wait_for_hang()
    asked.put(RELOAD)
    manager.until("RELOADING")
    for _ in range(6):
        assert "READY" not in manager.until("WATCHDOG")
    assert first.is_alive()
    office.sandbox.hubspot.heal()
    first.join(60)
    assert ended == [settings]
    asked.put(STOP)
    assert Loop(settings, asked).run(lambda: settings) is None
    assert office.counts()["tickets"] == 1


def test_wrong_settings_are_shown_in_systemd_status(office: Office, manager: Manager) -> None:
    """`systemctl status` says why the unit failed, without the journal."""
    office.environment["IMAP_PASSWORD"] = "wrong"
    with pytest.raises(ConfigurationError, match="login refused"):
        Loop(office.settings, SimpleQueue()).run(lambda: office.settings)
    assert "check IMAP_USERNAME and IMAP_PASSWORD" in manager.until("STOPPING")["STATUS"]


def test_message_waiting_for_receipt_is_not_in_status(office: Office) -> None:
    """It is filed, and keeps nobody waiting."""
    at_work, at = Loop(office.settings, SimpleQueue()), datetime(2026, 11, 22, 8, tzinfo=UTC)
    waits = {"step": "send_receipt", "reason": "IMAP: timed out", "gate": ""}
    at_work.daemon.waiting.update({"1": waiting_at(at, waits | {"filed": "failed"}), "2": waiting_at(at, waits)})
    assert at_work._status() == "STATUS=1 waiting, first poll under way"
