"""Tests of `poller once --dry-run`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from poller.cli.preview import preview
from poller.cli.samples import samples
from tests.support.command import run
from tests.support.imap_account import all_settings
from tests.support.imap_provider import Provider

if TYPE_CHECKING:
    from tests.conftest import Office


def test_dry_run_shows_steps_and_changes_nothing(office: Office) -> None:
    """No call, no label, no state; a message that the rules are unsure of is UNSURE."""
    for name in ("support", "modelisation_with_files", "ambiguous", "auto_reply"):
        office.sandbox.imap.deliver(samples()[name])
    result = run("once", "--dry-run", environment=office.environment)
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["SUPPORT", "MODELISATION", "UNSURE", "IGNORED"]
    assert office.mailboxes() == {"INBOX": 4}
    assert office.sandbox.hubspot.requests == office.sandbox.anthropic.requests == office.sandbox.s3.requests == []
    assert run("list", environment=office.environment).stdout == ""


def test_dry_run_shows_requested_corrections(office: Office) -> None:
    """With what it would be dispatched as; and no reclassify mailbox is made."""
    run("once", "--dry-run", environment=office.environment)
    assert "Reclasser/Support" not in office.sandbox.imap.mailboxes()
    with office.sandbox.imap.session() as client:
        client.create_folder("Reclasser/Support")
        client.append("Reclasser/Support", samples()["modelisation_with_files"])
    (line,) = run("once", "--dry-run", environment=office.environment).stdout.splitlines()
    assert line.split("  ")[1:] == ["SUPPORT", "a person has put it into 'Reclasser/Support'"]
    assert office.mailboxes() == {"Reclasser/Support": 1}


def test_dry_run_goes_on_behind_message_that_is_not_given() -> None:
    """It is listed as what it would do: wait."""
    with Provider("IMAP4rev1", "IMAP4rev1") as server:
        for name in ("bug", "support"):
            server.deliver(samples()[name].replace(b"\n", b"\r\n"))
        server.withheld = {min(server.boxes["INBOX"]): "NIL"}
        assert [message["outcome"] for message in preview(all_settings(server))] == ["waiting", "support"]


def an_answer(writer: str) -> bytes:
    return (
        f"From: {writer}\r\nTo: support@figurative.example\r\nMessage-ID: <answer-of-{writer}>\r\n"
        "Date: Sun, 22 Nov 2026 10:00:00 +0100\r\nSubject: Re: Ondine\r\n"
        "In-Reply-To: <modelisation_with_files@samples.example>\r\n\r\nEn noyer, finalement.\r\n"
    ).encode()


def test_dry_run_recognises_reply_to_known_ticket(office: Office) -> None:
    """An answer to a waiting message is unsure; to a known ticket, its customer's mail is an answer."""

    def said() -> list[tuple[str, str]]:
        lines = run("once", "--dry-run", "--json", environment=office.environment).stdout.splitlines()
        return [(message["outcome"], message["reason"]) for message in map(json.loads, lines)]

    assert run("once", "--dry-run", environment=office.environment).stderr == "nothing to do\n"
    office.sandbox.imap.deliver(samples()["modelisation_with_files"])
    office.sandbox.imap.deliver(an_answer("elise@martin-mobilier.example"))
    first, second = said()
    assert first[0] == "modelisation"
    assert second == ("unsure", "may be an answer: it names a message that still waits")
    assert {status.outcome for status in office.once().values()} == {"modelisation"}
    listed = run("list", "--json", environment=office.environment).stdout.splitlines()
    (reference,) = {json.loads(line)["thread"] for line in listed}
    office.sandbox.imap.deliver(an_answer("Élise <ELISE@martin-mobilier.example>"))
    office.sandbox.imap.deliver(an_answer("somebody@else.example"))
    assert said() == [
        ("modelisation", f"an answer to {reference}: a note on its ticket"),
        ("unsure", f"may be an answer to {reference}: it is if the contact of that ticket wrote it"),
    ]
    office.once()
    assert office.counts()["tickets"] == 2
