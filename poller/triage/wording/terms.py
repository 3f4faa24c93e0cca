"""List the terms of a request, which are weighed: words, pairs of words, signs of the vocabulary, kinds of files."""

from __future__ import annotations

import re
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Final

from poller.triage.wording import vocabulary
from poller.triage.wording.reading import folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from poller.triage.wording.reading import Mail

_MAX_FILES: Final = 50
_POSTSCRIPT: Final = re.compile(r"(?:^| \. )p ?s\b")
_SIGNS: Final = {
    "@prices": vocabulary.PRICES,
    "@modelling": vocabulary.MODELLING,
    "@making": vocabulary.MAKING,
    "@changes": vocabulary.CHANGES,
    "@inputs": vocabulary.INPUTS,
    "@looks": vocabulary.LOOKS,
    "@go ahead": vocabulary.GO_AHEAD,
    "@3d": vocabulary.THREE_D,
    "@names": vocabulary.NAMES,
    "@sent": vocabulary.SENT,
    "@shown": vocabulary.SHOWN,
    "@wished": vocabulary.WISHED,
    "@asks": vocabulary.ASKS,
}
_SUPPORT: Final = {f"@{topic}": pattern for topic, pattern in vocabulary.TOPICS.items()} | {"@hint": vocabulary.HINTS}


def terms_of(mail: Mail) -> frozenset[str]:
    """Return the terms of a mail, each once, however often it is repeated.

    A pair reaches over no end of a sentence, which "^" and "$" mark. What is no word begins with "@", "." or "<", and
    a word of a file's name with "file:". A sentence that denies something, or calls it settled, has no terms but signs
    of the studio. A postscript below words of the studio is not read.
    """
    above = _POSTSCRIPT.split(mail.said, maxsplit=1)[0]
    said = above if _found(above, vocabulary.STUDIO) else mail.said
    asserted = [sentence for sentence in said.split(" . ") if not vocabulary.DENIALS.search(sentence)]
    return frozenset(chain(_words(asserted), _signs(said, asserted), _files(mail)))


def _words(sentences: Iterable[str]) -> Iterator[str]:
    for sentence in sentences:
        if words := sentence.split():
            yield from words
            yield from map(" ".join, pairwise(("^", *words, "$")))


def _signs(said: str, asserted: Iterable[str]) -> Iterator[str]:
    yield from (sign for sign, pattern in _SIGNS.items() if pattern.search(said))
    text = " . ".join(asserted)
    yield from (sign for sign, pattern in _SUPPORT.items() if pattern.search(text))
    if _found(text, vocabulary.TOPICS.values()):
        yield "@topic"


def _files(mail: Mail) -> Iterator[str]:
    if _found(mail.names, _SUPPORT.values()):
        yield "@file named for support"
    if not mail.files:
        yield "<no file>"
    elif not mail.said.strip(" ."):
        yield "<files alone>"
    for file in mail.files[:_MAX_FILES]:
        stem, dot, suffix = file.filename.lower().rpartition(".")
        yield f"<{file.kind}>"
        if dot:
            yield f".{suffix[:8]}"
        yield from (f"file:{word}" for word in folded(re.sub(r"[\d_]+", " ", stem or suffix)).split() if word != ".")


def _found(text: str, patterns: Iterable[re.Pattern[str]]) -> bool:
    return any(pattern.search(text) for pattern in patterns)
