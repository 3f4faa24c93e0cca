"""Tickets that nobody has answered: listed in the digest, and in one letter on a working day."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from integrations.errors import TransientError
from integrations.sandbox import Fault, Refusal
from poller.cli.samples import samples
from poller.config.settings import Settings
from poller.model import Link, Outcome
from poller.monitoring import digest, unanswered
from poller.rendering import unanswered as rendering
from poller.workflow.database import open_store
from poller.workflow.results import WorkResult
from poller.workflow.status import MessageRecord, MessageStatus
from poller.working_days import is_working_day
from tests.rendering.test_digest import a_week, body, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.conftest import Office
    from tests.support.pipeline_harness import Desk

MAILS = samples()
LONG_AGO = date(2026, 1, 1)


def next_working_moment(hour: int, days: int = 1) -> datetime:
    """Return an hour (UTC) on a working day to come, after which there is another."""
    at = datetime.now(UTC).replace(hour=hour, minute=0, second=0, microsecond=0) + timedelta(days=days)
    while not (is_working_day(at.date()) and is_working_day(at.date() + timedelta(days=1))):
        at += timedelta(days=1)
    return at


@pytest.fixture
def office(office: Office) -> Office:
    """Three tickets: one in the stage of new ones, one that an agent has moved, one that an agent has answered."""
    office.environment |= {"ALERTS_UNANSWERED_AFTER_H": "1", "ALERTS_UNANSWERED_LETTER": "true"}
    office.once(MAILS["support"], MAILS["bug"], MAILS["modelisation"])
    _, moved, answered = office.sandbox.hubspot.tickets
    moved.properties["hs_pipeline_stage"] = "2"
    answered.properties["first_agent_reply_date"] = "2026-11-23T10:00:00Z"
    office.sandbox.smtp.reset()
    return office


def found(office: Office, desk: Desk, now: datetime) -> list[str]:
    with closing(open_store(office.settings)) as store:
        return [each.ticket.id for each in unanswered.find(office.settings, store, desk.services.hubspot, now).tickets]


def test_unanswered_tickets_are_those_that_no_agent_touched_in_time(office: Office, desk: Desk) -> None:
    waiting, *_ = office.sandbox.hubspot.tickets
    later = next_working_moment(14, days=3)
    assert found(office, desk, later) == [waiting.id]
    assert found(office, desk, datetime.now(UTC)) == [], "it has just come"
    assert found(office, desk, later + timedelta(days=60)) == [], "nobody is reminded for ever"
    office.environment["ALERTS_UNANSWERED_AFTER_H"] = "0"
    assert found(office, desk, later) == []


MAILBOX = {"host": "h", "username": "support@figurative.example", "password": "x"}
SETTINGS = Settings.model_validate({"imap": MAILBOX, "alerts": {"unanswered_after_h": 20}})


class Corrected:
    """A mail that a person corrected two days after it had come, and HubSpot, where nobody has touched its ticket."""

    def __init__(self, came_at: datetime) -> None:
        status = MessageStatus(WorkResult(Outcome.MODELISATION, ticket=Link("1", "https://x.example/1")), None)
        self.mail = MessageRecord("0" * 16, came_at, came_at, status)
        corrected_at = came_at + timedelta(days=2)
        self.correction = MessageRecord(f"{'0' * 16}/modelisation/1", corrected_at, corrected_at, status)

    def current(self, since: datetime) -> list[MessageRecord]:
        return [self.correction] if self.correction.seen_at >= since else []

    def named(self, references: list[str]) -> list[MessageRecord]:
        assert references == [self.mail.reference]
        return [self.mail]

    def untouched(self, ticket_ids: list[str]) -> set[str]:
        return set(ticket_ids)


def test_customer_whose_mail_was_corrected_waits_since_it_came() -> None:
    monday = datetime(2026, 11, 23, 8, tzinfo=UTC)
    known: Any = Corrected(monday)
    (found,) = unanswered.find(SETTINGS, known, known, monday + timedelta(days=3)).tickets
    assert found.waits_h == 27


class Flooded:
    """A state with so many tickets, opened one a second, and HubSpot, which takes note of what it is asked about."""

    def __init__(self, came_at: datetime, count: int) -> None:
        self._came_at, self._count = came_at, count
        self.asked: list[str] = []

    def current(self, _: datetime) -> Iterator[MessageRecord]:
        for number in range(self._count):
            at = self._came_at + timedelta(seconds=number)
            result = WorkResult(Outcome.SUPPORT, ticket=Link(str(number), f"https://x.example/{number}"))
            yield MessageRecord(f"{number:016x}", at, at, MessageStatus(result, None))

    def untouched(self, ticket_ids: Sequence[str]) -> set[str]:
        self.asked += ticket_ids
        return set(ticket_ids)


def test_tickets_beyond_the_most_are_counted_and_not_asked_about() -> None:
    """The latest are asked about: the others were listed on the days before."""
    monday = datetime(2026, 11, 23, 8, tzinfo=UTC)
    known: Any = Flooded(monday, unanswered.MOST + 3)
    found = unanswered.find(SETTINGS, known, known, monday + timedelta(days=3))
    assert (len(known.asked), found.unchecked) == (unanswered.MOST, 3)
    assert [each.ticket.id for each in found.tickets[:2]] == ["3", "4"]
    letter = rendering.letter(found, account="a", sender="a@x.example", recipient="b@x.example", now=monday)
    told = "Seuls les 1 000 tickets les plus récents ont été vérifiés : 3 plus anciens ne l’ont pas été."
    assert told in body(letter)
    assert told in text(replace(a_week(), unanswered=found))


def test_unanswered_tickets_are_listed_in_the_digest(office: Office, desk: Desk) -> None:
    """Whatever HubSpot says, the digest goes out."""
    waiting, *_ = office.sandbox.hubspot.tickets
    box, monday = office.sandbox.smtp, next_working_moment(14, days=7)
    for fault in (None, Fault("status", status=500)):
        if fault:
            office.fail("hubspot", fault)
        digest.tell(office.settings, desk, desk.services.smtp, LONG_AGO, monday, desk.services.hubspot)
        monday += timedelta(days=7)
    first, second = (body(each.message) for each in box.messages)
    assert f"Ticket n° {waiting.id}, depuis" in first
    assert "1 ticket sans réponse dans HubSpot" in first
    assert "sans réponse" not in second


def test_reminder_is_sent_once_on_a_working_day(office: Office, desk: Desk) -> None:
    """Across restarts and machines; one that could not be sent is tried again in the next hour."""
    waiting, *_ = office.sandbox.hubspot.tickets
    box, day = office.sandbox.smtp, next_working_moment(10, days=3)

    def told_at(now: datetime) -> int:
        unanswered.tell(office.settings, desk, desk.services.smtp, desk.services.hubspot, now)
        return len(box.messages)

    assert told_at(day.replace(hour=2)) == 0, "nobody is there"
    box.fail(Refusal("mail", "451 4.3.0 later"))
    assert told_at(day) == told_at(day + timedelta(minutes=30)) == 0
    assert told_at(day + timedelta(hours=1)) == told_at(day + timedelta(hours=2)) == 1
    assert waiting.id in body(box.messages[0].message)
    waiting.properties["hs_pipeline_stage"] = "2"
    assert told_at(day + timedelta(days=1)) == 1, "there is nothing to tell"


def test_reminder_waits_for_hubspot(office: Office, desk: Desk) -> None:
    office.fail("hubspot", Fault("status", status=500))
    day = next_working_moment(10, days=3)
    with closing(open_store(office.settings)) as store, pytest.raises(TransientError):
        unanswered.find(office.settings, store, desk.services.hubspot, day)
    office.fail("hubspot", Fault("status", status=500))
    unanswered.tell(office.settings, desk, desk.services.smtp, desk.services.hubspot, day)
    assert office.sandbox.smtp.messages == []
    unanswered.tell(office.settings, desk, desk.services.smtp, desk.services.hubspot, day + timedelta(hours=1))
    assert len(office.sandbox.smtp.messages) == 1
