"""The letter that sums up a week, in French and in numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from poller.model import Outcome
from poller.rendering import digest
from poller.rendering.digest import Week, WeeklyMessage

if TYPE_CHECKING:
    from email.message import EmailMessage

ENDS = datetime(2026, 11, 23, tzinfo=ZoneInfo("Europe/Paris"))  # a Monday


def a_week(*messages: WeeklyMessage, corrections: int = 0) -> Week:
    return Week(ENDS - timedelta(days=7), ENDS, messages, corrections)


def message(number: int = 1, outcome: Outcome = Outcome.SUPPORT, **given: object) -> WeeklyMessage:
    seen_at = datetime(2026, 11, 17, 10, tzinfo=UTC)
    return WeeklyMessage(**{"reference": f"{number:016x}", "seen_at": seen_at, "outcome": outcome} | given)  # type: ignore[arg-type]


def a_letter(week: Week, account: str = "a@x.example/INBOX") -> EmailMessage:
    who = {"sender": "poller@x.example", "recipient": "admin@x.example"}
    return digest.letter(week, account=account, **who, now=datetime.now(UTC))


def text(week: Week) -> str:
    letter = a_letter(week)
    return str(letter.get_body(("plain",)).get_content()).replace("\r\n", "\n").replace("\xa0", " ")  # type: ignore[union-attr]


def test_digest_gives_median_and_maximum_delay() -> None:
    """From delivery to ticket, of those that opened one."""
    week = a_week(
        *(message(number, ticket_after_s=after_s) for number, after_s in enumerate((30.0, 42.4, 11_100.0, None)))
    )
    assert "De l’arrivée au ticket : médiane 42 s, au pire 3 h 05" in text(week)
    assert "De l’arrivée au ticket : aucun ticket" in text(a_week(message()))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (3569, "59 min"),
        (3600, "1 h 00"),
        (172_799, "2 j 0 h"),
        (187_200, "2 j 4 h"),
    ],
)
def test_duration_is_formatted_for_people(seconds: float, said: str) -> None:
    assert digest._duration(seconds).replace("\xa0", " ") == said


def test_digest_numbers_add_up() -> None:
    """What a person took away is in the total, so it is named; and the bars count what the facts count."""
    told = text(
        a_week(
            message(1),
            message(2, Outcome.FAILED),
            message(3, Outcome.GONE),
            message(4, Outcome.MODELISATION, is_answer=True),
        )
    )
    assert "4 messages en une semaine" in told
    for fact in (
        "Support : 1",
        "Modélisation : 1, dont 1 réponse",
        "Échecs : 1",
        "Retirés de la boîte avant la fin du traitement : 1",
    ):
        assert fact in told.splitlines()
    (bar,) = [line for line in told.splitlines() if line.startswith("mar. 17/11")]
    assert bar.endswith(" 2")
    assert "Retirés" not in text(a_week(message()))


def test_digests_of_two_mailboxes_have_different_message_ids() -> None:
    """Mail servers and clients take one Message-ID for one letter."""
    ids = [a_letter(a_week(), account)["Message-ID"] for account in ("a@x.example/INBOX", "b@x.example/INBOX")]
    assert len(set(ids)) == 2


def test_digest_of_a_week_without_mail_says_so() -> None:
    """A mailbox that receives nothing any more may be broken."""
    assert text(a_week()).startswith("Du 16/11/2026 au 22/11/2026\n0 message en une semaine\n")
