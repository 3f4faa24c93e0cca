"""Reports on a daemon: which incidents there are, and which are still open."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from integrations.errors import CredentialsError
from poller.daemon.daemon import Daemon
from poller.imap.fetch import MessageSummary
from poller.mailbox.scanner import MailboxSnapshot
from poller.monitoring import status_file
from poller.monitoring.poll_health import PollHealth
from poller.rendering import incident
from tests.support.recording_server import Listener, http
from tests.support.running_daemon import waiting_at

if TYPE_CHECKING:
    from tests.conftest import Office


NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


def test_stuck_running_message_is_late(office: Office) -> None:
    """A worker that hangs is nobody's service's fault, and a person must hear of it all the same."""
    daemon = Daemon(office.settings)
    reporter = office.reporter(daemon, PollHealth(60))
    daemon.working.add("0" * 16)
    now = datetime.now(UTC)
    assert reporter.incidents(now, daemon.status()) == []
    assert [cause.key for cause in reporter.incidents(now + timedelta(days=365), daemon.status())] == ["waiting"]


@pytest.mark.parametrize("service", ["hubspot", "imap"])
def test_one_outage_sends_one_alert(office: Office, service: str) -> None:
    """A message that waits for a reported service is late for that; it has as long again behind it."""
    daemon, health, at = Daemon(office.settings), PollHealth(60), datetime.now(UTC)
    reporter, hour = office.reporter(daemon, health), timedelta(hours=1)

    def kinds(hours: float) -> list[str]:
        return [cause.key.split()[0] for cause in reporter.incidents(at + hours * hour, daemon.status())]

    daemon.inbox._scanner.seen = MailboxSnapshot(
        waiting={number: (f"{number:016x}", MessageSummary(number, 9, at, b"")) for number in (1, 2)}
    )
    waits = {"step": "create_ticket", "reason": "is out of reach", "gate": service}
    daemon.waiting[f"{1:016x}"] = waiting_at(at, waits)
    health.good(at)
    if service == "imap":
        health.failed(at, "IMAP SEARCH: no answer in time")
    else:
        daemon.refusals.add(service, CredentialsError("HTTP 401"))
    told = {"imap": "polls"}.get(service, "refused")
    assert kinds(0.9) == kinds(2) == [told]
    assert "waiting" in reporter._undecided(daemon.status()), "that it was told of before is not taken back"
    daemon.waiting[f"{2:016x}"] = waiting_at(at, waits | {"gate": "clickup"})
    assert kinds(3) == [told, "waiting"], "for another service as well, which is news"
    daemon.waiting.pop(f"{2:016x}")
    health.good(at)
    daemon.refusals.answered(service)
    assert (kinds(3.9), kinds(4)) == ([], ["waiting"])
    daemon.waiting.clear()
    assert kinds(5) == []
    assert "waiting" not in reporter._undecided(daemon.status())


def test_restart_during_outage_does_not_report_its_end(office: Office) -> None:
    """A new process has waited for nothing yet: what the mailbox alone can tell is open until it was scanned."""
    daemon, health, now = Daemon(office.settings), PollHealth(60), datetime.now(UTC)
    reporter = office.reporter(daemon, health)
    host = reporter._host
    open_yet = {
        "waiting",
        f"polls {host}",
        *(f"{kind} imap {host}" for kind in incident.REFUSALS),
        f"unreadable {host}",
    }
    assert (reporter.incidents(now, daemon.status()), set(reporter._undecided(daemon.status()))) == ([], open_yet)
    health.failed(now, "IMAP SEARCH: no answer in time")
    assert (reporter.incidents(now, daemon.status()), set(reporter._undecided(daemon.status()))) == ([], open_yet)
    health.good(now)
    daemon.inbox._scanner.seen = MailboxSnapshot(unread={7: time.monotonic()})
    assert (reporter.incidents(now, daemon.status()), reporter._undecided(daemon.status())) == (
        [],
        [f"unreadable {host}"],
    )
    daemon.inbox._scanner.seen = MailboxSnapshot()
    assert (reporter.incidents(now, daemon.status()), reporter._undecided(daemon.status())) == ([], [])


def test_missing_canary_fails_heartbeat_despite_good_polls(office: Office) -> None:
    """At the address for failures, though every poll is good; and so does the admin, by mail."""
    with Listener(http(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as listener:
        office.environment |= {"CANARY_INTERVAL_MIN": "60", "HEARTBEAT_URL": f"http://127.0.0.1:{listener.port}/ping"}
        health = PollHealth(60)
        daemon = Daemon(office.settings)
        reporter = office.reporter(daemon, health)
        assert reporter.canary
        reporter._alerts = None
        health.good(NOW)
        reporter.report()
        assert listener.received == b"", "nobody knows yet that all is well"
        assert incident.canary_missing(NOW, reporter._host).key in reporter._undecided(daemon.status())
        reporter.canary.missing_since = NOW
        reporter.report()
        assert listener.received.startswith(b"GET /ping/fail ")
        (cause,) = reporter.incidents(NOW, daemon.status())
        reporter.close()
    who = {"sender": "poller@x.example", "recipient": "admin@x.example"}
    given: dict[str, Any] = who | {"now": NOW, "zone": ZoneInfo("Europe/Paris")}
    assert incident.incident_mail(cause, **given)["Subject"] == "[Alerte] La boîte de réception ne reçoit plus"
    assert incident.over(cause.key, **given)["Subject"] == "[Fin d’alerte] La boîte de réception reçoit de nouveau"


def test_mail_that_reaches_no_admin_is_told_by_other_roads(office: Office) -> None:
    """By the heartbeat, once, and by `poller status`: a mail about it would not arrive."""
    with Listener(http(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")) as listener:
        office.environment["HEARTBEAT_URL"] = f"http://127.0.0.1:{listener.port}/ping"
        health, daemon = PollHealth(60), Daemon(office.settings)
        assert daemon.smtp
        reporter = office.reporter(daemon, health)
        reporter._alerts = None
        health.good(NOW)
        daemon.smtp.undeliverable[office.settings.notification.email or ""] = "SMTP send: 550"
        reporter.report()
        assert listener.received.startswith(b"GET /ping/fail ")
        assert reporter.incidents(NOW, daemon.status()) == []
        reporter.close()
    poll_status = status_file.read(office.settings.directory)
    assert poll_status
    assert poll_status.refused == {"notification": "SMTP send: 550, look at NOTIFICATION_EMAIL"}
