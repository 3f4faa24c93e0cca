"""Replace Cyrillic and Greek letters that stand in a Latin word by the Latin ones that look the same, for matching."""

from __future__ import annotations

import re
from typing import Final

# Of Unicode's confusables (UTS 39), those that no reader tells apart, in upper and in lower case.
_LETTERS: Final = str.maketrans(
    "\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425"
    "\u0430\u0435\u0455\u0456\u0458\u043e\u0440\u0441\u0443\u0445\u0501\u04bb\u051b\u051d"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03b1\u03b9\u03bd\u03bf\u03c1",
    "ABESIJKMHOPCTYXaesijopcyxdhqwABEZHIKMNOPTYXaivop",
)
_FOREIGN: Final = re.compile(r"[\u0370-\u03ff\u0400-\u052f]")
_WORD: Final = re.compile(r"[^\W\d_]+")
_LATIN: Final = re.compile(r"[a-z]", re.IGNORECASE)


def as_seen(text: str) -> str:
    """Return a text whose Latin words have no letters of another script.

    A word without a Latin letter is left as it is, and so is one with a letter that looks like no Latin one.
    """
    return _WORD.sub(_latin, text) if _FOREIGN.search(text) else text


def _latin(word: re.Match[str]) -> str:
    seen = word[0].translate(_LETTERS)
    return seen if _LATIN.search(word[0]) and not _FOREIGN.search(seen) else word[0]
