"""Tell in which language a customer is answered."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from poller.escaping import plain_text

if TYPE_CHECKING:
    from poller.model import Request

_CHARS = 1_000  # of the text: more makes no answer surer
_FEW_CHARS = 20  # of which no detector tells anything


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
    words = plain_text(request.newest)[:_CHARS]
    if len(words.strip()) < _FEW_CHARS:
        return Language.FRENCH
    found = NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=4 * _CHARS).FindLanguage(text=words)
    return Language.ENGLISH if found.is_reliable and found.language == Language.ENGLISH else Language.FRENCH
