"""Classify a mail by its words and files, if they are clear enough.

The rules decide only if one side speaks and the other is silent: a clear sign of one category is worth nothing next to
a faint sign of the other, because customers write "no complaint, just a tweak" and "invoice for the 3D model". The
weighed terms have to say the same, or beside a 3D file not clearly the opposite. Where no rule speaks, they decide
alone if they are very clear.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from poller.learning import learned_model
from poller.model import Category, Kind
from poller.triage.wording import vocabulary
from poller.triage.wording.look_alikes import as_seen
from poller.triage.wording.reading import MAX_READ_CHARS, read_mail
from poller.triage.wording.terms import terms_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from poller.learning.learned_model import LearnedModel
    from poller.model import Request
    from poller.triage.wording.reading import Mail

_SUPPORT = (*vocabulary.TOPICS.values(), vocabulary.HINTS)

# Halves of the coefficients of a logistic regression on labelled mails, rounded.
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
_AGREES = 0.65  # confidence of the weighed terms from which they say the same as a rule
_CONTRADICTS = 0.85  # and from which they say the opposite of what a 3D file does
_WEIGHED_CONFIDENCE = 0.95  # of very clear terms
_CLEAR_WEIGHT = 5  # of signs of the studio, where there is none of support
_OTHERS: Final = (Kind.IMAGE, Kind.DOCUMENT, Kind.ARCHIVE)


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """The verdict of the rules on a request."""

    category: Category
    confidence: float  # 0.0 to 1.0; measured on labelled mails if the rules are certain, at most 0.5 otherwise
    reason: str  # one French sentence; nothing of the mail in it but a file's extension


def confident_verdict(request: Request, weighed: LearnedModel | None = None) -> RuleVerdict | None:
    """Return the category if it is clear, or None if the mail needs understanding.

    `weighed` takes the place of the weights that came with the package.
    """
    mail = read_mail(request)
    if len(request.newest) > MAX_READ_CHARS or vocabulary.AIMED_AT_THE_READER.search(
        as_seen(f"{request.subject}\n{request.newest}")
    ):
        return None
    opinion = (weighed or learned_model.of_terms()).opinion((), terms_of(mail))
    if verdict := written_verdict(mail):
        agrees = opinion.category is verdict.category
        if mail.of_kind(Kind.MODEL):
            # A 3D file is the usual way to begin, so its rule gives way only to clear terms of the other category.
            return verdict if agrees or opinion.confidence < _CONTRADICTS else None
        return verdict if agrees and opinion.confidence >= _AGREES else None
    if not opinion.sure:
        return None
    reason = "Pris ensemble, les mots du message sont ceux d’une demande de ce type."
    return RuleVerdict(opinion.category, _WEIGHED_CONFIDENCE, reason)


def written_verdict(mail: Mail) -> RuleVerdict | None:
    """Return the category if one side speaks clearly and the other not at all."""
    if vocabulary.DENIALS.search(mail.everything) or vocabulary.TWO_TOPICS.search(mail.everything):
        return None
    return next((verdict for rule in _RULES if (verdict := rule(mail))), None)


def best_guess(request: Request, weighed: LearnedModel | None = None) -> RuleVerdict:
    """Return the likelier category by the weights of the terms, with a confidence of at most 0.5.

    A term counts once, however often the mail repeats it. Signatures, quoted lines and the subject of an older mail
    are not read.
    """
    opinion = (weighed or learned_model.of_terms()).opinion((), terms_of(read_mail(request)))
    if opinion.category is Category.MODELISATION:
        reason = "Les mots et les fichiers évoquent plutôt une demande de modélisation, sans certitude."
    else:
        reason = "Rien n’indique clairement une demande de modélisation."
    return RuleVerdict(opinion.category, round(opinion.confidence / 2, 2), reason)


def _found(text: str, *patterns: re.Pattern[str]) -> set[str]:
    return {phrase for pattern in patterns for phrase in pattern.findall(text)}


def _count(text: str, *patterns: re.Pattern[str]) -> int:
    return len(_found(text, *patterns))


def _studio_weight(mail: Mail) -> int:
    signs = sum(weight for weight, pattern in _STUDIO_WEIGHTS if pattern.search(mail.said))
    return signs + _FILE_WEIGHT * (bool(mail.of_kind(Kind.MODEL)) + bool(mail.of_kind(*_OTHERS)))


def _model_file(mail: Mail) -> RuleVerdict | None:
    """Return an opinion for a 3D file without a sign of support, whatever else the mail says."""
    models = mail.of_kind(Kind.MODEL)
    if models and not _found(mail.everything, *_SUPPORT):
        suffix = re.search(r"\.[a-z0-9_]{1,8}$", models[0].filename.lower())
        return RuleVerdict(
            Category.MODELISATION, 0.95, f"Fichier 3D joint ({suffix[0]})." if suffix else "Fichier 3D joint."
        )
    return None


def _modelling_request(mail: Mail) -> RuleVerdict | None:
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


def _description(mail: Mail) -> RuleVerdict | None:
    """Return an opinion for a description of an object, as only the studio needs one, or for signs of much weight."""
    if _found(mail.everything, *_SUPPORT):
        return None
    described = _found(mail.said, vocabulary.LOOKS, vocabulary.CHANGES, vocabulary.INPUTS, vocabulary.PRICES)
    asked = mail.of_kind(Kind.IMAGE) or _found(mail.said, vocabulary.ASKS, vocabulary.PRICES, vocabulary.CHANGES)
    if (len(described) >= 3 and asked) or _studio_weight(mail) >= _CLEAR_WEIGHT:  # noqa: PLR2004
        return RuleVerdict(Category.MODELISATION, 0.9, "Décrit un objet à modéliser ou à retoucher.")
    return None


def _support_request(mail: Mail) -> RuleVerdict | None:
    """Return an opinion for a topic of support and another sign, where nothing speaks of studio work.

    Where a model is mentioned, two topics and another sign are needed.
    """
    if mail.of_kind(Kind.MODEL) or _found(mail.everything, *vocabulary.STUDIO):
        return None
    topics = {topic: count for topic, pattern in vocabulary.TOPICS.items() if (count := _count(mail.said, pattern))}
    weight = 2 * sum(topics.values()) + _count(mail.said, vocabulary.HINTS)
    mentioned = _found(mail.everything, vocabulary.THREE_D, vocabulary.NAMES)
    if not topics or weight < (5 if mentioned else 3):
        return None
    first = sorted(topics, key=lambda topic: -topics[topic])[:2]
    return RuleVerdict(Category.SUPPORT, 0.93, f"Le message parle {' et '.join(first)}.")


_RULES: tuple[Callable[[Mail], RuleVerdict | None], ...] = (
    _model_file,
    _modelling_request,
    _description,
    _support_request,
)
