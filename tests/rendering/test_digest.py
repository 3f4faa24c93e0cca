"""The letter that sums up a week, in French and in numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from poller.model import Category, Link, ModelFacts, Opinion, Outcome, Preview
from poller.rendering import digest
from poller.rendering.week import Failure, Week, WeeklyMessage
from tests.rendering.test_template import Seen, html_of

if TYPE_CHECKING:
    from email.message import EmailMessage

ENDS = datetime(2026, 11, 23, tzinfo=ZoneInfo("Europe/Paris"))  # a Monday


def a_week(*messages: WeeklyMessage, corrections: int = 0) -> Week:
    return Week(ENDS - timedelta(days=7), ENDS, messages, corrections)


def message(number: int = 1, outcome: Outcome = Outcome.SUPPORT, **given: object) -> WeeklyMessage:
    seen_at = datetime(2026, 11, 17, 10, tzinfo=UTC)
    return WeeklyMessage(**{"reference": f"{number:016x}", "seen_at": seen_at, "outcome": outcome} | given)  # type: ignore[arg-type]


def a_letter(week: Week, account: str = "a@x.example/INBOX", before: Week | None = None) -> EmailMessage:
    who = {"sender": "poller@x.example", "recipient": "admin@x.example"}
    return digest.letter(week, account=account, **who, now=datetime.now(UTC), before=before)


def html(week: Week, before: Week | None = None) -> str:
    return html_of(bytes(a_letter(week, before=before)))


def text(week: Week, before: Week | None = None) -> str:
    return body(a_letter(week, before=before))


def body(letter: EmailMessage) -> str:
    """Return the text of a letter, with ordinary spaces."""
    return str(letter.get_body(("plain",)).get_content()).replace("\r\n", "\n").replace("\xa0", " ")  # type: ignore[union-attr]


def test_digest_gives_median_and_maximum_delay() -> None:
    """From delivery to ticket, of those that opened one."""
    week = a_week(
        *(message(number, ticket_after_s=after_s) for number, after_s in enumerate((30.0, 42.4, 11_100.0, None)))
    )
    assert "Délai médian : 42 s" in text(week).splitlines()
    assert "Délai le plus long, de l’arrivée au ticket : 3 h 05" in text(week).splitlines()
    assert "Délai médian : –" in text(a_week(message())).splitlines()


def test_digest_numbers_add_up() -> None:
    """What a person took away is in the total, so it is named; and the chart counts what the tiles count."""
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
        "Modélisation : 1",
        "À vérifier : 1",
        "Réponses à une demande en cours : 1",
        "Échecs : 1",
        "Retirés de la boîte avant la fin du traitement : 1",
    ):
        assert fact in told.splitlines()
    (bar,) = [line for line in told.splitlines() if line.startswith("mar. 17")]
    assert bar.endswith(" 2")
    assert "Retirés" not in text(a_week(message()))


def test_digests_of_two_mailboxes_have_different_message_ids() -> None:
    """Mail servers and clients take one Message-ID for one letter."""
    ids = [a_letter(a_week(), account)["Message-ID"] for account in ("a@x.example/INBOX", "b@x.example/INBOX")]
    assert len(set(ids)) == 2


def test_digest_of_a_week_without_mail_says_so() -> None:
    """A mailbox that receives nothing any more may be broken."""
    told = text(a_week())
    assert told.startswith("Du 16 au 22 novembre 2026\nAucun message en une semaine\n")
    assert "La boîte aux lettres n’a rien reçu." in told


@pytest.mark.parametrize("messages", [(), (message(1, Outcome.IGNORED),)])
def test_digest_without_requests_has_no_chart(messages: tuple[WeeklyMessage, ...]) -> None:
    """Seven empty days say nothing that the tiles do not."""
    assert "Demandes par jour" not in text(a_week(*messages))
    assert "bgcolor" not in html(a_week(*messages))
    assert "Demandes par jour" in html(a_week(message()))


def test_digest_compares_its_tiles_with_the_week_before() -> None:
    """An arrow and the earlier number; a colour where the change is notable and either good or bad."""
    before = Week(ENDS - timedelta(days=14), ENDS - timedelta(days=7), (message(1, ticket_after_s=40.0),) * 4, 0)
    week = a_week(message(1, ticket_after_s=400.0), message(2, needs_review=True), message(3, Outcome.MODELISATION))
    told = text(week, before).splitlines()
    for line in (
        "Support : 2 (semaine précédente : 4)",
        "Modélisation : 1 (semaine précédente : 0)",
        "Délai médian : 7 min (semaine précédente : 40 s)",
        "À vérifier : 1 (semaine précédente : 0)",
    ):
        assert line in told
    words = Seen(html(week, before)).words
    assert [words.count(said) for said in ("▼ contre 4", "▲ contre 0", "▲ contre 40\xa0s")] == [1, 2, 1]
    assert "précédente" not in text(week)
    assert "contre" not in Seen(html(week)).words
    assert Seen(html(before, before)).words.count("stable") == 4
    empty = Seen(html(a_week(), before)).words
    assert "contre 40\xa0s" in empty
    assert empty.count("stable") == 2, "nothing to model or to check, as before"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("refused", "ClickUp a refusé la demande (erreur 400)."),
        ("unanswered", "ClickUp n’a pas répondu dans le délai prévu."),
        ("crashed", "Le traitement s’est interrompu plusieurs fois à cette étape."),
        ("unusable", "Le message n’a pas d’adresse d’expéditeur."),
        ("", "La cause est dans le reçu, à côté du message."),
    ],
)
def test_digest_names_each_failure_in_french_with_its_links(kind: str, said: str) -> None:
    failed = message(
        7,
        Outcome.FAILED,
        failure=Failure("create_subtask", kind, "ClickUp create subtask: HTTP 400"),
        ticket=Link("51", "https://t.example/51"),
        contact_url="https://c.example/9",
    )
    told = text(a_week(failed))
    assert (
        f"✗ Sous-tâche ClickUp : {said}\n"
        "  Arrivé mardi 17 novembre à 11 h 00 [ref: 0000000000000007]\n"
        "  Fiche du client : https://c.example/9\n"
        "  Ticket n° 51 : https://t.example/51\n"
    ) in told
    assert "create subtask" not in told
    assert Seen(html(a_week(failed))).links == {"https://t.example/51", "https://c.example/9"}


def test_digest_shows_portraits_of_the_models_as_contact_sheet() -> None:
    """Each leads to where the 3D team works on it, and says its size also where pictures are blocked."""
    pictures = [
        Preview(number, facts=ModelFacts(triangles=15_452), url=f"https://f.example/{number}.png")
        for number in range(digest.PORTRAITS + 2)
    ]
    work = message(
        1, Outcome.MODELISATION, portraits=tuple(pictures), ticket=Link("7", "https://t.example/7"), subtask=None
    )
    page = html(a_week(work))
    assert page.count("<img ") == digest.PORTRAITS
    assert 'src="https://f.example/0.png"' in page
    assert Seen(page).links == {"https://t.example/7"}
    assert Seen(page).words.count("15\xa0452\xa0triangles") == digest.PORTRAITS
    assert "et 2 de plus" in Seen(page).words
    assert "- 15 452 triangles : https://t.example/7" in text(a_week(work))
    assert "Modèles reçus" not in text(a_week(message()))


@pytest.mark.parametrize(
    ("triangles", "said"), [(0, "Modèle 3D"), (1, "1\xa0triangle"), (2, "2\xa0triangles"), (None, "Modèle 3D")]
)
def test_portrait_says_its_size(triangles: int | None, said: str) -> None:
    picture = Preview(0, facts=ModelFacts(triangles=triangles), url="https://f.example/0.png")
    page = html(a_week(message(1, Outcome.MODELISATION, portraits=(picture,))))
    assert f">{said}</span>" in page


def test_portrait_from_a_plain_address_is_not_shown() -> None:
    """It would tell the network who reads the letter."""
    picture = Preview(0, facts=ModelFacts(triangles=2), url="http://f.example/0.png")
    assert "<img " not in html(a_week(message(1, Outcome.MODELISATION, portraits=(picture,))))


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ("2026-12-07", "Du 30 novembre au 6 décembre 2026"),
        ("2027-01-04", "Du 28 décembre 2026 au 3 janvier 2027"),
        ("2026-06-08", "Du 1er au 7 juin 2026"),
    ],
)
def test_week_is_named_as_people_write_it(ends: str, said: str) -> None:
    end = datetime.fromisoformat(ends).replace(tzinfo=ENDS.tzinfo)
    assert text(Week(end - timedelta(days=7), end, (), 0)).startswith(said)


def advised(number: int, said: Category, outcome: Outcome, **given: object) -> WeeklyMessage:
    opinion = Opinion(said, 0.97, sure=bool(given.pop("sure", True)))
    return message(number, outcome, opinion=opinion, **({"decided_by": "claude"} | given))


SUPPORT, MODELISATION = Category.SUPPORT, Category.MODELISATION


def test_digest_says_what_the_learnt_model_was_worth() -> None:
    """What it would have saved, and where it and people disagreed."""
    week = a_week(
        advised(1, SUPPORT, Outcome.SUPPORT),
        advised(2, SUPPORT, Outcome.SUPPORT, decided_by="learned"),
        advised(3, MODELISATION, Outcome.MODELISATION, was=Outcome.SUPPORT),
        advised(4, MODELISATION, Outcome.SUPPORT, was=Outcome.MODELISATION, decided_by="learned"),
        advised(5, MODELISATION, Outcome.SUPPORT, sure=False),
        advised(6, MODELISATION, Outcome.FAILED),
        message(7),
    )
    lines = text(week, a_week(advised(1, SUPPORT, Outcome.SUPPORT))).splitlines()
    for line in (
        "Avis sûrs du modèle appris, justes à ce jour : 3 sur 4 (semaine précédente : 1 sur 1)",
        "Demandes que le modèle appris a classées, sans Claude : 2",
        "Demandes qu’il aurait pu classer à la place de Claude : 2",
        "Demandes reclassées où il avait déjà le bon avis : 1 sur 2",
    ):
        assert line in lines
    assert "appris" not in text(a_week(message()))


@pytest.mark.parametrize(("wrong", "number", "is_told"), [(1, 20, False), (2, 20, True), (5, 19, False)])
def test_digest_says_when_the_learnt_model_drifts(wrong: int, number: int, is_told: bool) -> None:
    right = [advised(each, SUPPORT, Outcome.SUPPORT) for each in range(number - wrong)]
    found = text(a_week(*right, *(advised(each, SUPPORT, Outcome.MODELISATION) for each in range(wrong))))
    assert ("- Le modèle appris se trompe plus qu’il ne devrait : 18 avis sûrs sur 20" in found) == is_told
