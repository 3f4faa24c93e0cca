"""Make JPEGs of what browsers and mail clients do not show."""

from __future__ import annotations

import io

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from poller.inspection.pages import NoImageError, to_jpeg
from tests.inspection import samples
from tests.inspection.samples import GREEN


def shown(picture: bytes) -> Image.Image:
    opened = Image.open(io.BytesIO(picture))
    assert opened.format == "JPEG"
    return opened


def heic() -> bytes:
    written = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (80, 60), GREEN)).save(written)
    return written.getvalue()


def tiff(**options: object) -> bytes:
    written = io.BytesIO()
    Image.new("CMYK", (90, 40), (255, 0, 255, 40)).save(written, "TIFF", **options)
    return written.getvalue()


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        ("heic", heic()),
        ("tiff", tiff()),
        ("pdf", samples.pdf()),
        ("nef", b"II*\0" + bytes(60) + samples.image(GREEN, (90, 60), "JPEG")),
    ],
)
def test_photo_and_document_become_jpeg(suffix: str, content: bytes) -> None:
    """HEIC of an iPhone, a printer's TIFF, the first page of a PDF, the JPEG within a camera's raw file."""
    assert samples.share_of(to_jpeg(content, suffix), GREEN) > 0.9


def test_large_photo_is_reduced() -> None:
    assert shown(to_jpeg(samples.image(GREEN, (4000, 1000), "TIFF"), "tiff")).size == (1600, 400)


def test_photo_is_turned_as_its_camera_was() -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    written = io.BytesIO()
    Image.new("RGB", (80, 40), GREEN).save(written, "TIFF", exif=turned)
    assert shown(to_jpeg(written.getvalue(), "tiff")).size == (40, 80)


def test_sixteen_bits_become_eight() -> None:
    written = io.BytesIO()
    Image.fromarray(np.full((20, 20), 32768, np.uint16)).save(written, "TIFF")
    assert abs(int(np.asarray(shown(to_jpeg(written.getvalue(), "tiff"))).mean()) - 128) < 3


@pytest.mark.parametrize("suffix", ["heic", "tiff", "psd", "pdf", "cr2"])
def test_damaged_file_is_no_image(suffix: str) -> None:
    with pytest.raises(NoImageError):
        to_jpeg(b"II*\0 not what its name says", suffix)
