"""A letter to the admin, whatever dies on its way: sent, and never a third time."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import pytest

from integrations.sandbox import Fault, Refusal
from integrations.smtp import Smtp
from poller.cli.samples import samples
from poller.config.settings import ImapSettings
from poller.dispatch.clients import Services
from poller.dispatch.notify import gmail_url, send, send_notification
from poller.escaping import http_url
from poller.rendering.phrases import moment
from poller.workflow.circuit_breaker import CircuitBreaker
from poller.workflow.errors import StepDeferredError, StepFailedError
from poller.workflow.steps import StepName
from tests.rendering.test_tickets import REQUEST
from tests.support.journal_record import JournalRecord, ProcessDiedError
from tests.support.pipeline_harness import StepHarness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from integrations.sandbox import Sandbox
    from tests.conftest import Office

ON_THE_WAY = "on the way"  # to the server, which has not been told of the letter yet
READY = "ready"  # the server waits for the letter; the journal does not know that yet
UNDER_WAY = "under way"  # the server has the letter; its answer is not read


class Mortal(Smtp):
    """A client whose process dies at these moments, one after the other."""

    deaths: list[str]

    @contextmanager
    def submission(self, message: EmailMessage, *, automatic: bool = False) -> Iterator[Callable[[], None]]:
        """Do as a client does, but for the deaths."""
        self._dies(ON_THE_WAY)
        with super().submission(message, automatic=automatic) as hand_over:

            def hand_over_and_die() -> None:
                hand_over()
                self._dies(UNDER_WAY)

            self._dies(READY)
            yield hand_over_and_die

    def _dies(self, moment: str) -> None:
        if self.deaths[:1] == [moment]:
            self.deaths.pop(0)
            raise ProcessDiedError


def letter(sender: str, recipient: str, now: datetime) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Message-ID"] = sender, recipient, "<0123456789abcdef@figurative.example>"
    message.set_content(f"Bonjour, {now:%H:%M}\n")
    return message


class Admin:
    """The admin, told through a server that works, by a process that may not."""

    def __init__(self, office: Office, *deaths: str) -> None:
        self.record = JournalRecord()
        self.record.now = datetime.now(UTC)
        self.server = office.sandbox.smtp
        smtp = Mortal(self.server.host, self.server.port, "none", "", "", "poller@figurative.example")
        smtp.deaths = list(deaths)
        self._parts: dict[str, Any] = {"services": Services(smtp=smtp), "settings": office.settings}

    def is_told(self) -> bool:
        """Send the letter, starting anew after each death."""
        return bool(self.fate())

    def fate(self) -> str:
        """Return what became of the letter, as `send` does."""
        for _ in range(20):
            job: Any = SimpleNamespace(journal=self.record.execution(delays_s=(0.0,)), **self._parts)
            try:
                return send(job, StepName.SEND_NOTIFICATION, letter)
            except (ProcessDiedError, StepDeferredError):
                continue
        raise AssertionError("it never ends")

    @property
    def verdicts(self) -> list[object]:
        """Return the results of the sending, as the journal has them."""
        return [
            entry["ok"] for name, entry in self.record.entries if name == StepName.SEND_NOTIFICATION and "ok" in entry
        ]


@pytest.mark.parametrize(
    ("deaths", "letters", "verdicts"),
    [
        ([], 1, ["sent"]),
        ([ON_THE_WAY], 1, ["sent"]),
        ([ON_THE_WAY, ON_THE_WAY], 1, ["sent"]),
        ([READY, ON_THE_WAY], 1, ["sent"]),
        ([UNDER_WAY], 2, ["in doubt", "sent"]),
        ([ON_THE_WAY, ON_THE_WAY, UNDER_WAY], 2, ["in doubt", "sent"]),
        ([UNDER_WAY, ON_THE_WAY, READY], 2, ["in doubt", "sent"]),
        ([UNDER_WAY, UNDER_WAY], 2, ["in doubt", "in doubt"]),
        ([UNDER_WAY, ON_THE_WAY, ON_THE_WAY, UNDER_WAY, UNDER_WAY], 2, ["in doubt", "in doubt"]),
    ],
)
def test_notification_is_sent_at_most_twice_after_crash(
    office: Office, deaths: list[str], letters: int, verdicts: list[str]
) -> None:
    """A death on the way to the server leaves no doubt; one while the letter goes out leaves one; two are enough."""
    admin = Admin(office, *deaths)
    assert admin.is_told()
    assert len(admin.server.messages) == letters
    assert len({delivered.message["Message-ID"] for delivered in admin.server.messages}) == 1
    assert admin.verdicts == verdicts


def test_temporarily_refused_notification_is_not_in_doubt(office: Office) -> None:
    """An answer that says no is an answer, wherever it comes; the letter goes out once."""
    admin = Admin(office)
    for refusal in (Refusal("mail", "451 4.3.0 later"), Refusal("data", "452 4.3.1 disk full", times=2)):
        admin.server.fail(refusal)
    assert admin.is_told()
    assert len(admin.server.messages) == 1
    assert admin.verdicts == ["sent"]


@pytest.mark.parametrize("stage", ["rcpt", "data"])
def test_notification_that_is_not_taken_for_now_holds_back_no_other(
    office: Office, stage: Literal["rcpt", "data"]
) -> None:
    """A full mailbox is the admin's alone, and after an outage the server is back for all others.

    In the end it counts as refused, and the customer's request goes on.
    """
    admin = Admin(office)
    admin.record.breakers["smtp"] = CircuitBreaker((0.0,))
    admin.record.breakers["smtp"].failed(admin.record.now, admin.record.now)
    admin.server.fail(Refusal(stage, "452 4.2.2 mailbox full", times=None))
    with pytest.raises(AssertionError, match="it never ends"):
        admin.is_told()
    assert admin.record.breakers["smtp"].is_closed
    long_ago = datetime.now(UTC) - timedelta(hours=office.settings.state.give_up_after_h, seconds=1)
    begun = {"begun": long_ago.isoformat()}
    admin.record.entries = [
        (name, entry | begun if "begun" in entry else entry) for name, entry in admin.record.entries
    ]
    assert admin.fate() == "refused"


def test_repeated_crash_before_send_fails_the_step(office: Office) -> None:
    """Three deaths in one step put a message aside, this one too: the letter does not count as sent."""
    admin = Admin(office, *[ON_THE_WAY] * 3)
    with pytest.raises(StepFailedError, match="prepare_notification"):
        admin.is_told()
    assert admin.server.messages == []


def test_notification_without_recipient_makes_no_connection(office: Office) -> None:
    """No connection is made for it."""
    admin = Admin(office, ON_THE_WAY)
    admin._parts["services"] = Services()
    assert not admin.is_told()


def test_letter_that_another_machine_may_have_sent_is_not_sent(sandbox: Sandbox, tmp_path: Path) -> None:
    """The process before this one had it ready and died; this one is frozen while it gets it ready once more."""
    bench = StepHarness(sandbox, tmp_path, samples()["modelisation"])
    bench.record.execution().step(StepName.PREPARE_NOTIFICATION, lambda _: True)
    bench.freezes = True
    with pytest.raises(StepDeferredError, match="out of touch"):
        bench.takes(send_notification)
    assert bench.sandbox.smtp.messages == []
    bench.freezes = False
    bench.takes(send_notification)
    assert len(bench.sandbox.smtp.messages) == 1


def test_failure_letter_says_what_to_correct_and_opens_the_ticket(office: Office) -> None:
    """The setting and its place in French, the mailbox by the name of its setting, the service's words last."""
    office.environment["LABELS_FAILED"] = "À revoir"
    office.fail("hubspot", Fault("status", "POST", "/crm/objects/2026-09/notes", status=400, times=None))
    office.once(samples()["modelisation_with_files"])
    (letter,) = (each.message for each in office.sandbox.smtp.messages)
    text = letter.get_body(("plain",)).get_content().replace("\r\n", "\n").replace("\xa0", " ")
    assert "- Rien n’est perdu : le message est classé dans le dossier « À revoir ».\n" in text
    assert "- Vérifiez que la clé HUBSPOT_API_KEY du fichier .env donne encore accès" in text
    assert "Ouvrir le ticket HubSpot : https://app-eu1.hubspot.com/" in text
    french, _, origin = text.partition("Message d’origine du service :\n")
    assert "400" in origin
    assert "HTTP" not in french


@pytest.mark.parametrize(
    ("imap", "message_id", "url"),
    [
        (
            {"host": "imap.gmail.com"},
            "<a+b@x.example>",
            "https://mail.google.com/mail/?authuser=me@x.example#search/rfc822msgid%3Aa%2Bb%40x.example",
        ),
        ({"host": "imap.x.example"}, "<1@x.example>", ""),
        ({"host": "imap.gmail.com"}, "<0f@message-id.invalid>", ""),
        ({"host": "imap.gmail.com"}, "<a b@x.example>", ""),
    ],
)
def test_gmail_opens_a_message_by_its_id(imap: dict[str, str], message_id: str, url: str) -> None:
    """No other provider does, and no message without an ordinary id."""
    found = gmail_url(ImapSettings(username="me@x.example", **imap), replace(REQUEST, message_id=message_id))
    assert found == url
    assert http_url(found) == url


def test_answer_to_a_notification_goes_to_the_customer_if_set(office: Office) -> None:
    """And else to our own address."""
    office.once(samples()["support"])
    office.environment["NOTIFICATION_REPLY_TO_CUSTOMER"] = "true"
    office.once(samples()["bug"])
    first, second = (each.message for each in office.sandbox.smtp.messages)
    assert first["Reply-To"] is None
    assert (
        second["Reply-To"] == message_from_bytes(samples()["bug"], policy=policy.default)["From"].addresses[0].addr_spec
    )
    assert second["References"] == "<bug@samples.example>"


def test_time_of_arrival_is_in_the_zone_of_the_setting(office: Office) -> None:
    office.environment["DIGEST_TIMEZONE"] = "Pacific/Kiritimati"  # fourteen hours ahead
    office.once(samples()["support"])
    (letter,) = (each.message for each in office.sandbox.smtp.messages)
    text = letter.get_body(("plain",)).get_content()
    zone, sent_at = ZoneInfo("Pacific/Kiritimati"), letter["Date"].datetime
    assert any(f"Reçu le\xa0: {moment(sent_at - timedelta(minutes=minute), zone)}" in text for minute in range(60))
