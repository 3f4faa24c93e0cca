"""Find the picture that a file of a closed format carries, for the file browser of the system it comes from.

SolidWorks, AutoCAD, Revit, Inventor, 3ds Max, SketchUp, FreeCAD, Blender and 3MF files have one.
"""

from __future__ import annotations

import gzip
import io
import re
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

import olefile
from PIL import BmpImagePlugin, Image

from poller.inspection.pages import as_rgb
from poller.inspection.side_files import files_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_PICTURE: Final = re.compile(rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff[\xc0-\xfe]")
_DIB: Final = re.compile(rb"\x28\0\0\0.{8}\x01\0[\x04\x08\x18\x20]\0[\0\x03]\0\0\0", re.DOTALL)  # BITMAPINFOHEADER
_SOLIDWORKS: Final = b"\x14\x00\x06\x00\x08\x00"  # in the header of each part of a file, since 2015
_DWG: Final = bytes.fromhex("1f256d07d43628289d57ca3f9d44102b")  # ODA, DWG specification, section 14
_THUMBNAIL: Final = re.compile(r"(?:thumb|preview|snapshot).*\.(?:png|jpe?g|bmp)$", re.IGNORECASE)
_MAX_TRIED: Final = 24
_MAX_BYTES: Final = 32 << 20  # of a picture
_LEAST_PIXELS: Final = 48  # a side; a smaller one is an icon
_BACKGROUND: Final = (241, 242, 244)


def preview(content: bytes, size: tuple[int, int]) -> bytes | None:
    """Return the largest picture in a file as a PNG of that size, None if there is none."""
    best: Image.Image | None = None
    for tried, found in enumerate(_pictures(content)):
        image = _opened(found)
        if image and min(image.size) >= _LEAST_PIXELS and (not best or image.size > best.size):
            best = image
        if tried >= _MAX_TRIED:
            break
    return _framed(best, size) if best else None


def _pictures(content: bytes) -> Iterator[bytes | Image.Image]:
    if content.startswith(_OLE):
        yield from _in_ole(content)
    elif b"PK\x05\x06" in content[-70_000:]:
        yield from _in_zip(content)
    elif content.startswith(b"AC10"):
        yield from _in_dwg(content)
    elif content.startswith((b"BLENDER", b"\x1f\x8b")):
        yield from _in_blend(content)
    elif _SOLIDWORKS in content[:4096]:
        yield from _in_solidworks(content)
    else:
        yield from _raw(content)


def _in_ole(content: bytes) -> Iterator[bytes]:
    with olefile.OleFileIO(io.BytesIO(content)) as ole:
        streams = [(path, ole.get_size(path)) for path in ole.listdir()]
        named = [path for path, size in streams if size <= _MAX_BYTES and "preview" in path[-1].lower()]
        rest = [path for path, size in streams if size <= _MAX_BYTES and path[-1].startswith("\x05")]
        for path in (named + rest)[:_MAX_TRIED]:
            stream = ole.openstream(path).read()
            yield from _raw(stream)
            if dib := _DIB.search(stream):
                yield stream[dib.start() :]


def _in_zip(content: bytes) -> Iterator[bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in files_of(archive):
            if _THUMBNAIL.search(member.filename) and member.file_size <= _MAX_BYTES:
                with archive.open(member) as stream:
                    yield stream.read(_MAX_BYTES)


def _in_dwg(content: bytes) -> Iterator[bytes]:
    (at,) = struct.unpack_from("<I", content, 13)
    if content[at : at + 16] != _DWG:
        return
    for number in range(content[at + 20]):
        kind, start, size = struct.unpack_from("<BII", content, at + 21 + 9 * number)
        if kind in {2, 6}:  # a bitmap without its file header, a PNG
            yield content[start : start + min(size, _MAX_BYTES)]


def _in_blend(content: bytes) -> Iterator[Image.Image]:
    if content.startswith(b"\x1f\x8b"):
        content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(1 << 20)
    order = ">" if content[8:9] == b"V" else "<"
    at = content.find(b"TEST", 0, 1 << 16)
    if at < 0:
        return
    start = at + {b"_": 20, b"-": 24}.get(content[7:8], 32)  # after the header: 32 bits, 64 bits, since Blender 5
    width, height = struct.unpack_from(f"{order}ii", content.ljust(start + 8, b"\0"), start)
    pixels = content[start + 8 : start + 8 + 4 * width * height]
    if 0 < width <= 1024 and 0 < height <= 1024 and len(pixels) == 4 * width * height:  # noqa: PLR2004
        yield Image.frombytes("RGBA", (width, height), pixels).transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def _in_solidworks(content: bytes) -> Iterator[bytes]:
    """Yield the deflated parts that are pictures. Their names are encoded, so each is tried."""
    at = content.find(_SOLIDWORKS)
    while at >= 0:
        for place in (at + 22, at + 18, at + 26, at + 14):  # of the length of the name
            (length,) = struct.unpack_from("<I", content.ljust(at + 40, b"\0"), place)
            if 0 < length <= 255:  # noqa: PLR2004
                start = place + 4 + length
                try:
                    first = zlib.decompressobj(-15).decompress(content[start : start + 4096], 64)
                    if _PICTURE.match(first) or _DIB.match(first):
                        yield zlib.decompressobj(-15).decompress(content[start : start + _MAX_BYTES], _MAX_BYTES)
                except zlib.error:
                    continue
        at = content.find(_SOLIDWORKS, at + 1)


def _raw(content: bytes) -> Iterator[bytes]:
    for number, found in enumerate(_PICTURE.finditer(content)):
        if number >= _MAX_TRIED:
            break
        yield content[found.start() : found.start() + _MAX_BYTES]


def _opened(found: bytes | Image.Image) -> Image.Image | None:
    if isinstance(found, Image.Image):
        return found
    try:
        image = (
            BmpImagePlugin.DibImageFile(io.BytesIO(found))
            if found[:4] == b"\x28\0\0\0"
            else Image.open(io.BytesIO(found))
        )
        image.load()
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, Image.DecompressionBombError):
        return None
    return image


def _framed(image: Image.Image, size: tuple[int, int]) -> bytes:
    """Return the picture in the middle of a light one of that size, enlarged to twice its own at most."""
    scale = min(size[0] / image.width, size[1] / image.height, 2.0)
    image = as_rgb(image, _BACKGROUND)
    shown = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.LANCZOS
    )
    edge = image.getpixel((0, 0))
    canvas = Image.new("RGB", size, edge if isinstance(edge, tuple) and min(edge[:3]) > 200 else _BACKGROUND)  # noqa: PLR2004
    canvas.paste(shown, ((size[0] - shown.width) // 2, (size[1] - shown.height) // 2))
    written = io.BytesIO()
    canvas.save(written, "PNG")
    return written.getvalue()
