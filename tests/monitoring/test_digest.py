"""Digests: once a week, with true numbers, and without a word of any mail."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from integrations.sandbox import Fault, Refusal
from poller.cli.samples import samples
from poller.config.settings import DigestSettings
from poller.monitoring import digest
from poller.workflow.database import open_store
from poller.workflow.store import StateStore
from tests.rendering.test_digest import text

if TYPE_CHECKING:
    from poller.workflow.status import Entry
    from tests.conftest import Office
    from tests.support.pipeline_harness import Desk

MAILS = samples()
PARIS = ZoneInfo("Europe/Paris")
ENDS = datetime(2026, 11, 23, tzinfo=PARIS)  # a Monday
LONG_AGO = date(2026, 1, 1)


def test_digest_counts_all_messages_of_the_week(office: Office) -> None:
    """Read from the state store of a daemon at work. No content of a mail is in it, so none is in the letter."""
    office.fail("clickup", Fault("status", "POST", "/api/v2/list", status=400))
    office.once(MAILS["modelisation"])
    office.once(MAILS["support"], MAILS["modelisation_with_files"], MAILS["auto_reply"])
    raw = MAILS["modelisation_with_files"].replace(b"<modelisation_with_files@", b"<2@")
    office.once(b"In-Reply-To: <modelisation_with_files@samples.example>\n" + raw)
    tomorrow = (datetime.now(PARIS) + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    with closing(open_store(office.settings)) as store:
        week = digest.look_back(store, tomorrow)
        assert digest.look_back(store, tomorrow - timedelta(days=1)).messages == ()
    assert sorted(each.outcome for each in week.messages) == [
        "failed",
        "ignored",
        "modelisation",
        "modelisation",
        "support",
    ]
    tickets = [each.ticket_after_s for each in week.messages if each.ticket_after_s is not None]
    assert len(tickets) == 3
    assert all(0 <= after_s < 3600 for after_s in tickets), "no time zone is in it"
    told = text(week)
    for line in (
        "5 messages en une semaine",
        "- 1 message en échec, à reprendre dans la boîte des échecs.",
        "Support : 1",
        "Modélisation : 2",
        "À vérifier : 1",
        "Réponses à une demande en cours : 1",
        "Ignorés (réponses automatiques, listes, indésirables) : 1",
        "Classements corrigés : 0",
        "Échecs : 1",
    ):
        assert line in told.splitlines()
    (failure,) = [line for line in told.splitlines() if line.startswith("✗ ")]
    assert failure == "✗ Sous-tâche ClickUp : ClickUp a refusé la demande (erreur 400)."
    (ticket,) = [each.ticket for each in week.messages if each.failure and each.ticket]
    assert f"  Ticket n° {ticket.id} : {ticket.url}" in told.splitlines()
    assert not any(word in told for word in ("Ondine", "fauteuil", "Élise", "martin-mobilier", "Facture"))


def test_digest_links_failure_to_customer_at_hubspot(office: Office) -> None:
    """The state holds no name and no address: HubSpot knows whose contact it is."""
    office.fail("clickup", Fault("status", "POST", "/api/v2/list", status=400))
    office.once(MAILS["modelisation"])
    (contact,) = office.sandbox.hubspot.contacts
    with closing(open_store(office.settings)) as store:
        ends = datetime.now(PARIS) + timedelta(days=1)
        (message,) = digest.look_back(store, ends, "147").messages
        assert message.contact_url == f"https://app.hubspot.com/contacts/147/record/0-1/{contact.id}"
        assert digest.look_back(store, ends).messages[0].contact_url == ""


def test_digest_reads_journal_only_of_ticket_messages(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be a hundred newsletters to a request; and an earlier release did not write down when it came."""
    (ignored,) = office.once(MAILS["auto_reply"])
    (opened,) = office.once(MAILS["support"])
    read: list[str] = []
    journal = StateStore.journal

    def without_time(store: StateStore, reference: str) -> list[Entry]:
        read.append(reference)
        entries = journal(store, reference)
        for entry in entries:
            if isinstance(received := entry.content.get("ok"), dict):
                received.pop("received_at", None)
        return entries

    monkeypatch.setattr(StateStore, "journal", without_time)
    with closing(open_store(office.settings)) as store:
        week = digest.look_back(store, datetime.now(PARIS) + timedelta(days=1))
    assert read == [opened]
    assert {each.reference: each.ticket_after_s for each in week.messages} == {ignored: None, opened: None}


@pytest.mark.parametrize(
    ("weekday", "now", "due"),
    [
        ("monday", "2026-11-23T06:59:59+00:00", "2026-11-16T08:00:00+01:00"),
        ("monday", "2026-11-23T07:00:00+00:00", "2026-11-23T08:00:00+01:00"),
        ("monday", "2026-11-29T23:30:00+00:00", "2026-11-23T08:00:00+01:00"),
        ("sunday", "2026-10-25T07:00:00+00:00", "2026-10-25T08:00:00+01:00"),  # the clocks were put back in the night
        ("sunday", "2026-03-29T05:59:00+00:00", "2026-03-22T08:00:00+01:00"),
        ("sunday", "2026-03-29T06:00:00+00:00", "2026-03-29T08:00:00+02:00"),
    ],
)
def test_digest_is_due_by_local_time(weekday: str, now: str, due: str) -> None:
    found = digest.last_due(DigestSettings.model_validate({"weekday": weekday}), datetime.fromisoformat(now))
    assert found.isoformat() == due


def test_digest_is_sent_once_a_week_across_restarts_and_machines(office: Office, desk: Desk) -> None:
    """The state store knows; one that could not be sent is tried again in the next hour, and none before that."""
    office.once()  # there is a state now
    settings, smtp, box = office.settings, desk.services.smtp, office.sandbox.smtp

    def told_at(day: int, hour: int, minute: int = 0, *, first_start: date = LONG_AGO) -> int:
        digest.tell(settings, desk, smtp, first_start, datetime(2026, 11, day, hour, minute, tzinfo=UTC))
        return len(box.messages)

    assert told_at(23, 8, first_start=date(2026, 11, 23)) == 0  # the service had not begun in that week
    box.fail(Refusal("mail", "451 4.3.0 later", times=1))
    assert told_at(23, 8) == 0
    assert told_at(23, 8, 30) == 0  # another machine, the same hour
    assert told_at(23, 9) == 1
    assert told_at(23, 10) == told_at(29, 23) == 1
    assert told_at(30, 7) == 2
    (first, second) = (each.message["Message-ID"] for each in box.messages)
    assert re.sub(r"\.[0-9a-f]{8}\.", ".", f"{first} {second}").split() == [
        "<20261123.digest@figurative-poller.invalid>",
        "<20261130.digest@figurative-poller.invalid>",
    ]


@pytest.mark.parametrize("changes", [{"DIGEST_WEEKDAY": "never"}, {"NOTIFICATION_EMAIL": ""}])
def test_digest_is_not_sent_when_turned_off(office: Office, desk: Desk, changes: dict[str, str]) -> None:
    office.environment |= changes
    digest.tell(office.settings, desk, desk.services.smtp, LONG_AGO, datetime(2026, 11, 23, 12, tzinfo=UTC))
    assert office.sandbox.smtp.messages == []
    assert desk.facts == {}
