"""A mail is dispatched again as a person says what it is: once, and nothing is doubled."""

from __future__ import annotations

import email
import re
import signal
from email import policy
from typing import TYPE_CHECKING

import pytest

from integrations.errors import ConfigurationError
from integrations.sandbox import Fault
from poller.cli.samples import picture
from poller.daemon.daemon import Daemon
from poller.workflow.retry import RetryPolicy
from tests.support import stored_files
from tests.support.corrections import (
    MAILS,
    MODELISATION,
    SUPPORT,
    TO_MODELISATION,
    TO_SUPPORT,
    an_answer,
    comments,
    content,
    correct,
    decide,
    drag,
    poller,
)
from tests.support.faulty_relay import Break, Relay
from tests.support.kill_points import ANSWERED, BEFORE, COMMITTED, Death
from tests.system.test_crash_matrix import shared_by_two, undecided

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Office


def test_correction_to_modelisation_adds_missing_steps(office: Office) -> None:
    """Files, note and subtask; the ticket is put right, with their links, and stays the only one; no letter is sent."""
    decide(office, "SUPPORT")
    office.once(undecided())
    assert office.counts() == SUPPORT
    assert "Demande : support" in content(office)
    stage = office.sandbox.hubspot.tickets[0].properties["hs_pipeline_stage"] = "2"
    status = correct(office, "Support", TO_MODELISATION)
    assert status.outcome == "modelisation"
    assert office.counts() == MODELISATION
    assert office.mailboxes() == {"Modélisation": 1}
    (lying,) = office.sandbox.imap.messages("Modélisation")
    assert lying.flags == {"Figurative-Modelisation"}
    assert "Demande : modélisation" in content(office)
    assert all(stored.path in content(office) for stored in stored_files.sent(office.sandbox))
    assert office.sandbox.hubspot.tickets[0].properties["hs_pipeline_stage"] == stage
    hubspot = office.sandbox.hubspot
    assert hubspot.associated("notes", hubspot.notes[0].id, "tickets") == [hubspot.tickets[0].id]


def test_correction_to_support_keeps_all_and_comments_subtask(office: Office) -> None:
    """One comment on the subtask, which stays, as files and note do; an answer then is a note, and no comment."""
    decide(office, "MODELISATION")
    office.once(undecided())
    assert correct(office, "Modélisation", TO_SUPPORT).outcome == "support"
    assert office.counts() == MODELISATION
    assert office.mailboxes() == {"Support": 1}
    assert "Demande : support" in content(office)
    assert all(stored.path in content(office) for stored in stored_files.sent(office.sandbox))
    (comment,) = comments(office)
    assert comment.startswith("Reclassé en support : cette demande n’est plus à modéliser.")
    office.once(b"In-Reply-To: <undecided@lambert.example>\n" + undecided("answer"))
    assert office.mailboxes() == {"Support": 2}
    assert office.counts()["notes"] == 2
    assert len(comments(office)) == 1


def test_two_opposite_corrections_keep_one_ticket_and_subtask(office: Office) -> None:
    """The same ticket and the same subtask, told each time; an answer then goes to both."""
    decide(office, "SUPPORT")
    office.once(undecided())
    correct(office, "Support", TO_MODELISATION)
    correct(office, "Modélisation", TO_SUPPORT)
    puts = len(office.sandbox.s3.calls("PUT"))
    status = correct(office, "Support", TO_MODELISATION)
    assert (status.outcome, status.result.was) == ("modelisation", "support")
    assert office.counts() == MODELISATION
    assert [each.partition(" : ")[0] for each in comments(office)] == [
        "Reclassé en support",
        "Reclassé en modélisation",
    ]
    assert len(office.sandbox.s3.calls("PUT")) == puts
    office.once(b"In-Reply-To: <undecided@lambert.example>\n" + undecided("answer"))
    assert office.mailboxes() == {"Modélisation": 2}
    assert office.counts() == MODELISATION | {"notes": 2, "files": 4, "notifications": 2}
    assert len(comments(office)) == 3


def test_private_files_of_a_support_request_survive_corrections(office: Office) -> None:
    """They are stored once; as modelling the files go to R2 too, and an answer to a support ticket stays private."""
    office.environment["SUPPORT_FILES"] = "hubspot"
    decide(office, "SUPPORT")
    office.once(undecided())
    hubspot = office.sandbox.hubspot
    assert office.counts() == SUPPORT | {"notes": 1}
    (note,) = hubspot.notes
    assert note.properties["hs_attachment_ids"] == ";".join(file.id for file in hubspot.files)
    assert len(hubspot.files) == 2
    office.once(b"In-Reply-To: <undecided@lambert.example>\n" + undecided("answer"))
    assert office.counts() == SUPPORT | {"notes": 2, "notifications": 2}
    assert len(hubspot.files) == 4
    drag(office, "Support", TO_MODELISATION, "HEADER", "Message-ID", "<undecided@lambert.example>")
    office.once()
    assert office.counts() == MODELISATION | {"notes": 3, "notifications": 2}
    links = hubspot.notes[-1]
    assert all(each.path in links.properties["hs_note_body"] for each in stored_files.sent(office.sandbox))
    assert hubspot.associated("notes", links.id, "tickets") == [hubspot.tickets[0].id]
    drag(office, "Modélisation", TO_SUPPORT)
    office.once()
    drag(office, "Support", TO_MODELISATION, "HEADER", "Message-ID", "<undecided@lambert.example>")
    office.once()
    assert office.counts() == MODELISATION | {"notes": 3, "notifications": 2}
    assert len(hubspot.files) == 4


def test_correction_to_same_category_only_files_mail(office: Office) -> None:
    """Nothing changed, so the team is not told of anything."""
    office.once(MAILS["modelisation_with_files"])
    assert correct(office, "Modélisation", TO_MODELISATION).outcome == "modelisation"
    assert office.counts() == MODELISATION
    assert comments(office) == []
    assert office.mailboxes() == {"Modélisation": 1}


def test_correction_of_ignored_mail_dispatches_it(office: Office) -> None:
    """An automatic reply that a person wants answered; nothing else stands between it and the ticket."""
    office.once(MAILS["auto_reply"])
    assert office.mailboxes() == {"Ignorés": 1}
    status = correct(office, "Ignorés", TO_SUPPORT)
    assert (status.outcome, status.result.was) == ("support", "ignored")
    assert office.counts() == SUPPORT | {"notifications": 0}
    assert office.mailboxes() == {"Support": 1}
    again = MAILS["support"].replace(b"<support@", b"<again@")
    again = re.sub(rb"(?m)^From: .*$", b"From: paul@petit.example", again)
    office.once(b"In-Reply-To: <auto_reply@samples.example>\n" + again)
    assert office.counts() == SUPPORT | {"notes": 1}


def test_own_mail_in_reclassify_mailbox_is_not_dispatched(office: Office) -> None:
    """A receipt comes along where a mail client shows conversations."""
    office.environment["RECEIPTS_ENABLED"] = "true"
    office.once(MAILS["support"])
    drag(office, "Support", TO_MODELISATION)
    assert sorted(status.outcome for status in office.once().values()) == ["ignored", "modelisation"]
    assert office.mailboxes() == {"Ignorés": 1, "Modélisation": 2}
    assert office.counts() == MODELISATION | {"files": 0}


def receipt_id(office: Office, mailbox: str) -> str:
    """Return the Message-ID of the message that came there last."""
    return str(email.message_from_bytes(office.sandbox.imap.messages(mailbox)[-1].raw)["Message-ID"])


def test_correction_gets_its_own_receipt(office: Office) -> None:
    """Beside the mail, which it answers: what was done, and that a person decided it; no letter is said to be sent."""
    office.environment["RECEIPTS_ENABLED"] = "true"
    office.once(MAILS["support"])
    ids = [receipt_id(office, "Support")]
    for source, target, filed in (
        ("Support", TO_MODELISATION, "Modélisation"),
        ("Modélisation", TO_SUPPORT, "Support"),
    ):
        drag(office, source, target, "NOT", "HEADER", "X-Figurative-Poller", "receipt")
        office.once()
        last = office.sandbox.imap.messages(filed)[-1]
        message = email.message_from_bytes(last.raw, policy=policy.default)
        ids.append(receipt_id(office, filed))
        told = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        assert "Demande reclassée" in told
        assert "Reclassé à la main" in told
        assert "Notification" not in told
        assert message["In-Reply-To"] == "<support@samples.example>"
        assert office.mailboxes() == {filed: len(ids) + 1}, "what it was before lies beside it"
        assert sum("\\Seen" in each.flags for each in office.sandbox.imap.messages(filed)) == len(ids)
    assert len(set(ids)) == 3


def test_correction_of_failed_mail_reuses_its_ticket(office: Office) -> None:
    """It has its ticket, and failed behind it: put under the other category, that ticket is the one."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400, times=None))
    office.once(MAILS["modelisation_with_files"])
    assert office.mailboxes() == {"Échecs": 1}
    assert correct(office, "Échecs", TO_SUPPORT).outcome == "support"
    assert office.counts() == SUPPORT | {"files": 2}
    (lying,) = office.sandbox.imap.messages("Support")
    assert lying.flags == {"Figurative-Support"}
    office.sandbox.hubspot.heal()
    assert correct(office, "Support", TO_MODELISATION).outcome == "modelisation"
    assert office.counts() == MODELISATION


def test_correction_marks_failure_receipts_as_read(office: Office) -> None:
    """Its own failures and those before it: nothing unread is left where failures go."""
    office.environment["RECEIPTS_ENABLED"] = "true"
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400, times=None))
    office.once(MAILS["modelisation_with_files"])
    drag(office, "Échecs", TO_MODELISATION, "KEYWORD", "Figurative-Failed")
    office.once()
    failures = [
        email.message_from_bytes(each.raw, policy=policy.default) for each in office.sandbox.imap.messages("Échecs")
    ]
    last = failures[-1].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "– Sous-tâche ClickUp\xa0: reste à faire" in last
    assert "Notification" not in last
    office.sandbox.hubspot.heal()
    drag(office, "Échecs", TO_MODELISATION, "KEYWORD", "Figurative-Failed")
    office.once()
    assert office.mailboxes() == {"Modélisation": 4}
    assert all("\\Seen" in each.flags for each in office.sandbox.imap.messages("Modélisation")[-3:])


def test_correction_of_waiting_mail_opens_one_ticket(office: Office) -> None:
    """HubSpot is away, and the admin does not wait for it: there is one ticket, of what the admin said."""
    later = Fault("status_after_commit", "POST", "/crm/objects/2026-09/tickets", headers={"Retry-After": "3600"})
    office.fail("hubspot", later)
    assert [each.outcome for each in office.once(MAILS["support"]).values()] == ["waiting"]
    drag(office, "INBOX", TO_MODELISATION)
    assert sorted(each.outcome for each in office.once().values()) == ["gone", "modelisation"]
    assert office.counts() == MODELISATION | {"files": 0, "notifications": 0}
    assert "Demande : modélisation" in content(office)
    assert office.mailboxes() == {"Modélisation": 1}


def test_correction_recreates_deleted_ticket_and_subtask(office: Office) -> None:
    """A person cleared up too early."""
    office.once(MAILS["modelisation_with_files"])
    box = office.sandbox
    del box.hubspot.crm._records["tickets"][box.hubspot.tickets[0].id]
    box.clickup.tasks.pop(box.clickup.subtasks[0].id)
    assert correct(office, "Modélisation", TO_SUPPORT).outcome == "support"
    assert office.counts() == MODELISATION | {"subtasks": 0}
    assert correct(office, "Support", TO_MODELISATION).outcome == "modelisation"
    assert office.counts() == MODELISATION


def test_correction_of_reply_adds_subtask_and_keeps_ticket(office: Office) -> None:
    """The ticket is that of the question which it answers."""
    decide(office, "SUPPORT")
    office.once(undecided())
    before = content(office)
    office.once(b"In-Reply-To: <undecided@lambert.example>\n" + undecided("answer"))
    drag(office, "Support", TO_MODELISATION, "HEADER", "In-Reply-To", "undecided")
    (status,) = office.once().values()
    assert status.outcome == "modelisation"
    assert content(office) == before
    assert office.counts() == SUPPORT | {"notes": 1, "subtasks": 1, "files": 2, "notifications": 2}
    assert office.mailboxes() == {"Support": 1, "Modélisation": 1}


def test_correction_skips_and_names_disabled_services(office: Office) -> None:
    office.once(MAILS["support"])
    office.environment = {name: value for name, value in office.environment.items() if not name.startswith("HUBSPOT_")}
    status = correct(office, "Support", TO_MODELISATION)
    assert status.result.skipped == ("update_ticket", "create_note")


# Of each step of a correction: what stands in the bytes of the call that has its effect.
CALLS = {
    "receive": "BODY.PEEK[]<",
    "upload_files": "PUT /",
    "update_ticket": "PATCH /crm/objects/2026-09/tickets/",
    "create_note": "POST /crm/objects/2026-09/notes ",
    "create_subtask": "POST /api/v2/list/",
    "add_comment": "POST /api/v2/task/",
    "label": " UID MOVE ",
    "send_receipt": "APPEND",
}


@pytest.mark.parametrize(
    ("step", "point"),
    [
        *((step, COMMITTED) for step in CALLS if step not in {"receive", "add_comment"}),
        *((step, ANSWERED) for step in ("create_subtask", "label")),
        ("receive", BEFORE),
    ],
)
def test_correction_killed_at_any_step_makes_no_duplicates(office: Office, step: str, point: str) -> None:
    """At whatever step of a correction: the next start goes on with it."""
    office.environment["RECEIPTS_ENABLED"] = "true"
    decide(office, "SUPPORT")
    office.once(undecided())
    drag(office, "Support", TO_MODELISATION, "KEYWORD", "Figurative-Support")
    assert office.begin("once", death=Death(step, CALLS[step], point)).end().returncode == -signal.SIGKILL
    office.once()
    assert office.counts() == MODELISATION
    assert office.mailboxes() == {"Modélisation": 3}


@pytest.mark.parametrize("point", [COMMITTED, ANSWERED])
def test_correction_killed_at_comment_makes_one_comment(office: Office, point: str) -> None:
    office.once(MAILS["modelisation_with_files"])
    drag(office, "Modélisation", TO_SUPPORT)
    assert office.begin("once", death=Death("add_comment", CALLS["add_comment"], point)).end().returncode < 0
    office.once()
    assert office.counts() == MODELISATION
    assert len(comments(office)) == 1
    assert office.mailboxes() == {"Support": 1}


def fail_once(office: Office, service: str, *fault: str, at: str, by: tuple[str, str]) -> None:
    """Drag it by these two while the service refuses, then back from among the failed ones when it does no more."""
    office.fail(service, Fault("status", *fault, status=400, times=None))
    drag(office, at, by[0], *by[1:])
    assert [status.outcome for status in office.once().values()] == ["failed"]
    getattr(office.sandbox, service).heal()
    drag(office, "Échecs", "INBOX")
    office.once()


def test_retried_correction_knows_previous_category(office: Office) -> None:
    """The ticket was refused at the first try: the team is told all the same, and of the way back, too."""
    decide(office, "MODELISATION")
    office.once(undecided())
    patch = ("PATCH", "/crm/objects/2026-09/tickets")
    fail_once(office, "hubspot", *patch, at="Modélisation", by=(TO_SUPPORT, "ALL"))
    assert [each.partition(" : ")[0] for each in comments(office)] == ["Reclassé en support"]
    fail_once(office, "hubspot", *patch, at="Support", by=(TO_MODELISATION, "ALL"))
    assert [each.partition(" : ")[0] for each in comments(office)][1:] == ["Reclassé en modélisation"]


def test_retried_correction_of_reply_keeps_original_ticket(office: Office) -> None:
    """The ticket is that of the mail that it answers."""
    decide(office, "SUPPORT")
    office.once(undecided())
    before = content(office)
    office.once(an_answer())
    by = (TO_MODELISATION, "HEADER", "In-Reply-To", "undecided")
    fail_once(office, "clickup", "POST", "/api/v2/list/", at="Support", by=by)  # type: ignore[arg-type]
    assert content(office) == before
    assert office.counts()["subtasks"] == 1


def test_correction_of_reply_to_support_keeps_modelling_request(office: Office) -> None:
    """It is a part of a request that goes on; its receipt calls it the answer that it is, and a person's choice."""
    office.environment["RECEIPTS_ENABLED"] = "true"
    decide(office, "MODELISATION")
    office.once(undecided())
    office.once(an_answer())
    told = comments(office)
    answer = ("KEYWORD", "Figurative-Modelisation", "HEADER", "In-Reply-To", "undecided")
    drag(office, "Modélisation", TO_SUPPORT, *answer)
    office.once()
    assert comments(office) == told
    receipt = email.message_from_bytes(office.sandbox.imap.messages("Support")[-1].raw, policy=policy.default)
    lines = receipt.get_body(("plain",)).get_content().splitlines()  # type: ignore[union-attr]
    assert lines[:2] == ["Support (catégorie choisie par une personne)", "Réponse reclassée"]


def test_reply_waits_for_running_correction_of_its_mail(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was ignored, and its subtask cannot be had for now: one conversation has one ticket."""
    monkeypatch.setattr("poller.daemon.scheduler.SHORT_WAIT_S", 1.0)  # for which it asks again and again
    office.once(MAILS["auto_reply"])
    unavailable = Fault("status", "POST", "/api/v2/list/", status=503, headers={"Retry-After": "3600"}, times=None)
    office.fail("clickup", unavailable)
    drag(office, "Ignorés", TO_MODELISATION)
    office.once()
    again = MAILS["support"].replace(b"<support@", b"<again@")
    again = re.sub(rb"(?m)^From: .*$", b"From: paul@petit.example", again)
    statuses = office.once(b"In-Reply-To: <auto_reply@samples.example>\n" + again)
    assert {status.outcome for status in statuses.values()} == {"waiting"}
    assert office.counts()["tickets"] == 1


def test_correction_counts_uploaded_files_once(office: Office) -> None:
    """A day's share is used up, by these files themselves: their links stay in the ticket."""
    decide(office, "MODELISATION")
    files_bytes = sum(len(picture(size, 9)) for size in (6, 8))
    office.environment["R2_MAX_SENDER_BYTES_PER_DAY"] = str(int(files_bytes * 1.5))
    office.once(undecided())
    links = content(office).count("http")
    assert links
    assert correct(office, "Modélisation", TO_SUPPORT).result.files
    assert content(office).count("http") == links


def test_correction_of_removed_mail_keeps_file_links(office: Office) -> None:
    """Nor what was decided of each: the next one keeps the links, and knows that they are there."""
    ((reference, first),) = office.once(MAILS["modelisation_with_files"]).items()
    daemon = Daemon(office.settings, retry_policy=office.retry_policy)
    daemon.start()
    daemon._load.submit(f"{reference}/support/1")
    while daemon.working:
        daemon.tick()
    daemon.stop()
    status = correct(office, "Modélisation", TO_SUPPORT)
    assert status.result.was == "modelisation"
    assert status.result.files == first.result.files != ()


def test_correction_keeps_manual_ticket_edits(office: Office) -> None:
    """Whether the category does or not: our own lines alone are put right, and the subject is left alone."""
    office.once(MAILS["modelisation_with_files"])
    ticket = office.sandbox.hubspot.tickets[0].properties
    ticket |= {"subject": "Fauteuil, urgent", "content": f"Vu avec la cliente.\n{ticket['content']}"}
    as_it_was = content(office)
    correct(office, "Modélisation", TO_MODELISATION)
    assert content(office) == as_it_was
    correct(office, "Modélisation", TO_SUPPORT)
    assert content(office) == as_it_was.replace("Demande : modélisation", "Demande : support")
    assert ticket["subject"] == "Fauteuil, urgent"


@pytest.mark.parametrize("category", ["SUPPORT", "MODELISATION"])
def test_correction_of_junk_reply_adds_note_to_its_ticket(office: Office, category: str) -> None:
    """As if it had come through the inbox, but that no letter is sent; what answers it in turn goes there, too."""
    decide(office, category)
    office.once(undecided())
    before = office.counts()
    office.sandbox.imap.deliver(an_answer(), TO_MODELISATION)
    ((name, status),) = office.once().items()
    assert (name.partition("/")[2], status.outcome) == ("modelisation/1", "modelisation")
    there_is = {"contacts": 1, "tickets": 1, "notes": before["notes"] + 1, "subtasks": 1, "notifications": 1}
    assert office.counts() == there_is | {"files": before["files"] + 2}
    assert len(comments(office)) == before["subtasks"]
    office.once(undecided("again").replace(b"From:", b"In-Reply-To: <answer@lambert.example>\nFrom:", 1))
    assert office.counts()["tickets"] == 1


@pytest.mark.parametrize(
    ("service", "fault"),
    [
        ("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400)),
        ("hubspot", Fault("status_after_commit", "POST", "/crm/objects/2026-09/notes", status=400)),
        ("clickup", Fault("status_after_commit", "POST", "/api/v2/task/", status=400)),
    ],
)
def test_correction_of_failed_reply_reuses_earlier_results(office: Office, service: str, fault: Fault) -> None:
    """With what an earlier try made of it, and not beside that."""
    office.once(MAILS["modelisation_with_files"])
    office.fail(service, fault)
    answer = re.sub(rb"(?m)^Message-ID: .*$", b"Message-ID: <answer@samples.example>", MAILS["modelisation_with_files"])
    mail = b"In-Reply-To: <modelisation_with_files@samples.example>\n" + answer
    assert [each.outcome for each in office.once(mail).values()] == ["failed"]
    assert correct(office, "Échecs", TO_SUPPORT).outcome == "support"
    assert office.counts() == MODELISATION | {"notes": 2, "files": 4, "notifications": 2}
    assert len(comments(office)) == 1


def test_correction_of_reply_waits_for_original_in_inbox(office: Office) -> None:
    """HubSpot takes nothing of either for now: there is one ticket in the end, with a note."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/contacts", status=401, times=None))
    with pytest.raises(ConfigurationError):
        office.once(MAILS["support"])
    answer = MAILS["support"].replace(b"<support@", b"<answer@")
    office.sandbox.imap.deliver(b"In-Reply-To: <support@samples.example>\n" + answer, TO_SUPPORT)
    with pytest.raises(ConfigurationError):
        office.once()
    office.sandbox.hubspot.heal()
    office.once()
    assert office.counts() == SUPPORT | {"notes": 1}
    assert office.mailboxes() == {"Support": 2}


def test_mail_referring_to_itself_can_be_corrected_again(office: Office) -> None:
    """It is remembered since the first time, which failed, and does not wait for itself."""
    office.once(b"References: <auto_reply@samples.example>\n" + MAILS["auto_reply"])
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/tickets", status=400))
    assert correct(office, "Ignorés", TO_SUPPORT).outcome == "failed"
    assert correct(office, "Échecs", TO_SUPPORT).outcome == "support"
    assert office.counts()["tickets"] == 1


def test_reply_after_failed_correction_is_commented_on_subtask(office: Office) -> None:
    """What failed is what it was before, and the team has not been told anything else."""
    office.environment["RECEIPTS_ENABLED"] = "true"
    decide(office, "MODELISATION")
    office.once(undecided())
    office.retry_policy = RetryPolicy(delays_s=(3600.0,), settle_s=0)
    office.fail("hubspot", Fault("status", "PATCH", "/crm/objects/2026-09/tickets", status=400))
    drag(office, "Modélisation", TO_SUPPORT, "KEYWORD", "Figurative-Modelisation")
    with Relay(office.sandbox.imap.port) as relay:
        relay.breaks = [Break("close", b" APPEND ", after=False)]
        office.environment["IMAP_PORT"] = str(relay.port)
        assert [each.result.final_outcome for each in office.once().values()] == ["failed"]
        office.once(an_answer())
    assert len(comments(office)) == 1


def test_corrected_reply_gets_own_ticket_after_deletion(office: Office) -> None:
    """And keeps it: what is corrected from then on is that one, and no third is opened."""
    decide(office, "SUPPORT")
    office.once(undecided())
    office.once(an_answer())
    hubspot = office.sandbox.hubspot
    del hubspot.crm._records["tickets"][hubspot.tickets[0].id]
    fault = Fault("status_after_commit", "POST", "/crm/objects/2026-09/tickets", status=400)
    office.fail("hubspot", fault)
    drag(office, "Support", TO_MODELISATION, "HEADER", "In-Reply-To", "undecided")
    assert [each.outcome for each in office.once().values()] == ["failed"]
    assert correct(office, "Échecs", TO_MODELISATION).outcome == "modelisation"
    assert "Demande : modélisation" in content(office)
    assert office.counts()["subtasks"] == 1
    assert correct(office, "Modélisation", TO_SUPPORT).outcome == "support"
    assert "Demande : support" in content(office)
    assert [each.partition(" : ")[0] for each in comments(office)] == ["Reclassé en support"]


@pytest.mark.parametrize("step", ["update_ticket", "create_note"])
def test_correction_of_dead_machine_is_continued_by_another(
    office: Office, database: str, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two share a state store on PostgreSQL, and one of them does not come back."""
    another = shared_by_two(office, database, tmp_path, monkeypatch)
    office.environment["RECEIPTS_ENABLED"] = "true"
    decide(office, "SUPPORT")
    office.once(undecided())
    drag(office, "Support", TO_MODELISATION, "KEYWORD", "Figurative-Support")
    death = Death(step, CALLS[step], COMMITTED)
    assert office.begin("once", death=death, **another).end().returncode == -signal.SIGKILL
    office.once()
    assert office.counts() == MODELISATION
    assert office.mailboxes() == {"Modélisation": 3}


def test_two_opposite_corrections_work_on_postgresql(
    office: Office, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As over SQLite: one of everything, and each correction is told of, the last one as what the mail is."""
    shared_by_two(office, database, tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    decide(office, "SUPPORT")
    office.once(undecided())
    correct(office, "Support", TO_MODELISATION)
    assert correct(office, "Modélisation", TO_SUPPORT).result.was == "modelisation"
    assert office.counts() == MODELISATION
    assert len(comments(office)) == 1
    assert [line.split()[4] for line in poller(office, "list").stdout.splitlines()] == ["SUPPORT"]
    told = [line.split()[3].partition("/")[2] for line in poller(office, "corrections").stdout.splitlines()]
    assert told == ["support/2"]


def test_later_reply_is_commented_on_subtask_of_corrected_reply(office: Office) -> None:
    """For as long as that answer is under modelling; the conversation itself is about support."""
    decide(office, "SUPPORT")
    office.once(undecided())
    office.once(an_answer())
    drag(office, "Support", TO_MODELISATION, "HEADER", "In-Reply-To", "undecided")
    office.once()
    later = b"In-Reply-To: <answer@lambert.example>\n"
    office.once(later + undecided("later"))
    assert len(comments(office)) == 1
    assert correct(office, "Modélisation", TO_SUPPORT).outcome == "support"
    office.once(later + undecided("last"))
    assert len(comments(office)) == 1
    assert office.counts()["tickets"] == 1
    assert office.counts()["subtasks"] == 1
