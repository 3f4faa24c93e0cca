"""Ask the learnt model about a request, whatever the state of its file and of its process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from poller.config.settings import LearningSettings, Settings
from poller.learning import embedding, learned_model
from poller.learning.embedding import EmbeddingFailedError
from poller.model import Category
from poller.triage import advice
from tests.triage.helpers import request

if TYPE_CHECKING:
    from pathlib import Path

ASKED = request(subject="Canapé", text="Pourriez-vous refaire les accoudoirs du canapé, ils sont trop ronds ?")


def test_request_has_an_opinion_of_the_model_of_the_package(tmp_path: Path) -> None:
    found = advice.Adviser(tmp_path, decides=True).advise(ASKED)
    assert found.opinion
    assert (found.opinion.category, found.decides) == (Category.MODELISATION, True)
    assert found.vector
    assert len(found.vector) == embedding.DIMENSIONS


def test_broken_model_is_logged_once_and_gives_no_opinion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a model that was learnt anew is used, without a restart."""
    monkeypatch.setattr(embedding, "embed", lambda texts: [(0.0,) * embedding.DIMENSIONS for _ in texts])
    path = tmp_path / learned_model.FILE
    path.write_text("{}")
    asked = advice.Adviser(tmp_path, decides=True)
    with capture_logs() as logged:
        assert asked.advise(ASKED).opinion is None
        assert asked.advise(ASKED).opinion is None
        path.write_bytes(learned_model.SEED_MODEL.read_bytes())
        assert asked.advise(ASKED).opinion is not None
    assert [line["event"] for line in logged] == ["learned_model_unusable", "trouble_over"]
    assert logged[0]["reason"] == "learned.json is broken: run poller learn"


def test_failed_embedding_gives_no_opinion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(texts: list[str]) -> None:
        raise EmbeddingFailedError(f"{len(texts)} text")

    monkeypatch.setattr(embedding, "embed", fails)
    with capture_logs() as logged:
        assert advice.Adviser(tmp_path, decides=True).advise(ASKED) == advice.NONE
    assert [(line["event"], line["reason"]) for line in logged] == [("embedding_failed", "1 text")]


@pytest.mark.parametrize(("mode", "is_asked"), [("off", False), ("shadow", True), ("decide", True)])
def test_mode_says_whether_the_model_is_asked(mode: str, is_asked: bool) -> None:
    settings = Settings(learning=LearningSettings.model_validate({"mode": mode}))
    assert (advice.adviser(settings) is not None) == is_asked
