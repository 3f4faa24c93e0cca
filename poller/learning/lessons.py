"""Find the mails that people corrected and that are most like a new one."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from heapq import nlargest
from typing import TYPE_CHECKING, Final

from poller.escaping import one_line, plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from poller.learning.embedding import Vector
    from poller.model import Category, Request

NUMBER: Final = 6
_MAX_SUBJECT_CHARS: Final = 200
_MAX_TEXT_CHARS: Final = 400
_RUN: Final = 4  # words, as an address or a telephone number has; fewer are said by chance


@dataclass(frozen=True, slots=True)
class Lesson:
    """The beginning of a mail, and the category that a person gave it. It is kept in memory alone."""

    subject: str  # one line, untrusted
    text: str  # untrusted
    category: Category


def lesson_of(request: Request, category: Category) -> Lesson:
    """Return the lesson of a request."""
    text = plain_text(request.newest.strip() or request.text)[:_MAX_TEXT_CHARS]
    return Lesson(one_line(request.subject, _MAX_SUBJECT_CHARS), text, category)


def are_quoted(lessons: Iterable[Lesson], text: str) -> bool:
    """Return whether a text has four words in a row of one of the lessons, which are other customers' mails."""
    runs = _runs(text)
    return any(runs & _runs(f"{lesson.subject}\n{lesson.text}") for lesson in lessons)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1)}


def nearest(vector: Vector, known: Iterable[tuple[Vector, Lesson]]) -> list[Lesson]:
    """Return the lessons that are most like an embedded request, `NUMBER` at most, the most similar first."""

    def similarity(each: tuple[Vector, Lesson]) -> float:
        return math.fsum(one * other for one, other in zip(vector, each[0], strict=True))

    return [lesson for _, lesson in nlargest(NUMBER, known, key=similarity)]
