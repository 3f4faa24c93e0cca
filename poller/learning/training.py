"""Learn to tell the two categories apart from labelled requests, and measure how well by cross-validation."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from poller.learning import embedding, learned_model
from poller.learning.learned_model import LEAST, LearnedModel
from poller.model import Category

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from poller.learning.embedding import Vector

    _Numbers = NDArray[np.float64]

WANTED: Final = 0.985  # right among those that it may decide
CONFIDENCES: Final = (0.80, 0.85, 0.90, 0.95, 0.98)
FEWEST: Final = 40  # labelled requests
WANTED_OF_TERMS: Final = 0.995  # the same for terms alone, which are not as good on requests of another kind
_OFTEN: Final = 2  # requests that a term has to be in
_TERMS_COUNT: Final = 2.0  # times as much as the vector
_PENALTY: Final = 0.5  # of the ridge, where the inputs are scaled to a mean square of 1
_DIGITS: Final = 5  # of the weight of a term
_Z: Final = 1.96  # of a bound of 95 %


class TooFewError(Exception):
    """There is not enough to learn from. `str()` says what is missing."""


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled request."""

    text: str  # as `embedding.text_of` makes it
    vector: Vector  # empty where only the terms are learnt from
    label: Category
    silent: bool  # the rules are not sure of it, so the model is asked
    terms: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Decided:
    """The requests that the rules are not sure of and the model decides from a confidence on, by cross-validation."""

    confidence: float
    silent: int  # that the rules are not sure of
    decided: int  # of them
    right: int  # of those that are decided

    @property
    def at_least(self) -> float:
        """Return the lower bound of the share that is right, with 95 % confidence."""
        return lower_bound(self.right, self.decided)


@dataclass(frozen=True, slots=True)
class Trained:
    """A model, and its measures by cross-validation: each request is judged by a model that does not know it."""

    model: LearnedModel
    right: int  # of all examples
    silent: int  # that the rules are not sure of
    silent_right: int  # of them
    decided: tuple[Decided, ...]  # for each of `CONFIDENCES`
    chosen: Decided | None  # at the model's threshold; None without one
    confusion: dict[tuple[Category, Category], int]  # keyed by label and judgement; of all examples


def lower_bound(right: int, number: int) -> float:
    """Return the lower end of Wilson's interval of 95 % for a share; 0 of nothing."""
    if not number:
        return 0.0
    share, square = right / number, _Z * _Z
    spread = _Z * math.sqrt(share * (1 - share) / number + square / (4 * number * number))
    return (share + square / (2 * number) - spread) / (1 + square / number)


def train(examples: Sequence[Example]) -> Trained:
    """Learn from vectors and terms. The same requests in any order give the same model.

    The terms are those that came with the package, so that the model holds no word of a customer.

    Raises:
        TooFewError: there are fewer than `FEWEST`, or all are of one category.
    """
    return _train(examples, learned_model.of_terms().terms, WANTED, embedding.NAME)


def train_terms(examples: Sequence[Example]) -> Trained:
    """Learn from the terms alone that are in two requests or more.

    Raises:
        TooFewError: there are fewer than `FEWEST`, or all are of one category.
    """
    return _train(examples, common_terms(examples), WANTED_OF_TERMS, "")


def common_terms(examples: Sequence[Example]) -> list[str]:
    """Return the terms that are in two requests or more."""
    counted = Counter(chain.from_iterable(each.terms for each in examples))
    return [term for term, number in counted.items() if number >= _OFTEN]


def _train(examples: Sequence[Example], known: Collection[str], right_share: float, embedded_by: str) -> Trained:
    if len(examples) < FEWEST:
        raise TooFewError(f"{len(examples)} labelled requests are too few, {FEWEST} are needed")
    if len({each.label for each in examples}) < len(Category):
        raise TooFewError("all labelled requests are of one category")
    examples = sorted(examples, key=lambda each: (each.text, each.label))
    wanted = np.array([1.0 if each.label is Category.MODELISATION else -1.0 for each in examples])
    silent = np.array([each.silent for each in examples])
    terms = sorted(set(known) & set(chain.from_iterable(each.terms for each in examples)))
    vectors = np.array([each.vector if embedded_by else () for each in examples])
    inputs, factors = _inputs(vectors, *_term_inputs(examples, terms))
    weights, bias, scores = _ridge(inputs, wanted)
    weights *= factors
    right = scores * wanted > 0
    slope = _slope(np.abs(scores), right)
    confidences = 1 / (1 + np.exp(-slope * np.abs(scores)))
    of_silent = confidences[silent], right[silent]
    threshold = _threshold(*of_silent, right_share)
    dimensions = vectors.shape[1]
    return Trained(
        model=LearnedModel(
            embedding=embedded_by,
            weights=tuple(map(float, weights[:dimensions])),
            bias=float(bias),
            slope=slope,
            threshold=threshold,
            accuracy=round(float(right.mean()), 4),
            examples=len(examples),
            digest=digest_of(examples),
            terms={
                term: round(float(weight), _DIGITS) for term, weight in zip(terms, weights[dimensions:], strict=True)
            },
        ),
        right=int(right.sum()),
        silent=int(silent.sum()),
        silent_right=int(right[silent].sum()),
        decided=tuple(_decided(confidence, *of_silent) for confidence in CONFIDENCES),
        chosen=None if threshold is None else _decided(threshold, *of_silent),
        confusion={
            (label, said): int((_are(label, wanted) & _are(said, scores)).sum())
            for label in Category
            for said in Category
        },
    )


def _are(category: Category, scores: _Numbers) -> NDArray[np.bool_]:
    """Return which of the scores stand for the category."""
    return scores > 0 if category is Category.MODELISATION else scores <= 0


def digest_of(examples: Sequence[Example]) -> str:
    """Return the hex digits of the SHA-256 over texts and labels, in whatever order they come."""
    lines = sorted(f"{each.text}\0{each.label}" for each in examples)
    return hashlib.sha256("\0".join(lines).encode()).hexdigest()


def _term_inputs(examples: Sequence[Example], terms: Sequence[str]) -> tuple[_Numbers, _Numbers]:
    """Return 1 over the root of the number of a request's terms for each of them, and how rare each term is."""
    places = {term: place for place, term in enumerate(terms)}
    inputs = np.zeros((len(examples), len(terms)))
    for row, each in zip(inputs, examples, strict=True):
        if found := [places[term] for term in each.terms if term in places]:
            row[found] = 1 / math.sqrt(len(found))
    rareness = np.log(len(examples) / np.maximum(np.count_nonzero(inputs, axis=0), 1))
    return inputs, rareness


def _inputs(vectors: _Numbers, terms: _Numbers, rareness: _Numbers) -> tuple[_Numbers, _Numbers]:
    """Return vectors and terms side by side, each brought to its mean square, and the factor of each column."""
    factors = np.concatenate(
        [
            np.full(vectors.shape[1], _factor(vectors, 1.0)),
            rareness * _factor(terms * rareness, _TERMS_COUNT),
        ]
    )
    return np.hstack([vectors, terms]) * factors, factors


def _factor(inputs: _Numbers, mean_square: float) -> float:
    found = float(((inputs - inputs.mean(0)) ** 2).sum()) / len(inputs)
    return math.sqrt(mean_square / found) if found else 0.0


def _ridge(inputs: _Numbers, wanted: _Numbers) -> tuple[_Numbers, float, _Numbers]:
    """Return the weights and the bias of ridge regression, and the score of each request if it were left out.

    It is solved in the space of the examples. The residual of a request that was left out is the residual over one
    minus its leverage, which is exact for ridge regression.
    """
    number, middle, mean = len(wanted), inputs.mean(0), float(wanted.mean())
    centred = inputs - middle
    products = centred @ centred.T
    scale = float(np.trace(products)) / number or 1.0
    inverse = np.linalg.inv(products / scale + _PENALTY * np.eye(number))
    dual = inverse @ (wanted - mean)
    weights = centred.T @ dual / scale
    leverage = 1 - _PENALTY * np.diag(inverse) + 1 / number
    unseen = wanted - _PENALTY * dual / (1 - leverage)
    return weights, mean - float(middle @ weights), unseen


def _slope(distances: _Numbers, right: NDArray[np.bool_]) -> float:
    """Return the slope of the logistic function that makes the confidences likeliest, by a search over powers."""
    slopes = np.geomspace(0.1, 20, 200)
    signed = np.where(right, distances, -distances)
    losses = [float(np.logaddexp(0, -slope * signed).sum()) for slope in slopes]
    return float(slopes[int(np.argmin(losses))])


def _threshold(confidences: _Numbers, right: NDArray[np.bool_], wanted: float) -> float | None:
    """Return the lowest confidence, from `LEAST` on, from which the wanted share is right."""
    order = np.argsort(-confidences, kind="stable")
    ordered = confidences[order]
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero((shares >= wanted) & (ordered >= LEAST))
    return float(ordered[good[-1]]) if len(good) else None


def _decided(confidence: float, confidences: _Numbers, right: NDArray[np.bool_]) -> Decided:
    sure = confidences >= confidence
    return Decided(confidence, len(confidences), int(sure.sum()), int(right[sure].sum()))


def as_json(trained: Trained) -> dict[str, Any]:
    """Return the measures as plain data."""
    model = trained.model
    return {
        "examples": model.examples,
        "digest": model.digest,
        "right": trained.right,
        "accuracy": model.accuracy,
        "silent": trained.silent,
        "silent_right": trained.silent_right,
        "threshold": model.threshold,
        "decided": [
            {
                "confidence": each.confidence,
                "decided": each.decided,
                "right": each.right,
                "at_least": round(each.at_least, 4),
            }
            for each in (*trained.decided, *([trained.chosen] if trained.chosen else []))
        ],
        "confusion": {label: {said: trained.confusion[label, said] for said in Category} for label in Category},
    }
