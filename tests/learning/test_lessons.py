"""Find the corrected mails that are most like a new one."""

from __future__ import annotations

import pytest

from poller.learning import lessons
from poller.learning.lessons import Lesson
from poller.model import Category
from tests.triage.helpers import request


def test_nearest_lessons_come_first_and_are_few() -> None:
    known = [((float(place), 0.0), Lesson(str(place), "", Category.SUPPORT)) for place in range(10)]
    assert [each.subject for each in lessons.nearest((1.0, 0.0), known)] == ["9", "8", "7", "6", "5", "4"]
    assert lessons.nearest((1.0, 0.0), []) == []


def test_lesson_is_the_beginning_of_the_newest_text() -> None:
    found = lessons.lesson_of(request(subject="Devis\x1b" * 100, text="é" * 900), Category.SUPPORT)
    assert (len(found.subject), len(found.text), "\x1b" in found.subject) == (200, 400, False)


@pytest.mark.parametrize(
    ("reason", "quoted"),
    [
        ("Il dit d'appeler le 06.12.34.", True),
        ("Appelez le 06 pour la chaise.", False),
        ("Joignable au 0612345678.", True),
        ("Écrire à claire@vasseur.example.", True),
        ("Demande un modèle réduit très léger.", True),
        ("Le client voudrait un devis pour un banc.", False),
    ],
    ids=["four words", "three", "number", "address", "accents", "of the mail itself"],
)
def test_words_of_a_lesson_that_the_mail_lacks_are_a_quotation(reason: str, quoted: bool) -> None:
    text = "Appelez le 06 12 34 56 78 ou claire@vasseur.example. Un devis pour un modele reduit tres leger, merci."
    own = "Bonjour, je voudrais un devis pour un banc."
    assert lessons.are_quoted([Lesson("Chaise", text, Category.SUPPORT)], reason, own) is quoted
    assert not lessons.are_quoted([], reason, own)
