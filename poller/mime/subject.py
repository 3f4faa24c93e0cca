"""Recognise the prefixes by which mail clients mark the subject of an answer or of a forward, in each language."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final


class Prefix(StrEnum):
    """The two kinds of prefix."""

    ANSWER = "answer"
    FORWARD = "forward"


# Gateways and mailing lists write these before the prefix: "[EXTERNAL]", "{Spam?}", "(EXT)", "***SPAM***", "EXT:".
_TAGS: Final = (
    r"(?:(?:\[[^\[\]]{0,80}\]|\{[^{}]{0,40}\}|\([^()]{0,40}\)|\*{1,5}[^*]{1,40}\*{1,5}"
    r"|[\u2600-\u27bf\U0001f300-\U0001faff]\ufe0f?"
    r"|(?:ext|external|extern|externe|esterno|externo|spam|suspected spam)(?=\s*[:-]))\s*(?:[:-]\s*)?)"
)
_ANSWER: Final = (
    r"re|r[\u00e9\u0435]|r[e\u00e9]p|aw|antw|antwort|sv|rif|r|res|odp|ynt|odg|vá|ats|atb|bls|trả lời"
    r"|отв|ответ|відп|відповідь|отг|απ|απάντ|σχετ|回[复覆復]|答[复覆復]|返信|회신|답장"
    r"|رد|השב|ตอบกลับ"
)
_FORWARD: Final = (
    r"tr|fwd?|wg|rv|i|enc|doorst|vb|vl|pd|ilt|prosl|továbbítás|chuyển tiếp"
    r"|пересл|пересл[ао]н[оеі]|препр|πρθ|转发|轉[寄發]|転送|전달"
    r"|إعادة توجيه|ส่งต่อ"
)
_PREFIX: Final = re.compile(
    rf"\s*{_TAGS}{{0,6}}(?:(?P<answer>{_ANSWER})|(?P<forward>{_FORWARD})|(?P<vs>vs))"
    r"\.?\s*(?:[\[(]\d{1,4}[\])]\s*)?[:\uff1a]",
    re.IGNORECASE,
)
# "VS" marks an answer of Finns and Estonians, and a forward of Danes and Norwegians, below which stand these fields.
_DANISH_FIELD: Final = re.compile(r"(?:^|>)[\s*]{0,9}(?:fra|emne)\b[^\n:]{0,9}:", re.IGNORECASE | re.MULTILINE)
_SUBJECT_CHARS: Final = 1000
_MOST: Final = 50  # prefixes that are looked at


def prefix_of(subject: str, text: str = "") -> Prefix | None:
    """Return what the outermost prefix says, None if there is none.

    "RE: TR: x" is an answer, in a conversation that began with a forward. Bracketed tags before it are skipped. `text`
    is that of the mail, or its HTML, whose history settles a prefix of two meanings.
    """
    found = _PREFIX.match(subject[:_SUBJECT_CHARS])
    if found and found["vs"]:
        return Prefix.FORWARD if _DANISH_FIELD.search(text) else Prefix.ANSWER
    return Prefix(str(found.lastgroup)) if found else None


def without_prefixes(subject: str) -> str:
    """Return a subject without its prefixes, and without the tags before them."""
    at = 0
    for _ in range(_MOST):
        found = _PREFIX.match(subject, at, at + _SUBJECT_CHARS)
        if found is None:
            break
        at = found.end()
    return subject[at:].strip() if at else subject
