"""What an outage writes into the log: a line when it begins and one when it is over, however long it lasts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError, CredentialsError, TransientError
from poller.daemon.daemon import Daemon
from poller.daemon.loop import Loop
from poller.monitoring.alerts import Alerts
from poller.monitoring.heartbeat import EVERY_S, Heartbeat
from poller.monitoring.metrics import Metrics
from poller.monitoring.poll_health import PollHealth
from poller.monitoring.status_file import StatusFile
from poller.rendering import incident
from poller.workflow.errors import DependencyPendingError, StepDeferredError
from poller.workflow.facts import InMemoryFacts
from poller.workflow.steps import StepName
from tests.support.journal_record import START, JournalRecord, raising

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage
    from pathlib import Path

    from tests.conftest import Office

LONG = 500  # tries in a row, in vain
NOW = datetime(2026, 11, 22, 14, tzinfo=UTC)


def events(said: str) -> list[str]:
    """Return the name of each event, of a trouble that is over with its own, however the log is set up."""
    found = []
    for line in said.splitlines():
        (event,) = re.findall(r"^[\d: -]+\[\w+ *\] (\w+)|'event': '(\w+)'", line)
        over = re.findall(r"\btrouble(?:=|': ')(\w+)", line)
        found.append(" ".join(["".join(event), *over]))
    return found


def test_unwritten_files_are_logged_once(office: Office, tmp_path: Path, logged: Callable[[], str]) -> None:
    """Each is tried again all the time, and is there as soon as its directory is."""
    place = tmp_path / "nowhere"
    office.environment["METRICS_TEXTFILE"] = str(place / "poller.prom")
    left, metrics = StatusFile(place), Metrics(office.settings, Daemon(office.settings).status, PollHealth(60))
    for number in range(LONG):
        left.leave(NOW + timedelta(seconds=number), None, "")
        metrics._write()
    assert sorted(events(logged())) == ["metrics_not_written", "status_file_not_written"]
    place.mkdir()
    left.leave(NOW + timedelta(seconds=LONG - 1), None, "")
    metrics._write()
    assert events(logged()) == ["trouble_over status_file_not_written", "trouble_over metrics_not_written"]
    assert {path.name for path in place.iterdir()} == {"last-poll.json", "poller.prom"}


def test_failing_polls_are_logged_once(office: Office, logged: Callable[[], str]) -> None:
    """A day of a mailbox that is out of reach, or of a login that is refused, is no flood of lines."""
    loop = Loop(office.settings, SimpleQueue())
    loop._later = lambda _: None

    def fail() -> int:
        raise TransientError("IMAP: timed out", outcome_unknown=False)

    loop.daemon.poll = fail
    for _ in range(LONG):
        loop._poll()
    assert events(logged()) == ["poll_failed"]
    loop.daemon.poll = lambda: 0
    loop._poll()
    assert events(logged()) == ["trouble_over poll_failed"]


def test_refused_key_is_logged_once(office: Office, logged: Callable[[], str]) -> None:
    """The service is asked again every few minutes; when it answers, that is told."""
    daemon = Daemon(office.settings)
    breaker = daemon._engine.breaker("hubspot")
    breaker.answered()
    breaker.failed(NOW, NOW)
    for _ in range(LONG):
        daemon.handle_refusal("hubspot", CredentialsError("HTTP 401"))
        assert daemon.status().refused == {"hubspot": "HTTP 401"}
    said = logged()
    assert (events(said), "error" in said) == (["service_refused"], True)
    breaker.answered()
    assert daemon.status().refused == {}
    assert events(logged()) == ["trouble_over service_refused"]


def test_day_of_an_outage_is_a_line_per_try(logged: Callable[[], str]) -> None:
    """One message tries, every quarter of an hour in the end. The others are not even resumed, see `Scheduler`."""
    record = JournalRecord()
    while record.now < START + timedelta(days=1):
        with pytest.raises(StepDeferredError) as wait:
            record.execution().step(StepName.CREATE_TICKET, raising(TransientError("503")))
        record.now = wait.value.until
    assert 24 < events(logged()).count("step_deferred") < 24 * 9


@pytest.mark.parametrize(("is_turn", "level"), [(True, "info"), (False, "warning")])
def test_wait_for_a_turn_is_no_warning(logged: Callable[[], str], level: str, *, is_turn: bool) -> None:
    """A burst of models is looked into one after the other, and nothing is wrong."""
    waits = DependencyPendingError("not yet", is_turn=is_turn)
    with pytest.raises(StepDeferredError):
        JournalRecord().execution().step(StepName.INSPECT_MODELS, raising(waits))
    said = logged()
    assert (events(said), level in said) == (["step_deferred"], True)


def test_unsent_heartbeat_and_alerts_are_logged_once(logged: Callable[[], str]) -> None:
    """They are tried again now and then, and told of when they go out."""
    clock = iter(range(0, 10**9, int(EVERY_S) + 1))
    heartbeat = Heartbeat("http://127.0.0.1:9/ping", clock=lambda: float(next(clock)))
    works = [False]

    def send(_: EmailMessage) -> None:
        if not works[0]:
            raise ConfigurationError("SMTP: the login is refused")

    who = {"sender": "poller@x.example", "recipient": "admin@x.example"}
    alerts = Alerts(InMemoryFacts(), send, host="h", zone=UTC, **who)
    present = [incident.refused(service, "HTTP 401", "h") for service in ("hubspot", "r2")]
    for number in range(LONG):
        heartbeat.tell(NOW + timedelta(minutes=number), failing=False)
        alerts.tell(present, NOW + timedelta(minutes=10 * number))
    heartbeat.close()
    assert sorted(events(logged())) == ["alert_not_sent", "heartbeat_not_sent"]
    works[0] = True
    alerts.tell(present, NOW + timedelta(minutes=10 * LONG))
    assert events(logged()) == ["trouble_over alert_not_sent", "alert_sent", "alert_sent"]
