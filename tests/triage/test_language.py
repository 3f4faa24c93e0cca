"""Tests of the language that a customer is answered in."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from poller.triage.language import Language, language_of
from tests.triage.helpers import request

if TYPE_CHECKING:
    from collections.abc import Iterator

ENGLISH = "Hello, could you create a 3D model of our cargo bike? We would like our customers to see it in AR."


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (ENGLISH, Language.ENGLISH),
        ("Bonjour, pourriez-vous modéliser notre vélo cargo en 3D pour notre site ?", Language.FRENCH),
        ("Guten Tag, wir möchten eine Stehlampe als 3D-Modell erstellen lassen.", Language.FRENCH),
        ("hello, le mug existe aussi en céladon, can you do that one too? same size", Language.FRENCH),
        ("OK", Language.FRENCH),
        ("", Language.FRENCH),
    ],
)
def test_language_is_english_where_that_is_sure_else_french(text: str, language: Language) -> None:
    assert language_of(request(text=text)) is language


@pytest.fixture
def _without_detector(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "gcld3", None)
    return


@pytest.mark.usefixtures("_without_detector")
def test_language_without_a_detector_is_french() -> None:
    assert language_of(request(text=ENGLISH)) is Language.FRENCH
