"""Find the mails that people corrected and that are most like a new one."""

from __future__ import annotations

import math
import re
import unicodedata
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
_RUN: Final = 4  # words; fewer are said by chance
_WORD: Final = re.compile(r"\w+")
_NUMBER: Final = re.compile(r"\d(?:[\s./-]?\d){5,}")  # of a telephone, an order or an invoice


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


def are_quoted(lessons: Iterable[Lesson], text: str, own: str) -> bool:
    """Return whether a text quotes one of the lessons, which are other customers' mails.

    A quotation is four words in a row, an address or a number. What stands in the customer's `own` mail as well is
    none. Accents count for nothing.
    """
    telling = _telling(text) - _telling(own)
    return any(telling & _telling(f"{lesson.subject}\n{lesson.text}") for lesson in lessons)


def _telling(text: str) -> set[str]:
    """Return what is not said by chance: each four words in a row, the addresses, and the long numbers, folded."""
    folded = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    words = _WORD.findall(folded)
    runs = (" ".join(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1))
    addresses = (" ".join(_WORD.findall(word)) for word in folded.split() if "@" in word)
    numbers = (re.sub(r"\D", "", number) for number in _NUMBER.findall(folded))
    return {*runs, *addresses, *numbers}


def nearest(vector: Vector, known: Iterable[tuple[Vector, Lesson]]) -> list[Lesson]:
    """Return the lessons that are most like an embedded request, `NUMBER` at most, the most similar first."""

    def similarity(each: tuple[Vector, Lesson]) -> float:
        return math.fsum(one * other for one, other in zip(vector, each[0], strict=True))

    return [lesson for _, lesson in nlargest(NUMBER, known, key=similarity)]
