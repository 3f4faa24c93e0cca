"""Read the decoded bytes of a part from the spool file."""

from __future__ import annotations

import base64
import binascii
import io
import quopri
import random
from typing import TYPE_CHECKING

import pytest

from poller.mime import transfer_encoding
from poller.mime.transfer_encoding import Encoded, Span

if TYPE_CHECKING:
    from pathlib import Path

BINARY = random.Random(7).randbytes(300_000)  # noqa: S311 - the same bytes every time
LINES = b"".join(b"v %d.25 = \xc3\xa9 0\r\n" % n for n in range(20_000))


def uuencoded(content: bytes) -> bytes:
    lines = (binascii.b2a_uu(content[at : at + 45]) for at in range(0, len(content), 45))
    return b"begin 644 vase.glb\n" + b"".join(lines) + b"`\nend\nCordialement\n"


ONE_LINE = base64.b64encode(BINARY)
ENCODED = {
    "base64": (base64.encodebytes(BINARY), BINARY),
    "base64 of one line": (ONE_LINE, BINARY),
    "base64 of odd lines": (b"\r\n".join(ONE_LINE[at : at + 75] for at in range(0, len(ONE_LINE), 75)), BINARY),
    "quoted-printable": (quopri.encodestring(LINES), LINES),
    "quoted-printable of one line": (b"=C3=A9" * 100_000, "é".encode() * 100_000),
    "x-uuencode": (uuencoded(BINARY), BINARY),
    "7bit": (LINES, LINES),
    "x-unheard-of": (LINES, LINES),
}


def spooled(path: Path, content: bytes, encoding: str) -> Encoded:
    """Write the content to a spool file, and return it in three pieces that end anywhere."""
    (path / "spool").write_bytes(b"before" + content + b"after")
    third = len(content) // 3
    pieces = (Span(6, third), content[third : third + 10], Span(6 + third + 10, len(content) - third - 10))
    return Encoded(path / "spool", pieces, encoding.partition(" ")[0])


@pytest.mark.parametrize("case", ENCODED)
def test_every_transfer_encoding_is_decoded(case: str, tmp_path: Path) -> None:
    raw, decoded = ENCODED[case]
    content = spooled(tmp_path, raw, case)
    with content.open() as stream:
        assert stream.read() == decoded


@pytest.mark.parametrize("case", ENCODED)
def test_decoded_stream_can_be_read_in_any_order(case: str, tmp_path: Path) -> None:
    raw, decoded = ENCODED[case]
    with spooled(tmp_path, raw, case).open() as stream:
        assert stream.seek(0, io.SEEK_END) == stream.tell() == len(decoded)
        assert stream.read() == b""
        for offset in (0, len(decoded) - 5, 70_000, 3, len(decoded) + 9):
            assert stream.seek(offset) == offset
            assert stream.read(100) == decoded[offset : offset + 100]
        stream.seek(1000)
        stream.read(7)
        assert stream.seek(-3, io.SEEK_CUR) == 1004
        assert stream.read(4) == decoded[1004:1008]


BROKEN_BASE64 = {
    "no padding": (b"Ym9uam91cg", b"bonjour"),
    "one letter too many": (b"Ym9uam91cg==Y", b"bonjour"),
    "one letter alone": (b"Ym9uY", b"bon"),
    "foreign characters": (b"Ym9u!\xe9 am\r\n9$1cg==", b"bonjour"),
    "padding out of place": (b"=Ym9u=am91cg==", b"bonjour"),
    "a footer below": (b"Ym9uam91cg==\r\n-- \r\nliste de diffusion", b"bonjour"),
    "nothing": (b"", b""),
    "nothing but foreign characters": (b"!!\r\n", b""),
}


@pytest.mark.parametrize(("raw", "decoded"), BROKEN_BASE64.values(), ids=BROKEN_BASE64)
def test_broken_base64_gives_readable_bytes(raw: bytes, decoded: bytes, tmp_path: Path) -> None:
    assert read(tmp_path, raw, "base64") == decoded


BROKEN_QUOTED_PRINTABLE = {
    "soft break with spaces": (b"a=  \r\nb", b"ab"),
    "soft break of a lone CR": (b"a=\rb", b"ab"),
    "no escape": (b"a=ZZb", b"a=ZZb"),
    "an escape cut off": (b"a=C", b"a=C"),
    "lower case": (b"a=c3=a9", "aé".encode()),
}


@pytest.mark.parametrize(("raw", "decoded"), BROKEN_QUOTED_PRINTABLE.values(), ids=BROKEN_QUOTED_PRINTABLE)
def test_broken_quoted_printable_gives_readable_bytes(raw: bytes, decoded: bytes, tmp_path: Path) -> None:
    assert read(tmp_path, raw, "quoted-printable") == decoded


def test_invalid_uuencoded_line_is_skipped(tmp_path: Path) -> None:
    raw = uuencoded(b"bonjour").replace(b"`\nend", b"\xff\xff\xff\n\nend")
    assert read(tmp_path, raw, "x-uuencode") == b"bonjour"


@pytest.mark.parametrize("at", range(-4, 5))
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_decoding_is_correct_across_read_pieces(encoding: str, at: int, tmp_path: Path) -> None:
    raw = b"x" * (transfer_encoding.PIECE_BYTES + at) + b"=C3=A9=\r\n=C3=A9\r\n" * 9
    if encoding == "base64":
        raw = base64.encodebytes(raw)
        decoded = base64.decodebytes(raw)
    else:
        decoded = quopri.decodestring(raw)
    assert read(tmp_path, raw, encoding) == decoded


def test_truncated_spool_file_gives_remaining_bytes(tmp_path: Path) -> None:
    (tmp_path / "spool").write_bytes(b"abc")
    with Encoded(tmp_path / "spool", (Span(1, 10),), "").open() as stream:
        assert stream.read() == b"bc"


def test_nested_encodings_are_decoded(tmp_path: Path) -> None:
    """It is read in any order, from the spool file or from a stream of what it lies in, which stays open."""
    outer = spooled(tmp_path, base64.encodebytes(b"before" + quopri.encodestring(LINES) + b"after"), "base64")
    inner = Encoded(outer, (Span(6, len(quopri.encodestring(LINES))),), "quoted-printable")
    with inner.open() as stream:
        assert stream.read() == LINES
        assert (stream.seek(5), stream.read(20)) == (5, LINES[5:25])
    with outer.open() as at_hand:
        with inner.open(at_hand) as stream:
            assert stream.read() == LINES
        assert (at_hand.seek(0), at_hand.read(6)) == (0, b"before")


def test_stream_close_closes_file(tmp_path: Path) -> None:
    content = spooled(tmp_path, LINES, "7bit")
    stream = content.open()
    stream.close()
    with pytest.raises(ValueError, match="closed"):
        stream.read()


def read(path: Path, raw: bytes, encoding: str) -> bytes:
    (path / "spool").write_bytes(raw)
    with Encoded(path / "spool", (Span(0, len(raw)),), encoding).open() as stream:
        return stream.read()


@pytest.mark.parametrize("length", [3, 45, 500])
def test_uuencoded_lines_without_begin_are_decoded(length: int, tmp_path: Path) -> None:
    raw = uuencoded(BINARY[:length])
    assert read(tmp_path, raw[raw.index(b"\n") + 1 :], "x-uuencode") == BINARY[:length]
    assert read(tmp_path, b"BONJOUR,\r\n\r\n" + raw, "x-uuencode") == BINARY[:length]
