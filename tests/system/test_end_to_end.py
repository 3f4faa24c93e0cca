"""A mail goes in, and everything that it asks for comes out: over real sockets, with nothing of ours replaced."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError
from integrations.sandbox import Fault, Refusal
from poller.cli.samples import picture, samples, triangle
from poller.daemon.daemon import Daemon
from tests.support import stored_files
from tests.support.needs import needs_dovecot

if TYPE_CHECKING:
    from integrations.sandbox.s3 import StoredObject
    from poller.workflow.status import MessageStatus
    from tests.conftest import Office

MAILS = samples()
NOTHING = {"contacts": 0, "tickets": 0, "notes": 0, "subtasks": 0, "files": 0, "notifications": 0}
ONE_SUPPORT = NOTHING | {"contacts": 1, "tickets": 1, "notifications": 1}
ONE_MODELISATION = {"contacts": 1, "tickets": 1, "notes": 1, "subtasks": 1, "files": 2, "notifications": 1}


def a_mail(subject: str, text: str, number: int = 1) -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = "Ana Ruiz <ana@ruiz.example>", "support@figurative.example"
    message["Subject"], message["Message-ID"] = subject, f"<{number}@ruiz.example>"
    message["Date"] = "Sun, 22 Nov 2026 10:00:00 +0100"
    message.set_content(text)
    return message.as_bytes()


def outcomes(statuses: dict[str, object]) -> list[str]:
    return sorted(status.outcome for status in statuses.values())  # type: ignore[attr-defined]


def by_name(office: Office) -> list[StoredObject]:
    """The files on R2; their keys begin with what nobody can guess."""
    return sorted(stored_files.sent(office.sandbox), key=lambda stored: stored.key.rpartition("/")[2])


def test_support_mail_becomes_ticket_on_contact(office: Office) -> None:
    """Contact, ticket in the configured pipeline and stage, notification, and the mail under Support: no more."""
    assert outcomes(office.once(MAILS["support"])) == ["support"]
    hubspot = office.sandbox.hubspot
    assert office.counts() == ONE_SUPPORT
    contact, ticket = hubspot.contacts[0], hubspot.tickets[0]
    assert contact.properties["email"] == "jeanne.dupont@atelier-dupont.example"
    assert (contact.properties["firstname"], contact.properties["lastname"]) == ("Jeanne", "Dupont")
    assert ticket.properties["subject"] == "Facture prélevée deux fois"
    assert (ticket.properties["hs_pipeline"], ticket.properties["hs_pipeline_stage"]) == ("0", "1")
    assert "Pouvez-vous me rembourser le second paiement ?" in ticket.properties["content"]
    assert re.search(r"\[ref: [0-9a-f]{16}\]", ticket.properties["content"])
    assert hubspot.associated("tickets", ticket.id, "contacts") == [contact.id]
    assert office.mailboxes() == {"Support": 1}


def test_modelisation_mail_goes_through_all_steps(office: Office) -> None:
    """Files on R2 with public links, contact, ticket with the links, note on both, subtask, notification, label."""
    (status,) = office.once(MAILS["modelisation_with_files"]).values()
    assert office.counts() == ONE_MODELISATION
    box = office.sandbox
    model, photo = by_name(office)
    assert (model.body, photo.body) == (triangle(), picture(320, 240))
    assert (model.content_type, photo.content_type) == ("model/gltf-binary", "image/png")
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/[0-9a-f]{32}/fauteuil Ondine\.glb", model.key)
    assert "filename*=UTF-8''photo%20%C3%A9t%C3%A9.png" in photo.content_disposition
    links = [f"{box.s3.public_url}/{stored.path}" for stored in (model, photo)]
    for link, stored in zip(links, (model, photo), strict=True):
        with urllib.request.urlopen(link, timeout=5) as opened:  # noqa: S310  a stand-in on loopback
            assert opened.read() == stored.body
    contact, ticket, note = box.hubspot.contacts[0], box.hubspot.tickets[0], box.hubspot.notes[0]
    assert all(link in ticket.properties["content"] for link in links)
    assert all(f'href="{link}"' in note.properties["hs_note_body"] for link in links)
    assert box.hubspot.associated("notes", note.id, "contacts") == [contact.id]
    assert box.hubspot.associated("notes", note.id, "tickets") == [ticket.id]
    assert status.result.ticket.url.endswith(f"/record/0-5/{ticket.id}")
    assert office.mailboxes() == {"Modélisation": 1}


def test_subtask_has_exactly_the_agreed_text(office: Office) -> None:
    """The markdown that the 3D team knows, under the parent task, with the ticket and every file."""
    office.once(MAILS["modelisation_with_files"])
    box = office.sandbox
    task = box.clickup.subtasks[0]
    model, photo = (f"{box.s3.public_url}/{stored.path}" for stored in by_name(office))
    ticket = f"https://app-eu1.hubspot.com/contacts/{box.hubspot.hub_id}/record/0-5/{box.hubspot.tickets[0].id}"
    assert task.parent == box.clickup.parent_id
    assert task.markdown.startswith(
        "**Demande de modélisation**\n\n"
        "**Client**: elise@martin-mobilier.example  \n"
        "**Objet**: Modélisation du fauteuil Ondine  \n"
        f"**Ticket HubSpot**: {ticket}\n\n"
        "## Description de la demande\n"
        "Bonjour,"
    )
    files = f"\n\n## Fichiers joints\n- [fauteuil Ondine.glb]({model})\n- [photo été.png]({photo})\n\n"
    _, agreed, details = task.markdown.partition(files)
    assert agreed
    assert details.startswith("Nom du client\xa0: Élise Martin\n\n")
    assert "fauteuil Ondine\\.glb (412\xa0octets)" in details
    assert re.search(r"\n\n\[ref: [0-9a-f]{16}\]\Z", details)


def test_admin_gets_one_notification_with_all_links(office: Office) -> None:
    """One mail in French, in text and HTML, that nobody answers automatically, with every link."""
    office.once(MAILS["modelisation_with_files"])
    box = office.sandbox
    letter = box.smtp.messages[0].message
    assert letter["To"] == "admin@figurative.example"
    assert letter["Auto-Submitted"] == "auto-generated"
    for kind in ("plain", "html"):
        text = letter.get_body((kind,)).get_content()
        assert "95" in text
        assert "elise@martin-mobilier.example" in text
        assert f"/record/0-5/{box.hubspot.tickets[0].id}" in text
        assert box.clickup.subtasks[0].id in text
        assert all(stored.path in text for stored in stored_files.sent(box))


def test_notification_in_polled_mailbox_is_not_dispatched(office: Office) -> None:
    """The notification comes back into the mailbox that is read, and no second one is made of it."""
    office.environment["NOTIFICATION_EMAIL"] = office.environment["IMAP_USERNAME"]
    office.once(MAILS["support"])
    (letter,) = office.sandbox.smtp.messages
    assert outcomes(office.once(bytes(letter.message))) == ["ignored"]
    assert office.counts() == ONE_SUPPORT


def test_an_auto_reply_is_ignored_and_kept(office: Office) -> None:
    """No service hears of it; it lies under Ignorés, unread as it was."""
    assert outcomes(office.once(MAILS["auto_reply"])) == ["ignored"]
    assert office.counts() == NOTHING
    (message,) = office.sandbox.imap.messages("Ignorés")
    assert message.flags == {"Figurative-Ignored"}


def test_one_run_dispatches_every_kind_of_mail(office: Office) -> None:
    """The demo's mails: each is dispatched once, the inbox is empty, nothing is lost."""
    office.once(*MAILS.values())
    assert sum(office.mailboxes().values()) == len(MAILS)
    assert "INBOX" not in office.mailboxes()
    counts = office.counts()
    assert counts["tickets"] == counts["notifications"] == len(MAILS) - 1
    assert counts["notes"] == counts["subtasks"] == office.mailboxes()["Modélisation"]


def test_api_calls_per_mail_are_minimal(office: Office) -> None:
    """A known contact's SUPPORT mail costs HubSpot two calls, a MODELISATION three and ClickUp one besides the list."""
    office.environment["MODELS_ENABLED"] = "true"
    office.once(MAILS["support"], MAILS["modelisation_with_files"])
    for server in (office.sandbox.hubspot, office.sandbox.clickup, office.sandbox.s3):
        server.requests.clear()
    again = [MAILS[name].replace(b"@samples", b"@again") for name in ("support", "modelisation_with_files")]
    office.once(*again)
    assert sorted((call.method, call.path.split("?")[0].split("/")[4]) for call in office.sandbox.hubspot.requests) == [
        ("GET", "contacts"),
        ("GET", "contacts"),
        ("POST", "notes"),
        ("POST", "tickets"),
        ("POST", "tickets"),
    ]
    assert [call.method for call in office.sandbox.clickup.requests] == ["GET", "POST"]
    assert [call.method for call in office.sandbox.s3.requests] == ["PUT"] * 4, "two files, their zip, a picture"


@pytest.mark.parametrize(
    ("service", "method", "path"),
    [
        ("s3", "PUT", "/"),
        ("hubspot", "GET", "/crm/objects/2026-09/contacts"),
        ("hubspot", "POST", "/crm/objects/2026-09/contacts"),
        ("hubspot", "POST", "/crm/objects/2026-09/tickets"),
        ("hubspot", "POST", "/crm/objects/2026-09/notes"),
        ("clickup", "GET", "/api/v2/task"),
        ("clickup", "POST", "/api/v2/list"),
    ],
)
@pytest.mark.parametrize("kind", ["status", "cut_after_commit"])
def test_one_service_failure_makes_no_duplicates(
    office: Office, service: str, method: str, path: str, kind: str
) -> None:
    """Whether the call was refused, or carried out and its answer lost: one of everything in the end."""
    office.fail(service, Fault(kind, method, path))  # type: ignore[arg-type]
    assert outcomes(office.once(MAILS["modelisation_with_files"])) == ["modelisation"]
    assert office.counts() == ONE_MODELISATION


@pytest.mark.parametrize(("stage", "sent"), [("rcpt", 1), ("after_data", 2)])
def test_one_smtp_failure_delays_notification(office: Office, stage: str, sent: int) -> None:
    """Refused for now: sent later. Accepted with the answer lost: sent at most once more, under the same Message-ID."""
    reply = "421 4.3.2 later" if stage == "rcpt" else ""
    office.sandbox.smtp.fail(Refusal(stage, reply))  # type: ignore[arg-type]
    office.once(MAILS["support"])
    letters = office.sandbox.smtp.messages
    assert len(letters) == sent
    assert len({letter.message["Message-ID"] for letter in letters}) == 1
    assert office.mailboxes() == {"Support": 1}


def test_unreachable_claude_leaves_decision_to_rules_and_flags_it(office: Office) -> None:
    """After the wait the best guess of the rules goes on, flagged in the ticket and in the notification."""
    office.environment["ANTHROPIC_WAIT_S"] = "0"
    office.fail("anthropic", Fault("status", status=529, times=None))
    (status,) = office.once(MAILS["ambiguous"]).values()
    assert status.result.needs_review
    assert "vérifier" in office.sandbox.hubspot.tickets[0].properties["content"]
    assert "vérifier" in office.sandbox.smtp.messages[0].message.get_body(("plain",)).get_content()


def test_mail_that_waited_for_claude_says_nothing_of_it(office: Office) -> None:
    """Sure mail flows meanwhile, and the ticket is the same as without the outage."""
    office.fail("anthropic", Fault("status", status=529, times=None))
    office.sandbox.imap.deliver(MAILS["ambiguous"])  # the first: it asks Claude before the other one is done
    office.sandbox.imap.deliver(MAILS["support"])
    flowed: list[str] = []

    def end_outage(_: str, status: MessageStatus) -> None:
        flowed.append(status.result.decided_by)
        office.sandbox.anthropic.heal()

    Daemon(office.settings, retry_policy=office.retry_policy).once(end_outage)
    assert flowed == ["rules", "claude"]
    assert len(office.sandbox.anthropic.calls("POST")) > 1
    texts = str([ticket.properties for ticket in office.sandbox.hubspot.tickets])
    assert "vérifier" not in texts
    assert "Claude" not in texts


def test_rejected_mail_does_not_stop_its_neighbours(office: Office) -> None:
    """What HubSpot refuses for good is filed under Échecs and told once; the neighbours are done."""
    bad = MAILS["support"].replace(b"<jeanne.dupont@atelier-dupont.example>", b"")
    good = [a_mail("Facture", "Bonjour, ma facture est fausse, merci de me rembourser.", n) for n in (1, 2)]
    assert outcomes(office.once(good[0], bad, good[1])) == ["failed", "support", "support"]
    assert office.mailboxes() == {"Support": 2, "Échecs": 1}
    subjects = [letter.message["Subject"] for letter in office.sandbox.smtp.messages]
    assert sum("[Échec]" in subject for subject in subjects) == 1
    assert len(subjects) == 3


def test_failed_mail_moved_to_inbox_resumes_at_failed_step(office: Office) -> None:
    """The person mended the cause and moved the mail: what was done stays done, the rest follows."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400, times=None))
    assert outcomes(office.once(MAILS["modelisation_with_files"])) == ["failed"]
    assert office.mailboxes() == {"Échecs": 1}
    office.sandbox.hubspot.heal()
    with office.sandbox.imap.session() as client:
        client.select_folder("Échecs")
        client.move(client.search(), "INBOX")
    assert outcomes(office.once()) == ["modelisation"]
    assert office.counts() == ONE_MODELISATION | {"notifications": 2}
    (message,) = office.sandbox.imap.messages("Modélisation")
    assert message.flags == {"Figurative-Modelisation"}


def test_mail_delivered_twice_opens_one_ticket(office: Office) -> None:
    """Two copies at once, and a third one later: all three end under the same label."""
    office.once(MAILS["support"], MAILS["support"])
    office.once(MAILS["support"])
    assert office.counts() == ONE_SUPPORT
    assert office.mailboxes() == {"Support": 3}


def test_message_without_id_or_date_is_identified_by_content(office: Office) -> None:
    """Two different ones are two tickets; one that comes over two aliases is one."""
    bare = [re.sub(rb"Message-ID: .*\n", b"", a_mail("Facture", f"Remboursement {n} svp")) for n in (1, 2)]
    form = [re.sub(rb"Date: .*\n", b"Message-ID: <form@ruiz.example>\n", each) for each in bare]
    copies = [b"Delivered-To: contact@figurative.example\n" + each for each in (bare[0], form[0])]
    office.once(*bare, *form, *copies)
    assert office.counts()["tickets"] == 4
    assert office.mailboxes() == {"Support": 6}


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("IMAP_PASSWORD", "wrong", "IMAP_PASSWORD"),
        ("HUBSPOT_API_KEY", "pat-wrong", "HubSpot"),
        ("IMAP_MAILBOX", "Nowhere", "IMAP_MAILBOX"),
    ],
)
def test_wrong_settings_stop_daemon_and_lose_no_mail(office: Office, name: str, value: str, named: str) -> None:
    """A wrong password or key ends the run with its name; the mail waits, and is dispatched once it is right."""
    right = office.environment.get(name, "")
    office.environment[name] = value
    with pytest.raises(ConfigurationError, match=named):
        office.once(MAILS["support"])
    assert office.mailboxes() == {"INBOX": 1}
    office.environment[name] = right
    assert outcomes(office.once()) == ["support"]
    assert office.counts() == ONE_SUPPORT


def test_services_without_settings_are_skipped_and_named(office: Office) -> None:
    """Only the mailbox and the mail server configured: the admin is told what was not done."""
    kept = ("IMAP_", "SMTP_", "NOTIFICATION_", "STATE_", "RECEIPTS_")
    office.environment = {name: value for name, value in office.environment.items() if name.startswith(kept)}
    (status,) = office.once(MAILS["modelisation_with_files"]).values()
    assert status.result.skipped == (
        "upload_files",
        "find_or_create_contact",
        "create_ticket",
        "create_note",
        "create_subtask",
    )
    text = office.sandbox.smtp.messages[0].message.get_body(("plain",)).get_content()
    assert all(name in text for name in ("R2", "HubSpot", "ClickUp"))
    assert office.mailboxes() == {"Modélisation": 1}


def test_existing_contact_is_not_overwritten(office: Office) -> None:
    """The CRM's own names stay."""
    hubspot = office.sandbox.hubspot
    office.once(MAILS["support"])
    hubspot.contacts[0].properties["firstname"] = "Jeanne-Marie"
    office.once(MAILS["support"].replace(b"<support@", b"<support2@"))
    assert [contact.properties["firstname"] for contact in hubspot.contacts] == ["Jeanne-Marie"]


@pytest.mark.parametrize(
    "path", ["/crm/objects/2026-09/tickets", "/crm/objects/2026-09/notes"], ids=["create_ticket", "create_note"]
)
def test_kill_during_completed_call_does_not_repeat_it(office: Office, path: str) -> None:
    """SIGKILL while the answer is on its way: the next run looks first, and goes on from there."""
    office.fail("hubspot", Fault("hang_after_commit", "POST", path))
    office.sandbox.imap.deliver(MAILS["modelisation_with_files"])
    process = office.begin("once")
    hubspot = office.sandbox.hubspot
    assert hubspot.wait_for_hang()
    process.end(signal.SIGKILL)
    hubspot.heal()
    assert outcomes(office.once()) == ["modelisation"]
    assert office.counts() == ONE_MODELISATION
    assert len([call for call in hubspot.calls("POST") if call.path == path]) == 1


def test_once_prints_one_line_per_message_on_stdout(office: Office) -> None:
    """Data on standard output, everything else on standard error; exit code 0 when all is done."""
    office.sandbox.imap.deliver(MAILS["support"])
    process = subprocess.run(
        [sys.executable, "-m", "poller", "once"],
        env=os.environ | office.environment,
        cwd=office.state,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0
    (line,) = process.stdout.splitlines()
    assert re.match(r"[0-9a-f]{16}  SUPPORT  https://app(-eu1)?\.hubspot\.com/contacts/\d+/record/0-5/\d+", line)


def test_once_exits_75_when_service_stays_unreachable(office: Office) -> None:
    """What has to wait is left in the mailbox, and the exit code says so."""
    office.fail("hubspot", Fault("status", headers={"Retry-After": "3600"}, times=None))
    office.sandbox.imap.deliver(MAILS["support"])
    process = office.begin("once").end()
    assert process.returncode == 75
    assert office.mailboxes() == {"INBOX": 1}


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("IMAP_PASSWORD", "wrong-SECRET", "poller: IMAP login refused: "),
        ("IMAP_PORT", "99999", "environment: IMAP_PORT: must be less than or equal to 65535"),
    ],
)
def test_wrong_setting_is_one_line_and_exit_78(office: Office, name: str, value: str, line: str) -> None:
    """A code that systemd does not restart on, and a line that says what to mend, without the secret."""
    office.environment[name] = value
    process = office.begin("run").end()
    stderr = process.stderr
    assert process.returncode == 78
    assert line in stderr
    assert "SECRET" not in stderr
    assert "Traceback" not in stderr


def test_sigterm_finishes_current_message_and_exits_0(office: Office) -> None:
    """SIGTERM while a ticket is being created: the message is finished, then the process ends with 0."""
    office.environment["IMAP_POLL_INTERVAL_S"] = "0.3"
    office.fail("hubspot", Fault("slow", "POST", "/crm/objects/2026-09/tickets"))
    process = office.begin("run")
    office.sandbox.imap.deliver(MAILS["support"])
    assert office.sandbox.hubspot.wait_for_hang()
    process.send_signal(signal.SIGTERM)
    assert any("daemon_stopping" in line for line in process.stderr)
    office.sandbox.hubspot.heal()
    assert process.end().returncode == 0
    assert office.mailboxes() == {"Support": 1}
    assert office.counts() == ONE_SUPPORT


def test_second_daemon_on_same_state_is_refused(office: Office) -> None:
    """`poller once` beside a running daemon says that one is running."""
    process = office.begin("run")
    assert any("daemon_started" in line for line in process.stderr)
    second = office.begin("once").end()
    process.end(signal.SIGTERM)
    assert second.returncode == 75
    assert "already running" in second.stderr


def test_log_and_state_hold_no_personal_data_or_secret(office: Office) -> None:
    """Subject, text, names, addresses and keys: in none of the lines, and in no file of the state."""
    for raw in MAILS.values():
        office.sandbox.imap.deliver(raw)
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400))
    process = office.begin("--log-level", "DEBUG", "once").end()
    written = process.stderr + process.stdout
    state = b"".join(path.read_bytes() for path in office.state.rglob("*") if path.is_file()).decode("latin-1")
    names = ("jeanne", "haddad", "Facture", "rembourser", "mallory", "Mallory", "fire pit")
    secrets = [value for name, value in office.environment.items() if name.endswith(("_KEY", "PASSWORD"))]
    for word in (*names, *secrets):
        assert word not in written, word
        assert word not in state, word


def test_spool_is_empty_after_run(office: Office) -> None:
    """The raw mail is on our disk only while it is in hand."""
    office.once(*MAILS.values())
    assert list((office.state / "spool").iterdir()) == []


def test_key_revoked_while_running_alerts_once_and_mail_waits(office: Office) -> None:
    """What worked before does not end the daemon: the mail waits untouched, the admin hears of it once."""
    office.environment["IMAP_POLL_INTERVAL_S"] = "0.2"
    office.sandbox.imap.deliver(MAILS["support"])
    process = office.begin("run")
    assert any("message_labelled" in line for line in process.stderr)
    refused = Fault("status", path="/crm", status=401, times=None)
    office.fail("hubspot", refused)
    office.sandbox.imap.deliver(MAILS["bug"])
    office.sandbox.imap.deliver(a_mail("Facture", "Bonjour, ma facture est fausse, merci de me rembourser."))
    assert any("service_refused" in line for line in process.stderr)
    assert process.end(signal.SIGTERM).returncode == 0
    assert office.mailboxes() == {"INBOX": 2, "Support": 1}
    alerts = [letter.message for letter in office.sandbox.smtp.messages if "[Alerte]" in letter.message["Subject"]]
    assert [alert["Subject"] for alert in alerts] == ["[Alerte] HubSpot refuse nos identifiants"]
    office.sandbox.hubspot.heal()
    assert outcomes(office.once()) == ["support", "support"]
    assert office.counts()["tickets"] == 3


@pytest.mark.parametrize("times", [1, None], ids=["busy once", "refused for good"])
def test_failed_mail_is_filed_when_notification_is_refused(office: Office, times: int | None) -> None:
    """The mail server refuses the notice of it, for now or for good: the message ends under Échecs, once."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400, times=None))
    office.sandbox.smtp.fail(Refusal("rcpt", "421 4.3.2 later" if times else "550 5.1.1 no", times=times))
    assert outcomes(office.once(MAILS["modelisation_with_files"])) == ["failed"]
    assert office.mailboxes() == {"Échecs": 1}
    assert office.counts()["notifications"] == (1 if times else 0)
    assert outcomes(office.once()) == []


@needs_dovecot
def test_copy_that_cannot_be_filed_does_not_block_newer_mail(office: Office) -> None:
    """The second copy's mailbox is gone and cannot be made: newer mail is dispatched all the same."""
    office.once(MAILS["support"])
    office.environment["LABELS_SUPPORT"] = "a" * 300
    office.once(MAILS["support"], MAILS["modelisation_with_files"])
    assert office.mailboxes() == {"INBOX": 1, "Modélisation": 1, "Support": 1}


def test_label_may_not_be_the_polled_mailbox(office: Office) -> None:
    """Or a finished message would be new again, for ever."""
    office.environment["LABELS_FAILED"] = "Inbox"
    with pytest.raises(ConfigurationError, match="LABELS_FAILED"):
        office.once()


def test_uidvalidity_change_dispatches_no_mail_twice(office: Office) -> None:
    """UIDVALIDITY changes under a running daemon, and every UID with it: what was done is known by its reference."""
    office.environment |= {"IMAP_MAILBOX": "Demandes", "IMAP_POLL_INTERVAL_S": "0.3"}
    with office.sandbox.imap.session() as client:
        client.create_folder("Demandes")
        client.append("Demandes", MAILS["support"])
    process = office.begin("run")
    assert any("message_labelled" in line for line in process.stderr)
    with office.sandbox.imap.session() as client:
        # Made under another name: the daemon must not open it before everything is in it.
        client.create_folder("Neuf")
        client.append("Neuf", MAILS["support"])
        client.append("Neuf", MAILS["bug"])
        client.delete_folder("Demandes")
        client.rename_folder("Neuf", "Demandes")
    labelled = (line for line in process.stderr if "message_labelled" in line)
    assert next(labelled)
    assert next(labelled)
    assert process.end(signal.SIGTERM).returncode == 0
    assert office.mailboxes() == {"Support": 3}
    assert office.counts()["tickets"] == 2


def test_message_deleted_while_waiting_is_no_error(office: Office) -> None:
    """While it waits for HubSpot somebody deletes it: the run ends well, and a copy put back goes on."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", headers={"Retry-After": "3600"}))
    assert outcomes(office.once(MAILS["support"])) == ["waiting"]
    office.sandbox.imap.reset()
    office.sandbox.hubspot.heal()
    assert office.once() == {}
    assert office.counts()["tickets"] == 0


def letters(office: Office) -> list[str]:
    """The subjects of the alerts that were sent."""
    subjects = [str(letter.message["Subject"]) for letter in office.sandbox.smtp.messages]
    return [subject for subject in subjects if "lerte]" in subject]


def test_key_refused_from_start_ends_daemon_and_alerts_admin(office: Office) -> None:
    """It is not started again on 78, and nobody may be looking at its log."""
    office.fail("hubspot", Fault("status", path="/crm", status=401, times=None))
    office.sandbox.imap.deliver(MAILS["support"])
    assert office.begin("run").end().returncode == 78
    assert letters(office) == ["[Alerte] HubSpot refuse nos identifiants"]
    assert office.mailboxes() == {"INBOX": 1}


def test_key_verified_at_reload_is_not_fatal_when_refused(office: Office) -> None:
    """What has just been tried is not wrong: a refusal that passes must not end the daemon of a quiet night."""
    office.environment["IMAP_POLL_INTERVAL_S"] = "0.2"
    process = office.begin("run")
    assert any("daemon_started" in line for line in process.stderr)
    process.send_signal(signal.SIGHUP)
    assert any("settings_reloaded" in line for line in process.stderr)
    assert any("daemon_started" in line for line in process.stderr)
    office.fail("hubspot", Fault("status", path="/crm", status=401, times=None))
    office.sandbox.imap.deliver(MAILS["support"])
    assert any("service_refused" in line for line in process.stderr)
    assert process.end(signal.SIGTERM).returncode == 0
    assert letters(office) == ["[Alerte] HubSpot refuse nos identifiants"]
