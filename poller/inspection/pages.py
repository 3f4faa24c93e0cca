"""Make a JPEG of what browsers and mail clients do not show: HEIC, TIFF, PSD, camera raw, the first page of a PDF."""

from __future__ import annotations

import io
import re
import warnings
from typing import Final

import numpy as np
import pillow_heif
import pypdfium2
from PIL import ExifTags, Image, ImageOps

from poller.inspection.formats import PAGES, RAW

SIDE_PIXELS: Final = 1600  # of the longer side at most
_QUALITY: Final = 85
_JPEG: Final = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")
_MAX_TRIED: Final = 12
_WHITE: Final = (255, 255, 255)
Image.MAX_IMAGE_PIXELS = 120_000_000  # twice as many are refused


class NoImageError(Exception):
    """The file holds no picture that opens."""


def to_jpeg(content: bytes, suffix: str) -> bytes:
    """Return a JPEG of a photo, or of the first page of a document, at most 1,600 pixels a side.

    Raises:
        NoImageError: it does not open.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on damaged metadata: nobody reads them here
        return _to_jpeg(content, suffix)


def _to_jpeg(content: bytes, suffix: str) -> bytes:
    try:
        if suffix in PAGES:
            image = _first_page(content)
        elif suffix in RAW:
            image = _largest_jpeg(content)
        else:
            pillow_heif.register_heif_opener()
            image = Image.open(io.BytesIO(content))
        image.draft("RGB", (SIDE_PIXELS, SIDE_PIXELS))
        image = ImageOps.exif_transpose(image)
        image.thumbnail((SIDE_PIXELS, SIDE_PIXELS))
        written = io.BytesIO()
        as_rgb(image, _WHITE).save(written, "JPEG", quality=_QUALITY, optimize=True)
    except (OSError, ValueError, SyntaxError, EOFError, pypdfium2.PdfiumError, Image.DecompressionBombError) as error:
        raise NoImageError from error
    return written.getvalue()


def as_rgb(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Return an image as RGB: its transparent parts on a background, its 16 bits as 8."""
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image, np.float64)
        high = 65535.0 if image.mode.startswith("I;16") or values.max() > 255 else max(values.max(), 1e-9)  # noqa: PLR2004
        return Image.fromarray((np.clip(values / high, 0, 1) * 255).astype(np.uint8), "L").convert("RGB")
    if image.mode in {"RGBA", "LA", "PA"} or "transparency" in image.info:
        image = image.convert("RGBA")
        below = Image.new("RGBA", image.size, (*background, 255))
        return Image.alpha_composite(below, image).convert("RGB")
    return image.convert("RGB")


def _first_page(content: bytes) -> Image.Image:
    document = pypdfium2.PdfDocument(content)
    page = document[0]
    scale = SIDE_PIXELS / max(*page.get_size(), 1.0)
    return page.render(scale=min(scale, 4.0)).to_pil()  # type: ignore[no-any-return]


def _largest_jpeg(content: bytes) -> Image.Image:
    """Return the largest of the pictures that a camera puts into its raw file."""
    best: Image.Image | None = None
    for number, found in enumerate(_JPEG.finditer(content)):
        try:
            image = Image.open(io.BytesIO(content[found.start() :]))
        except (OSError, ValueError, SyntaxError):
            continue
        if not best or image.size > best.size:
            best = image
        if number >= _MAX_TRIED:
            break
    if best is None:
        raise NoImageError
    turn = Image.Exif()
    try:
        turn.load(content[:65_536])
    except (OSError, ValueError, SyntaxError):
        return best
    orientation = ExifTags.Base.Orientation
    if orientation in turn and orientation not in best.getexif():  # the camera wrote it into the raw file alone
        best.getexif()[orientation] = turn[orientation]
    return best
