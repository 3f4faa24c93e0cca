"""Alerts to the admin: one mail when an incident begins, and one when it is over."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from integrations.errors import TransientError
from poller.model import Outcome
from poller.monitoring.alerts import CALM, PAUSE, Alerts
from poller.rendering import incident
from poller.workflow.engine import Engine
from poller.workflow.errors import StateUnavailableError
from poller.workflow.results import WorkResult

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from email.message import EmailMessage
    from pathlib import Path

    from poller.rendering.incident import Incident
    from poller.workflow.store import StateStore

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
PARIS = ZoneInfo("Europe/Paris")
POLLS = incident.polls_failing(NOW, "IMAP SEARCH: no answer in time", "gandalf")
KEY = incident.refused("hubspot", "HubSpot: HTTP 401", "gandalf")
LATE = incident.waiting(
    12, NOW, ["clickup is out of reach", "ClickUp: HTTP 503", "clickup is out of reach"], 60, "gandalf"
)
PLAIN = {
    POLLS.key: "La boîte de réception n’est plus relevée",
    KEY.key: "HubSpot refuse nos identifiants",
    LATE.key: "Des messages attendent depuis plus de 60 minutes",
}


@pytest.fixture
def store(_empty_state: Path, tmp_path: Path) -> Iterator[StateStore]:
    path = tmp_path / "poller.sqlite"
    path.write_bytes((_empty_state / "poller.sqlite").read_bytes())
    engine = Engine(f"sqlite:///{path}", tmp_path, lambda _: WorkResult(Outcome.GONE))
    engine.start()
    yield engine.store
    engine.stop()


class Machine:
    """The alerts of a daemon, and the mails that it sent."""

    def __init__(self, store: StateStore, post: list[EmailMessage], host: str = "gandalf") -> None:
        self.post, self.down, self.tries = post, False, 0
        who = {"sender": "s@figurative.example", "recipient": "a@figurative.example"}
        self._alerts = Alerts(store, self._send, host=host, zone=PARIS, **who)

    def _send(self, letter: EmailMessage) -> None:
        self.tries += 1
        if self.down:
            raise TransientError("SMTP send: no answer in time")
        self.post.append(letter)

    def tell(self, minutes: float, *present: Incident, undecided: tuple[str, ...] = ()) -> list[str]:
        """The subjects of what was sent at that minute."""
        before = len(self.post)
        self._alerts.tell(present, NOW + timedelta(minutes=minutes), undecided)
        return [str(letter["Subject"]) for letter in self.post[before:]]


def test_incident_is_reported_once_and_its_end_once(store: StateStore) -> None:
    """However long it lasts, and whatever else there is meanwhile."""
    machine = Machine(store, [])
    assert machine.tell(0, POLLS) == [f"[Alerte] {PLAIN[POLLS.key]}"]
    assert machine.tell(1, POLLS, KEY) == [f"[Alerte] {PLAIN[KEY.key]}"]
    assert machine.tell(600, POLLS, KEY) == []
    assert machine.tell(602, KEY) == ["[Fin d’alerte] La boîte de réception est de nouveau relevée"]
    assert machine.tell(603) == ["[Fin d’alerte] HubSpot accepte de nouveau nos identifiants"]
    assert machine.tell(700) == []
    assert machine.tell(701, LATE) == [f"[Alerte] {PLAIN[LATE.key]}"]
    assert machine.tell(703) == ["[Fin d’alerte] Plus aucun message n’est en retard"]
    assert machine.tell(704, POLLS) == [f"[Alerte] {PLAIN[POLLS.key]}"], "a second time is a second cause"
    assert len({letter["Message-ID"] for letter in machine.post}) == len(machine.post)


def test_intermittent_failure_is_one_incident(store: StateStore) -> None:
    """A service that answers one call in three does not fill the admin's mailbox."""
    machine = Machine(store, [])
    machine.tell(0, KEY)
    nearly = CALM / timedelta(minutes=1) * 0.9
    assert [machine.tell(nearly * turn, *([KEY] if turn % 2 else [])) for turn in range(1, 20)] == [[]] * 19


def test_restart_repeats_no_alert_and_still_reports_the_end(store: StateStore) -> None:
    """Sent alerts are in the state store, so the next process knows them."""
    post: list[EmailMessage] = []
    Machine(store, post).tell(0, POLLS)
    assert Machine(store, post).tell(5, POLLS) == []
    later = Machine(store, post)
    assert later.tell(10) == []
    assert later.tell(12) == ["[Fin d’alerte] La boîte de réception est de nouveau relevée"]
    assert Machine(store, post).tell(20) == []


def test_incident_stays_open_while_state_is_unknown(store: StateStore) -> None:
    """An alert from before a restart stands until the state is known; no new one is begun for an unknown state."""
    post: list[EmailMessage] = []
    Machine(store, post).tell(0, POLLS)
    later = Machine(store, post)
    for minutes in (5, 10, 20):
        assert later.tell(minutes, undecided=(POLLS.key, KEY.key)) == []
    assert later.tell(22) == ["[Fin d’alerte] La boîte de réception est de nouveau relevée"]


def test_machines_sharing_state_report_late_mail_once(store: StateStore) -> None:
    """Late mail concerns all machines; a mailbox that one machine cannot reach concerns that one alone."""
    post: list[EmailMessage] = []
    one, other = Machine(store, post), Machine(store, post, "frodo")
    assert [len(one.tell(0, LATE, POLLS)), other.tell(0, LATE)] == [2, []]
    assert other.tell(30, LATE) == []
    assert Machine(store, post, "frodo").tell(31, LATE) == []
    assert one.tell(60, POLLS) == ["[Fin d’alerte] Plus aucun message n’est en retard"]
    assert other.tell(61) == []
    assert Machine(store, post, "frodo").tell(90) == []


def test_unsent_alert_is_retried_later(store: StateStore) -> None:
    """An SMTP server that is down is tried every few minutes. An incident that is over by then is not reported."""
    machine = Machine(store, [])
    machine.down = True
    pause = PAUSE / timedelta(minutes=1)
    assert [machine.tell(turn * pause / 10, POLLS) for turn in range(10)] == [[]] * 10
    assert machine.tries == 1
    machine.down = False
    assert machine.tell(pause, POLLS) == [f"[Alerte] {PLAIN[POLLS.key]}"]
    machine.down = True
    machine.tell(pause * 2, POLLS, KEY)
    machine.down = False
    assert machine.tell(pause * 3, POLLS) == []


def test_alert_names_problem_start_and_remedy(store: StateStore) -> None:
    """In French and in words; why messages wait is said once a reason."""
    machine = Machine(store, [])
    machine.tell(0, LATE, POLLS)
    late, polls = ("\n".join(str(letter.get_body(("plain",)).get_content()).split("\n")) for letter in machine.post)  # type: ignore[union-attr]
    for said in (
        "Messages en retard\xa0: 12",
        "clickup is out of reach\nClickUp: HTTP 503\n",
        "poller check",
        "Rien n’est perdu",
        "Machine\xa0: gandalf",
    ):
        assert said in late
    for said in ("gandalf", "IMAP SEARCH: no answer in time", "22/11/2026 à 15:00"):
        assert said in polls
    facts = [json.loads(value) for _, value in store.latest("alert-", NOW - timedelta(days=1), 9)]
    assert {frozenset(fact) for fact in facts} == {frozenset({"cause", "over"})}, "no reason is kept"


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0.5, "de 0,5 minute"), (1, "d’une minute"), (1.5, "de 1,5 minute"), (2, "de 2 minutes"), (60, "de 60 minutes")],
)
def test_waiting_time_is_given_in_french(minutes: float, words: str) -> None:
    assert incident.waiting(1, NOW, [], minutes, "gandalf").title == f"Des messages attendent depuis plus {words}"


@pytest.mark.parametrize(
    ("uids", "title", "named"),
    [
        ([42], "Un message ne peut pas être lu", "42"),
        (range(1, 13), "12 messages ne peuvent pas être lus", "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …"),
    ],
)
def test_alert_names_uids_of_unreadable_messages(uids: Sequence[int], title: str, named: str) -> None:
    """By its UID, the first ten; one more or one less of them is the same cause."""
    cause = incident.unreadable(uids, NOW, "INBOX", "gandalf")
    assert (cause.title, cause.key) == (title, "unreadable gandalf")
    assert ("UID", named) in cause.facts
    who = {"sender": "s@figurative.example", "recipient": "a@figurative.example"}
    letter = incident.over(cause.key, now=NOW, zone=PARIS, **who)
    assert letter["Subject"] == "[Fin d’alerte] Tous les messages peuvent de nouveau être lus"
    assert "22/11/2026 à 15:00" in letter.get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_alert_that_the_state_does_not_take_is_sent_once(store: StateStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of a full disk: the mail is sent once, and so is the one that it is over, before and after there is room."""

    def refuse(*_: object) -> str:
        raise StateUnavailableError("the disk is full")

    alerts = Machine(store, [])
    full = incident.state_unavailable(NOW, "the disk is full", "gandalf")
    with monkeypatch.context() as patch:
        patch.setattr(store, "remember", refuse)
        assert alerts.tell(0, full) == ["[Alerte] Le service ne peut plus rien enregistrer"]
        assert alerts.tell(1, full) == []
        assert alerts.tell(3) == ["[Fin d’alerte] Le service enregistre de nouveau"]
    assert alerts.tell(4, full) == ["[Alerte] Le service ne peut plus rien enregistrer"]
    assert Machine(store, []).tell(5, full) == []
