"""Learn to tell the two categories apart from labelled requests, and measure how well by cross-validation."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from poller.learning import embedding
from poller.learning.learned_model import LEAST, LearnedModel
from poller.model import Category

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from poller.learning.embedding import Vector

    _Numbers = NDArray[np.float64]

WANTED: Final = 0.985  # right among those that it may decide
CONFIDENCES: Final = (0.80, 0.85, 0.90, 0.95, 0.98)
FEWEST: Final = 40  # labelled requests
_PARTS: Final = 10  # of the cross-validation
_PENALTY: Final = 1.0  # of the ridge, where the vectors are scaled to a mean square of 1
_Z: Final = 1.96  # of a bound of 95 %


class TooFewError(Exception):
    """There is not enough to learn from. `str()` says what is missing."""


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled request."""

    text: str  # as `embedding.text_of` makes it
    vector: Vector
    label: Category
    silent: bool  # the rules are not sure of it, so the model is asked


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
    """Learn from labelled requests. The same ones in any order give the same model.

    Raises:
        TooFewError: there are fewer than `FEWEST`, or all are of one category.
    """
    if len(examples) < FEWEST:
        raise TooFewError(f"{len(examples)} labelled requests are too few, {FEWEST} are needed")
    if len({each.label for each in examples}) < len(Category):
        raise TooFewError("all labelled requests are of one category")
    examples = sorted(examples, key=lambda each: (each.text, each.label))
    vectors = np.array([each.vector for each in examples])
    wanted = np.array([1.0 if each.label is Category.MODELISATION else -1.0 for each in examples])
    silent = np.array([each.silent for each in examples])
    scores = _unseen(vectors, wanted)
    slope = _slope(np.abs(scores), scores * wanted > 0)
    confidences = 1 / (1 + np.exp(-slope * np.abs(scores)))
    right = scores * wanted > 0
    of_silent = confidences[silent], right[silent]
    threshold = _threshold(*of_silent)
    weights, bias = _ridge(vectors, wanted)
    return Trained(
        model=LearnedModel(
            embedding=embedding.NAME,
            weights=tuple(map(float, weights)),
            bias=float(bias),
            slope=slope,
            threshold=threshold,
            accuracy=round(float(right.mean()), 4),
            examples=len(examples),
            digest=digest_of(examples),
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


def _unseen(vectors: _Numbers, wanted: _Numbers) -> _Numbers:
    """Return the score of each request by a model that was learnt from nine tenths of the others."""
    places = np.random.default_rng(0).permutation(len(wanted))
    scores = np.zeros(len(wanted))
    for part in range(_PARTS):
        held_out = places[part::_PARTS]
        known = np.setdiff1d(places, held_out)
        weights, bias = _ridge(vectors[known], wanted[known])
        scores[held_out] = vectors[held_out] @ weights + bias
    return scores


def _ridge(vectors: _Numbers, wanted: _Numbers) -> tuple[_Numbers, float]:
    """Return the weights and the bias of ridge regression, solved in the space of the examples."""
    middle, mean = vectors.mean(0), float(wanted.mean())
    centred = vectors - middle
    products = centred @ centred.T
    scale = float(np.trace(products)) / len(wanted) or 1.0
    dual = np.linalg.solve(products / scale + _PENALTY * np.eye(len(wanted)), wanted - mean)
    weights = centred.T @ dual / scale
    return weights, mean - float(middle @ weights)


def _slope(distances: _Numbers, right: NDArray[np.bool_]) -> float:
    """Return the slope of the logistic function that makes the confidences likeliest, by a search over powers."""
    slopes = np.geomspace(0.1, 20, 200)
    signed = np.where(right, distances, -distances)
    losses = [float(np.logaddexp(0, -slope * signed).sum()) for slope in slopes]
    return float(slopes[int(np.argmin(losses))])


def _threshold(confidences: _Numbers, right: NDArray[np.bool_]) -> float | None:
    """Return the lowest confidence, from `LEAST` on, from which `WANTED` are right."""
    order = np.argsort(-confidences, kind="stable")
    ordered = confidences[order]
    shares = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero((shares >= WANTED) & (ordered >= LEAST))
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
