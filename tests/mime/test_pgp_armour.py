"""Take the text out of an inline OpenPGP signature."""

from __future__ import annotations

import pytest

from poller.mime.pgp_armour import without_armour
from poller.parsing.quoting import newest_part
from tests.support.effort import one_pass

SIGNATURE = "-----BEGIN PGP SIGNATURE-----\nVersion: GnuPG v2\n\niQEzBAEBCAAd\n=aBcD\n-----END PGP SIGNATURE-----"
SIGNED = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nLe pied :\n- - en noyer\n- -- \nCamille\n{SIGNATURE}"
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENBFab\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----"


def test_signed_text_is_as_it_was_written() -> None:
    assert without_armour(f"{SIGNED}\nÀ bientôt\n- fin") == "\nLe pied :\n- en noyer\n-- \nCamille\nÀ bientôt\n- fin"


def test_newest_part_of_signed_answer_has_no_history() -> None:
    history = "Le 3 nov. 2026 à 10:12, Studio <s@example.com> a écrit :\n> -----BEGIN PGP SIGNATURE-----\n> x"
    assert newest_part(SIGNED.replace("- -- \nCamille", history)) == "Le pied :\n- en noyer"


@pytest.mark.parametrize(
    "text",
    [
        "Bonjour",
        KEY,
        SIGNATURE.partition("iQ")[0],
        f"> {SIGNATURE}",
        "-----BEGIN PGP MESSAGE-----\nhQE",
        SIGNATURE.replace("=aBcD", "Le banc est en chêne."),
        SIGNATURE.replace("END PGP SIGNATURE", "END PGP PUBLIC KEY BLOCK"),
    ],
)
def test_text_without_readable_armour_stays(text: str) -> None:
    assert without_armour(text) == text


def test_key_below_text_is_dropped() -> None:
    assert without_armour(f"Bonjour\n{KEY}") == "Bonjour"


def test_words_between_two_broken_blocks_are_kept() -> None:
    cut = SIGNATURE.partition("=aBcD")[0]
    assert without_armour(f"{cut}Le banc est en chêne.\n{KEY}") == f"{cut}Le banc est en chêne."


@pytest.mark.parametrize("line", ["", "- a\n-----END PGP SIGNATURE-----\n", "a\n"])
def test_armour_is_read_in_one_pass(line: str) -> None:
    one_pass(without_armour, f"-----BEGIN PGP SIGNATURE-----\n{line}", 100_000)
