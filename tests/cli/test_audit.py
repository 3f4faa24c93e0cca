"""Tests of the `audit` command: it finds what was changed in the mailboxes, in HubSpot and in ClickUp."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from integrations.sandbox import Fault, Refusal
from poller.cli.main import commands
from poller.cli.samples import samples
from poller.mailbox.inbox import Inbox
from poller.mime.reference import reference_of
from poller.model import Outcome
from poller.workflow.database import open_store
from poller.workflow.retry import RetryPolicy
from tests.support.faulty_relay import Break, Relay

if TYPE_CHECKING:
    from tests.conftest import Office

MAILS = samples()
MODELLING = MAILS["modelisation_with_files"]


def audit(office: Office, *options: str) -> Result:
    return CliRunner().invoke(commands, ["audit", *options], env=office.environment, catch_exceptions=False)


def problems(office: Office, *options: str) -> list[tuple[str, str]]:
    """Outcome and problem of each finding; the exit code says whether there is any."""
    result = audit(office, "--json", *options)
    findings = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == (1 if findings else 0), result.output
    assert all(len(finding["reference"]) == 16 for finding in findings)
    return [(finding["outcome"], finding["problem"]) for finding in findings]


def move(office: Office, mailbox: str, to: str | None) -> None:
    """Move every message of a mailbox as a person would; None: delete it."""
    with office.sandbox.imap.session() as client:
        client.select_folder(mailbox)
        if to is None:
            client.delete_messages(client.search())
            client.expunge()
        else:
            if not client.folder_exists(to):
                client.create_folder(to)
            client.move(client.search(), to)


def an_answer() -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = "Élise Martin <elise@martin-mobilier.example>", "support@figurative.example"
    message["Subject"], message["Message-ID"] = "Re: Modélisation du fauteuil Ondine", "<answer@martin.example>"
    message["In-Reply-To"] = "<modelisation_with_files@samples.example>"
    message.set_content("Finalement en noyer, s’il vous plaît.\n")
    return message.as_bytes()


def test_audit_of_daemon_run_finds_nothing(office: Office) -> None:
    """Every outcome, an answer on another's ticket, and an old mail that waits: exit code 0, and nothing on stdout."""
    office.once(MODELLING, MAILS["support"], MAILS["auto_reply"])
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400))
    office.once(an_answer(), MAILS["bug"])
    office.sandbox.imap.deliver(MAILS["english"])
    assert office.mailboxes() == {"INBOX": 1, "Ignorés": 1, "Modélisation": 2, "Support": 1, "Échecs": 1}
    for options in ([], ["--remote"]):
        result = audit(office, *options)
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "everything adds up\n")


@pytest.mark.parametrize(
    ("mail", "mailbox", "to", "finding"),
    [
        ("support", "Support", "Clients", ("support", "not found under 'Support'")),
        ("support", "Support", "Ignorés", ("support", "not found under 'Support', but under 'Ignorés'")),
        ("support", "Support", "INBOX", ("support", "finished, and in the inbox")),
        ("auto_reply", "Ignorés", None, ("ignored", "not found under 'Ignorés'")),
    ],
)
def test_audit_reports_finished_message_not_under_its_label(
    office: Office, mail: str, mailbox: str, to: str | None, finding: tuple[str, str]
) -> None:
    """The finding says where the message should lie, and where it does."""
    office.once(MAILS[mail])
    move(office, mailbox, to)
    assert problems(office) == [finding]
    assert office.mailboxes() == ({to: 1} if to else {})


def test_audit_reports_missing_failed_message(office: Office) -> None:
    """A person can retry a failure only while its message is there."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400))
    office.once(MAILS["support"])
    move(office, "Échecs", None)
    assert problems(office) == [("failed", "not found under 'Échecs'")]


def test_audit_accepts_failed_message_moved_to_inbox(office: Office) -> None:
    """It will be tried again at the next scan, which is right."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400))
    office.once(MAILS["support"])
    move(office, "Échecs", "INBOX")
    assert problems(office) == []


def test_audit_reports_missing_waiting_message(office: Office) -> None:
    """While it waits in the inbox nothing is wrong; without it the daemon waits in vain."""
    office.fail("hubspot", Fault("status", status=503, headers={"Retry-After": "3600"}, times=None))
    office.once(MAILS["support"])
    assert problems(office) == []
    move(office, "INBOX", None)
    assert problems(office) == [("waiting", "not finished, and nowhere to be found")]


@pytest.mark.parametrize(
    ("to", "problem", "remedy", "again"),
    [
        ("Support", "waits, but lies under 'Support'", "support", {"Support": 1}),
        ("Échecs", "waits, but lies under 'Échecs'", "failed", {"Support": 1}),
        (None, "not finished, and nowhere to be found", "gone", {"Support": 1}),
    ],
    ids=["done after the backup", "failed after the backup", "gone"],
)
def test_fix_closes_message_that_waits_for_nothing(
    office: Office, to: str | None, problem: str, remedy: str, again: dict[str, int]
) -> None:
    """As after a restore. It is named first, no service is asked, and later it can be put back all the same."""
    office.fail("hubspot", Fault("status", status=503, headers={"Retry-After": "3600"}, times=None))
    (reference,) = office.once(MAILS["support"])
    move(office, "INBOX", to)
    assert problems(office) == [("waiting", problem)]
    office.sandbox.hubspot.requests.clear()
    result = audit(office, "--fix")
    assert result.stdout == f"{reference}  WAITING       {problem}; to be closed as {remedy.upper()}\n"
    assert (result.stderr, result.exit_code) == ("1 of 1 closed\n", 0)
    assert problems(office, "--fix") == []
    assert office.mailboxes() == ({to: 1} if to else {})
    assert office.sandbox.hubspot.requests == []
    office.sandbox.hubspot.heal()
    if to:
        move(office, to, "INBOX")
        office.once()
    else:
        office.once(MAILS["support"])
    assert office.mailboxes() == again
    assert office.counts()["tickets"] == (0 if to == "Support" else 1)


def test_closed_message_keeps_the_ticket_that_its_journal_knows(office: Office) -> None:
    """It has waited for its subtask: an answer finds the ticket, and so does a person."""
    office.fail("clickup", Fault("status", status=503, headers={"Retry-After": "3600"}, times=None))
    (reference,) = office.once(MODELLING)
    move(office, "INBOX", "Modélisation")
    assert audit(office, "--fix").stderr == "1 of 1 closed\n"
    office.sandbox.clickup.heal()
    (ticket,) = office.sandbox.hubspot.tickets
    with closing(open_store(office.settings)) as store:
        result = store.result(reference)
        assert result.ticket
        assert (result.outcome, result.ticket.id, result.thread, len(result.files)) == (
            Outcome.MODELISATION,
            ticket.id,
            reference,
            2,
        )
        assert [each.reference for each in store.with_object(ticket.id)] == [reference]
    office.once(an_answer())
    assert (office.counts()["tickets"], office.mailboxes()) == (1, {"Modélisation": 2})


def test_audit_leaves_a_filed_message_to_the_daemon(office: Office) -> None:
    """The answer to the label was lost. Closed by hand it would have no ticket, and its customer's answer another."""
    office.retry_policy = RetryPolicy(delays_s=(3600.0,), settle_s=0)
    with Relay(office.sandbox.imap.port) as relay:
        office.environment["IMAP_PORT"] = str(relay.port)
        relay.breaks += [Break("close", b" UID MOVE ", after=True)]
        office.once(MODELLING)
    office.environment["IMAP_PORT"] = str(office.sandbox.imap.port)
    assert office.mailboxes() == {"Modélisation": 1}
    assert problems(office, "--fix") == []
    office.once(an_answer())
    assert office.counts()["tickets"] == 1


def test_audit_reports_message_unknown_to_state_store(office: Office) -> None:
    """It is older than the state store, or was put there by hand: it is named by its reference."""
    office.once(MAILS["support"])
    office.sandbox.imap.deliver(MAILS["english"], "Support", ["Figurative-Support"])
    assert problems(office) == [("", "lies under 'Support', unknown to the state")]
    result = audit(office)
    assert result.stderr == "To have an UNKNOWN one done, put it back into the inbox.\n"
    line = result.stdout
    assert line.split()[:2] == [reference_of(Inbox(office.settings).account, MAILS["english"]), "UNKNOWN"]


def test_audit_ignores_mail_filed_by_a_person(office: Office) -> None:
    """An admin may keep other mail under a label: only a message with our keyword should be in the state store."""
    office.once(MAILS["support"])
    office.sandbox.imap.deliver(MAILS["english"], "Support", ["Important"])
    assert problems(office) == []


def test_audit_reports_unconfirmed_notification(office: Office) -> None:
    """After two unconfirmed tries the admin may not have been told."""
    office.sandbox.smtp.fail(Refusal("after_data", times=2))
    (reference,) = office.once(MAILS["support"])
    (finding,) = problems(office)
    assert finding == ("support", "send_notification: sent 2 times and never confirmed; the admin may not have it")
    shown = CliRunner().invoke(commands, ["show", reference], env=office.environment).stdout
    told = [line for line in shown.splitlines() if " send_notification " in line]
    assert [line.rpartition("  ")[2] for line in told].count("in doubt") == 2


def test_audit_reports_deleted_ticket(office: Office) -> None:
    """Only with --remote is it looked for, and its note goes with it or stays."""
    office.once(MAILS["support"])
    crm = office.sandbox.hubspot.crm
    (ticket,), (contact,) = crm.records("tickets"), crm.records("contacts")
    del crm._records["tickets"][ticket.id]
    crm._links[("contacts", contact.id, "tickets")].remove(ticket.id)
    assert problems(office) == []
    finding = f"HubSpot ticket {ticket.id} not found with the reference"
    assert problems(office, "--remote") == [("support", finding)]


def test_audit_reports_ticket_without_reference(office: Office) -> None:
    """Without it no later search finds the ticket."""
    office.once(MAILS["support"])
    (ticket,) = office.sandbox.hubspot.tickets
    ticket.properties["content"] = "Remboursé."
    ((outcome, problem),) = problems(office, "--remote")
    assert outcome == "support"
    assert problem.startswith(f"HubSpot ticket {ticket.id} not found with the reference")


def test_audit_reports_duplicate_ticket(office: Office) -> None:
    """One request, one ticket: each further one is named; the contact's other tickets are none."""
    office.once(MAILS["support"], MAILS["support"].replace(b"<support@", b"<again@"))
    crm = office.sandbox.hubspot.crm
    ticket, _ = crm.records("tickets")
    twin = crm.create("tickets", dict(ticket.properties))
    crm.associate("tickets", twin.id, "contacts", crm.records("contacts")[0].id)
    finding = f"HubSpot ticket {twin.id} carries the reference, and is not the one remembered"
    assert problems(office, "--remote") == [("support", finding)]


def test_audit_reports_ticket_of_deleted_contact(office: Office) -> None:
    """The contact has no tickets any more, so nobody who opens it finds the request."""
    office.once(MAILS["support"])
    crm = office.sandbox.hubspot.crm
    (contact,), (ticket,) = crm.records("contacts"), crm.records("tickets")
    del crm._records["contacts"][contact.id]
    finding = f"HubSpot ticket {ticket.id} not found with the reference"
    assert problems(office, "--remote") == [("support", finding)]


def test_audit_reports_refusal_by_hubspot(office: Office) -> None:
    """It is a finding of this message, and the next one is checked all the same."""
    office.once(MAILS["support"], MAILS["bug"])
    office.fail("hubspot", Fault("status", "POST", "/crm/associations/", status=400, times=2))
    assert problems(office, "--remote") == [("support", "HubSpot list tickets: HTTP 400 INTERNAL_ERROR")] * 2


def test_audit_reports_deleted_note(office: Office) -> None:
    """The ticket is still there, without the links."""
    office.once(MODELLING)
    crm = office.sandbox.hubspot.crm
    (note,) = crm.records("notes")
    note.properties["hs_note_body"] = ""
    assert problems(office, "--remote") == [("modelisation", f"HubSpot note {note.id} not found with the reference")]


@pytest.mark.parametrize("older", [False, True])
def test_audit_reports_duplicate_note_and_subtask(office: Office, older: bool) -> None:
    """Each is named, also a duplicate that is older than the state store."""
    office.once(MODELLING)
    crm, clickup = office.sandbox.hubspot.crm, office.sandbox.clickup
    (note,), (contact,), (ticket,) = crm.records("notes"), crm.records("contacts"), crm.records("tickets")
    twin = crm.create("notes", dict(note.properties))
    crm.associate("notes", twin.id, "contacts", contact.id)
    crm.associate("notes", twin.id, "tickets", ticket.id)
    (subtask,) = clickup.subtasks
    days = -400 * 86400 if older else 0
    clickup.tasks["86twin"] = replace(subtask, id="86twin", created_at=subtask.created_at + days, comments=[])
    assert problems(office) == []
    assert problems(office, "--remote") == [
        ("modelisation", f"HubSpot note {twin.id} carries the reference, and is not the one remembered"),
        ("modelisation", "ClickUp subtask 86twin carries the reference, and is not the one remembered"),
    ]


def test_audit_reads_subtasks_once_for_all_messages(office: Office) -> None:
    """A call for a hundred, and not two for each message: ClickUp allows a hundred a minute."""
    again = [MODELLING.replace(b"<modelisation_with_files@", b"<%d@" % number) for number in range(3)]
    office.once(*again)
    before = len(office.sandbox.clickup.requests)
    assert problems(office, "--remote") == []
    assert len(office.sandbox.clickup.requests) - before == 2


def test_audit_reports_deleted_subtask(office: Office) -> None:
    """The 3D team does not know of the request; and the answer to it has no place either."""
    office.once(MODELLING)
    office.once(an_answer())
    clickup = office.sandbox.clickup
    (subtask,) = clickup.subtasks
    del clickup.tasks[subtask.id]
    # The store knows the order to the second alone.
    lost, gone = sorted(problems(office, "--remote"))
    assert gone == ("modelisation", f"ClickUp subtask {subtask.id} not found with the reference")
    assert lost == ("modelisation", "ClickUp list comments: HTTP 401 OAUTH_027: the task is gone")


def test_audit_reports_deleted_comment(office: Office) -> None:
    """An answer is on its request's subtask as well."""
    office.once(MODELLING)
    office.once(an_answer())
    (subtask,) = office.sandbox.clickup.subtasks
    (comment,) = subtask.comments
    subtask.comments.append(replace(comment, id=comment.id + 1))
    finding = f"2 comments with the reference on ClickUp subtask {subtask.id}"
    assert problems(office, "--remote") == [("modelisation", finding)]
    subtask.comments.clear()
    finding = f"no comment with the reference on ClickUp subtask {subtask.id}"
    assert problems(office, "--remote") == [("modelisation", finding)]


def test_audit_skips_disabled_service(office: Office) -> None:
    """Nothing was created there, so nothing is missing."""
    for name in ("HUBSPOT_API_KEY", "HUBSPOT_HUB_ID", "CLICKUP_API_KEY", "CLICKUP_PARENT_TASK_ID"):
        office.environment[name] = ""
    office.once(MODELLING)
    assert problems(office, "--remote") == []


@pytest.mark.parametrize("service", ["hubspot", "clickup"])
def test_audit_waits_for_rate_limit_and_retries(office: Office, service: str) -> None:
    """A limit that is met in the middle costs a wait, and not the rest of the answer; an hour is not waited for."""
    office.once(MODELLING, MAILS["support"])
    requests = getattr(office.sandbox, service).requests
    before = len(requests)
    assert problems(office, "--remote") == []
    calls = len(requests) - before
    office.fail(service, Fault("status", status=429, headers={"Retry-After": "0"}, times=2))
    assert problems(office, "--remote") == []
    assert len(requests) - before == 2 * calls + 2
    office.fail(service, Fault("status", status=429, headers={"Retry-After": "3600"}))
    assert audit(office, "--remote").exit_code == 75


def test_audit_exits_75_when_service_is_unreachable(office: Office) -> None:
    """Exit code 75 and a line, as it is not known whether all adds up."""
    office.once(MAILS["support"])
    office.fail("hubspot", Fault("status", status=503, times=None))
    result = audit(office, "--remote")
    assert (result.exit_code, result.stdout) == (75, "")
    assert "HTTP 503" in result.stderr


def test_audit_changes_nothing(office: Office) -> None:
    """No message is marked as read, no mailbox is made, and nothing is written at a service."""
    office.once(MODELLING)
    assert "Échecs" not in office.sandbox.imap.mailboxes()
    before = office.sandbox.imap.all_messages()
    made = len(office.sandbox.hubspot.requests), len(office.sandbox.clickup.requests)
    assert problems(office, "--remote") == []
    assert office.sandbox.imap.all_messages() == before
    asked = [*office.sandbox.hubspot.requests[made[0] :], *office.sandbox.clickup.requests[made[1] :]]
    assert all(each.method == "GET" or each.path.endswith("/batch/read") for each in asked)
