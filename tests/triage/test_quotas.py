"""Limit what a sender may ask for: each message counts once, on SQLite and PostgreSQL."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from poller.config.settings import Settings
from poller.model import Address, Outcome
from poller.triage import quotas
from poller.workflow.engine import Engine
from poller.workflow.results import WorkResult
from poller.workflow.steps import StepName
from tests.triage.helpers import NOW, DatedFacts, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from poller.model import Request
    from poller.workflow.journal import Journal

SETTINGS = Settings.model_validate({"r2": {"secret_access_key": "k"}, "imap": {"username": "support@f.example"}})


@pytest.fixture
def store() -> DatedFacts:
    return DatedFacts()


def arrive(
    store: DatedFacts, number: int, *, max_per_h: int = 3, size_bytes: int = 0, sender: str = "s"
) -> quotas.Slot:
    """Receive a message of the sender, and return when it may go on."""
    reference = f"{number:016x}"
    had = quotas.account(store, sender, reference, store.now, max_per_h)
    turn = had.slot(reference, store.now, max_per_h)
    return quotas.reserve_slot(store, sender, reference, store.now, turn, had.uploaded_bytes + size_bytes)


def test_messages_over_hourly_limit_follow_at_that_rate(store: DatedFacts) -> None:
    """Ten at once with three allowed: three an hour, in order, each told once when its turn is."""
    turns = [arrive(store, number) for number in range(10)]
    assert [(turn.at - NOW) / quotas.HOUR for turn in turns] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]


def test_hourly_limit_uses_sliding_window(store: DatedFacts) -> None:
    """A message every 20 minutes is no flood; a fourth within the hour waits for the end of the first one's."""
    waits = []
    for number, minutes in enumerate((0, 20, 40, 60, 80, 90)):
        store.now = NOW + timedelta(minutes=minutes)
        waits.append((arrive(store, number).at - store.now) / timedelta(minutes=1))
    assert waits == [0, 0, 0, 0, 0, 10]


def test_consecutive_waits_are_one_episode(store: DatedFacts) -> None:
    """The first that waits begins it; a day later, or for another sender, there is another."""
    episodes = [arrive(store, number).episode for number in range(8)]
    assert episodes == ["", "", ""] + [f"{3:016x}"] * 5
    assert [arrive(store, number, sender="t").episode for number in range(10, 14)] == ["", "", "", f"{13:016x}"]
    store.now += timedelta(hours=26)
    assert [arrive(store, number).episode for number in range(20, 24)] == ["", "", "", f"{23:016x}"]


def test_sender_just_above_limit_is_reported_once(store: DatedFacts) -> None:
    """Every few messages one waits: the admin hears of the first."""
    told = 0
    for number in range(40):
        store.now += timedelta(minutes=19)
        told += arrive(store, number).episode == f"{number:016x}"
    assert told == 1


def test_message_that_another_one_overtakes_does_not_wait(store: DatedFacts) -> None:
    """Two of a sender are received at once, or on machines whose clocks differ: nobody writes too often."""
    store.now = NOW + timedelta(seconds=2)
    arrive(store, 0)
    store.now = NOW
    assert arrive(store, 1) == quotas.Slot(NOW, "")


def test_resubmitted_message_keeps_its_slot(store: DatedFacts) -> None:
    """The process died after the booking: it does not stand in its own way, and counts once."""
    first = [arrive(store, number, size_bytes=10) for number in range(4)]
    store.now += timedelta(minutes=5)
    assert arrive(store, 3, size_bytes=10) == first[3]
    assert quotas.account(store, "s", f"{3:016x}", store.now, 3).uploaded_bytes == 30
    assert quotas.account(store, "s", "f" * 16, store.now, 3).uploaded_bytes == 40


def mail(address: str, *, author: str = "", verified: bool | None = None) -> Request:
    author = author or address
    return replace(request(sender=address), author=Address("", author), verified=verified)


def receive(store: DatedFacts, number: int, mail: Request, **imap: int) -> quotas.Slot:
    """Assign the slot of a mail, at this moment, and return it."""
    store.now = datetime.now(UTC)
    settings = Settings.model_validate({"imap": {"username": "support@figurative.example"} | imap})
    return quotas.assign_slot(settings, store, f"{number:016x}", replace(mail, reference=f"{number:016x}"))[1]


def test_claimed_address_uses_up_nothing_of_the_verified_one(store: DatedFacts) -> None:
    """By From, by the Reply-To of a mail that another domain vouches for, or in a form."""
    limit = {"max_per_sender_per_h": 1}
    forged = mail("ana@ruiz.example", verified=False)
    replies = mail("ana@ruiz.example", author="max@evil.example", verified=True)
    for number, each in enumerate((forged, forged, replies)):
        assert bool(receive(store, number, each, **limit).episode) is (number > 0)
    assert receive(store, 3, mail("ana@ruiz.example", verified=True), **limit).episode == ""
    assert receive(store, 4, mail("ana@ruiz.example", verified=True), **limit).episode == f"{4:016x}"


@pytest.mark.parametrize(
    ("sender", "author", "verified", "proof"),
    [
        ("ana@ruiz.example", "", True, "verified"),
        ("ana@ruiz.example", "", None, "claimed"),
        ("ana@ruiz.example", "max@evil.example", True, "claimed"),
        ("ana@ruiz.example", "paul@figurative.example", True, "verified"),
        ("ana@ruiz.example", "paul@figurative.example", False, "claimed"),
    ],
)
def test_proof_is_of_the_sender(sender: str, author: str, verified: bool | None, proof: str) -> None:
    found = quotas.proof_of(mail(sender, author=author, verified=verified), ("figurative.example",))
    assert found == proof


def test_new_senders_over_limit_wait_and_known_ones_do_not(store: DatedFacts) -> None:
    """5,000 invented ones hold up no customer of yesterday, and none that is verified."""
    limit = {"max_new_senders_per_h": 2, "max_per_sender_per_h": 10}
    receive(store, 0, mail("ana@ruiz.example"), **limit)
    slots = [receive(store, number, mail(f"{number}@evil.example"), **limit) for number in range(1, 6)]
    assert [slot.crowd for slot in slots] == [False, True, True, True, True]
    assert [slot.episode for slot in slots] == ["", *[f"{2:016x}"] * 4]
    hours = [round((slot.at - datetime.now(UTC)) / quotas.HOUR) for slot in slots]
    assert hours == [0, 1, 1, 2, 2]
    assert receive(store, 6, mail("ana@ruiz.example"), **limit).episode == ""
    assert receive(store, 7, mail("leo@client.example", verified=True), **limit).episode == ""
    second = receive(store, 8, mail("5@evil.example"), **limit)
    assert second.at == slots[4].at
    assert receive(store, 3, mail("3@evil.example"), **limit) == slots[2]


def test_sender_of_long_ago_is_not_new(store: DatedFacts) -> None:
    """A crowd of invented senders, each verified at a domain of its own, holds up no customer of last month."""
    limit = {"max_new_senders_per_h": 2}
    customer = mail("ana@ruiz.example", verified=True)
    assert receive(store, 0, customer, **limit).episode == ""
    store.facts = {key: (fact[0] - timedelta(days=30), *fact[1:]) for key, fact in store.facts.items()}
    for number in range(1, 5):
        receive(store, number, mail(f"max@evil{number}.example", verified=True), **limit)
    assert receive(store, 5, customer, **limit).episode == ""
    assert receive(store, 6, mail("new@client.example", verified=True), **limit).crowd


def test_raised_limit_ends_the_wait_of_further_new_senders(store: DatedFacts) -> None:
    """As the alert says. Those that wait keep their turns."""
    slots = [receive(store, each, mail(f"{each}@evil.example"), max_new_senders_per_h=2) for each in range(6)]
    assert slots[-1].crowd
    assert receive(store, 6, mail("new@client.example"), max_new_senders_per_h=20).episode == ""


def test_without_limit_nothing_waits_and_uploads_are_counted(store: DatedFacts) -> None:
    turns = [arrive(store, number, max_per_h=0, size_bytes=100) for number in range(5)]
    assert {(turn.at, turn.episode) for turn in turns} == {(NOW, "")}
    assert quotas.account(store, "s", "f" * 16, NOW, 0).uploaded_bytes == 500


def test_sender_uploads_are_counted_per_day(store: DatedFacts) -> None:
    store.now = NOW.replace(hour=23)
    arrive(store, 0, size_bytes=700)
    arrive(store, 1, size_bytes=200)
    assert quotas.account(store, "s", "f" * 16, store.now, 3).uploaded_bytes == 900
    assert quotas.account(store, "t", "f" * 16, store.now, 3).uploaded_bytes == 0
    store.now += timedelta(hours=2)
    assert quotas.account(store, "s", "f" * 16, store.now, 3).uploaded_bytes == 0


def test_image_counts_as_seen_from_second_mail_on(store: DatedFacts) -> None:
    """By sender; the first mail itself, tried again, has not seen it before."""

    def seen(sender: str, reference: str, *images: str) -> set[str]:
        return quotas.seen_before(store, SETTINGS, sender, reference, images)

    assert seen("s", "1", "aa") == set()
    assert seen("s", "1", "aa") == set()
    assert seen("s", "2", "aa", "bb") == {"aa"}
    assert seen("t", "3", "aa") == set()
    assert len(seen("u", "4", *map(str, range(500)))) == 0
    assert len(store.facts) == 3 + quotas.IMAGES


def test_image_counts_as_on_the_ticket_from_second_mail_on(store: DatedFacts) -> None:
    """By ticket, whoever sends it; one fact for each mail, which names no image."""

    def there(thread: str, reference: str, *images: str) -> set[str]:
        return quotas.on_ticket(store, SETTINGS, thread, reference, images)

    assert there("1", "1", "aa", "bb") == set()
    assert there("1", "1", "aa", "bb") == set()
    assert there("1", "2", "aa", "cc") == {"aa"}
    assert there("1", "2", "aa", "cc") == {"aa"}
    assert there("1", "3", "cc", "bb") == {"cc", "bb"}
    assert there("9", "4", "aa") == set()
    assert there("1", "5") == set()
    assert len(store.facts) == 4
    assert not any("aa" in fact.split() for _, fact in store.facts.values())


def test_state_holds_only_pseudonyms_of_senders(store: DatedFacts) -> None:
    """A pseudonym is of this installation, and the same each time."""
    other = Settings.model_validate({"r2": {"secret_access_key": "other"}})
    one = quotas.pseudonym(SETTINGS, "jeanne@petit.example")
    assert one == quotas.pseudonym(SETTINGS, "jeanne@petit.example")
    assert len({one, quotas.pseudonym(other, "jeanne@petit.example"), quotas.pseudonym(Settings(), "x", "\udc80")}) == 3
    arrive(store, 1, sender=one)
    quotas.seen_before(store, SETTINGS, one, "1", ["aa"])
    assert "petit" not in str(store.facts)


@pytest.fixture
def engine(state_url: str, tmp_path: Path) -> Iterator[Engine]:
    """Return an engine whose messages each keep a fact within a step."""

    def work(journal: Journal) -> WorkResult:
        store = journal.store
        assert store is not None
        kept: str = journal.step(StepName.RECEIVE, lambda _: store.remember("a-%_1", "2"))
        return WorkResult(Outcome.SUPPORT, thread=kept)

    engine = Engine(state_url, tmp_path, work)
    engine.start()
    yield engine
    engine.stop()


def test_facts_are_kept_in_step_and_listed_newest_first(engine: Engine) -> None:
    """A prefix is taken as it stands, and other messages' facts are no step of this one."""
    assert engine.store.remember("a-%_1", "1") == "1"
    engine.store.remember("a-%_2", "2")
    engine.store.remember("a-%%3", "3")
    engine.store.remember("b", "4")
    engine.submit("0" * 16)
    while not (status := engine.store.statuses(["0" * 16]).get("0" * 16)) or status.result.outcome is Outcome.WORKING:
        time.sleep(0.02)
    assert status.result == WorkResult(Outcome.SUPPORT, thread="1")
    since = datetime.now(UTC) - timedelta(minutes=1)
    assert sorted(engine.store.latest("a-%_", since, 9)) == [("a-%_1", "1"), ("a-%_2", "2")]
    assert len(engine.store.latest("a-", since, 2)) == 2
    assert engine.store.latest("a-", since + timedelta(hours=1), 9) == []
