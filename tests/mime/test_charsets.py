"""Decode bytes to text, whatever charset the sender named."""

from __future__ import annotations

import charset_normalizer
import pytest

from poller.mime import charsets
from tests.support.effort import one_pass

TEXTS = {
    "declared": ("été".encode("iso-8859-15"), "iso-8859-15", "été"),
    "Windows bytes under ISO-8859-1": (b"l\x92\xe9t\xe9 10 \x80", "iso-8859-1", "l’été 10 €"),
    "UTF-8 under ISO-8859-1": ("Modèle réalisé 🪑".encode(), "iso-8859-1", "Modèle réalisé 🪑"),
    "UTF-8 under Windows-1252": ("L’été, à".encode(), "windows-1252", "L’été, à"),
    "Windows-1252 that fits UTF-8": ("CAFÉ»".encode("cp1252"), "iso-8859-1", "CAFÉ»"),
    "UTF-8 under us-ascii": ("été".encode(), "us-ascii", "été"),
    "UTF-8 under nothing": ("été".encode(), "", "été"),
    "Latin-1 under UTF-8": (b"\xe9t\xe9", "utf-8", "été"),
    "a footer in Windows-1252": (
        "Modèle réalisé.\n".encode() + b"\xe0 bient\xf4t, l\x92\xe9quipe",
        "utf-8",
        "Modèle réalisé.\nà bientôt, l’équipe",
    ),
    "one letter of UTF-8 among others": (
        "Bel été, ".encode() + b"pr\xe9vu \xe0 Orl\xe9ans",
        "utf-8",
        "Bel été, prévu à Orléans",
    ),
    "the same under nothing": ("Modèle réalisé, ".encode() + b"\xe0 voir", "", "Modèle réalisé, à voir"),
    "a stray byte in Russian": ("Привет, как дела? ".encode() + b"\xe9", "utf-8", "Привет, как дела? é"),
    "a stray byte under HTML's charset": (
        '<meta charset="utf-8">é '.encode() + b"\xe9 \xe0",
        "",
        '<meta charset="utf-8">é é à',
    ),
    "a stray byte beside a byte order mark": ("\ufeffété ".encode() + b"\xe9", "utf-8", "été é"),
    "Latin-1 that looks like one letter of UTF-8": (
        "Un FINI HUILÉ… ça dépend, à livrer avant Noël.".encode("cp1252"),
        "",
        "Un FINI HUILÉ… ça dépend, à livrer avant Noël.",
    ),
    "Japanese under UTF-8": (
        "こんにちは。注文はどこですか。ありがとうございます。".encode("cp932"),
        "utf-8",
        "こんにちは。注文はどこですか。ありがとうございます。",
    ),
    "a byte order mark": ("\ufeffété".encode(), "utf-8", "été"),
    "UTF-16 with its mark": ("été".encode("utf-16"), "utf-16", "été"),
    "UTF-16 without, little endian": ("Déjà".encode("utf-16-le"), "utf-16", "Déjà"),
    "UTF-16 without, big endian": ("Déjà".encode("utf-16-be"), "utf-16", "Déjà"),
    "7-bit Japanese": (b"\x1b$B$9$_$^$;$s!#\x1b(B", "iso-2022-jp", "すみません。"),
    "UTF-7": (b"+AOk-t+AOk-", "utf-7", "été"),
    "Korean under its IANA name": ("사진".encode("cp949"), "ks_c_5601-1987", "사진"),
    "an unknown name": (b"\xe9t\xe9", "x-nothing", "été"),
    "quotes around the name": (b"\xe9", '"iso-8859-15"', "é"),
    "NUL in the name": (b"bonjour", "ut\0f8", "bonjour"),
    "what HTML says": ('<meta charset="koi8-r">да'.encode("koi8-r"), "", '<meta charset="koi8-r">да'),
    "bytes that Windows-1252 has not": (b"\x81\xe9", "utf-8", "\x81é"),
    "nothing": (b"", "utf-8", ""),
    "short French under nothing": (
        "Où est le café à modéliser ? Merci.".encode("cp1252"),
        "",
        "Où est le café à modéliser ? Merci.",
    ),
    "French with digits": (
        "12 pièces à 30 € pour le prêt".encode("cp1252"),
        "x-unknown",
        "12 pièces à 30 € pour le prêt",
    ),
    "French under us-ascii": (
        "Le mot de passe ne marche pas, ça ne se connecte plus. Noël".encode("cp1252"),
        "us-ascii",
        "Le mot de passe ne marche pas, ça ne se connecte plus. Noël",
    ),
    "a name": ("De la part de M. Lefèvre".encode("cp1252"), "", "De la part de M. Lefèvre"),
    "Greek under nothing": (
        "Καλημέρα, πού είναι η παραγγελία μου; Ευχαριστώ".encode("cp1253"),
        "",
        "Καλημέρα, πού είναι η παραγγελία μου; Ευχαριστώ",
    ),
    "Japanese under nothing": (
        "こんにちは。注文はどこですか。ありがとうございます。".encode("cp932"),
        "",
        "こんにちは。注文はどこですか。ありがとうございます。",
    ),
}


@pytest.mark.parametrize(("content", "charset", "text"), TEXTS.values(), ids=TEXTS)
def test_bytes_are_decoded_to_intended_text(content: bytes, charset: str, text: str) -> None:
    assert charsets.decode(content, charset) == text


@pytest.mark.parametrize(
    "name",
    ["idna", "punycode", "rot13", "hex", "zlib", "base64", "bz2", "unicode_escape", "undefined", "mbcs", "", "\udce9"],
)
def test_codec_that_is_no_charset_is_not_used(name: str) -> None:
    assert charsets.known(name) == ""
    assert charsets.decode(b"abc", name) == "abc"


@pytest.mark.parametrize(
    ("number", "codec"),
    [
        (1252, "cp1252"),
        (28591, "cp1252"),
        (65001, "utf-8"),
        (20866, "koi8-r"),
        (932, "cp932"),
        (0, ""),
        (-1, ""),
        (10**9, ""),
    ],
)
def test_windows_code_page_is_known_by_number(number: int, codec: str) -> None:
    assert charsets.of_code_page(number) == codec


def test_truncated_character_is_dropped() -> None:
    assert charsets.decode("été".encode()[:-1], "utf-8", complete=False) == "ét"


def test_raw_header_field_is_utf_8_or_windows_1252() -> None:
    assert charsets.decode_field("été".encode()) == charsets.decode_field(b"\xe9t\xe9") == "été"


def test_charset_guess_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made of the first 16 KB, however much there is."""
    read: list[int] = []
    guess = charset_normalizer.from_bytes
    monkeypatch.setattr(charset_normalizer, "from_bytes", lambda content: read.append(len(content)) or guess(content))
    one_pass(charsets.decode, b"\xe9\x81\xff\x00 ")
    charsets.decode(b"\xe9\x81\xff\x00 " * 200_000)
    assert max(read) == 16 * 1024
