"""Too much of something, through the whole daemon: a message, a sender's mail, a sender's files, a day of Claude."""

from __future__ import annotations

import io
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from poller.cli.samples import picture, samples, triangle
from poller.dispatch import receive
from poller.dispatch.clients import Services
from poller.dispatch.job import StepContext
from poller.imap import session as imap_session
from poller.mailbox.download import BEGINNING_BYTES, write
from poller.mailbox.inbox import Inbox
from poller.workflow.errors import StepDeferredError
from poller.workflow.facts import InMemoryFacts
from poller.workflow.journal import Journal
from poller.workflow.results import Participants, Received
from poller.workflow.retry import RetryPolicy
from poller.workflow.shared_lock import SharedLock

if TYPE_CHECKING:
    from pathlib import Path

    from poller.workflow.status import MessageStatus
    from tests.conftest import Office

MAILS = samples()
MODEL = triangle()


def a_mail(number: int, text: str, *files: tuple[str, bytes], sender: str = "ana@ruiz.example") -> bytes:
    message = EmailMessage()
    message["From"], message["To"] = sender, "support@figurative.example"
    message["Subject"], message["Message-ID"] = f"Demande {number}", f"<{number}@ruiz.example>"
    message["Date"] = "Sun, 22 Nov 2026 10:00:00 +0100"
    message.set_content(text)
    for name, content in files:
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def outcomes(statuses: dict[str, MessageStatus]) -> list[str]:
    return sorted(status.outcome for status in statuses.values())


def tickets(office: Office) -> list[str]:
    """What each ticket says, with ordinary spaces."""
    return [ticket.properties["content"].replace("\xa0", " ") for ticket in office.sandbox.hubspot.tickets]


def test_oversized_message_becomes_ticket_without_files(office: Office, tmp_path: Path) -> None:
    """Its first megabyte is all that is fetched; no file of it is uploaded, whole or torn, and each is named."""
    office.environment["IMAP_MAX_MESSAGE_BYTES"] = "1200000"
    model = MODEL + bytes(1_200_000)
    asked = "Bonjour,\n\nMerci de modéliser ce fauteuil en 3D, en chêne, d’après la photo jointe.\n"
    raw = a_mail(1, asked, ("photo.png", picture(200, 200)), ("fauteuil.glb", model))
    office.sandbox.imap.deliver(raw)
    with closing(Inbox(office.settings)) as inbox:
        (reference,) = inbox.scan()
        fetched = inbox.fetch(reference, tmp_path / "beginning.eml")
    assert fetched.oversize_bytes > 1_600_000
    assert (tmp_path / "beginning.eml").stat().st_size == BEGINNING_BYTES
    assert outcomes(office.once()) == ["modelisation"]
    assert office.counts() | {"files": 0} == office.counts()
    (ticket,) = tickets(office)
    assert "Merci de modéliser ce fauteuil" in ticket
    assert "Message trop volumineux (1,8 Mo) : ses pièces jointes n’ont pas été téléchargées" in ticket
    assert "- photo.png, non téléchargé\n- fauteuil.glb, non téléchargé\n" in ticket
    assert "fauteuil.glb, non téléchargé" in office.sandbox.clickup.subtasks[0].markdown.replace("\\", "")


def test_message_larger_than_announced_is_cut(office: Office) -> None:
    """Some servers announce a guess; one that announces too much costs nothing but a look."""
    office.environment["IMAP_MAX_MESSAGE_BYTES"] = "2000"
    office.sandbox.imap.deliver(a_mail(1, "x" * 70 + "\n" + "y\n" * 1500))
    office.sandbox.imap.deliver(a_mail(2, "court"))
    imap = office.settings.imap
    with closing(imap_session.connect(imap)) as session:
        big, small = session.fetch_summaries(session.uids())
        for arrival, announced, oversize, written in (
            (big, big.size_bytes, big.size_bytes, 2000),
            (big, 5, 2001, 2000),
            (small, small.size_bytes, 0, small.size_bytes),
            (small, 9_999_999, 0, small.size_bytes),
        ):
            file = io.BytesIO()
            assert write(session, replace(arrival, size_bytes=announced), file, imap) == oversize
            assert len(file.getvalue()) == written


def test_rate_limited_sender_waits_and_admin_is_told_once(office: Office) -> None:
    """Two an hour: the others stay in the inbox, hold up nobody, and are still waiting in the next run."""
    office.environment["IMAP_MAX_PER_SENDER_PER_H"] = "2"
    text = "Bonjour, ma facture est fausse, merci de me rembourser."
    mails = [a_mail(number, text) for number in range(5)]
    ended = office.once(*mails, MAILS["auto_reply"], a_mail(9, text, sender="Ben <ben@other.example>"))
    assert outcomes(ended) == ["ignored", "support", "support", "support", "waiting", "waiting", "waiting"]
    waits = sorted(status.result.until - datetime.now(UTC) for status in ended.values() if status.result.until)
    assert timedelta(minutes=58) < waits[0] < timedelta(minutes=61)
    assert timedelta(minutes=118) < waits[2] < timedelta(minutes=121)
    assert office.mailboxes() == {"INBOX": 3, "Support": 3, "Ignorés": 1}
    assert outcomes(office.once(a_mail(10, text))) == ["waiting"] * 4
    subjects = [str(letter.message["Subject"]) for letter in office.sandbox.smtp.messages]
    assert [subject for subject in subjects if "[Alerte]" in subject] == [
        "[Alerte] Trop de messages de ana@ruiz.example"
    ]
    assert len(subjects) == 4


@pytest.mark.parametrize(("minutes", "waits"), [(-1, False), (59, True)])
def test_rate_limited_message_continues_at_its_slot(office: Office, minutes: int, waits: bool) -> None:
    """Nothing of the wait is counted as a failure: it is no step."""
    recorded: list[str] = []

    def record(name: str, make: Any) -> Any:
        recorded.append(name)
        return make()

    journal = Journal(
        "0" * 16,
        record,
        step_lock=SharedLock(),
        breakers={},
        retry_policy=RetryPolicy(),
        halt=lambda *_: pytest.fail("halted"),
        store=InMemoryFacts(),
    )
    there: Any = SimpleNamespace(look=lambda: None)
    job = StepContext(journal, there, there, Services(), office.settings)
    at = datetime.now(UTC) + timedelta(minutes=minutes)
    received = Received(None, at, "", (), Participants(), goes_on_at=at, episode="f" * 16)
    if waits:
        with pytest.raises(StepDeferredError) as caught:
            receive.wait_turn(job, received)
        assert (caught.value.until, caught.value.breaker) == (at, "")
    else:
        receive.wait_turn(job, received)
    assert recorded == []


def test_rules_decide_alone_after_daily_claude_budget(office: Office) -> None:
    """What nobody was asked about is marked for a person."""
    office.environment["ANTHROPIC_MAX_CALLS_PER_DAY"] = "1"
    unsure = [MAILS["ambiguous"].replace(b"Message-ID: <", b"Message-ID: <%d" % number) for number in range(3)]
    results = [status.result for status in office.once(*unsure).values()]
    decided = sorted((result.decided_by, result.needs_review) for result in results)
    assert decided[1:] == [("rules without claude", True)] * 2
    assert decided[0][0] == "claude"
    assert len(office.sandbox.anthropic.calls("POST")) == 1


def test_daily_upload_limit_keeps_files_in_mail(office: Office) -> None:
    """What is beyond it stays in the mail, which is dispatched all the same, and says so; others are not affected."""
    office.environment |= {"R2_MAX_SENDER_BYTES_PER_DAY": "1000", "R2_MAX_FILE_BYTES": "600"}
    text = "Bonjour, merci de modéliser ce fauteuil en 3D, en chêne."
    file = ("fauteuil.glb", MODEL)
    hers = [a_mail(1, text, file, ("grand.glb", MODEL + bytes(300))), a_mail(2, text, file), a_mail(3, text, file)]
    office.once(*hers, a_mail(4, text, file, sender="ben@other.example"))
    assert office.counts()["files"] == 3
    assert office.mailboxes() == {"Modélisation": 4}
    lines = [line for ticket in tickets(office) for line in ticket.splitlines() if line.startswith("- ")]
    assert sorted(line for line in lines if "http" not in line) == [
        "- fauteuil.glb (412 octets), quota d’envoi de l’expéditeur atteint",
        "- grand.glb (712 octets), trop volumineux (limite : 600 octets)",
    ]
