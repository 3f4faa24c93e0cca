"""Tests of the `try` command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from poller.cli.samples import samples
from tests.support.command import run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Office


def test_try_runs_all_steps_in_sandbox() -> None:
    """The built-in payload ends with a ticket, a subtask and two files, as JSON on standard output."""
    result = run("try", "--payload", "modelisation_with_files")
    assert result.exit_code == 0
    made = json.loads(result.stdout)
    assert made["outcome"] == "modelisation"
    assert made["ticket"]["url"].startswith("https://app-eu1.hubspot.com/")
    assert len(made["files"]) == 2


def test_try_live_uses_configured_services_without_mailbox(office: Office, tmp_path: Path) -> None:
    """The mail comes from a file; the ticket is real."""
    mail = tmp_path / "mail.eml"
    mail.write_bytes(samples()["support"])
    environment = {name: value for name, value in office.environment.items() if not name.startswith("IMAP_")}
    result = run("try", str(mail), "--live", environment=environment)
    assert json.loads(result.stdout)["outcome"] == "support"
    assert office.counts()["tickets"] == 1


def test_try_live_without_mail_server_makes_no_receipt(office: Office, tmp_path: Path) -> None:
    """There is no mailbox to put it into, and no address to send it from."""
    mail = tmp_path / "mail.eml"
    mail.write_bytes(samples()["support"])
    left_out = ("IMAP_", "SMTP_", "RECEIPTS_")
    environment = {name: value for name, value in office.environment.items() if not name.startswith(left_out)}
    result = run("--log-level", "INFO", "try", str(mail), "--live", environment=environment)
    assert (result.exit_code, json.loads(result.stdout)["outcome"]) == (0, "support")
    assert office.counts()["tickets"] == 1
    assert "create_ticket" in result.stderr
    assert "send_receipt" not in result.stderr
