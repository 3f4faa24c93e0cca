"""Canary mails: sent to the polled mailbox, recognised when they arrive, and missed when they do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pytest

from integrations.errors import ConfigurationError
from integrations.sandbox import Refusal
from integrations.sandbox.smtp import Smtp
from poller.cli.samples import samples
from poller.config import loader
from poller.daemon import loop
from poller.daemon.daemon import Daemon
from poller.model import Outcome
from poller.monitoring import canary
from poller.workflow.results import WorkResult
from tests.support.pipeline_harness import Desk
from tests.support.recording_server import Listener
from tests.support.running_daemon import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from poller.monitoring.canary import CanarySender
    from tests.conftest import Office

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class FactsByTime(Desk):
    """A harness that returns the facts of the canary in the order of their keys, which are times."""

    def latest(self, prefix: str, since: datetime, limit: int) -> list[tuple[str, str]]:
        del since
        found = sorted(key for key in self.facts if key.startswith(prefix) and prefix.startswith("canary-"))
        return [(key, self.facts[key]) for key in reversed(found)][:limit]


@pytest.fixture
def desk(sandbox: Sandbox, tmp_path: Path) -> Desk:
    return FactsByTime(sandbox, tmp_path)


@pytest.fixture
def sender(desk: Desk) -> CanarySender:
    """A sender that sends every hour, and misses a mail after ten minutes."""
    desk.environment |= {"CANARY_INTERVAL_MIN": "60", "CANARY_LATE_MIN": "10"}
    made = canary.made(desk.settings, desk, desk.services.smtp)
    assert made
    return made


def sent(desk: Desk) -> list[bytes]:
    return [bytes(each.message) for each in desk.sandbox.smtp.messages]


def test_canary_arrives_and_is_filed_as_ignored(desk: Desk, sender: CanarySender) -> None:
    """It is sent to the polled address, marked as ours, and nothing is made of it; the next one goes an hour later."""
    sender.run(NOW)
    (delivered,) = desk.sandbox.smtp.messages
    assert delivered.recipients == (desk.environment["IMAP_USERNAME"],)
    assert desk.gets(sent(desk)[0]) == WorkResult(Outcome.IGNORED, reason="canary")
    assert desk.seen == ["0" * 16]
    assert desk.made() == (0, 0, 0)
    for minutes in (1, 30, 59):
        sender.run(NOW + minutes * MINUTE)
    assert (sender.missing_since, len(sent(desk))) == (None, 1)
    sender.run(NOW + 60 * MINUTE)
    assert len(set(sent(desk))) == 2


def test_canary_is_recognised_only_by_its_token(desk: Desk, sender: CanarySender) -> None:
    """The token is random and known to the state store alone; a mail with another token is any other mail of ours."""
    sender.run(NOW)
    (raw,) = sent(desk)
    token = raw.split(b"X-Figurative-Canary: ")[1][:32]
    forged = raw.replace(b"X-Figurative-Canary: " + token, b"X-Figurative-Canary: " + b"0" * 32)
    assert desk.gets(forged).reason == "own notification"
    sender.run(NOW + 11 * MINUTE)
    assert sender.missing_since == NOW


def test_missing_canary_is_reported_once_and_its_return_once(
    desk: Desk, sender: CanarySender, logged: Callable[[], str]
) -> None:
    """Late is after the time that is set; then others are sent at the interval, and whichever arrives ends it."""
    for minutes in (0, 5, 9):
        sender.run(NOW + minutes * MINUTE)
    assert sender.missing_since is None
    for minutes in (10, 11, 60, 71, 120):
        sender.run(NOW + minutes * MINUTE)
    assert sender.missing_since == NOW
    assert len(sent(desk)) == 3
    assert logged().count("canary_missing") == 1
    desk.gets(sent(desk)[1])  # it was on its way for an hour
    sender.run(NOW + 125 * MINUTE)
    assert sender.missing_since is None
    assert logged().count("canary_recovered") == 1


def test_unsent_canary_is_missing_at_once(desk: Desk, sender: CanarySender, logged: Callable[[], str]) -> None:
    """It is sent anew after five minutes, and its arrival ends it."""
    desk.sandbox.smtp.fail(Refusal("mail", "451 4.3.0 later", times=1))
    sender.run(NOW)
    assert sender.missing_since == NOW
    assert "451" in logged()
    sender.run(NOW + 4 * MINUTE)
    assert sent(desk) == []
    sender.run(NOW + 5 * MINUTE)
    desk.gets(sent(desk)[0])
    sender.run(NOW + 6 * MINUTE)
    assert sender.missing_since is None


def again(desk: Desk) -> CanarySender:
    """The sender of a new process on the same state."""
    made = canary.made(desk.settings, desk, desk.services.smtp)
    assert made
    return made


def test_restart_keeps_canary_state(desk: Desk, sender: CanarySender, logged: Callable[[], str]) -> None:
    """A missing one stays missing until one arrives, and is reported once; otherwise nothing is known until then."""
    sender.run(NOW)
    sender.run(NOW + 10 * MINUTE)
    assert (sender.missing_since, sender.decided) == (NOW, True)
    sender = again(desk)
    assert not sender.decided
    sender.run(NOW + 11 * MINUTE)
    assert (sender.missing_since, sender.decided) == (NOW, True)
    sender.run(NOW + 30 * MINUTE)
    assert logged().count("canary_missing") == 1
    desk.gets(sent(desk)[-1])
    sender.run(NOW + 31 * MINUTE)
    assert (sender.missing_since, sender.decided) == (None, True)
    sender = again(desk)
    sender.run(NOW + 32 * MINUTE)
    assert (sender.missing_since, sender.decided) == (None, False)
    desk.gets(sent(desk)[-1])
    sender.run(NOW + 33 * MINUTE)
    assert (sender.missing_since, sender.decided) == (None, True)


def test_canary_pauses_while_mailbox_is_unreachable_or_backlogged(desk: Desk, sender: CanarySender) -> None:
    """The mailbox is out of reach, or there is a backlog: the time begins when that is over."""
    sender.run(NOW)
    for minutes in range(1, 100):
        sender.run(NOW + minutes * MINUTE, deaf=True)
    assert (sender.missing_since, len(sent(desk))) == (None, 1)
    sender.run(NOW + 108 * MINUTE)
    assert sender.missing_since is None
    sender.run(NOW + 109 * MINUTE)
    assert sender.missing_since == NOW


def test_canary_counts_as_arrived_when_read(desk: Desk, sender: CanarySender) -> None:
    """Also where it cannot be filed, and what comes of that."""
    sender.run(NOW)
    desk.taken = "0" * 16
    assert desk.gets(sent(desk)[0]).outcome is Outcome.GONE
    sender.run(NOW + 11 * MINUTE)
    assert (sender.missing_since, sender.decided) == (None, True)


def test_late_canary_does_not_stand_for_later_ones(desk: Desk, sender: CanarySender) -> None:
    """They are waited for all the same; and while one of them is late all is not well."""
    for minutes in (0, 10, 60):
        sender.run(NOW + minutes * MINUTE)
    desk.gets(sent(desk)[0])
    sender.run(NOW + 61 * MINUTE)
    assert sender.missing_since is None
    sender.run(NOW + 70 * MINUTE)
    assert sender.missing_since == NOW + 60 * MINUTE
    sender.run(NOW + 120 * MINUTE)
    sender.run(NOW + 130 * MINUTE)
    desk.gets(sent(desk)[1])
    sender.run(NOW + 131 * MINUTE)
    assert sender.missing_since == NOW + 60 * MINUTE


def test_filed_canary_is_marked_as_read(office: Office) -> None:
    """Thousands a year lie where ignored mail goes; nothing else there is marked by us."""
    office.sandbox.imap.deliver(samples()["auto_reply"])
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    daemon.start()
    try:
        office.environment |= {"CANARY_INTERVAL_MIN": "60"}
        sender = canary.made(office.settings, daemon.store, daemon.smtp)
        assert sender
        sender.run(NOW)
    finally:
        daemon.stop()
    office.once(bytes(office.sandbox.smtp.messages[0].message))
    flags = {b"X-Figurative-Canary" in each.raw: each.flags for each in office.sandbox.imap.messages("Ignorés")}
    assert flags == {True: {"\\Seen", "Figurative-Ignored"}, False: {"Figurative-Ignored"}}


def test_canary_is_off_by_default(desk: Desk) -> None:
    assert canary.made(desk.settings, desk, desk.services.smtp) is None


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"NOTIFICATION_EMAIL": ""}, "set smtp.host and notification.email"),
        ({"IMAP_USERNAME": "support"}, "the IMAP login is no address"),
    ],
)
def test_canary_settings_without_smtp_or_address_are_refused(desk: Desk, changes: dict[str, str], problem: str) -> None:
    given = desk.environment | {"CANARY_INTERVAL_MIN": "60"} | changes
    with pytest.raises(ConfigurationError, match=problem):
        loader.from_names({name: value for name, value in given.items() if value})


class Exchange(Smtp):
    """The mail server of the polled domain: what it takes is in the mailbox, or, when it is ill, nowhere."""

    office: Office
    ill = False

    async def handle_DATA(self, *asked: Any) -> str:  # noqa: N802  as aiosmtpd calls it
        reply = await super().handle_DATA(*asked)
        if not self.ill and self.messages[-1].recipients == (self.office.environment["IMAP_USERNAME"],):
            self.office.sandbox.imap.deliver(self.messages[-1].raw)
        return reply


@pytest.fixture
def exchange(office: Office, monkeypatch: pytest.MonkeyPatch) -> Iterator[Exchange]:
    """A server for the canary's mails; the daemon's jobs run all the time."""
    monkeypatch.setattr(loop, "WATCH_S", 0.05)
    with Exchange() as server:
        server.office = office
        office.environment |= {
            "SMTP_PORT": str(server.port),
            "SMTP_USERNAME": "",
            "SMTP_PASSWORD": "",
            "IMAP_POLL_INTERVAL_S": "0.2",
            "CANARY_INTERVAL_MIN": "60",
        }
        yield server


def first_ping(office: Office) -> str:
    """The first request to the heartbeat's address by a daemon that runs until then."""
    heard: SimpleQueue[bytes] = SimpleQueue()

    def reply(request: bytes) -> bytes:
        heard.put(request)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    with Listener(reply) as listener:
        office.environment["HEARTBEAT_URL"] = f"http://127.0.0.1:{listener.port}/ping"
        with running(office.settings):
            return heard.get(timeout=30).split()[1].decode()


def test_canary_arrives_over_smtp_and_imap(office: Office, exchange: Exchange) -> None:
    """Over SMTP to a server that delivers it, out of the mailbox by IMAP: all is well, and it is filed as read."""
    assert first_ping(office) == "/ping"
    (filed,) = office.sandbox.imap.messages("Ignorés")
    assert filed.flags == {"\\Seen", "Figurative-Ignored"}
    assert b"\r\nX-Figurative-Canary: " in filed.raw
    assert (office.mailboxes(), office.counts()["tickets"], len(exchange.messages)) == ({"Ignorés": 1}, 0, 1)


def test_lost_canary_alerts_heartbeat_log_and_admin(
    office: Office, exchange: Exchange, logged: Callable[[], str]
) -> None:
    """A server that takes it and delivers nothing: the address for failures is asked, the log and the admin told."""
    exchange.ill = True
    office.environment["CANARY_LATE_MIN"] = "0.01"
    assert first_ping(office) == "/ping/fail"
    assert "canary_missing" in logged()
    told = [str(letter.message["Subject"]) for letter in exchange.messages]
    assert told == ["Contrôle de la boîte aux lettres", "[Alerte] La boîte de réception ne reçoit plus"]
    assert office.mailboxes() == {}
