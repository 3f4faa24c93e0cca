"""Tests of the `status` command."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from poller.cli.samples import samples
from poller.cli.status import Overview
from poller.model import Outcome
from poller.monitoring import status_file
from poller.monitoring.status_file import PollStatus
from poller.workflow import lock
from poller.workflow.results import WorkResult
from poller.workflow.status import MessageRecord, MessageStatus
from tests.support.command import run

if TYPE_CHECKING:
    from tests.conftest import Office


NOW = datetime(2026, 11, 22, 15, tzinfo=ZoneInfo("Europe/Paris"))
TICKET = {"id": "1", "url": "https://app.hubspot.com/1"}


def message(number: int, outcome: str, minutes_ago: int = 0, **result: Any) -> MessageRecord:
    at = NOW - timedelta(minutes=minutes_ago)
    return MessageRecord(
        f"{number:016x}", at, at, MessageStatus(WorkResult.from_json((result or {}) | {"outcome": outcome}))
    )


MESSAGES = [
    message(1, "support", ticket=TICKET),
    message(2, "waiting", 30, step="create_ticket", breaker="hubspot", reason="HubSpot is out of reach"),
    message(3, "waiting", 90, step="receive", breaker="", reason="its sender writes too often"),
    message(4, "waiting", 10, step="create_ticket", breaker="", reason="HubSpot create ticket: HTTP 503"),
    message(5, "failed", step="create_note", reason="HubSpot create note: HTTP 400"),
    message(6, "working"),
]
COUNTS = Counter(each.status.outcome for each in MESSAGES)
WAITING = [each for each in MESSAGES if each.status.outcome == "waiting"]


FAILED_NEXT = "         -> poller list --failed, then poller retry REFERENCE"


def told(**known: Any) -> list[str]:
    """What is told of a daemon at work with no message, but for what is `known`."""
    return list(Overview(**{"counts": {}, "waiting": [], "running": True} | known).lines(NOW))


def test_status_shows_counts_waits_and_polls() -> None:
    """By outcome, since when, for which service, how the polls go, and what to do next."""
    poll_status = PollStatus(NOW, NOW - timedelta(minutes=3), NOW - timedelta(minutes=2), "IMAP: timed out")
    overview = Overview(COUNTS, WAITING, poll_status, running=True)
    assert list(overview.lines(NOW)) == [
        "      1  FAILED",
        "      1  SUPPORT",
        "      3  WAITING",
        "      1  WORKING",
        FAILED_NEXT,
        "the oldest waits since 2026-11-22 13:30:00 CET; they wait for:",
        "      2  HubSpot",
        "      1  its sender writes too often",
        "last good poll 3 min ago",
        "polls fail since 2026-11-22 14:58:00 CET: IMAP: timed out",
        "         -> poller check",
    ]
    assert overview.as_json() == {
        "outcomes": {"support": 1, "waiting": 3, "failed": 1, "working": 1},
        "waiting": {"oldest_since": "2026-11-22T13:30:00+01:00", "services": {"hubspot": 2, "": 1}},
        "last_poll_at": "2026-11-22T14:57:00+01:00",
        "polls_failing_since": "2026-11-22T14:58:00+01:00",
        "polls_failing_because": "IMAP: timed out",
        "unreadable": 0,
        "refused": {},
        "daemon_running": True,
        "mailbox_full": False,
        "disk_full": False,
    }
    assert overview.exit_code == 1


def test_status_of_new_daemon_shows_no_polls() -> None:
    """Nothing is made up: no poll, nothing that waits."""
    assert told(poll_status=PollStatus(NOW, None)) == ["no poll was good yet"]
    assert told() == []


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-3, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (172_800, "2 days")]
)
def test_age_of_last_poll_is_shown_in_suitable_unit(seconds: int, shown: str) -> None:
    """In the unit that a person would take; a clock that was set back shows nothing odd."""
    assert told(poll_status=PollStatus(NOW, NOW - timedelta(seconds=seconds))) == [f"last good poll {shown} ago"]


@pytest.mark.parametrize(
    ("by_once", "command"),
    [(False, "poller check"), (True, "poller once, and see that its timer or cron job still runs it")],
)
def test_status_names_next_command_when_polls_are_late(*, by_once: bool, command: str) -> None:
    """The exit code is 69, so a line says why. A poll that fails has its own."""
    late = PollStatus(NOW, NOW - timedelta(minutes=9), by_once=by_once)
    assert told(poll_status=late, is_late=True) == [
        "last good poll 9 min ago, which is too long",
        f"         -> {command}",
    ]
    failing = PollStatus(NOW, NOW - timedelta(minutes=9), failing_since=NOW, reason="down")
    assert told(poll_status=failing, is_late=True) == told(poll_status=failing)


def test_status_names_what_a_person_must_do_next() -> None:
    """A disk or a mailbox that is full, a key that is refused, a message that the server does not give."""
    full = message(2, "waiting", step="label", reason="IMAP LABEL: the server refuses (OVERQUOTA)")
    poll_status = PollStatus(NOW, NOW, unreadable=2, refused={"clickup": "HTTP 401: look at CLICKUP_API_KEY"})
    lines = told(waiting=[full], poll_status=poll_status, full_disk=Path("/var/lib/poller"))
    assert lines[:2] == [
        "the disk of /var/lib/poller has no room for another mail",
        "         -> df -h /var/lib/poller; what waits goes on when there is room",
    ]
    assert lines[4:6] == [
        "the mailbox is full (OVERQUOTA)",
        "         -> make room in it, then poller retry --waiting",
    ]
    effect = "MODELISATION mail waits for its subtask, SUPPORT mail goes on"
    assert lines[7:] == [
        f"ClickUp refuses us: HTTP 401: look at CLICKUP_API_KEY; {effect}",
        "         -> correct the setting, restart (sudo systemctl restart figurative-poller), then poller check",
        "      2  that the mail server lists and does not give",
        "         -> journalctl -u figurative-poller -g message_unreadable, for their UIDs",
    ]


@pytest.mark.parametrize(
    ("known", "exit_code"),
    [
        ({"running": None}, 0),
        ({"running": False}, 3),
        ({"running": False, "poll_status": PollStatus(NOW, NOW, by_once=True)}, 0),
        ({"running": False, "poll_status": PollStatus(NOW, NOW, refused={"r2": "HTTP 403"})}, 3),
        ({"poll_status": PollStatus(NOW, NOW, refused={"r2": "HTTP 403"}), "is_late": True}, 77),
        ({"is_late": True, "counts": {Outcome.FAILED: 1}}, 69),
        ({"full_disk": Path("/")}, 1),
        ({"poll_status": PollStatus(NOW, NOW, unreadable=1)}, 1),
        ({"counts": {Outcome.WAITING: 1}}, 0),
    ],
)
def test_exit_code_of_status_says_what_matters_most(known: dict[str, Any], exit_code: int) -> None:
    """No daemon first: nothing else gets better without one. `poller once` leaves none, and needs none."""
    assert Overview(**{"counts": {}, "waiting": [], "running": True} | known).exit_code == exit_code
    assert (told(**known)[:1] == ["NO DAEMON runs on this state"]) is (exit_code == 3)


def test_status_before_first_run_exits_78(office: Office, tmp_path: Path) -> None:
    """One line, exit code 78, and no state made by asking."""
    environment = office.environment | {"STATE_URL": f"sqlite:///{tmp_path}/none/poller.sqlite"}
    result = run("status", environment=environment)
    assert result.exit_code == 78
    assert "nothing has run yet" in result.stderr
    assert not (tmp_path / "none").exists()


def test_status_exits_69_when_mailbox_is_not_polled(office: Office) -> None:
    """Exit code 69 for a monitor: no mail is processed, whatever the outcomes of the messages before."""
    office.once(samples()["auto_reply"])
    assert "last good poll" not in run("status", environment=office.environment).stdout
    assert run("once", environment=office.environment).exit_code == 0
    fresh = run("status", environment=office.environment)
    assert (fresh.exit_code, fresh.stdout.splitlines()[-1][:16]) == (0, "last good poll 0"[:16])
    ago = datetime.now(UTC) - timedelta(minutes=6)
    status_file.StatusFile(office.state, by_once=True).leave(ago, ago, "IMAP: nothing listens there")
    office.environment["DIGEST_TIMEZONE"] = "Pacific/Kiritimati"
    late = run("status", environment=office.environment)
    assert late.exit_code == 69
    assert late.stdout.splitlines()[-3:] == [
        "last good poll 6 min ago",
        f"polls fail since {ago + timedelta(hours=14):%Y-%m-%d %H:%M:%S} +14: IMAP: nothing listens there",
        "         -> poller check",
    ]
    slower = office.environment | {"IMAP_POLL_INTERVAL_S": "600"}
    found = run("status", "--json", environment=slower)
    assert (found.exit_code, json.loads(found.stdout)["last_poll_at"]) == (0, ago.isoformat())


def test_status_reports_if_daemon_runs(office: Office) -> None:
    """Mail without a daemon is to be noticed at once; the question leaves the lock free."""
    office.once(samples()["auto_reply"])
    alone = run("status", environment=office.environment)
    assert (alone.exit_code, alone.stdout.splitlines()[0]) == (3, "NO DAEMON runs on this state")
    assert "-> poller run, or where systemd runs it: sudo systemctl start" in alone.stdout
    with lock.lock(office.state):
        beside = run("status", environment=office.environment)
    assert (beside.exit_code, beside.stdout.splitlines()[0]) == (0, "      1  IGNORED")
    office.environment["IMAP_MAX_MESSAGE_BYTES"] = str(10**15)
    assert "has no room for another mail" in run("status", environment=office.environment).stdout


def test_status_exits_77_when_a_service_refuses_us(office: Office) -> None:
    """It names the service, the reason, what waits and what goes on."""
    office.once(samples()["auto_reply"])
    now = datetime.now(UTC)
    reason = "ClickUp read user: HTTP 401 OAUTH_019: the token is refused, look at CLICKUP_API_KEY"
    status_file.StatusFile(office.state).leave(now, None, "", refused={"clickup": reason})
    with lock.lock(office.state):
        said = run("status", environment=office.environment)
        found = json.loads(run("status", "--json", environment=office.environment).stdout)
    assert (said.exit_code, found["refused"]) == (77, {"clickup": reason})
    assert f"ClickUp refuses us: {reason}; MODELISATION mail waits for its subtask" in said.stdout
