"""The mails that tell the admin of an incident and of its end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest

from poller.rendering import incident

if TYPE_CHECKING:
    from email.message import EmailMessage

    from poller.rendering.incident import Incident

NOW = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)
SINCE = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Paris")
PEOPLE = {"sender": "s@figurative.example", "recipient": "a@figurative.example"}
HOST = "gandalf"

# Each kind: its key, which is recorded, and the titles of its two mails.
KINDS: list[tuple[Incident, str, str, str]] = [
    (
        incident.waiting(2, SINCE, ["HubSpot is out of reach"], 60, HOST),
        "waiting",
        "Des messages attendent depuis plus de 60 minutes",
        "Plus aucun message n’est en retard",
    ),
    (
        incident.polls_failing(SINCE, "IMAP SEARCH: timeout", HOST),
        "polls gandalf",
        "La boîte de réception n’est plus relevée",
        "La boîte de réception est de nouveau relevée",
    ),
    (
        incident.state_unavailable(SINCE, "the disk is full", HOST),
        "state gandalf",
        "Le service ne peut plus rien enregistrer",
        "Le service enregistre de nouveau",
    ),
    (
        incident.unreadable([7], SINCE, "INBOX", HOST),
        "unreadable gandalf",
        "Un message ne peut pas être lu",
        "Tous les messages peuvent de nouveau être lus",
    ),
    (
        incident.canary_missing(SINCE, HOST),
        "canary gandalf",
        "La boîte de réception ne reçoit plus",
        "La boîte de réception reçoit de nouveau",
    ),
    (
        incident.refused("hubspot", "HubSpot: HTTP 401", HOST),
        "refused hubspot gandalf",
        "HubSpot refuse nos identifiants",
        "HubSpot accepte de nouveau nos identifiants",
    ),
    (
        incident.refused("imap", "LOGIN: refused", HOST),
        "refused imap gandalf",
        "Le serveur IMAP refuse nos identifiants",
        "Le serveur IMAP accepte de nouveau nos identifiants",
    ),
]


def text(message: EmailMessage) -> str:
    """Return the text of a mail, with plain spaces."""
    return str(message.get_body(("plain",)).get_content()).replace("\r\n", "\n").replace("\xa0", " ")  # type: ignore[union-attr]


@pytest.mark.parametrize(("found", "key", "begun", "ended"), KINDS, ids=[key for _, key, *_ in KINDS])
def test_incident_of_each_kind_has_key_and_two_titles(found: Incident, key: str, begun: str, ended: str) -> None:
    """The end is told by the key alone: the process that told of the beginning may have ended."""
    first = incident.incident_mail(found, now=NOW, zone=ZONE, **PEOPLE)
    last = incident.over(found.key, now=NOW, zone=ZONE, **PEOPLE)
    assert (found.key, found.title) == (key, begun)
    assert (first["Subject"], last["Subject"]) == (f"[Alerte] {begun}", f"[Fin d’alerte] {ended}")
    slug = "alert." + key.replace(" ", "-")
    assert first["Message-ID"] == f"<20261122140000.{slug}@figurative-poller.invalid>"
    assert last["Message-ID"] == f"<20261122140000.{slug}.over@figurative-poller.invalid>"
    assert "Terminée le : 22/11/2026 à 15:00" in text(last)
    assert ("Machine : gandalf" in text(last)) is (key != "waiting")


def test_incident_mail_says_what_to_do_since_when_and_why() -> None:
    """Times are in the zone of the setting."""
    polls = incident.polls_failing(SINCE, "IMAP SEARCH: timeout", HOST)
    assert (
        text(incident.incident_mail(polls, now=NOW, zone=ZONE, **PEOPLE))
        == """\
Alerte
La boîte de réception n’est plus relevée

Que faire :
- Aucun message n’est perdu : ils restent dans la boîte de réception.
- Le service réessaie de lui-même, au moins toutes les cinq minutes.
- Si le serveur IMAP répond, sur le serveur, « poller check » dit ce qui ne va pas.

Depuis le : 22/11/2026 à 13:30
Machine : gandalf

Message d’origine du service :
IMAP SEARCH: timeout

[ref: 20261122140000]
"""
    )


def test_refused_credentials_are_named_with_their_place() -> None:
    """The English words of the service stand at the end alone, and the sender's name tells what the mail is."""
    message = incident.incident_mail(incident.refused("hubspot", "HTTP 401", HOST), now=NOW, zone=ZONE, **PEOPLE)
    assert "- Corrigez HUBSPOT_API_KEY dans le fichier .env, puis redémarrez le service" in text(message)
    assert "\n\nMessage d’origine du service :\nHTTP 401\n\n[ref" in text(message)
    assert message["From"] == "Alerte · à traiter <s@figurative.example>"


def test_refusal_says_what_waits_and_what_goes_on() -> None:
    found = incident.refused("clickup", "ClickUp: HTTP 401", HOST)
    waits, goes_on, correct = (line.replace("\xa0", " ") for line in found.to_do)
    assert waits == (
        "Aucun message n’est perdu : les messages MODELISATION attendent leur sous-tâche dans la boîte de réception."
    )
    assert goes_on.startswith("Ce qui continue : les messages SUPPORT sont traités en entier, ")
    assert correct.startswith(
        "Corrigez CLICKUP_API_KEY dans le fichier .env, puis redémarrez le service : « poller check »"
    )
    assert len(incident.refused("imap", "IMAP login refused", HOST).to_do) == 2, "nothing goes on"


def test_wrong_setting_is_not_called_a_key() -> None:
    found = incident.refused("clickup", "look at CLICKUP_PARENT_TASK_ID", HOST, is_key=False)
    assert (found.key, found.title) == ("misconfigured clickup gandalf", "ClickUp\xa0: un réglage est à corriger")
    assert found.to_do[-1].startswith("Corrigez le réglage nommé plus bas, puis")
    over = incident.over(found.key, now=NOW, zone=ZONE, **PEOPLE)
    assert over["Subject"] == "[Fin d’alerte] ClickUp fonctionne de nouveau"


def test_refused_certificate_is_not_called_a_setting() -> None:
    found = incident.untrusted("imap", "IMAP server x: certificate is refused: certificate has expired", HOST)
    assert (found.key, found.title) == ("certificate imap gandalf", "Le serveur IMAP présente un certificat refusé")
    assert not any("Corrigez" in line for line in found.to_do)
    over = incident.over(found.key, now=NOW, zone=ZONE, **PEOPLE)
    assert over["Subject"] == "[Fin d’alerte] Le serveur IMAP présente de nouveau un certificat valable"


@pytest.mark.parametrize(
    ("minutes", "words"), [(1, "d’une minute"), (1.5, "de 1,5 minute"), (2, "de 2 minutes"), (60, "de 60 minutes")]
)
def test_waiting_time_is_said_in_french(minutes: float, words: str) -> None:
    assert incident.waiting(1, SINCE, [], minutes, HOST).title == f"Des messages attendent depuis plus {words}"


def test_reasons_of_waiting_are_named_once_and_a_few() -> None:
    found = incident.waiting(9, SINCE, ["a", "", "b", "a", "c", "d"], 60, HOST)
    assert found.origin == "a\nb\nc"
    assert "Raison" not in dict(found.facts)
    assert dict(incident.waiting(9, SINCE, [""], 60, HOST).facts)["Raison"] == "le traitement n’avance pas"


def test_unreadable_messages_are_counted_and_ten_are_named() -> None:
    found = incident.unreadable(range(1, 13), SINCE, "INBOX", HOST)
    assert found.title == "12 messages ne peuvent pas être lus"
    assert dict(found.facts)["UID"] == "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …"


def test_reason_of_many_lines_is_one_bounded_line() -> None:
    """A service's answer may hold anything."""
    detail = incident.refused("r2", "a\r\nb" + "x" * 900, HOST).origin
    assert (detail[:3], len(detail)) == ("a b", 500)
