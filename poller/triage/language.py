"""Tell in which language a customer is answered."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING

from poller.escaping import plain_text

if TYPE_CHECKING:
    from poller.model import Request

_CHARS = 1_000  # of the text: more makes no answer surer
_READ_CHARS = 10_000  # of which those are taken
_FEW_CHARS = 20  # of which no detector tells anything
# A paragraph that the sender's or our own mail server has added to what a person wrote.
_NOTICE = re.compile(
    r"\bconfiden[tc]i|intended (?:only |solely )?(?:for|recipient)|unauthori[sz]ed|originated from outside"
    r"|external (?:e-?mail|sender)|exp[ée]diteur externe"
    r"|ext[ée]rieur de (?:l['’]|votre )(?:organi[sz]|entreprise|soci[ée]t)|\bvirus|before printing|avant d['’]imprimer",
    re.IGNORECASE,
)


class Language(StrEnum):
    """A language that letters to customers are written in."""

    FRENCH = "fr"
    ENGLISH = "en"


def language_of(request: Request) -> Language:
    """Return the language of what was written for this mail: English if the detector is sure of it, else French."""
    # Imported on first use: most installations write to no customer.
    try:
        from gcld3 import NNetLanguageIdentifier  # noqa: PLC0415
    except ImportError:  # a system for which there is no wheel
        return Language.FRENCH
    words = _of_a_person(plain_text(request.newest[:_READ_CHARS]))[:_CHARS]
    if len(words.strip()) < _FEW_CHARS:
        return Language.FRENCH
    found = NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=4 * _CHARS).FindLanguage(text=words)
    return Language.ENGLISH if found.is_reliable and found.language == Language.ENGLISH else Language.FRENCH


def _of_a_person(text: str) -> str:
    """Return a text without the notices of mail servers, all of it if nothing else is there."""
    paragraphs = re.split(r"\n\s*\n", text)
    return "\n\n".join(each for each in paragraphs if not _NOTICE.search(each)).strip() or text
