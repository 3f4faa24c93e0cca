"""Read a request as the rules and the learnt models do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from poller.model import Address
from poller.triage.wording.reading import folded, read_mail, text_of
from tests.triage.helpers import calendar, request


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Modélisé, ÇA ?", "modelise ca . "),
        ("l’AR\u00a0: n'a\u202fpas", "l ar . n a pas"),
        ("a_b 3,5 cm. Été\nfini", "a b 3 5 cm . ete . fini"),
        ("fac\u00adture im\u200bpayée\u2060", "facture impayee"),
        ("m\u043ed\u00e8l\u0435 F\u0410CTUR\u0415 Αbsence ab\u0455ent", "modele facture absence absent"),
        ("модель маска 3D-модель", "модель маска 3d модель"),
        ("20 μm, λx", "20 μm λx"),
        ("", ""),
    ],
)
def test_folded_keeps_words_and_sentence_ends(text: str, words: str) -> None:
    assert folded(text) == words


def test_what_is_embedded_says_nothing_about_the_sender() -> None:
    mail = request(subject="Devis", text="Bonjour,\nune chaise\nClaire Vasseur\nFactures et litiges")
    signed = replace(mail, author=Address("Claire Vasseur", "claire@vasseur.example"))
    assert text_of(signed) == "Devis\nBonjour,\nune chaise\n"
    assert read_mail(signed).said == "devis . bonjour . une chaise"


def test_article_in_the_name_of_a_company_ends_no_text() -> None:
    mail = request(
        subject="", text="Bonjour,\nLes pieds sont trop longs.\nThe rest is fine.\nAteliers du Bois\nFactures"
    )
    for name in ("Les Ateliers du Bois", "The Ateliers"):
        named = replace(mail, author=Address(name, "claire@vasseur.example"))
        assert text_of(named) == "\nBonjour,\nLes pieds sont trop longs.\nThe rest is fine.\n"


def test_subject_of_an_older_mail_is_not_read() -> None:
    mail = request(subject="Re: Votre facture", text="Une chaise en chêne")
    assert text_of(mail) == "\nUne chaise en chêne\n"
    assert "facture" not in read_mail(mail).said


def test_words_below_a_quotation_alone_are_embedded_all_the_same() -> None:
    assert text_of(replace(request(subject="Re: a"), newest="> oui", text="> oui\nnon")) == "\n> oui\n"


def test_text_of_any_script_takes_a_bounded_time() -> None:
    """A Chinese character takes as long as a French word: 4,000 took ten seconds, while all other mail waited."""
    text = text_of(request(subject="漢" * 1_000, text="漢" * 9_000))
    assert 2_900 < len(text.encode()) <= 3_000
    assert set(text) == {"漢", "…", "\n"}
    hostile = replace(request(subject="\0\ud800\x1b[2J"), newest="\U0010ffff\0é\u202e" * 50_000)
    assert len(text_of(hostile)) < 3_000


def test_words_below_the_names_of_many_files_are_read() -> None:
    """A ZIP of textures has thousands of characters of names, and the words of support were beyond what is read."""
    textures = tuple(replace(calendar("REQUEST"), filename=f"{at:0150}.png") for at in range(200))
    assert read_mail(request(text="La facture est fausse", attachments=textures)).everything.endswith("est fausse")
