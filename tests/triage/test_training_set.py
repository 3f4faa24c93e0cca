"""Make of labelled mails what is learnt from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from poller.learning import embedding, seed_vectors
from poller.model import Category
from poller.triage.training_set import seed, training_set, without_vectors
from tests.triage.helpers import request

if TYPE_CHECKING:
    import pytest


def test_requests_of_the_package_are_not_embedded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the new one is. Of two with the same text the last one counts."""
    embedded: list[str] = []

    def embed(texts: list[str]) -> list[embedding.Vector]:
        embedded.extend(texts)
        return [(1.0,) * embedding.DIMENSIONS for _ in texts]

    monkeypatch.setattr(embedding, "embed", embed)
    first, second = seed()[:2]
    new = replace(first, request=request(subject="Banc", text="Un banc, s'il vous plaît."), label=Category.SUPPORT)
    examples = training_set([first, second, new, replace(new, label=Category.MODELISATION)])
    assert embedded == ["Banc\nUn banc, s'il vous plaît.\n"]
    assert [each.vector for each in examples[:2]] == seed_vectors.load()[:2]
    assert [each.label for each in examples] == [first.label, second.label, Category.MODELISATION]


def test_examples_without_vectors_are_silent_where_no_written_rule_speaks() -> None:
    clear, unclear = (
        replace(seed()[0], request=request(subject="Suite", text=text))
        for text in ("La facture et le virement sont faux.", "À mardi.")
    )
    assert [(each.silent, each.vector) for each in without_vectors([clear, unclear])] == [(False, ()), (True, ())]
    assert "facture" in without_vectors([clear])[0].terms
