"""Tests of the language that a customer is answered in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from poller.triage.language import Language, language_of
from tests.triage.helpers import request

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGLISH = "Hello, could you create a 3D model of our cargo bike? We would like our customers to see it in AR."


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ENGLISH, Language.ENGLISH),
        ("Bonjour, pourriez-vous modéliser notre vélo cargo en 3D pour notre site ?", Language.FRENCH),
        ("Guten Tag, wir möchten eine Stehlampe als 3D-Modell erstellen lassen.", Language.FRENCH),
        ("hello, le mug existe aussi en céladon, can you do that one too? same size", Language.FRENCH),
        ("OK", Language.FRENCH),
        ("", Language.FRENCH),
    ],
)
def test_language_is_english_where_that_is_sure_else_french(text: str, language: Language) -> None:
    assert language_of(request(text=text)) is language


IN_ENGLISH = (
    "This e-mail and any attachments are confidential and intended solely for the addressee. If you are not the "
    "intended recipient, please notify the sender and delete this message."
)
OUTSIDE = (
    "CAUTION: This email originated from outside of the organization. Do not click links or open attachments unless "
    "you recognize the sender and know the content is safe."
)
IN_FRENCH = (
    "Ce message et ses pièces jointes sont confidentiels et destinés à l’usage exclusif de leur destinataire. Si vous "
    "l’avez reçu par erreur, merci d’en avertir l’expéditeur et de le détruire."
)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (f"Bonjour, voici le plan du fauteuil.\n\nCordialement,\nAna\n\n{IN_ENGLISH}", Language.FRENCH),
        (f"{OUTSIDE}\n\nBonjour, voici le plan du fauteuil à modéliser.", Language.FRENCH),
        (f"Hello, please find our chair attached.\n\nBest regards,\nAna\n\n{IN_FRENCH}", Language.ENGLISH),
        (IN_ENGLISH, Language.ENGLISH),
    ],
)
def test_language_is_of_what_a_person_wrote_and_no_gateway(text: str, language: Language) -> None:
    """A company's mail server adds its notice in another language, and it is longer than most mails."""
    assert language_of(request(text=text)) is language


@pytest.fixture
def _without_detector(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "gcld3", None)
    return


@pytest.mark.usefixtures("_without_detector")
def test_language_without_a_detector_is_french() -> None:
    assert language_of(request(text=ENGLISH)) is Language.FRENCH
