"""Tests of the `retry` command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from integrations.sandbox import Fault
from poller.cli.samples import samples
from tests.support.command import run

if TYPE_CHECKING:
    from tests.conftest import Office


def test_retry_moves_failed_message_to_inbox(office: Office) -> None:
    """It moves the message as a person would in a mail client. The next run goes on from the failed step."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400, times=None))
    (reference,) = office.once(samples()["modelisation_with_files"])
    assert run("status", environment=office.environment).exit_code == 1
    office.sandbox.hubspot.heal()
    assert run("retry", reference, environment=office.environment).exit_code == 0
    assert office.mailboxes() == {"INBOX": 1}
    again = run("retry", reference, environment=office.environment)
    assert run("retry", "--failed", environment=office.environment).stdout == again.stdout
    assert (again.exit_code, "already in INBOX" in again.stdout) == (0, True)
    assert [status.outcome for status in office.once().values()] == ["modelisation"]
    assert office.counts()["tickets"] == 1
    assert run("retry", reference, environment=office.environment).exit_code == 1
    assert run("retry", "--failed", environment=office.environment).stderr == "nothing to do\n"
    assert run("retry", environment=office.environment).exit_code == 2


def test_retry_all_leaves_mail_filed_by_a_person(office: Office) -> None:
    """Two that we filed go back in one go; the third was never ours."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400, times=None))
    references = office.once(samples()["support"], samples()["bug"])
    with office.sandbox.imap.session() as client:
        client.append("Échecs", samples()["modelisation"])
    result = run("retry", "--failed", environment=office.environment)
    assert [line.split()[:3] for line in result.stdout.splitlines()] == [
        [reference, "is", "back"] for reference in sorted(references)
    ]
    assert office.mailboxes() == {"INBOX": 2, "Échecs": 1}
