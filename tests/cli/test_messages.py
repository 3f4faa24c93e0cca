"""Tests of the `list` and `show` commands."""

from __future__ import annotations

import json
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from poller.cli.purge import forget
from poller.cli.samples import samples
from poller.workflow.database import open_store
from tests.dispatch.test_acknowledge import ON, letters, mail, report
from tests.support.command import run

if TYPE_CHECKING:
    from tests.conftest import Office


def test_invalid_date_option_shows_an_example() -> None:
    """The error gives an example."""
    result = run("list", "--since", "today")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        2,
        "Error: Invalid value for '--since': 'today' is not a day, for instance 2026-11-23",
    )


def test_list_status_and_show_report_every_message(office: Office) -> None:
    """From the state store alone, beside or without a daemon: ids and links, nothing of the content."""
    office.once(samples()["support"], samples()["modelisation_with_files"], samples()["auto_reply"])
    listed = run("list", environment=office.environment).stdout.splitlines()
    assert sorted(line.split()[4] for line in listed) == ["IGNORED", "MODELISATION", "SUPPORT"]
    assert run("list", "--failed", environment=office.environment).stdout == ""
    for day, count in (("2000-01-01", 3), ("2999-01-01", 0)):
        assert len(run("list", "--since", day, environment=office.environment).stdout.splitlines()) == count
    status = run("status", "--json", environment=office.environment)
    assert json.loads(status.stdout)["outcomes"] == {"support": 1, "modelisation": 1, "ignored": 1}
    reference = next(line.split()[3] for line in listed if "MODELISATION" in line)
    shown = json.loads(run("show", reference, "--json", environment=office.environment).stdout)
    done = [step["step"] for step in shown["steps"] if "ok" in step]
    assert done == [
        "receive",
        "classify",
        "upload_files",
        "upload_files",
        "archive_files",
        "find_or_create_contact",
        "create_ticket",
        "inspect_models",
        "create_note",
        "create_subtask",
        "prepare_notification",
        "send_notification",
        "label",
    ]
    assert "Ondine" not in json.dumps(shown).replace("fauteuil%20Ondine.glb", "")
    assert run("show", "0" * 16, environment=office.environment).exit_code == 1


def test_show_tells_of_the_letter_to_the_customer_and_of_its_return(office: Office) -> None:
    """A receipt beside the mail does, too: in the mailbox that the mail was filed in."""
    office.environment |= ON | {"RECEIPTS_ENABLED": "true"}
    ((reference, _),) = office.once(mail()).items()
    (sent,) = letters(office.sandbox)
    office.once(report(sent))
    shown = run("show", reference, environment=office.environment).stdout
    assert re.search(r"send_acknowledgement .* sent\n", shown)
    assert shown.splitlines()[-1].endswith("the letter to the customer came back")
    assert json.loads(run("show", reference, "--json", environment=office.environment).stdout)[
        "acknowledgement_bounced_at"
    ]
    assert office.mailboxes() == {"Support": 3, "Ignorés": 1}
    forget(office.settings, datetime.now(UTC) + timedelta(minutes=1))
    with closing(open_store(office.settings)) as store:
        assert [*store.facts("acknowledged-"), *store.facts("bounced-")] == [], "a purge forgets both"
