"""Find the corrected mails that are most like a new one."""

from __future__ import annotations

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


def test_four_words_in_a_row_are_a_quotation() -> None:
    known = [Lesson("Chaise", "Appelez le 06 12 34 56, merci.", Category.SUPPORT)]
    assert lessons.are_quoted(known, "Il dit d'appeler le 06.12.34.")
    assert not lessons.are_quoted(known, "Appelez le 06 pour la chaise.")
    assert not lessons.are_quoted([], "Appelez le 06 12 34 56")
