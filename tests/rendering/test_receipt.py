"""A receipt beside each message that is done: the work as any mail client shows it."""

from __future__ import annotations

import email
import re
import signal
from contextlib import closing
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from integrations.errors import PermanentError, TransientError
from integrations.sandbox import Fault, Refusal
from poller.cli.audit import find_problems
from poller.cli.samples import picture, samples
from poller.dispatch.pipeline import Pipeline
from poller.imap import session as imap_session
from poller.mailbox import outcome_mailboxes
from poller.mailbox.variants import Variants
from poller.model import Outcome
from poller.workflow.retry import RetryPolicy
from tests.support import stored_files
from tests.support.faulty_relay import Break, Relay
from tests.support.imap_provider import SYSTEM, Provider
from tests.support.journal_record import JournalRecord
from tests.support.kill_points import ANSWERED, COMMITTED, POINTS, Death
from tests.support.pipeline_harness import Desk
from tests.support.rendered_texts import PAGE_TAGS, Page

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from integrations.sandbox.imap import Message
    from poller.model import Receipt
    from tests.conftest import Office

MAILS = samples()
HOSTILE = '<script>alert(1)</script> [x](https://evil.example) \u202e <a href="https://evil.example">x</a>'


@pytest.fixture
def office(office: Office) -> Office:
    """Turn receipts on."""
    office.environment["RECEIPTS_ENABLED"] = "true"
    return office


def read(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def text(message: EmailMessage) -> str:
    return str(message.get_body(("plain",)).get_content()).replace("\r\n", "\n")  # type: ignore[union-attr]


def page(message: EmailMessage) -> Page:
    return Page(message.get_body(("html",)).get_content())  # type: ignore[union-attr]


def receipts(office: Office, name: str) -> list[tuple[Message, EmailMessage]]:
    """Return the receipts in a mailbox."""
    found = [(each, read(each.raw)) for each in office.sandbox.imap.messages(name)]
    return [(each, message) for each, message in found if message["X-Figurative-Poller"] == "receipt"]


def a_mail(subject: str = "Suite", name: str = "1", **headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "Ana Ruiz <ana@ruiz.example>", "support@figurative.example"
    message["Subject"], message["Message-ID"] = subject, f"<{name}@ruiz.example>"
    message["Date"] = "Sun, 22 Nov 2026 10:00:00 +0100"
    for field, value in headers.items():
        message[field.replace("_", "-")] = value
    message.set_content("Bonjour,\n\nPouvez-vous modéliser ce fauteuil en 3D ?\n")
    return message


def test_finished_mail_has_a_receipt(office: Office) -> None:
    """In the same mailbox and conversation, read already, from our own address; who sent it tells the outcome."""
    office.once(MAILS["support"])
    assert office.mailboxes() == {"Support": 2}
    ((lying, message),) = receipts(office, "Support")
    assert lying.flags == {"\\Seen"}
    assert message["In-Reply-To"] == message["References"].strip() == "<support@samples.example>"
    assert message["Subject"] == "Re: Facture prélevée deux fois"
    assert message["From"] == "Support · fait <poller@figurative.example>"
    assert re.fullmatch(r"<[0-9a-f]{16}\.receipt\.support@figurative-poller\.invalid>", message["Message-ID"])
    ticket = office.sandbox.hubspot.tickets[0].id
    lines = text(message).splitlines()
    assert lines[:2] == ["Support (confiance\xa0: 93\xa0%)", "Demande traitée"]
    assert any(line.startswith(f"✓ Ticket HubSpot n°\xa0{ticket}\xa0: https://app-eu1.hubspot.com/") for line in lines)
    assert "✓ Notification envoyée" in lines


def test_modelisation_receipt_links_everything_created(office: Office) -> None:
    """Ticket, note, subtask and each file, in HTML and in text; each attachment once, with its decision."""
    office.environment["MODELS_ENABLED"] = "true"
    office.once(MAILS["modelisation_with_files"])
    ((lying, message),) = receipts(office, "Modélisation")
    assert lying.flags == {"\\Seen"}
    box = office.sandbox
    files = {stored.path for stored in stored_files.sent(box)}
    links = page(message).links
    assert len(links) == 5
    archive = {f"{box.s3.public_url}/{stored.path}" for stored in stored_files.zips(box)}
    stored = {link for link in links if "/2026/" in link}
    assert {link for link in links if link.endswith(tuple(files))} == stored - archive
    assert archive < stored
    assert box.clickup.subtasks[0].id in "".join(links)
    lines = text(message).splitlines()
    assert [line.split(" (")[0] for line in lines if line.endswith((".glb", ".png"))] == [
        "✓ fauteuil Ondine.glb",
        "✓ photo été.png",
    ]
    assert [line.split("\xa0: http")[0] for line in lines if line.startswith("✓ ")][:7] == [
        "✓ 2 fichiers déposés",
        "✓ Fiche contact HubSpot",
        f"✓ Ticket HubSpot n°\xa0{box.hubspot.tickets[0].id}",
        "✓ 2 aperçus des fichiers",
        f"✓ Note sur le ticket HubSpot n°\xa0{box.hubspot.tickets[0].id}",
        "✓ Sous-tâche ClickUp",
        "✓ Notification envoyée",
    ]


def test_ignored_mail_has_no_receipt(office: Office) -> None:
    """A newsletter is not worth a second message."""
    office.once(MAILS["auto_reply"])
    assert office.mailboxes() == {"Ignorés": 1}


def test_failure_receipt_is_unread_and_retry_adds_its_own(office: Office) -> None:
    """Each failure has one; dragged back along with the mail it is no work, and what is over is read and put aside."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400, times=None))
    office.once(MAILS["modelisation_with_files"])
    ((lying, message),) = receipts(office, "Échecs")
    assert lying.flags == set()
    assert message["From"].startswith("Échec · à reprendre <")
    told = text(message)
    assert told.startswith("Échec\nÀ reprendre\xa0: note HubSpot\n\nQue faire\xa0:\n- Rien n’est perdu")
    assert "\n✗ Note HubSpot\xa0: échec\n– Sous-tâche ClickUp\xa0: reste à faire\n" in told
    assert f"Ticket HubSpot n°\xa0{office.sandbox.hubspot.tickets[0].id}\xa0: https://" in told
    with office.sandbox.imap.session() as client:  # both, as a mail client that shows conversations does it
        client.select_folder("Échecs")
        client.move(client.search(), "INBOX")
    office.once()
    assert office.mailboxes() == {"Échecs": 2, "Ignorés": 1}, "the receipt that was dragged along is ignored"
    ((lying, _),) = receipts(office, "Échecs")
    assert lying.flags == set()
    with office.sandbox.imap.session() as client:
        client.select_folder("Échecs")
        client.move(client.search(["KEYWORD", "Figurative-Failed"]), "INBOX")
    office.sandbox.hubspot.heal()
    office.once()
    assert office.mailboxes() == {"Ignorés": 1, "Modélisation": 3}
    found = receipts(office, "Modélisation")
    assert [lying.flags for lying, _ in found] == [{"\\Seen"}] * 2
    assert [message["From"].partition(" <")[0] for _, message in found] == [
        "Échec · à reprendre",
        "Modélisation · fait",
    ]
    assert "✓ Sous-tâche ClickUp" in text(found[-1][1])


def test_receipt_is_unread_when_action_is_needed(office: Office) -> None:
    """A service that is off, a file that stays behind: the receipt says so, and is not marked as read."""
    office.environment = {name: value for name, value in office.environment.items() if not name.startswith("CLICKUP_")}
    office.once(MAILS["modelisation_with_files"])
    ((lying, message),) = receipts(office, "Modélisation")
    assert lying.flags == set()
    assert message["From"].startswith("Modélisation · à vérifier <")
    assert "– Sous-tâche ClickUp\xa0: ClickUp n’est pas configuré" in text(message).splitlines()


def test_receipt_does_not_call_unconfirmed_notification_sent(office: Office) -> None:
    """Twice the server's answer was lost: the admin, who may not have been told, finds the receipt unread, and why."""
    office.sandbox.smtp.fail(Refusal("after_data", times=2))
    office.once(MAILS["support"])
    ((lying, message),) = receipts(office, "Support")
    assert lying.flags == set()
    assert message["From"].startswith("Support · à vérifier <")
    lines = text(message).splitlines()
    assert "Notification envoyée" not in text(message)
    assert "– Notification\xa0: envoi non confirmé" in lines
    assert sum(line.startswith("- Le serveur d’envoi n’a pas confirmé la notification") for line in lines) == 1


def test_reply_receipt_names_ticket_and_subtask(office: Office) -> None:
    """On the ticket and the subtask that there are."""
    office.once(MAILS["modelisation_with_files"])
    raw = MAILS["modelisation_with_files"].replace(b"<modelisation_with_files@", b"<2@")
    office.once(b"In-Reply-To: <modelisation_with_files@samples.example>\n" + raw)
    message = receipts(office, "Modélisation")[-1][1]
    assert message["In-Reply-To"] == "<2@samples.example>"
    assert message["References"].split() == ["<modelisation_with_files@samples.example>", "<2@samples.example>"]
    lines = text(message).splitlines()
    assert lines[:2] == ["Réponse du client · Modélisation", "Réponse ajoutée"]
    assert [line.split("\xa0: ")[0] for line in lines if line.startswith("✓ Commentaire")] == [
        "✓ Commentaire sur la sous-tâche ClickUp"
    ]


@pytest.mark.parametrize("point", POINTS)
def test_kill_during_receipt_append_leaves_one_receipt(office: Office, point: str) -> None:
    """Before, while or after the server takes it; what it says is read from the mail where that was filed."""
    office.sandbox.imap.deliver(MAILS["modelisation_with_files"])
    death = Death("send_receipt", "X-Figurative-Poller: receipt", point)
    assert office.begin("once", death=death).end().returncode == -signal.SIGKILL
    assert office.mailboxes() == {"Modélisation": 1 if point == POINTS[0] else 2}
    office.once()
    assert office.mailboxes() == {"Modélisation": 2}
    ((_, message),) = receipts(office, "Modélisation")
    assert "✓ photo été.png" in text(message)
    assert office.counts()["tickets"] == office.counts()["notifications"] == 1


@pytest.mark.parametrize("point", [COMMITTED, ANSWERED])
def test_kill_after_filing_still_adds_receipt(office: Office, point: str) -> None:
    """The mail is not in the inbox any more, and the state store holds nothing of its content."""
    office.sandbox.imap.deliver(MAILS["support"])
    assert office.begin("once", death=Death("label", " UID MOVE ", point)).end().returncode == -signal.SIGKILL
    office.once()
    ((lying, message),) = receipts(office, "Support")
    assert message["Subject"] == "Re: Facture prélevée deux fois"
    assert lying.flags == {"\\Seen"}


def test_audit_recognises_receipts(office: Office) -> None:
    """Not even where the server keeps no keywords, and one that a person drags about is a mail like any of ours."""
    office.once(MAILS["support"])
    assert list(find_problems(office.settings)) == []
    assert sorted(outcome_mailboxes.list_filed(office.settings, "support", Variants()).values()) == [False, True]
    with office.sandbox.imap.session() as client:
        client.select_folder("Support")
        client.move(client.search(["HEADER", "X-Figurative-Poller", "receipt"]), "INBOX")
    (status,) = office.once().values()
    assert (status.outcome, status.result.reason) == ("ignored", "own notification")
    assert office.mailboxes() == {"Support": 1, "Ignorés": 1}
    assert list(find_problems(office.settings)) == []


def test_disabled_receipts_add_nothing(office: Office) -> None:
    office.environment["RECEIPTS_ENABLED"] = "false"
    office.once(MAILS["support"])
    assert office.mailboxes() == {"Support": 1}


class Full(Desk):
    """A mailbox that refuses what is ours."""

    def append(self, outcome: str, receipt: Receipt, *, look: bool, supersedes: str = "") -> None:
        super().append(outcome, receipt, look=look, supersedes=supersedes)
        raise PermanentError("IMAP APPEND: refused")


def test_refused_receipt_does_not_fail_mail(sandbox: Sandbox, tmp_path: Path) -> None:
    """The mail is done and filed; the log has the rest."""
    desk = Full(sandbox, tmp_path)
    assert desk.gets(MAILS["support"]).outcome == "support"
    assert len(desk.receipts) == 1


@pytest.mark.parametrize("code", ["LIMIT", "SERVERBUG", "CONTACTADMIN", "INUSE", "OVERQUOTA", "UNAVAILABLE", "TOOBIG"])
def test_refused_receipt_is_not_retried(office: Office, code: str) -> None:
    """Whatever it gives as the reason, which is told, and though the same words put any other command off."""
    with Provider("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1", SYSTEM, full=f"NO [{code}] temporary, try again") as server:
        office.environment |= {"IMAP_PORT": str(server.port)}
        refused = pytest.raises(PermanentError, match=rf"refused \({code}\)")
        with closing(imap_session.connect(office.settings.imap)) as session, refused:
            session.append("Support", b"Message-ID: <1@x.example>\r\n\r\n")


def test_failing_receipts_do_not_block_mailbox(office: Office, logged: Callable[[], str]) -> None:
    """Each is given up after six tries, and all mails are done and filed meanwhile."""
    with Relay(office.sandbox.imap.port) as relay:
        relay.breaks = [Break("close", b" APPEND ", after=False) for _ in range(12)]
        office.environment["IMAP_PORT"] = str(relay.port)
        statuses = office.once(MAILS["support"], MAILS["bug"])
    assert [status.outcome for status in statuses.values()] == ["support"] * 2
    assert office.mailboxes() == {"Support": 2}
    said = logged()
    assert "IMAP is out of reach" not in said
    assert said.count("step_failed") == 2


def test_failed_mail_waiting_for_receipt_is_retried_at_once(office: Office) -> None:
    """When a person puts it back into the inbox, however long the receipt would have waited."""
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400, times=None))
    office.retry_policy = RetryPolicy(delays_s=(3600.0,), settle_s=0)
    with Relay(office.sandbox.imap.port) as relay:
        relay.breaks = [Break("close", b" APPEND ", after=False)]
        office.environment["IMAP_PORT"] = str(relay.port)
        assert [each.result.final_outcome for each in office.once(MAILS["modelisation_with_files"]).values()] == [
            "failed"
        ]
        with office.sandbox.imap.session() as client:
            client.select_folder("Échecs")
            client.move(client.search(), "INBOX")
        office.sandbox.hubspot.heal()
        assert [each.outcome for each in office.once().values()] == ["modelisation"]
    assert office.mailboxes() == {"Modélisation": 2}


class Busy(Desk):
    """A mailbox that takes what is ours at another time."""

    def append(self, outcome: str, receipt: Receipt, *, look: bool, supersedes: str = "") -> None:
        super().append(outcome, receipt, look=look, supersedes=supersedes)
        raise TransientError("IMAP APPEND: the connection was lost")


class Away(Desk):
    """A mailbox that takes nothing of ours before its time."""

    record: JournalRecord
    back_at: datetime

    def append(self, outcome: str, receipt: Receipt, *, look: bool, supersedes: str = "") -> None:
        if self.record.now < self.back_at:
            raise TransientError("IMAP connect: refused")
        super().append(outcome, receipt, look=look, supersedes=supersedes)


@pytest.mark.parametrize(("minutes", "given"), [(1, 1), (15, 1), (60, 0)])
def test_receipt_is_added_after_short_outage(sandbox: Sandbox, tmp_path: Path, minutes: int, given: int) -> None:
    """The worker is free between two tries, and the message done and filed all the time; there is an end to it."""
    desk = Away(sandbox, tmp_path)
    record = desk.record = JournalRecord()
    desk.back_at = record.now + timedelta(minutes=minutes)
    work = Pipeline(desk.settings, desk.services, desk, desk.spool)
    journal = record.execution()
    desk.mails[journal.reference] = MAILS["support"]
    while (result := work(journal)).outcome is Outcome.WAITING:
        assert result.filed is Outcome.SUPPORT
        assert result.until
        record.now = result.until
        journal = record.execution()
    assert (result.outcome, len(desk.receipts)) == (Outcome.SUPPORT, given)


def test_colleague_reply_is_not_called_customer_reply(desk: Desk) -> None:
    """Neither in the receipt nor in the letter to the admin."""
    desk.environment["IMAP_AUTHSERV_ID"] = "mx.figurative.example"
    desk.gets(MAILS["support"])
    proof = "mx.figurative.example; dmarc=pass header.from=figurative.example"
    message = a_mail(In_Reply_To="<support@samples.example>", Authentication_Results=proof)
    message.replace_header("From", "Paul <paul@figurative.example>")
    desk.gets(bytes(message))
    letters = [each.message for each in desk.sandbox.smtp.messages] + [read(desk.receipts[-1].raw)]
    for letter in letters[1:]:
        assert text(letter).startswith("Réponse d’un collègue · Support\n")


def test_reply_finds_ticket_of_mail_waiting_for_receipt(sandbox: Sandbox, tmp_path: Path) -> None:
    """That mail is done and filed: what is answered goes on its ticket at once."""
    desk = Busy(sandbox, tmp_path)
    first = desk.gets(MAILS["modelisation_with_files"])
    assert (first.outcome, first.filed, first.step) == ("waiting", "modelisation", "send_receipt")
    raw = MAILS["modelisation_with_files"].replace(b"<modelisation_with_files@", b"<2@")
    second = desk.gets(b"In-Reply-To: <modelisation_with_files@samples.example>\n" + raw)
    assert (second.filed, second.thread) == ("modelisation", "0" * 16)
    assert second.ticket == first.ticket
    assert desk.made() == (1, 2, 1)


def test_receipt_recreates_deleted_mailbox(office: Office) -> None:
    """The session knows it from before (RFC 9051: TRYCREATE), and what was put once is not put again."""
    with closing(imap_session.connect(office.settings.imap)) as session:
        session.append("Support", b"Message-ID: <1@x.example>\r\n\r\n", seen=True)
        with office.sandbox.imap.session() as client:
            client.delete_folder("Support")
        for number in (2, 2, 3):
            session.append("Support", b"Message-ID: <%d@x.example>\r\n\r\n" % number, unless=f"<{number}@x.example>")
    assert [each.raw[:16] for each in office.sandbox.imap.messages("Support")] == [
        b"Message-ID: <2@x",
        b"Message-ID: <3@x",
    ]


@pytest.mark.parametrize("subject", ["Re: Fauteuil", "RE : Fauteuil", "re: Re: Fauteuil"])
def test_reply_receipt_repeats_subject_with_one_re(desk: Desk, subject: str) -> None:
    """With no Re: before the one that is there."""
    desk.gets(bytes(a_mail(subject)))
    assert read(desk.receipts[0].raw)["Subject"] == subject


@pytest.mark.parametrize(("name", "read_as"), [("a" * 240, "a" * 240), ("1\r\n", ""), ("é", ""), ("a b", "ab")])
def test_receipt_in_reply_to_is_exact_or_absent(desk: Desk, name: str, read_as: str) -> None:
    """A long id is neither folded nor encoded, and one that was folded is whole again.

    What is no id is not repeated, and no header is ever broken.
    """
    raw = re.sub(rb"(?m)^Message-ID: .*$", f"Message-ID: <{name}@ruiz.example>".encode(), MAILS["support"])
    desk.gets(raw)
    (receipt,) = (each.raw for each in desk.receipts)
    header = receipt.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    good = [f"In-Reply-To: <{read_as}@ruiz.example>"] if read_as else []
    assert [line for line in header if line.startswith("In-Reply-To")] == good
    message = read(receipt)
    assert message["X-Figurative-Poller"] == "receipt"
    assert message.get_all("Message-ID") == [message["Message-ID"]]
    assert receipt.isascii()


def test_receipt_escapes_text_of_strangers(desk: Desk) -> None:
    """In the subject, in names and in what a service says: no link but ours, no tag but ours."""
    mail = a_mail(HOSTILE)
    mail.add_attachment(picture(400, 1), maintype="image", subtype="png", filename=f"{HOSTILE}.png")
    desk.gets(bytes(mail))
    message = read(desk.receipts[0].raw)
    made = page(message)
    assert made.tags <= PAGE_TAGS
    assert {urlsplit(link).hostname for link in made.links} == {"app-eu1.hubspot.com", "app.clickup.com", "127.0.0.1"}
    assert "\u202e" not in text(message) + message["Subject"]


def test_receipt_is_no_filed_mail_without_keywords(office: Office) -> None:
    """What lies there is ours there, as nothing tells otherwise; but an audit must know none of the receipts."""
    mail = bytes(a_mail())
    receipt = b"X-Figurative-Poller: receipt\r\n" + bytes(a_mail(name="2"))
    with Provider("IMAP4rev1 AUTH=PLAIN", "IMAP4rev1", SYSTEM) as server:
        for raw in (mail, receipt):
            server.deliver(raw)
        server.boxes = {"INBOX": {}, "Support": server.boxes["INBOX"]}
        office.environment |= {"IMAP_PORT": str(server.port)}
        assert list(outcome_mailboxes.list_filed(office.settings, "support", Variants()).values()) == [False, True]
