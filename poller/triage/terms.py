"""List the terms of a request, which are weighed: words, pairs of words, signs of the vocabulary, kinds of files."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from poller.triage import vocabulary
from poller.triage.reading import folded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from poller.triage.reading import Mail

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
    a word of a file's name with "file:". What a sentence denies or calls settled is no sign of support, and a
    postscript below words of the studio is not read.
    """
    above = _POSTSCRIPT.split(mail.said, maxsplit=1)[0]
    said = above if any(pattern.search(above) for pattern in vocabulary.STUDIO) else mail.said
    return frozenset(_words(said)) | frozenset(_signs(said, mail.names)) | frozenset(_files(mail))


def _words(said: str) -> Iterator[str]:
    for sentence in said.split(" . "):
        if words := sentence.split():
            yield from words
            yield from map(" ".join, pairwise(("^", *words, "$")))


def _signs(said: str, names: str) -> Iterator[str]:
    asserted = " . ".join(part for part in said.split(" . ") if not vocabulary.DENIALS.search(part))
    yield from (sign for sign, pattern in _SIGNS.items() if pattern.search(said))
    found = [sign for sign, pattern in _SUPPORT.items() if pattern.search(asserted)]
    yield from found
    if set(found) - {"@hint"}:
        yield "@topic"
    if any(pattern.search(names) for pattern in _SUPPORT.values()):
        yield "@file named for support"


def _files(mail: Mail) -> Iterator[str]:
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
