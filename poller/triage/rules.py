"""Classify a mail by its words and files, if they are clear enough.

The rules decide only if one side speaks and the other is silent: a clear sign of one category is worth nothing next to
a faint sign of the other, because customers write "no complaint, just a tweak" and "invoice for the 3D model".
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poller.mime.subject import prefix_of, without_prefixes
from poller.model import Category, Kind
from poller.triage import vocabulary
from poller.triage.second_meanings import without_second_meanings

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.model import Attachment, Request

_MAX_READ_CHARS = 20_000  # a mail that has not said what it wants by then is not for the rules to decide

_STUDIO = (
    vocabulary.PRICES,
    vocabulary.MODELLING,
    vocabulary.CHANGES,
    vocabulary.INPUTS,
    vocabulary.LOOKS,
    vocabulary.GO_AHEAD,
)
_SUPPORT = (*vocabulary.TOPICS.values(), vocabulary.HINTS)

# Halves of the coefficients of a logistic regression on labelled mails, rounded. `tests/bench/classification.py`
# measures what they are worth, also on mails that they were not fitted to.
_STUDIO_WEIGHTS = (
    (4, vocabulary.GO_AHEAD),
    (4, vocabulary.MODELLING),
    (2, vocabulary.LOOKS),
    (2, vocabulary.PRICES),
    (2, vocabulary.INPUTS),
    (2, vocabulary.SENT),
    (2, vocabulary.SHOWN),
    (2, vocabulary.WISHED),
    (1, vocabulary.CHANGES),
)
_FILE_WEIGHT = 1  # of 3D files, and of images, documents and archives
_PRIOR_WEIGHT = 1  # for the studio: mails without any sign mostly speak of an object, in words of its trade
_CLEAR_WEIGHT = 5  # of signs of the studio, where there is none of support
_HINT_WEIGHT = 6
_TOPIC_WEIGHT = 4
_POSTSCRIPT = re.compile(r"(?:^| \. )p ?s\b")
_NAME_WEIGHT = 4  # of a file that is named after an error, an invoice or a screenshot


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """The verdict of the rules on a request."""

    category: Category
    confidence: float  # 0.0 to 1.0; measured on labelled mails if the rules are certain, at most 0.5 otherwise
    reason: str  # one French sentence; nothing of the mail in it but a file's extension


@dataclass(frozen=True, slots=True)
class _Mail:
    """The parts of a mail that the rules read."""

    said: str  # folded: the sender's own words, and the subject unless it comes from an older mail
    everything: str  # folded: `said`, a signature, the subject in any case, the files' names
    names: str  # folded: the files' names
    models: tuple[Attachment, ...]  # 3D files
    others: int  # images, documents and archives
    images: int  # attached images, without those that the HTML shows by their cid


def confident_verdict(request: Request) -> RuleVerdict | None:
    """Return the category if one side speaks clearly and the other not at all, or None if it needs understanding."""
    mail = _read(request)
    if (
        len(request.newest) > _MAX_READ_CHARS
        or vocabulary.AIMED_AT_THE_READER.search(f"{request.subject}\n{request.newest}")
        or vocabulary.DENIALS.search(mail.everything)
        or vocabulary.TWO_TOPICS.search(mail.everything)
    ):
        return None
    return next((opinion for rule in _RULES if (opinion := rule(mail))), None)


def best_guess(request: Request) -> RuleVerdict:
    """Return the likelier category by the weights of the signs, with a confidence of at most 0.5.

    A sign counts once, however often the mail repeats it. What a sentence denies or calls settled is no sign of
    support, nor is a postscript below words of the studio. Signatures, quoted lines and the subject of an older mail
    are not read.
    """
    mail = _read(request)
    above = _POSTSCRIPT.split(mail.said, maxsplit=1)[0]
    read = above if _found(above, *_STUDIO) else mail.said
    asserted = " . ".join(part for part in read.split(" . ") if not vocabulary.DENIALS.search(part))
    studio = _studio_weight(mail) + _PRIOR_WEIGHT * bool(mail.said.strip(" .") or mail.models or mail.others)
    support = _TOPIC_WEIGHT * bool(_found(asserted, *vocabulary.TOPICS.values()))
    support += _HINT_WEIGHT * bool(vocabulary.HINTS.search(asserted))
    support += _NAME_WEIGHT * bool(_found(mail.names, *_SUPPORT))
    confidence = round(max(studio, support) / (studio + support) / 2, 2) if studio + support else 0.25
    if studio > support:
        reason = "Les mots et les fichiers évoquent plutôt une demande de modélisation, sans certitude."
        return RuleVerdict(Category.MODELISATION, confidence, reason)
    return RuleVerdict(Category.SUPPORT, confidence, "Rien n’indique clairement une demande de modélisation.")


def folded(text: str) -> str:
    """Fold a text into words: lower case, no accents, single spaces, " . " at each sentence or line end."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text[:_MAX_READ_CHARS]) if not unicodedata.combining(c))
    sentences = re.split(r"[.!?;:](?=\s|$)|\n", plain.casefold())
    return " . ".join(" ".join(re.findall(r"[^\W_]+", sentence)) for sentence in sentences)


def _read(request: Request) -> _Mail:
    said = _own_words(request)
    if prefix_of(request.subject) is None:
        said = f"{request.subject}\n{said}"
    files = [attachment for attachment in request.attachments if not attachment.inline]
    names = "\n".join(attachment.filename for attachment in files)
    subject = without_prefixes(request.subject)
    return _Mail(
        said=_plain(said),
        everything=_plain(f"{subject}\n{names}\n{request.newest}"),
        names=_plain(names),
        models=tuple(attachment for attachment in files if attachment.kind is Kind.MODEL),
        others=sum(attachment.kind in {Kind.IMAGE, Kind.DOCUMENT, Kind.ARCHIVE} for attachment in files),
        images=sum(attachment.kind is Kind.IMAGE for attachment in files),
    )


def _plain(text: str) -> str:
    return without_second_meanings(folded(text))


def _own_words(request: Request) -> str:
    """Return the newest part without quoted lines, up to a line that begins with the sender's name.

    Text that a company prints below its people's names is not part of the request.
    """
    name = folded(request.author.display_name)
    names = set(re.findall(r"\w{3,}", name))  # shorter ones are articles too: "Le Goff"
    lines = [line for line in request.newest[:_MAX_READ_CHARS].split("\n") if not line.startswith(">")]
    starts = ((at, folded(line[:100])) for at, line in enumerate(lines) if at)
    ends = (at for at, start in starts if start.partition(" ")[0] in names or (name and start.startswith(name)))
    return "\n".join(lines[: next(ends, len(lines))])


def _found(text: str, *patterns: re.Pattern[str]) -> set[str]:
    return {phrase for pattern in patterns for phrase in pattern.findall(text)}


def _count(text: str, *patterns: re.Pattern[str]) -> int:
    return len(_found(text, *patterns))


def _studio_weight(mail: _Mail) -> int:
    signs = sum(weight for weight, pattern in _STUDIO_WEIGHTS if pattern.search(mail.said))
    return signs + _FILE_WEIGHT * (bool(mail.models) + bool(mail.others))


def _model_file(mail: _Mail) -> RuleVerdict | None:
    """Return an opinion for a 3D file without a sign of support, whatever else the mail says."""
    if mail.models and not _found(mail.everything, *_SUPPORT):
        suffix = re.search(r"\.[a-z0-9_]{1,8}$", mail.models[0].filename.lower())
        return RuleVerdict(
            Category.MODELISATION, 0.95, f"Fichier 3D joint ({suffix[0]})." if suffix else "Fichier 3D joint."
        )
    return None


def _modelling_request(mail: _Mail) -> RuleVerdict | None:
    """Return an opinion for a request to make or change a 3D object that mentions the object or a price."""
    if _found(mail.everything, *_SUPPORT) or not _found(mail.said, vocabulary.ASKS, vocabulary.PRICES):
        return None
    detail = _found(mail.said, vocabulary.LOOKS, vocabulary.INPUTS, vocabulary.PRICES)
    three_d = _found(mail.said, vocabulary.THREE_D)
    action = _found(mail.said, vocabulary.MAKING, vocabulary.CHANGES)
    named = _found(mail.said, vocabulary.NAMES)
    modelled = _found(mail.said, vocabulary.MODELLING) or "modelisation" in named or "modelling" in named
    if (modelled and (three_d or detail)) or (three_d and (action or (named and detail))):
        return RuleVerdict(Category.MODELISATION, 0.93, "Demande de modélisation 3D, ou de devis pour en faire une.")
    return None


def _description(mail: _Mail) -> RuleVerdict | None:
    """Return an opinion for a description of an object, as only the studio needs one, or for signs of much weight."""
    if _found(mail.everything, *_SUPPORT):
        return None
    described = _found(mail.said, vocabulary.LOOKS, vocabulary.CHANGES, vocabulary.INPUTS, vocabulary.PRICES)
    asked = mail.images or _found(mail.said, vocabulary.ASKS, vocabulary.PRICES, vocabulary.CHANGES)
    if (len(described) >= 3 and asked) or _studio_weight(mail) >= _CLEAR_WEIGHT:  # noqa: PLR2004
        return RuleVerdict(Category.MODELISATION, 0.9, "Décrit un objet à modéliser ou à retoucher.")
    return None


def _support_request(mail: _Mail) -> RuleVerdict | None:
    """Return an opinion for a topic of support and another sign, where nothing speaks of studio work.

    Where a model is mentioned, two topics and another sign are needed.
    """
    if mail.models or _found(mail.everything, *_STUDIO):
        return None
    topics = {topic: count for topic, pattern in vocabulary.TOPICS.items() if (count := _count(mail.said, pattern))}
    weight = 2 * sum(topics.values()) + _count(mail.said, vocabulary.HINTS)
    mentioned = _found(mail.everything, vocabulary.THREE_D, vocabulary.NAMES)
    if not topics or weight < (5 if mentioned else 3):
        return None
    first = sorted(topics, key=lambda topic: -topics[topic])[:2]
    return RuleVerdict(Category.SUPPORT, 0.93, f"Le message parle {' et '.join(first)}.")


_RULES: tuple[Callable[[_Mail], RuleVerdict | None], ...] = (
    _model_file,
    _modelling_request,
    _description,
    _support_request,
)
