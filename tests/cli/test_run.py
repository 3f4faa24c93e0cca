"""Tests of the `once` and `state` commands. The `run` command is tested in tests/system."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from integrations.sandbox import Fault
from poller.cli.samples import samples
from poller.imap import login_refusals
from poller.workflow.database import open_store
from tests.support.command import run
from tests.support.imap_provider import Provider

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


def test_once_that_is_refused_does_not_ask_again_at_once(office: Office) -> None:
    """Cron begins it anew each minute, and a mail server may shut out who is refused often."""
    with Provider("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1 AUTH=PLAIN") as server:
        changed = office.environment | {"IMAP_PORT": str(server.port), "IMAP_PASSWORD": "changed"}
        for _ in range(2):
            login_refusals.try_again()  # as in another process
            refused = run("once", environment=changed)
            assert (refused.exit_code, "IMAP login refused" in refused.stderr) == (78, True)
        assert [command.split()[0] for command in server.commands].count("AUTHENTICATE") == 1


def test_adopt_logs_in_before_it_records_the_account(office: Office) -> None:
    """It says what lies there, by which a person sees a slip in the name; what does not open is not adopted."""
    office.once(samples()["support"])
    for name, value in (("IMAP_MAILBOX", "Demnades"), ("IMAP_PASSWORD", "wrong")):
        refused = run("state", "adopt", environment=office.environment | {name: value})
        assert (refused.exit_code, refused.stdout) == (78, "")
    with closing(open_store(office.settings)) as store:
        assert store.facts("account-adopted-") == {}
    office.sandbox.imap.deliver(samples()["bug"])
    found, adopted = run("state", "adopt", environment=office.environment).stdout.splitlines()
    assert found == "INBOX of support@figurative.example has 1 message; filed beside it, with receipts: 1 in 'Support'"
    assert adopted.startswith("the state goes on with INBOX")
