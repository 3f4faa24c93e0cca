"""Tests of the `status` command."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from poller.cli.samples import samples
from poller.monitoring import status_file
from poller.workflow import lock
from tests.support.command import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Office


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
