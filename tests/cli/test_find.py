"""Tests of the `find` command, and of `list --mail` and `show --mail`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from integrations.sandbox import Fault
from poller.cli.samples import samples
from tests.support.command import run

if TYPE_CHECKING:
    from tests.conftest import Office

HOSTILE = (
    b"From: Ana <ana@ruiz.example>\r\nMessage-ID: <%d@ruiz.example>\r\nDate: Sun, 22 Nov 2026 10:00:00 +0100\r\n"
    b"Subject: =?utf-8?q?Probl=C3=A8me=1B=5B31m_de_connexion_%d?=\r\n\r\nJe ne peux plus me connecter.\r\n"
)


def references(*words: str, office: Office) -> list[str]:
    """Return the references that the command prints for these words."""
    printed = run("find", *words, environment=office.environment).stdout.splitlines()
    return [line.split()[3] for line in printed if not line.startswith("      ")]


def test_find_knows_ids_addresses_and_subjects(office: Office) -> None:
    """Ids from the state, also of a ticket whose message still waits; what a mail says from the mailbox it lies in."""
    office.environment["RECEIPTS_ENABLED"] = "true"
    office.fail("clickup", Fault("status", status=429, headers={"Retry-After": "3000"}, times=None))
    statuses = office.once(samples()["modelisation"], HOSTILE % (1, 1), HOSTILE % (2, 2))
    waits, *_ = (reference for reference, status in statuses.items() if status.outcome == "waiting")
    done = {reference: status for reference, status in statuses.items() if reference != waits}
    first, second = done
    ticket = done[first].result.ticket
    assert ticket
    assert references(ticket.url, office=office) == references(ticket.id, office=office) == [first]
    others = {each.id for each in office.sandbox.hubspot.tickets} - {each.result.ticket.id for each in done.values()}
    assert references(*others, office=office) == [waits]
    assert sorted(references("ANA@ruiz.example", office=office)) == sorted([first, second])
    assert len(references("<2@ruiz.example>", office=office)) == 1
    assert len(references("connexion", "problème", "(2)", office=office)) == 1
    listed = run("list", "--mail", environment=office.environment).stdout.splitlines()
    assert sorted(line for line in listed if "ruiz" in line) == [
        f"      ana@ruiz.example: Problème[31m de connexion {number}" for number in (1, 2)
    ]
    shown = json.loads(run("show", first, "--mail", "--json", environment=office.environment).stdout)
    assert shown["from"] == "ana@ruiz.example"
    assert "de connexion" in run("show", first, "--mail", environment=office.environment).stdout


def test_find_of_unknown_words_exits_1(office: Office) -> None:
    """Nothing that is typed becomes a command of its own, or finds everything."""
    office.once(samples()["support"])
    for words in ("***", "12345", "nobody@nowhere.example", 'x" UNDELETED\r\nA1 LOGOUT {5}'):
        result = run("find", words, environment=office.environment)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "poller: nothing is found; a person is found by the address, not by the name\n"


def test_find_names_a_mail_that_the_state_does_not_know(office: Office) -> None:
    """As one that came since the last scan."""
    office.once(samples()["support"])
    office.sandbox.imap.deliver(HOSTILE % (3, 3))
    result = run("find", "ana@ruiz.example", environment=office.environment)
    assert "lies in 'INBOX', and the state does not know it" in result.stderr
