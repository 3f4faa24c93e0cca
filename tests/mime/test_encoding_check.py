"""Find out in which encoding a part really is."""

from __future__ import annotations

import base64
import quopri
from typing import TYPE_CHECKING

import pytest

from poller.mime.encoding_check import Checked, check, encoding_of, holds_parts
from poller.mime.transfer_encoding import PIECE_BYTES, Encoded, Span

if TYPE_CHECKING:
    from pathlib import Path

TEXT = ("Pourriez-vous modéliser cette chaise épurée, en noyer, d'une hauteur de 82 cm ? Merci.\r\n" * 3).encode()
MODEL = b"glTF\2\0\0\0" + bytes(range(256)) * 3
LETTERS = base64.encodebytes(TEXT)
DIGEST = b"da39a3ee5e6b4b0d3255bfef95601890afd80709"


def checked(path: Path, raw: bytes, value: str, *, is_text: bool) -> Checked:
    """Return what is found out of a part."""
    (path / "spool").write_bytes(raw)
    content = Encoded(path / "spool", (Span(0, len(raw)),), encoding_of(value))
    with (path / "spool").open("rb") as stream:
        return check(content, stream, is_text=is_text)


def read(path: Path, raw: bytes, value: str, *, is_text: bool = True) -> tuple[bytes, str]:
    """Return what a part is decoded to, and what is wrong with it."""
    found = checked(path, raw, value, is_text=is_text)
    with found.content.open() as decoded:
        return decoded.read(), found.loss


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        *(
            (value, "base64")
            for value in ("base 64", "BASE-64", '"base64"', "base64;", "(x) base64", "x-base64", "b64")
        ),
        *((value, "quoted-printable") for value in ("Quoted Printable", "quoted_printable;x", "qp")),
        *((value, "x-uuencode") for value in ("x-uue", "uuencode")),
        *((value, "") for value in ("", "7bit", "8 bit", "BINARY")),
        ("unheard-of", "unheardof"),
    ],
)
def test_encoding_of_misspelt_name_is_known(value: str, encoding: str) -> None:
    assert encoding_of(value) == encoding


@pytest.mark.parametrize("value", ["", "7bit", "quoted-printable", "unheard-of", "utf-8"])
def test_base64_under_another_name_is_decoded_and_named(value: str, tmp_path: Path) -> None:
    named = "part in another encoding than it says"
    assert read(tmp_path, LETTERS, value) == (TEXT, named)
    assert read(tmp_path, base64.encodebytes(MODEL), value, is_text=False) == (MODEL, named)


@pytest.mark.parametrize("value", ["", "8bit", "base64", "unheard-of"])
def test_quoted_printable_under_another_name_is_decoded(value: str, tmp_path: Path) -> None:
    raw = quopri.encodestring(TEXT)
    assert read(tmp_path, raw, value) == (quopri.decodestring(raw), "part in another encoding than it says")


@pytest.mark.parametrize("value", ["base64", "x-uuencode"])
def test_plain_text_under_an_encoding_is_read_and_named(value: str, tmp_path: Path) -> None:
    assert read(tmp_path, TEXT, value) == (TEXT, "part whose encoding cannot be read")


def test_base64_with_empty_lines_in_it_is_decoded_to_its_end(tmp_path: Path) -> None:
    apart = LETTERS.replace(b"\n", b"\r\n\r\n")
    assert read(tmp_path, apart, "base64") == (TEXT, "")
    footer = b"____\nAchats mailing list\n"
    assert read(tmp_path, apart + footer, "base64") == (TEXT, "base64 with more below its end")


def test_footer_below_base64_is_named_and_not_decoded(tmp_path: Path) -> None:
    whole = base64.encodebytes(TEXT[: len(TEXT) // 3 * 3])
    footer = b"\n____________\nAchats mailing list\nAchats@lists.example.com\n"
    assert read(tmp_path, whole + footer, "base64") == (base64.b64decode(whole), "base64 with more below its end")


@pytest.mark.parametrize("footer", [b"\n-- \nAchats\n", b"\n\n____\nAchats mailing list\n"])
def test_base64_of_less_than_a_line_is_read_above_a_footer(footer: bytes, tmp_path: Path) -> None:
    said = "Bonjour, ça grince.".encode()
    assert read(tmp_path, base64.b64encode(said) + footer, "base64") == (said, "base64 with more below its end")
    assert read(tmp_path, b"Bonjours" + footer, "base64")[0].startswith(b"Bonjours")


def test_paragraphs_encoded_one_by_one_are_named(tmp_path: Path) -> None:
    """Above a footer, or of one length, as two keys are."""
    first, second = base64.b64encode(b"Oui, merci."), base64.b64encode(b"La V4 en noyer, plus basse.")
    text, loss = read(tmp_path, b"\n\n".join((first, second, b"Achats.\n")), "base64")
    assert (text, loss) == (b"Oui, merci.", "base64 with other characters in it")
    keys = base64.b64encode(bytes(31)) + b"\n"
    assert read(tmp_path, keys * 2, "7bit") == (keys * 2, "")


def test_text_below_a_damaged_line_of_base64_is_read_too(tmp_path: Path) -> None:
    first, rest = LETTERS.split(b"\n", 1)
    text, loss = read(tmp_path, first + b"\n>\n" + rest, "base64")
    assert (text, loss) == (TEXT, "base64 with other characters in it")


@pytest.mark.parametrize(
    ("raw", "loss"),
    [
        (LETTERS[:-7], "base64 that breaks off"),
        (LETTERS.replace(b"\n", b"\n> "), "base64 with other characters in it"),
        (base64.encodebytes(TEXT[:97]) + LETTERS, "base64 with more below its end"),
    ],
)
def test_damaged_base64_is_named(raw: bytes, loss: str, tmp_path: Path) -> None:
    assert read(tmp_path, raw, "base64", is_text=False)[1] == loss


@pytest.mark.parametrize("line_end", [b"\r\n", b" \n\n", b""])
@pytest.mark.parametrize("size_bytes", [PIECE_BYTES, PIECE_BYTES + 1, PIECE_BYTES + 2])
def test_size_of_whole_base64_is_known_undecoded(size_bytes: int, line_end: bytes, tmp_path: Path) -> None:
    raw = base64.encodebytes(bytes(size_bytes)).replace(b"\n", line_end)
    assert checked(tmp_path, raw, "base64", is_text=False).size_bytes == size_bytes
    for unpadded in (raw.rstrip(b"=\r\n "), raw + b"="):
        known = checked(tmp_path, unpadded, "base64", is_text=False).size_bytes
        assert known in {None, len(read(tmp_path, unpadded, "base64", is_text=False)[0])}


def test_size_of_damaged_base64_is_not_known(tmp_path: Path) -> None:
    raw = base64.encodebytes(MODEL)
    for damaged in (raw.rstrip(b"=\n")[:-1], raw + b">", raw + b"= " + raw):
        assert checked(tmp_path, damaged, "base64", is_text=False).size_bytes is None


@pytest.mark.parametrize(
    ("raw", "value"),
    [(TEXT, "8bit"), (TEXT, "utf-8"), (DIGEST, ""), (b"a = b\r\n==\r\nRAL=3000\r\n", "7bit"), (b" \r\n", "base64")],
)
def test_content_as_it_says_has_no_defect(raw: bytes, value: str, tmp_path: Path) -> None:
    assert read(tmp_path, raw, value)[1] == ""


def test_text_with_fields_of_parts_holds_parts() -> None:
    assert holds_parts(b"--b\r\r\nContent-Type: text/plain\r\r\nContent-Transfer-Encoding: 7bit\r\n\r\nx")
    assert not holds_parts(b"Le champ\r\nContent-Type: text/html\r\nest faux")
