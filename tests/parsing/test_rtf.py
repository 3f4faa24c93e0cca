"""Extract the text of Rich Text that Outlook packed ([MS-OXRTFCP])."""

from __future__ import annotations

import random

import pytest

from poller.parsing import rtf
from tests.support.containers import packed, rich_text
from tests.support.effort import one_pass

RICH_TEXTS = {
    "paragraphs": (rb"{\rtf1\ansi un\par deux\line trois}", "un\ndeux\ntrois"),
    "accents": (rb"{\rtf1\ansi\ansicpg1252 caf\'e9 \'80}", "café €"),
    "another code page": (rb"{\rtf1\ansi\ansicpg1251 \'c4\'e0}", "Да"),
    "unicode": (rb"{\rtf1\uc1 \u233? \u-10179?\u-8704?}", "é 😀"),
    "unicode with two for one": (rb"{\rtf1\uc2 \u233ab!}", "é!"),
    "what is no text": (rb"{\rtf1{\fonttbl{\f0 Arial;}}{\*\generator x;}{\pict 0102}oui}", "oui"),
    "binary": (b"{\\rtf1 a{\\pict\\bin5 }}}}}}b}", "ab"),
    "signs": (rb"{\rtf1 \{a\}\\ \'7bb\'7d\tab c}", "{a}\\ {b}\tc"),
    "HTML in it": (rb"{\rtf1\fromhtml1 {\*\htmltag64 <p>}oui{\*\htmltag72 </p>}}", "oui"),
    "line ends": (b"{\\rtf1 a\r\nb}", "ab"),
    "half of a pair": (rb"{\rtf1 \u-10179?}", "\ufffd"),
    "two bytes for one": (rb"{\rtf1\ansi\ansicpg932 \'83e\'83X\'83\'67a}", "テストa"),
    "of an old Mac": (rb"{\rtf1\mac\ansicpg10000 caf\'8e}", "café"),
    "a code page that is none": (rb"{\rtf1\ansi\ansicpg0 caf\'e9}", "café"),
    "bytes as they are": (b"{\\rtf1\\ansi\\ansicpg1251 \xc4\xe0}", "Да"),
    "a list": (rb"{\rtf1{\pntext\f0 1.\tab}un\par}", "1.\tun\n"),
    "trays of a printer": (rb"{\rtf1\binfsxn0\binsxn0 oui}", "oui"),
    "a word that is none": (rb"{\rtf1{\pict 00}\\bin5}", r"\bin5"),
    "numbers that are none": (rb"{\rtf1\uc oui\u-999999999 \uc1 non}", "oui\u3601non"),
    "a font with a charset that is none": (rb"{\rtf1{\fonttbl{\f0\fcharset78 x;}}\f0 caf\'e9}", "café"),
    "a link": (rb'{\rtf1{\field{\*\fldinst{HYPERLINK "https://a.fr"}}{\fldrslt{ici}}}}', "ici"),
    "cut off": (rb"{\rtf1 dor\'e9\'e9", "doréé"),
    "cells of a table": (rb"{\rtf1 a\cell b\nestcell c}", "a\tb\tc"),
    "hyphens": (rb"{\rtf1 peut\_\'eatre main\-tenant}", "peut-être maintenant"),
    "none": (b"bonjour", ""),
}


@pytest.mark.parametrize(("raw", "text"), RICH_TEXTS.values(), ids=RICH_TEXTS)
def test_rich_text_loses_its_formatting(raw: bytes, text: str) -> None:
    assert rtf.text(raw) == text
    assert rtf.unpacked(rich_text(raw), 10_000) == raw


def test_packed_rich_text_resolves_back_references() -> None:
    """The example of [MS-OXRTFCP] section 4.1, and one of a run that overlaps itself (4.2)."""
    simple = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a00726370673132354232 0af32068656c090020627705b06c647d0a800fa0"
    )
    assert rtf.unpacked(simple, 1000) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    crossing = bytes.fromhex("1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0")
    assert rtf.unpacked(crossing, 1000) == b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}"


@pytest.mark.parametrize("raw", [b"", b"x" * 15, b"x" * 40, packed(b"")[:8] + b"MELA" + bytes(4)])
def test_invalid_packed_rich_text_is_empty(raw: bytes) -> None:
    assert rtf.unpacked(raw, 1000) == b""


HOSTILE = [
    *(b"{", b"}", b"{\\*", b"\\'e9", b"\\u1?", b"\\", b"a", b"\\bin-1 ", b"{\\rtf1 {\\pict", b"\\'", b"\\u", b"\\uc"),
    *(b"\xe9", b"\\bin999999999 ", b"{\\pict\\bin", b"\\pict\\binx", b"\\\\bin{\\pict", b"\\u9999999999?"),
    b'{\\field{\\*\\fldinst{HYPERLINK "',
    b'{\\FIELD{\\*\\fldinst{HYPERLINK "',
    b'{\\fie\\bin0 ld{\\*\\fldinst{HYPERLINK "',
    *(b"{\\fonttbl\\f0", b"{\\font\\bin0 tbl\\f0", b"{\\fonttbl{\\f0\\fcharset78 x;}}\\f0\\'e9"),
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_rich_text_is_read_quickly(piece: bytes) -> None:
    one_pass(lambda text: rtf.text(b"{\\rtf1 " + text), piece, 500_000)


def test_no_rich_text_makes_the_reader_raise() -> None:
    """Pieces of hostile documents and bytes, one after another at random."""
    chance = random.Random(6)  # noqa: S311  no secret
    pages = [b"", b"\\ansicpg932 ", b"\\ansicpg65000 ", b"\\ansicpg54936 ", b"\\ansicpg99999 "]
    for _ in range(3000):
        pieces = [
            chance.choice([*HOSTILE, b"}", b"\n", b"}", chance.randbytes(3)]) for _ in range(chance.randint(1, 12))
        ]
        rtf.text(b"{\\rtf1" + chance.choice(pages) + b"".join(pieces)).encode()
