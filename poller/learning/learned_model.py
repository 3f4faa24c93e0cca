"""Judge a request by the weights that were learnt from labelled ones, and read them from a file."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from poller.learning import embedding
from poller.model import Category, Opinion

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

FILE: Final = "learned.json"  # in the state directory
SEED: Final = Path(__file__).parent / "seed"
LABELLED: Final = SEED / "requests.jsonl"  # the labelled requests that every model learns from
SEED_MODEL: Final = SEED / "model.json"  # what is learnt from them alone
SEED_TERMS: Final = SEED / "terms.json"  # the same by their terms alone, without an embedding
LEAST: Final = 0.80  # confidence below which no model decides
_MAX_BYTES: Final = 1_000_000
_LARGEST: Final = 1e6  # number of a model, far above any that is learnt: no sum of them overflows


class UnusableModelError(Exception):
    """The file holds no model that can be used. `str()` says why, and what to do."""


@dataclass(frozen=True, slots=True)
class LearnedModel:
    """A linear classifier of requests, by their vectors and terms.

    Nothing of a mail can be read from it: the terms are those of the requests that came with the package.
    """

    embedding: str  # as `embedding.NAME`; empty where the model knows terms alone
    weights: tuple[float, ...]  # of each dimension, none without an embedding; positive for the studio
    bias: float
    slope: float  # confidence is the logistic function of slope times the distance from the boundary
    threshold: float | None  # confidence from which it may decide, at least `LEAST`; None: it is never sure enough
    accuracy: float  # right by cross-validation, a share of 1
    examples: int  # that it was learnt from
    digest: str  # hex digits of the SHA-256 over them
    terms: Mapping[str, float] = field(default_factory=dict)  # weight of each, none where it knows vectors alone

    def opinion(self, vector: Sequence[float], terms: Collection[str] = ()) -> Opinion:
        """Return the category of a request, and whether it is sure enough to decide.

        The vector has the dimensions of the embedding, or none without one.
        """
        score = self.bias + math.fsum(weight * value for weight, value in zip(self.weights, vector, strict=True))
        if known := [self.terms[term] for term in terms if term in self.terms]:
            score += math.fsum(known) / math.sqrt(len(known))
        confidence = confidence_of(score, self.slope)
        sure = self.threshold is not None and confidence >= self.threshold
        return Opinion(Category.MODELISATION if score > 0 else Category.SUPPORT, round(confidence, 3), sure)


def confidence_of(score: float, slope: float) -> float:
    """Return the confidence in the sign of a score, from 0.5 on."""
    return 1 / (1 + math.exp(-min(slope * abs(score), 50.0)))


def current(directory: Path) -> LearnedModel:
    """Return the model that was learnt here, or the one that came with the package.

    Raises:
        UnusableModelError: the file is broken, or of another embedding.
    """
    path = directory / FILE
    return load(path if path.exists() else SEED_MODEL)


def load(path: Path) -> LearnedModel:
    """Read a model.

    Raises:
        UnusableModelError: the file is broken, or of another embedding.
    """
    model = _read(path)
    if model.embedding != embedding.NAME:
        raise UnusableModelError(f"{path.name} was learnt with another embedding: run poller learn")
    return model


@cache
def of_terms() -> LearnedModel:
    """Return the model of terms alone that came with the package."""
    return _read(SEED_TERMS)


def dumps(model: LearnedModel) -> str:
    """Return a model as `load` reads it: JSON on one line."""
    return json.dumps(asdict(model), ensure_ascii=False) + "\n"


def _read(path: Path) -> LearnedModel:
    """Read a model of any embedding, or of none.

    Raises:
        UnusableModelError: the file is broken.
    """
    try:
        with path.open("rb") as file:
            return _model(json.loads(file.read(_MAX_BYTES)))
    except OSError as error:
        raise UnusableModelError(f"{path.name} cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise UnusableModelError(f"{path.name} is broken: run poller learn") from error


def _model(found: Mapping[str, Any]) -> LearnedModel:
    """Return a model from JSON, each value checked.

    Raises:
        ValueError, TypeError, KeyError, AttributeError, OverflowError: it is not as `dumps` writes it.
    """
    weights = tuple(map(float, found["weights"]))
    threshold = found["threshold"]
    model = LearnedModel(
        embedding=str(found["embedding"]),
        weights=weights,
        bias=float(found["bias"]),
        slope=float(found["slope"]),
        threshold=None if threshold is None else max(float(threshold), LEAST),
        accuracy=float(found["accuracy"]),
        examples=int(found["examples"]),
        digest=str(found["digest"]),
        terms={str(term): float(weight) for term, weight in found.get("terms", {}).items()},
    )
    numbers = (*weights, *model.terms.values(), model.bias, model.slope, model.threshold or LEAST)
    is_bounded = all(abs(number) < _LARGEST for number in numbers)  # False for NaN
    if len(weights) != (embedding.DIMENSIONS if model.embedding else 0) or not is_bounded or model.slope < 0:
        raise ValueError("not the weights of a model")
    return model
