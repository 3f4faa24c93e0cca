"""The formats in which mail clients wrap a message: read where they are well formed, refused where they are not."""

from __future__ import annotations

import binascii
import io
import random
import struct

import pytest

from poller.mime.transfer_encoding import Span
from poller.parsing import rtf, smime, tnef, uuencode
from tests.support.containers import BINARY, STRING, attribute, enveloped, packed, rich_text, signed, uuencoded, winmail
from tests.support.effort import one_pass

CONTENT = bytes(range(256)) * 20


def at(stream: bytes, span: Span) -> bytes:
    return stream[span.offset : span.offset + span.length]


@pytest.mark.parametrize("pieces", [0, 1000, 7])
def test_signed_content_is_read_from_all_pieces(pieces: int) -> None:
    raw = signed(CONTENT, pieces=pieces)
    assert b"".join(at(raw, span) for span in smime.signed_content(io.BytesIO(raw))) == CONTENT


def test_encrypted_smime_is_told_from_broken() -> None:
    with pytest.raises(smime.EncryptedError):
        smime.signed_content(io.BytesIO(enveloped()))


WHOLE = signed(CONTENT, pieces=100)


@pytest.mark.parametrize("end", [0, 1, 2, 5, 13, 30, 50, 60, 1000])
def test_truncated_signature_is_refused(end: int) -> None:
    with pytest.raises(ValueError, match=r"cut off|no length|another"):
        smime.signed_content(io.BytesIO(WHOLE[:end]))


def test_random_bytes_raise_only_expected_error() -> None:
    """Bytes changed, taken out and put in at random, in each format."""
    chance = random.Random(4)  # noqa: S311  no secret
    wholes = [
        WHOLE[:3000],
        signed(b"x"),
        winmail({0x1000: (STRING, b"x")}, (b"a", CONTENT[:300], {0x3707: (STRING, b"b")})),
    ]
    for _ in range(1500):
        broken = bytearray(chance.choice(wholes))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(broken))
            broken[place : place + chance.randint(0, 2)] = chance.randbytes(chance.randint(0, 3))
        stream = io.BytesIO(bytes(broken))
        for read in (smime.signed_content, lambda stream: tnef.read(stream, Span(0, len(stream.getvalue())))):
            try:
                read(stream)
            except (ValueError, smime.EncryptedError):
                continue


def test_winmail_dat_gives_spans_of_its_files() -> None:
    raw = winmail(
        {}, (b"A.GLB", CONTENT, {}), (b"B~1.PNG", b"x", {0x3707: (STRING, b"b.png\0"), 0x370E: (STRING, b"image/png")})
    )
    mail = tnef.read(io.BytesIO(b"before" + raw + b"after"), Span(6, len(raw)))
    assert [(file.name, file.content_type, at(b"before" + raw, file.span)) for file in mail.files] == [
        ("A.GLB", "", CONTENT),
        ("b.png", "image/png", b"x"),
    ]
    assert mail.whole


def test_truncated_winmail_dat_gives_earlier_content() -> None:
    raw = winmail({}, (b"A.GLB", CONTENT, {}), (b"B.GLB", CONTENT, {}))[:-100]
    mail = tnef.read(io.BytesIO(raw), Span(0, len(raw)))
    assert (mail.whole, [file.name for file in mail.files]) == (False, ["A.GLB"])


def test_named_and_multi_valued_properties_are_skipped() -> None:
    by_text = struct.pack("<HH16sII8s", STRING, 0x8001, b"", 1, 6, b"a\0b\0\0\0") + struct.pack("<II4s", 1, 2, b"ab")
    by_number = struct.pack("<HH16sIIHxx", 2, 0x8002, b"", 0, 7, 1)
    numbers = struct.pack("<HHI", 0x1003, 0x3000, 3) + bytes(12)
    texts = struct.pack("<HHII4sI4s", 0x1000 | STRING, 0x3001, 2, 2, b"ab", 1, b"c")
    html = struct.pack("<HHII4s", BINARY, 0x1013, 1, 4, b"<br>")
    props = struct.pack("<I", 5) + by_text + by_number + numbers + texts + html
    raw = winmail({}) + attribute(1, 0x00069003, props)
    mail = tnef.read(io.BytesIO(raw), Span(0, len(raw)))
    assert mail.html is not None
    assert (mail.whole, at(raw, mail.html.span)) == (True, b"<br>")


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


def decoded(text: bytes) -> list[tuple[str, bytes]]:
    """The names and contents of the files in a text."""
    return [
        (block.name, b"".join(binascii.a2b_uu(line) for line in at(text, block.span).splitlines()[1:-2]))
        for block in uuencode.blocks(io.BytesIO(text))
    ]


def test_uuencoded_files_in_text_are_found_in_order() -> None:
    text = b"Bonjour\n" + uuencoded("vase.glb", CONTENT) + b"et\n" + uuencoded("b.txt", b"x") + b"fin"
    assert decoded(text) == [("vase.glb", CONTENT), ("b.txt", b"x")]
    assert decoded(text.replace(b"\n", b"\r\n")) == [("vase.glb", CONTENT), ("b.txt", b"x")]


PROSE = {
    "a sentence": b"begin 644 the work\nand end\nend\n",
    "no end": uuencoded("a", CONTENT)[:-5],
    "a line too many": uuencoded("a", b"x").replace(b"`\n", b"`\nbonjour\n"),
    "cut in the middle": uuencoded("a", CONTENT)[:500] + b"\nMerci\nend\n",
    "no name": b"begin 644\n`\nend\n",
    "in a line": b"> " + uuencoded("a", b"x"),
}


@pytest.mark.parametrize("text", PROSE.values(), ids=PROSE)
def test_text_resembling_uuencode_stays_text(text: bytes) -> None:
    assert uuencode.blocks(io.BytesIO(text)) == []


def test_uuencoded_file_is_found_after_lookalike() -> None:
    assert decoded(b"begin 644 a\nMais\nbegin 644 b\n" + uuencoded("c", b"x"))[0] == ("c", b"x")
