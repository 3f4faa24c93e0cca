"""Tests of the `once` command. The `run` command is tested in tests/system."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox import Fault
from poller.cli.samples import samples
from tests.support.command import run

if TYPE_CHECKING:
    from tests.conftest import Office


def test_old_mail_is_skipped_without_all_option(office: Office) -> None:
    """The first run on an old mailbox touches nothing from before its day, and `--all` takes the rest."""
    old = datetime.now(UTC) - timedelta(days=3)
    with office.sandbox.imap.session() as client:
        client.append("INBOX", samples()["modelisation"], msg_time=old)
    office.once(samples()["support"])
    assert office.mailboxes() == {"INBOX": 1, "Support": 1}
    early = office.environment | {"IMAP_SINCE": (old.date() + timedelta(days=1)).isoformat()}
    assert run("once", environment=early).stdout == ""
    assert "MODELISATION" in run("once", "--all", environment=early).stdout
    assert office.mailboxes() == {"Modélisation": 1, "Support": 1}


def test_once_prints_a_line_for_every_message(office: Office) -> None:
    """Each with its outcome, also as JSON; exit code 0 when all is done, and no line when nothing was to do."""
    office.sandbox.imap.deliver(samples()["support"])
    done = run("once", environment=office.environment)
    (line,) = done.stdout.splitlines()
    assert (line.split()[1], done.exit_code) == ("SUPPORT", 0)
    office.sandbox.imap.deliver(samples()["auto_reply"])
    ignored = run("once", "--json", environment=office.environment)
    assert json.loads(ignored.stdout)["outcome"] == "ignored"
    nothing = run("once", environment=office.environment)
    assert (nothing.stdout, nothing.stderr, nothing.exit_code) == ("", "nothing to do\n", 0)


@pytest.mark.parametrize(
    ("status", "headers", "outcome", "code"),
    [(400, {}, "FAILED", 1), (503, {"Retry-After": "3600"}, "WAITING", 75)],
)
def test_once_exit_code_tells_failed_from_waiting(
    office: Office, status: int, headers: dict[str, str], outcome: str, code: int
) -> None:
    """1 needs a person, 75 another run."""
    office.fail(
        "hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=status, headers=headers, times=None)
    )
    office.sandbox.imap.deliver(samples()["support"])
    result = run("once", environment=office.environment)
    (line,) = result.stdout.splitlines()
    assert (line.split()[1], result.exit_code) == (outcome, code)
