"""What a letter quotes of a mail."""

from __future__ import annotations

import pytest

from poller.rendering.excerpt import QUOTATION_CHARS, first_sentence, quotation


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Bonjour,\n\nUne chaise en chêne. Merci.", "Une chaise en chêne."),
        ("Bonjour Madame Petit,\nPouvez-vous le modéliser\nen 3D ? Merci.", "Pouvez-vous le modéliser en 3D ?"),
        ("Bonjour, une chaise en chêne. Merci.", "Bonjour, une chaise en chêne."),
        ("Bonjour !", "Bonjour !"),
        ("Il fait 3.5 m. Merci", "Il fait 3.5 m."),
        ("sans point", "sans point"),
        ("\n \n", ""),
        ("", ""),
        ("a\u202eb\nc", "ab c"),
    ],
)
def test_first_sentence_follows_the_greeting(text: str, sentence: str) -> None:
    assert first_sentence(text) == sentence


def test_long_sentence_is_cut() -> None:
    assert len(first_sentence("mot " * 1_000)) <= 150


def test_quotation_keeps_lines_and_one_blank_between_paragraphs() -> None:
    assert quotation("\n\nBonjour,\r\n\n \n\n- un\n- deux\n\n") == "Bonjour,\n\n- un\n- deux"


@pytest.mark.parametrize("text", ["mot " * 5_000, "x" * 5_000, "é\n" * 5_000])
def test_quotation_is_cut_at_a_word(text: str) -> None:
    """At most 1,500 characters, with a sign that there is more."""
    found = quotation(text)
    assert QUOTATION_CHARS // 2 < len(found) <= QUOTATION_CHARS
    assert found.endswith(" […]")
    assert not found.startswith("mot ") or found.endswith("mot […]")
