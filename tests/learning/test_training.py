"""Learn from labelled vectors, and measure by cross-validation."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from poller.learning import embedding
from poller.learning.training import Example, TooFewError, lower_bound, train, train_terms
from poller.model import Category


def examples(number: int, *, signal: float, seed: int = 1) -> list[Example]:
    """Make vectors whose first value tells the category as clearly as the signal is strong."""
    draw = random.Random(seed)  # noqa: S311 - data of a test
    found = []
    for place in range(number):
        label = (Category.SUPPORT, Category.MODELISATION)[place % 2]
        middle = signal if label is Category.MODELISATION else -signal
        vector = (draw.gauss(middle, 1), *(draw.gauss(0, 0.1) for _ in range(embedding.DIMENSIONS - 1)))
        found.append(Example(str(place), vector, label, silent=place % 3 == 0))
    return found


def test_clear_categories_are_learnt_and_decided() -> None:
    trained = train(examples(120, signal=4))
    assert (trained.right, trained.silent, trained.silent_right) == (120, 40, 40)
    assert trained.chosen
    assert trained.chosen.right == trained.chosen.decided > 30
    assert trained.chosen.confidence >= 0.8
    assert trained.confusion[Category.SUPPORT, Category.SUPPORT] == 60
    (new,) = examples(1, signal=4, seed=2)
    assert trained.model.opinion(new.vector).category is Category.SUPPORT


def test_categories_without_a_difference_are_never_decided() -> None:
    """The measures are not of what the model knows by heart."""
    trained = train(examples(120, signal=0))
    assert trained.right < 80
    assert (trained.model.threshold, trained.chosen) == (None, None)
    assert not trained.model.opinion(examples(1, signal=0)[0].vector).sure


def test_same_requests_in_another_order_give_the_same_model() -> None:
    some = examples(60, signal=1)
    assert train(some[::-1]).model == train(some).model
    assert train(some[:-2]).model.digest != train(some).model.digest


def test_no_word_of_a_customer_is_learnt() -> None:
    """The terms are those of the requests that came with the package."""
    said = [replace(each, terms=frozenset({"facture", "xyzzy"})) for each in examples(60, signal=1)]
    assert train(said).model.terms.keys() == {"facture"}
    assert train_terms(said).model.terms.keys() == {"facture", "xyzzy"}


def test_terms_are_learnt_as_the_vector_is() -> None:
    """And those of one request alone are not."""
    said = [
        replace(each, vector=(), terms=frozenset({each.label, each.text, f"{len(each.text)} digits"}))
        for each in examples(120, signal=0)
    ]
    trained = train_terms(said)
    assert (trained.right, trained.model.weights) == (120, ())
    assert trained.model.terms[Category.MODELISATION] > 0 > trained.model.terms[Category.SUPPORT]
    assert "7" not in trained.model.terms


def test_too_few_or_one_sided_requests_are_refused() -> None:
    with pytest.raises(TooFewError, match="39 labelled requests are too few, 40 are needed"):
        train(examples(39, signal=4))
    with pytest.raises(TooFewError, match="one category"):
        train(examples(120, signal=4)[::2])


@pytest.mark.parametrize(
    ("right", "number", "bound"), [(56, 57, 0.9071), (0, 0, 0.0), (10, 10, 0.7225), (0, 10, 0.0), (485, 500, 0.9511)]
)
def test_bound_is_that_of_wilson(right: int, number: int, bound: float) -> None:
    assert lower_bound(right, number) == pytest.approx(bound, abs=1e-4)
