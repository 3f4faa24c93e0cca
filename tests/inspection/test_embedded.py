"""Find the picture that a file of a closed format carries."""

from __future__ import annotations

import gzip
import io
import struct
import zlib

import pytest
from PIL import Image

from poller.inspection.embedded import preview
from tests.inspection import samples
from tests.inspection.samples import GREEN

PNG = samples.image(GREEN, (128, 96))


def dib() -> bytes:
    """A bitmap without its file header."""
    written = io.BytesIO()
    Image.new("RGB", (128, 96), GREEN).save(written, "BMP")
    return written.getvalue()[14:]


def dwg(kind: int, content: bytes) -> bytes:
    head = b"AC1032\0\0\0\0\0\0\0" + struct.pack("<I", 32)
    sentinel = bytes.fromhex("1f256d07d43628289d57ca3f9d44102b")
    return head.ljust(32, b"\0") + sentinel + struct.pack("<IBBII", 0, 1, kind, 32 + 30, len(content)) + content


def blend(*, packed: bool = False) -> bytes:
    block = b"TEST" + struct.pack("<iQii", 8 + 4 * 64 * 48, 0, 0, 1)
    content = b"BLENDER-v300" + block + struct.pack("<ii", 64, 48) + bytes((*GREEN, 255)) * 64 * 48
    return gzip.compress(content) if packed else content


def solidworks() -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    packed = deflate.compress(PNG) + deflate.flush()
    part = b"\x14\x00\x06\x00\x08\x00" + bytes(8) + struct.pack("<III", len(packed), len(PNG), 10) + b"x" * 10 + packed
    return bytes(40) + part


FILES = {
    "freecad": samples.zipped(thumbnails__Thumbnail_dot_png=PNG, Document_dot_xml=b"<a/>"),
    "3mf": samples.zipped(Metadata__thumbnail_dot_png=PNG),
    "dwg with PNG": dwg(6, PNG),
    "dwg with a bitmap": dwg(2, dib()),
    "blend": blend(),
    "packed blend": blend(packed=True),
    "sketchup": b"\xff\xfe\xff\x0eS\0k\0e\0t\0c\0h\0U\0p\0" + bytes(90) + PNG + bytes(50),
    "solidworks since 2015": solidworks(),
}


@pytest.mark.parametrize("kind", FILES)
def test_embedded_picture_is_found(kind: str) -> None:
    """And framed in a picture of the size of the others."""
    found = preview(FILES[kind], (800, 600))
    assert found
    assert samples.pixels(found).shape == (600, 800, 3)
    assert samples.share_of(found, GREEN) > 0.02


@pytest.mark.parametrize(
    "content", [b"", bytes(1000), samples.zipped(a_dot_png=PNG), b"AC1032" + bytes(40), samples.image(GREEN, (16, 16))]
)
def test_file_without_a_picture_has_none(content: bytes) -> None:
    """An icon is none."""
    assert preview(content, (800, 600)) is None
