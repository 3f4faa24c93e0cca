"""The daemon by the clock: it goes on whatever is down, and whoever watches is told."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import event

from integrations.errors import ConfigurationError
from integrations.sandbox import Fault
from poller import backoff
from poller.cli import report
from poller.cli.samples import samples
from poller.config import loader
from poller.daemon import loop, scheduler
from poller.daemon.daemon import Daemon
from poller.daemon.loop import RELOAD, STOP, Asked, Loop
from poller.imap.fetch import MessageSummary
from poller.mailbox.scanner import MailboxSnapshot
from poller.monitoring import status_file
from poller.monitoring.poll_health import PollHealth
from poller.workflow.results import WorkResult
from poller.workflow.retry import RetryPolicy
from poller.workflow.status import MessageStatus
from tests.support.imap_provider import Provider
from tests.support.recording_server import Listener, http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from poller.config.settings import Settings
    from tests.conftest import Office
    from tests.support.sd_notify_listener import Manager

NEVER_S = 3600.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"


@pytest.fixture(autouse=True)
def _polls_alone_speak(monkeypatch: pytest.MonkeyPatch, manager: Manager) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setattr(loop, "WATCH_S", NEVER_S)


@contextmanager
def running(settings: Settings) -> Iterator[Loop]:
    """A loop at work, which is stopped in the end."""
    asked: SimpleQueue[Asked] = SimpleQueue()
    at_work = Loop(settings, asked)
    thread = threading.Thread(target=at_work.run, args=(lambda: settings,))
    thread.start()
    try:
        yield at_work
    finally:
        asked.put(STOP)
        thread.join()


@contextmanager
def statements(heard: Callable[..., object]) -> Iterator[None]:
    """What SQLAlchemy says of each statement, until then."""
    event.listen(SqlEngine, "before_cursor_execute", heard)
    try:
        yield
    finally:
        event.remove(SqlEngine, "before_cursor_execute", heard)


def waiting_at(until: datetime, found: dict[str, str]) -> MessageStatus:
    """Make the status of a message that waits until then."""
    return MessageStatus(WorkResult.from_json({"outcome": "waiting", "until": until.isoformat()} | found))


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
    """At once, an hour before the next look would be."""
    office.environment["IMAP_POLL_INTERVAL_S"] = str(NEVER_S)
    with running(office.settings):
        manager.until("READY")
        for _ in range(2):  # the first look, and that when the watch has begun
            assert manager.until("STATUS")["STATUS"].startswith("0 waiting, last poll")
        office.sandbox.imap.deliver(samples()["support"])
        while not manager.until("STATUS")["STATUS"].startswith("1 in hand") and office.mailboxes() != {"Support": 1}:
            continue


def test_idle_watch_restarts_after_unexpected_error(
    office: Office, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reports sees to it: the mail that comes then is taken up an hour before the next look would be."""
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
    """A look at a hundred thousand messages takes longer than the watchdog waits, and is no look that hangs."""
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
        names = ("host", "port", "security", "username", "password")
        office.environment |= {f"IMAP_{name.upper()}": str(getattr(server, name)) for name in names}
        office.environment |= {"ALERTS_POLLS_FAILING_MIN": "0.0001", "IMAP_POLL_INTERVAL_S": "0.1"}
        with running(office.settings):
            while "[Alerte] Un message ne peut pas être lu" not in subjects(office):
                status = manager.until("STATUS")["STATUS"]
            while "1 unreadable, last poll" not in status:
                status = manager.until("STATUS")["STATUS"]
    assert "mailbox out of reach" not in status
    poll_status = status_file.read(office.state)
    assert poll_status
    assert (poll_status.unreadable, poll_status.failing_since) == (1, None)
    (line,) = (line for line in report.status_lines({}, [], poll_status, datetime.now(UTC)) if "does not give" in line)
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


@pytest.mark.parametrize(
    ("change", "says"),
    [({"HUBSPOT_API_KEY": "pat-wrong"}, "HubSpot: read account"), ({"METRICS_LISTEN": "taken"}, "Metrics: 127.0.0.1:")],
    ids=["a key", "a port"],
)
def test_reload_keeps_old_settings_when_service_refuses_new(
    change: dict[str, str], says: str, office: Office, manager: Manager, logged: Callable[[], str]
) -> None:
    """A reload must not end at what a start would end at: the daemon goes on with the settings that work."""
    asked: SimpleQueue[Asked] = SimpleQueue()
    asked.put(RELOAD)

    def stop_when_ready() -> None:
        for field in ("RELOADING", "READY"):
            manager.until(field)
        asked.put(STOP)

    with Listener(http(OK)) as other:
        given = office.environment | change
        changed = {name: value.replace("taken", f"127.0.0.1:{other.port}") for name, value in given.items() if value}
        threading.Thread(target=stop_when_ready).start()
        ended = Loop(office.settings, asked).run(lambda: loader.from_names(changed))
    assert ended is None, "it was asked to stop, and did not go on with the new ones"
    manager.until("STOPPING")
    said = logged()
    assert "settings_refused" in said
    assert says in said
    assert "pat-wrong" not in said


def test_stop_works_during_hanging_reload(office: Office, manager: Manager) -> None:
    """The service manager's patience is shorter than that of all services' calls together."""
    asked: SimpleQueue[Asked] = SimpleQueue()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        changed = office.environment | {"HUBSPOT_BASE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        settings = loader.from_names({name: value for name, value in changed.items() if value})

        given_up: list[bytes] = []

        def stop_when_asked() -> None:
            with silent.accept()[0] as connection:
                assert connection.recv(1 << 16)
                asked.put(STOP)
                manager.until("STOPPING")
                connection.setblocking(False)
                with suppress(BlockingIOError):
                    given_up.append(connection.recv(1))

        hanging = threading.Thread(target=stop_when_asked)
        hanging.start()
        asked.put(RELOAD)
        assert Loop(office.settings, asked).run(lambda: settings) is None
        hanging.join()
    assert not given_up, "the call was still waiting for its answer"


def test_reload_ignores_failed_public_address_check(office: Office) -> None:
    """A site that shows strangers its own page in place of what is not there may show customers their files."""
    asked: SimpleQueue[Asked] = SimpleQueue()
    with Listener(http(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")) as site:
        changed = office.environment | {"R2_PUBLIC_URL": f"http://127.0.0.1:{site.port}"}
        settings = loader.from_names({name: value for name, value in changed.items() if value})
        asked.put(RELOAD)
        assert Loop(office.settings, asked).run(lambda: settings) is settings


def test_last_reload_wins(office: Office) -> None:
    """Those of one before it are not gone back to, however long their services take to answer."""
    asked: SimpleQueue[Asked] = SimpleQueue()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        changed = office.environment | {"HUBSPOT_BASE_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        first, last = (loader.from_names({n: v for n, v in e.items() if v}) for e in (changed, office.environment))
        read = [last, first]

        def reload_when_asked() -> None:
            with silent.accept()[0]:
                asked.put(RELOAD)
            # It has ended now, and the last one perhaps not.

        threading.Thread(target=reload_when_asked).start()
        asked.put(RELOAD)
        assert Loop(office.settings, asked).run(read.pop) is last


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
    """`systemctl status` says why the unit failed, without a look into the journal."""
    office.environment["IMAP_PASSWORD"] = "wrong"
    with pytest.raises(ConfigurationError, match="login refused"):
        Loop(office.settings, SimpleQueue()).run(lambda: office.settings)
    assert "check IMAP_USERNAME and IMAP_PASSWORD" in manager.until("STOPPING")["STATUS"]


def test_rate_limited_mail_is_not_late(office: Office) -> None:
    """It waits as it should, and the admin has been told of it; what waits for a service counts since it came."""
    office.environment["IMAP_MAX_PER_SENDER_PER_H"] = "1"
    office.fail("hubspot", Fault("status", path="/crm", status=503, times=None))
    for number in range(2):
        office.sandbox.imap.deliver(samples()["support"].replace(b"Message-ID: <", b"Message-ID: <%d" % number))
    daemon = Daemon(office.settings, retry_policy=RetryPolicy(delays_s=(NEVER_S,)))
    daemon.once(lambda *_: None)
    assert len(daemon.waiting) == 2
    ((came, service, reason),) = daemon.status().waits
    assert service == "hubspot"
    assert abs(datetime.now(UTC) - came) < timedelta(minutes=5)
    assert "503" in reason


def test_message_waiting_for_receipt_is_not_in_status(office: Office) -> None:
    """It is filed, and keeps nobody waiting."""
    at_work, at = Loop(office.settings, SimpleQueue()), datetime(2026, 11, 22, 8, tzinfo=UTC)
    waits = {"step": "send_receipt", "reason": "IMAP: timed out", "gate": ""}
    at_work._daemon.waiting.update({"1": waiting_at(at, waits | {"filed": "failed"}), "2": waiting_at(at, waits)})
    assert at_work._status() == "STATUS=1 waiting, first poll under way"


def test_late_messages_are_found_in_one_scan(office: Office) -> None:
    """However many wait: the workers are kept from the mailbox meanwhile."""

    class Counted(dict[int, tuple[str, MessageSummary]]):
        rounds = 0

        def items(self) -> Any:
            self.rounds += 1
            return super().items()

        def values(self) -> Any:
            self.rounds += 1
            return super().values()

    daemon = Daemon(office.settings)
    at = datetime(2026, 11, 22, 8, tzinfo=UTC)
    lying = Counted(
        {number: (f"{number // 2:016x}", MessageSummary(number, 9, at + timedelta(number), b"")) for number in range(6)}
    )
    daemon._inbox._scanner.seen = MailboxSnapshot(waiting=lying)
    result = {"step": "create_ticket", "reason": "HTTP 503", "gate": ""}
    daemon.waiting.update({f"{number:016x}": waiting_at(at, result) for number in range(5)})
    assert [(when - at).days for when, *_ in daemon.status().waits] == [0, 2, 4]
    assert lying.rounds == 1


def test_tick_checks_long_queue_in_parts(office: Office) -> None:
    """And for each of it before long, so that none that stops is missed."""
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    daemon.start()
    try:
        office.sandbox.imap.deliver(samples()["auto_reply"])
        daemon.poll()
        (reference,) = daemon.working
        daemon.working.update(f"{number:016x}" for number in range(2 * scheduler.AT_ONCE))
        asked: list[int] = []  # by each tick, of the memory
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


def test_stuck_running_message_is_late(office: Office) -> None:
    """A worker that hangs is nobody's service's fault, and a person must hear of it all the same."""
    daemon = Daemon(office.settings)
    reporter = office.reporter(daemon, PollHealth(60))
    daemon.working.add("0" * 16)
    now = datetime.now(UTC)
    assert reporter.incidents(now, daemon.status()) == []
    assert [cause.key for cause in reporter.incidents(now.replace(year=now.year + 1), daemon.status())] == ["waiting"]


@pytest.mark.parametrize("service", ["hubspot", "imap"])
def test_one_outage_sends_one_alert(office: Office, service: str) -> None:
    """What waits for a service of which the admin was told is late for that; and has as long again behind it."""
    daemon, health, at = Daemon(office.settings), PollHealth(60), datetime.now(UTC)
    reporter, hour = office.reporter(daemon, health), timedelta(hours=1)

    def kinds(hours: float) -> list[str]:
        return [cause.key.split()[0] for cause in reporter.incidents(at + hours * hour, daemon.status())]

    daemon._inbox._scanner.seen = MailboxSnapshot(
        waiting={number: (f"{number:016x}", MessageSummary(number, 9, at, b"")) for number in (1, 2)}
    )
    waits = {"step": "create_ticket", "reason": "is out of reach", "gate": service}
    daemon.waiting[f"{1:016x}"] = waiting_at(at, waits)
    health.good(at)
    if service == "imap":
        health.failed(at, "IMAP SEARCH: no answer in time")
    else:
        daemon._refused[service] = "HTTP 401"
    told = {"imap": "polls"}.get(service, "refused")
    assert kinds(0.9) == kinds(2) == [told]
    assert "waiting" in reporter._undecided(daemon.status()), "that it was told of before is not taken back"
    daemon.waiting[f"{2:016x}"] = waiting_at(at, waits | {"gate": "clickup"})
    assert kinds(3) == [told, "waiting"], "for another service as well, which is news"
    daemon.waiting.pop(f"{2:016x}")
    health.good(at)
    daemon._refused.clear()
    assert (kinds(3.9), kinds(4)) == ([], ["waiting"])
    daemon.waiting.clear()
    assert kinds(5) == []
    assert "waiting" not in reporter._undecided(daemon.status())


def test_restart_during_outage_does_not_report_its_end(office: Office) -> None:
    """A new process has waited for nothing yet: what the mailbox alone can tell is open until it was looked into."""
    daemon, health, now = Daemon(office.settings), PollHealth(60), datetime.now(UTC)
    reporter = office.reporter(daemon, health)
    host = reporter._host
    open_yet = {"waiting", f"polls {host}", f"refused imap {host}", f"unreadable {host}"}
    assert (reporter.incidents(now, daemon.status()), set(reporter._undecided(daemon.status()))) == ([], open_yet)
    health.failed(now, "IMAP SEARCH: no answer in time")
    assert (reporter.incidents(now, daemon.status()), set(reporter._undecided(daemon.status()))) == ([], open_yet)
    health.good(now)
    daemon._inbox._scanner.seen = MailboxSnapshot(unread={7: now})
    assert (reporter.incidents(now, daemon.status()), reporter._undecided(daemon.status())) == (
        [],
        [f"unreadable {host}"],
    )
    daemon._inbox._scanner.seen = MailboxSnapshot()
    assert (reporter.incidents(now, daemon.status()), reporter._undecided(daemon.status())) == ([], [])
