"""The letter to the customer: sent at most once, whatever dies on its way, and no request ever fails of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import format_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import pytest

from integrations.errors import ConfigurationError
from integrations.sandbox import Refusal
from poller.daemon.daemon import Daemon
from poller.dispatch.acknowledge import DEFERRED_FOR, acknowledge
from poller.dispatch.clients import Services, services
from poller.forms import message
from poller.forms.submission import Submission
from poller.model import Acknowledgement, Category, Classification, DispatchResult, Link, Outcome
from poller.rendering.acknowledgement.letter_writer import AcknowledgementWriter
from poller.triage import form_mark
from poller.workflow.errors import StepDeferredError
from poller.workflow.results import Participants, Received, WorkResult
from poller.workflow.steps import StepName
from tests.dispatch.test_notify import ON_THE_WAY, READY, UNDER_WAY, Mortal
from tests.support.journal_record import ProcessDiedError
from tests.support.pipeline_harness import REFERENCE, Desk, StepHarness

if TYPE_CHECKING:
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from integrations.sandbox.smtp import Delivered
    from poller.model import Receipt
    from tests.conftest import Office

ON = {
    "ACKNOWLEDGEMENT_ENABLED": "true",
    "IMAP_AUTHSERV_ID": "mx.figurative.example",
    "IMAP_OWN_DOMAINS": "figurative.example",
}
SUPPORT = Classification(Category.SUPPORT, 1.0, "rules", "", needs_review=False)
DONE = DispatchResult(SUPPORT, ticket=Link("1", "https://x.example/1"))
LETTER = f"<{REFERENCE}.acknowledgement@figurative-poller.invalid>"
FIRST = f"{0:016x}"  # reference of the first mail of a desk
LETTER_TO_FIRST = f"<{FIRST}.acknowledgement@figurative-poller.invalid>".encode()


def mail(name: str = "1", sender: str = "ana@ruiz.example", **headers: str) -> bytes:
    """A question that has just come, and for whose sender our server vouches."""
    message = EmailMessage()
    message["Authentication-Results"] = f"mx.figurative.example; dmarc=pass header.from={sender.rpartition('@')[2]}"
    message["From"], message["To"] = f"Ana Ruiz <{sender}>", "support@figurative.example"
    message["Subject"], message["Message-ID"] = "Facture prélevée deux fois", f"<{name}@ruiz.example>"
    message["Date"] = format_datetime(datetime.now(UTC))
    for header, value in headers.items():
        message[header.replace("_", "-")] = value
    message.set_content("Bonjour,\n\nMa facture a été prélevée deux fois. Pouvez-vous me rembourser ?\n")
    return message.as_bytes()


def letters(sandbox: Sandbox) -> list[Delivered]:
    return [each for each in sandbox.smtp.messages if each.message["X-Figurative-Poller"] == "acknowledgement"]


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """Customers get letters."""
    desk.environment |= ON
    desk.received_at = datetime.now(UTC)
    return desk


def receipt_of(desk: Desk) -> str:
    return desk.receipts[-1].raw.decode("ascii", "replace")


def test_customer_gets_one_letter_whose_answer_finds_the_ticket(desk: Desk) -> None:
    assert desk.gets(mail()).outcome is Outcome.SUPPORT
    (sent,) = letters(desk.sandbox)
    assert (sent.sender, sent.recipients) == ("", ("ana@ruiz.example",))
    assert sent.message["In-Reply-To"] == "<1@ruiz.example>"
    assert desk.gets(mail("2", In_Reply_To=str(sent.message["Message-ID"]))).decided_by == "thread"
    assert desk.made() == (1, 1, 0)
    assert len(letters(desk.sandbox)) == 1, "none for an answer"


@pytest.mark.parametrize(
    "environment", [{"ACKNOWLEDGEMENT_ENABLED": "false"}, {"HUBSPOT_API_KEY": "", "HUBSPOT_HUB_ID": ""}]
)
def test_customer_gets_no_letter_where_it_is_off_or_no_ticket_was_opened(
    desk: Desk, environment: dict[str, str]
) -> None:
    desk.environment |= environment
    assert desk.gets(mail()).outcome is Outcome.SUPPORT
    assert letters(desk.sandbox) == []


def test_stranger_in_a_known_conversation_gets_no_letter(desk: Desk) -> None:
    """A ticket of their own, and one letter a conversation."""
    desk.gets(mail())
    desk.gets(mail("2", "eve@evil.example", References="<1@ruiz.example>"))
    assert desk.made()[0] == 2
    assert len(letters(desk.sandbox)) == 1


def test_second_copy_of_a_mail_gets_no_second_letter(desk: Desk) -> None:
    """As a group brings it, with a mark in its subject: its Message-ID is the same, and its reference is not."""
    desk.gets(mail())
    desk.gets(mail().replace(b"Subject: ", b"Subject: [support] "))
    assert len(letters(desk.sandbox)) == 1


def test_customer_who_writes_often_gets_two_letters_a_day(desk: Desk) -> None:
    for number in range(4):
        desk.gets(mail(str(number)))
    assert len(letters(desk.sandbox)) == 2


def visit(desk: Desk, address: str) -> bytes:
    """The mail of a visitor of our form, who may have typed in anybody's address."""
    filled_in = Submission(address, "", "Facture", "Ma facture a été prélevée deux fois.", (), "")
    key = form_mark.key_of(desk.settings.imap)
    form = message.written(filled_in, "contact", "support@figurative.example", datetime.now(UTC), "", key)
    with form.content as content:
        return content.read()


def test_strangers_whom_forms_name_get_only_so_many_letters_a_day(desk: Desk) -> None:
    """Whoever types a thousand addresses into a form writes to few of them. A customer's own mail is not counted."""
    desk.environment["ACKNOWLEDGEMENT_MAX_FORM_LETTERS_PER_DAY"] = "2"
    for number in range(4):
        assert desk.gets(visit(desk, f"victim@{number}.example")).outcome is Outcome.SUPPORT
    assert "visiteurs des formulaires en ont d=C3=A9j=C3=A0 re=C3=A7u assez" in receipt_of(desk).replace("=\r\n", "")
    desk.gets(mail())
    assert [each.recipients for each in letters(desk.sandbox)] == [
        ("victim@0.example",),
        ("victim@1.example",),
        ("ana@ruiz.example",),
    ]


def test_letter_that_reaches_another_poller_gets_no_answer(desk: Desk) -> None:
    """Nor does it open a ticket there."""
    desk.gets(mail())
    (sent,) = letters(desk.sandbox)
    proof = b"Authentication-Results: mx.figurative.example; dmarc=pass header.from=figurative.example\r\n"
    assert desk.gets(proof + sent.raw).outcome is Outcome.IGNORED
    assert len(letters(desk.sandbox)) == 1


@pytest.mark.parametrize(
    ("refusal", "line", "needs_person"),
    [
        (None, "envoy=C3=A9 au client", False),
        (Refusal("rcpt", "550 5.1.1 unknown", recipient="ana@ruiz.example"), "refus=C3=A9 par le serveur", True),
    ],
)
def test_receipt_says_what_became_of_the_letter(
    desk: Desk, refusal: Refusal | None, line: str, needs_person: bool
) -> None:
    """A refused address is worth a look: an answer would not arrive either."""
    if refusal:
        desk.sandbox.smtp.fail(refusal)
    assert desk.gets(mail()).outcome is Outcome.SUPPORT
    assert line in receipt_of(desk).replace("=\r\n", "")
    assert desk.receipts[-1].needs_person is needs_person


def report(sent: Delivered, action: str = "failed") -> bytes:
    """What a mail server writes about a letter that it did not deliver (RFC 3464)."""
    header = sent.raw.split(b"\r\n\r\n")[0].decode()
    return (
        "Return-Path: <>\r\nFrom: Mail Delivery System <mailer-daemon@mx.example>\r\nTo: support@figurative.example\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\nMessage-ID: <dsn@mx.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nThe mail system could not deliver it.\r\n"
        f"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        f"Final-Recipient: rfc822; ana@ruiz.example\r\nAction: {action}\r\nStatus: 5.1.1\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{header}\r\n--b--\r\n"
    ).encode()


@pytest.mark.parametrize(("action", "receipts"), [("failed", 2), ("delayed", 1)])
def test_bounce_of_the_letter_is_told_beside_the_message(desk: Desk, action: str, receipts: int) -> None:
    """Once, with the ticket, and unread: an answer would not arrive either."""
    desk.gets(mail())
    (sent,) = letters(desk.sandbox)
    for _ in range(2):
        assert desk.gets(report(sent, action)).outcome is Outcome.IGNORED
    assert len(desk.receipts) == receipts
    if action == "failed":
        told = message_from_bytes(desk.receipts[-1].raw, policy=policy.default)
        text = told.get_body(("plain",)).get_content()  # type: ignore[attr-defined]
        assert "Accusé de réception non remis" in text
        assert desk.sandbox.hubspot.tickets[0].id in text
        assert told["In-Reply-To"] == "<1@ruiz.example>"
        assert desk.receipts[-1].needs_person
        assert list(desk.spool.glob("*.eml")) == []


def test_bounce_of_a_later_answer_is_none_of_the_letter(desk: Desk) -> None:
    """An agent's answer to the customer refers to the letter, too."""
    desk.gets(mail())
    told = report(letters(desk.sandbox)[0]).replace(b"Message-ID: " + LETTER_TO_FIRST, b"Message-ID: <agent@x.example>")
    answer = told.replace(b"In-Reply-To: <1@ruiz.example>", b"In-Reply-To: " + LETTER_TO_FIRST)
    assert answer.count(LETTER_TO_FIRST) == 1
    assert desk.gets(answer).outcome is Outcome.IGNORED
    assert len(desk.receipts) == 1


def test_report_that_returns_no_header_names_the_letter_that_it_answers(desk: Desk) -> None:
    """As Exchange may be set up."""
    desk.gets(mail())
    bare = report(letters(desk.sandbox)[0]).partition(b"--b\r\nContent-Type: text/rfc822-headers")[0]
    assert desk.gets(b"In-Reply-To: " + LETTER_TO_FIRST + b"\r\n" + bare).outcome is Outcome.IGNORED
    assert len(desk.receipts) == 2


def test_bounce_while_the_message_is_at_work_is_told_after_its_end(desk: Desk) -> None:
    """The report is filed at once, and its receipt waits. Nobody would learn of it else."""
    done = desk.gets(mail())
    (sent,) = letters(desk.sandbox)
    desk.results[FIRST] = WorkResult(Outcome.WORKING)
    waiting = desk.gets(report(sent))
    assert (waiting.outcome, waiting.final_outcome, waiting.behind) == (Outcome.WAITING, Outcome.IGNORED, FIRST)
    assert len(desk.receipts) == 1
    desk.results[FIRST] = done
    assert desk.works_on(f"{1:016x}").outcome is Outcome.IGNORED
    assert "non remis" in receipt_of(desk)
    assert len(desk.receipts) == 2


def tells(receipt: Receipt) -> bool:
    """Whether a receipt tells that the letter came back."""
    return "non remis" in receipt.raw.decode("ascii").replace("=\r\n", "")


@pytest.mark.parametrize("fact", ["", f"failed-{FIRST}"])
def test_bounce_while_the_message_is_at_work_is_told_by_one_receipt(desk: Desk, fact: str) -> None:
    """The message's own receipt, written after the bounce came, leaves it to that of the bounce."""
    desk.gets(mail())
    desk.results[FIRST] = WorkResult(Outcome.WORKING)
    desk.gets(report(letters(desk.sandbox)[0]))
    desk.receipts.clear()
    desk.facts |= {fact: ""} if fact else {}
    for reference in (FIRST, f"{1:016x}"):
        assert not desk.works_on(reference).outcome.is_open
    assert [tells(receipt) for receipt in desk.receipts] == [False, True]


def test_bounce_of_a_message_that_fails_is_told_by_its_receipt(desk: Desk) -> None:
    """Nothing lies beside a failed message but that."""
    desk.gets(mail())
    desk.results[FIRST] = WorkResult(Outcome.WORKING)
    desk.gets(report(letters(desk.sandbox)[0]))
    desk.receipts.clear()
    desk.sandbox.smtp.fail(Refusal("data", "554 5.6.0 no", times=None))
    assert desk.works_on(FIRST).outcome is Outcome.FAILED
    desk.works_on(f"{1:016x}")
    assert [tells(receipt) for receipt in desk.receipts] == [True]


@pytest.mark.parametrize(("name", "fact"), [(f"{FIRST}/modelisation/1", ""), (FIRST, f"failed-{FIRST}")])
def test_receipt_in_place_of_others_says_that_the_letter_came_back(desk: Desk, name: str, fact: str) -> None:
    """It replaces the one that said so: that of a correction, or of a message that failed at first."""
    desk.gets(mail())
    desk.gets(report(letters(desk.sandbox)[0]))
    desk.receipts.clear()
    desk.facts |= {fact: ""} if fact else {}
    assert desk.works_on(name).outcome.is_dispatched
    (receipt,) = desk.receipts
    assert "non remis au client" in receipt_of(desk).replace("=\r\n", "")
    assert receipt.needs_person


def test_report_that_names_itself_waits_for_nobody(desk: Desk) -> None:
    """Whoever writes it knows its reference."""
    desk.gets(mail())
    itself = report(letters(desk.sandbox)[0]).replace(FIRST.encode(), f"{1:016x}".encode())
    assert desk.gets(itself).outcome is Outcome.IGNORED
    assert len(desk.receipts) == 1


class Clerk(StepHarness):
    """The one step, by a process that may die."""

    def __init__(self, sandbox: Sandbox, spool: Path, *deaths: str) -> None:
        super().__init__(sandbox, spool, mail())
        self.environment |= ON
        self.received_at = self.record.now = datetime.now(UTC)
        self.deaths = list(deaths)
        self.is_on = True

    @cached_property
    def services(self) -> Services:
        server = self.sandbox.smtp
        smtp = Mortal(server.host, server.port, "none", "", "", "poller@figurative.example")
        smtp.deaths = self.deaths
        return replace(services(self.settings), smtp=smtp)

    def tries(self) -> Acknowledgement | None:
        """Run the step in a new execution, and return what became of the letter."""
        received = Received(None, self.received_at, "", (), Participants(), acknowledge=True)
        writer = AcknowledgementWriter(self.settings) if self.is_on else None
        return acknowledge(self.context(), DONE, received, writer).acknowledgement

    def ends(self) -> Acknowledgement | None:
        """Start anew after each death and each wait."""
        for _ in range(20):
            try:
                return self.tries()
            except ProcessDiedError:
                continue
            except StepDeferredError as wait:
                self.record.now = max(self.record.now, wait.until)
        raise AssertionError("it never ends")


@pytest.mark.parametrize(
    ("deaths", "in_sent", "fate", "count"),
    [
        ([], False, Acknowledgement.SENT, 1),
        ([ON_THE_WAY], False, Acknowledgement.SENT, 1),
        ([READY, ON_THE_WAY], False, Acknowledgement.SENT, 1),
        ([UNDER_WAY], False, Acknowledgement.IN_DOUBT, 1),
        ([UNDER_WAY], True, Acknowledgement.SENT, 1),
        ([READY, UNDER_WAY], False, Acknowledgement.IN_DOUBT, 1),
        ([ON_THE_WAY] * 3, False, Acknowledgement.FAILED, 0),
    ],
)
def test_letter_is_sent_at_most_once_after_any_crash(
    sandbox: Sandbox, tmp_path: Path, deaths: list[str], in_sent: bool, fate: Acknowledgement, count: int
) -> None:
    """What is in doubt is looked for, and not sent again: no customer hears twice."""
    clerk = Clerk(sandbox, tmp_path, *deaths)
    clerk.sent = {LETTER} if in_sent else set()
    assert clerk.ends() is fate
    assert clerk.ends() is fate, "however often it is replayed"
    assert len(letters(sandbox)) == count


@pytest.mark.parametrize(
    ("refusal", "fate", "count"),
    [
        (Refusal("after_data"), Acknowledgement.IN_DOUBT, 1),
        (Refusal("data"), Acknowledgement.IN_DOUBT, 0),
        (Refusal("data", "451 4.3.0 later"), Acknowledgement.SENT, 1),
        (Refusal("mail", "421 4.3.2 later"), Acknowledgement.SENT, 1),
        (Refusal("rcpt", "450 4.2.0 greylisted"), Acknowledgement.SENT, 1),
        (Refusal("rcpt", "550 5.1.1 unknown"), Acknowledgement.REFUSED, 0),
        (Refusal("data", "554 5.6.0 content"), Acknowledgement.REFUSED, 0),
    ],
)
def test_letter_that_the_server_does_not_take_is_tried_again_or_given_up(
    sandbox: Sandbox, tmp_path: Path, refusal: Refusal, fate: Acknowledgement, count: int
) -> None:
    sandbox.smtp.fail(refusal)
    clerk = Clerk(sandbox, tmp_path)
    assert clerk.ends() is fate
    assert len(letters(sandbox)) == count


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
def test_letter_that_is_not_taken_for_now_holds_back_no_other(
    sandbox: Sandbox, tmp_path: Path, stage: Literal["mail", "rcpt", "data"]
) -> None:
    """It is given up before anyone is alarmed by a mail that waits."""
    sandbox.smtp.fail(Refusal(stage, "451 4.1.8 not now", times=None))
    clerk = Clerk(sandbox, tmp_path)
    with pytest.raises(StepDeferredError):
        clerk.tries()
    assert clerk.record.breakers.get("smtp") is None or clerk.record.breakers["smtp"].is_closed
    long_ago = datetime.now(UTC) - DEFERRED_FOR - timedelta(seconds=1)
    begun = {"begun": long_ago.isoformat()}
    clerk.record.entries = [
        (name, entry | begun if "begun" in entry else entry) for name, entry in clerk.record.entries
    ]
    assert clerk.ends() is Acknowledgement.REFUSED


@pytest.mark.parametrize("stage", ["rcpt", "data"])
def test_letter_that_must_have_a_return_path_holds_back_no_other(
    sandbox: Sandbox, tmp_path: Path, stage: Literal["rcpt", "data"]
) -> None:
    """A customer's server may refuse one address in the same words."""
    sandbox.smtp.fail(Refusal(stage, "550 5.7.1 refused"))
    clerk = Clerk(sandbox, tmp_path)
    with pytest.raises(StepDeferredError):
        clerk.tries()
    assert clerk.record.breakers["smtp"].is_closed
    assert clerk.ends() is Acknowledgement.SENT
    assert len(letters(sandbox)) == 1


def test_letter_of_a_day_old_mail_is_given_up_when_the_server_is_down(sandbox: Sandbox, tmp_path: Path) -> None:
    """Until then it waits as a notification does."""
    sandbox.smtp.fail(Refusal("mail", "421 4.3.2 down", times=None))
    clerk = Clerk(sandbox, tmp_path)
    with pytest.raises(StepDeferredError) as wait:
        clerk.tries()
    assert wait.value.step is StepName.PREPARE_ACKNOWLEDGEMENT
    clerk.received_at -= timedelta(days=1, seconds=1)
    assert clerk.ends() is Acknowledgement.OLD


def test_letter_is_not_sent_when_it_was_turned_off_meanwhile(sandbox: Sandbox, tmp_path: Path) -> None:
    clerk = Clerk(sandbox, tmp_path)
    clerk.is_on = False
    assert clerk.ends() is Acknowledgement.OFF
    assert letters(sandbox) == []


def test_start_with_a_broken_template_is_refused(office: Office, tmp_path: Path) -> None:
    """And not the first letter, days later."""
    (tmp_path / "acknowledgement.fr.html").write_text("{% block %}")
    office.environment |= ON | {"ACKNOWLEDGEMENT_TEMPLATES": str(tmp_path)}
    with pytest.raises(ConfigurationError, match=r"acknowledgement\.fr\.html, line 1"):
        Daemon(office.settings)


def test_message_of_an_earlier_release_gets_no_letter() -> None:
    """Its rows are replayed by position, and have none of the step's."""
    received: Any = Received(None, None, "", (), Participants(), acknowledge=True).as_json()
    assert Received.from_json(received).acknowledge
    del received["acknowledge"]
    assert not Received.from_json(received).acknowledge
