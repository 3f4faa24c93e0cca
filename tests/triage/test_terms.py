"""List the terms of a request."""

from __future__ import annotations

import pytest

from poller.triage.wording.reading import read_mail
from poller.triage.wording.terms import terms_of
from tests.triage.test_rules import request


def terms(body: str, *files: str) -> frozenset[str]:
    return terms_of(read_mail(request(body, *files)))


def test_words_and_pairs_within_a_sentence_are_terms() -> None:
    assert terms("Un banc, un banc. Merci") - {"@asks"} == {
        *("un", "banc", "merci"),
        *("^ un", "un banc", "banc un", "banc $", "^ merci", "merci $"),
        "<no file>",
    }


@pytest.mark.parametrize(
    ("body", "sign", "found"),
    [
        ("Ma facture est fausse.", "@de facturation", True),
        ("Aucun souci de facture. Cela n'a rien à voir avec la facture.", "@topic", False),
        ("Le banc est en chêne.\nPS : la facture est fausse.", "@topic", False),
        ("Bonjour.\nPS : la facture est fausse.", "@topic", True),
        ("Le banc est en chêne.", "@looks", True),
    ],
)
def test_signs_of_what_is_asserted_are_terms(body: str, sign: str, found: bool) -> None:
    assert (sign in terms(body)) is found


def test_files_are_terms_by_kind_suffix_and_name() -> None:
    assert terms("", "Chaise_04.GLB", "facture.pdf") == {
        *("<files alone>", "<model>", ".glb", "file:chaise"),
        *("<document>", ".pdf", "file:facture", "@file named for support"),
    }
