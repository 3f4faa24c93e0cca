"""Write the layers of a USD file into a private directory, where Pixar's library reads them."""

from __future__ import annotations

import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Final

from poller.formats.table import suffix_of_name
from poller.inspection.formats import USD
from poller.inspection.side_files import MAX_TOTAL_BYTES, SideFiles, TooMuchError, of_archive

if TYPE_CHECKING:
    from pathlib import Path

_MAX_LAYERS: Final = 60
ROOT: Final = ""  # in place of a path: the file itself


def write_layers(content: bytes, suffix: str, sides: SideFiles, directory: Path) -> tuple[dict[str, Path], SideFiles]:
    """Return the file of each layer by its path, the root first, and where textures are looked for.

    A USDZ is unpacked: its first layer is the root (OpenUSD, USDZ File Format Specification).

    Raises:
        TooMuchError: the layers are larger than what is looked at.
        ValueError: a USDZ holds no layer.
        zipfile.BadZipFile: it is no archive.
    """
    if suffix == "usdz" or content.startswith(b"PK\x03\x04"):
        sides = SideFiles(of_archive(zipfile.ZipFile(BytesIO(content))), missing=sides.missing)
        names = [name for name in sides.sources if suffix_of_name(name) in USD - {"usdz"}]
        if not names:
            raise ValueError("no layer")
        sides.folder = names[0].rpartition("/")[0] + "/" if "/" in names[0] else ""
        root, suffix = sides.sources[names[0]](), suffix_of_name(names[0])
        names = names[1:]
    else:
        root = content
        names = [name for name in sides.sources if suffix_of_name(name) in USD - {"usdz"}]
    files: dict[str, Path] = {}
    left_bytes = MAX_TOTAL_BYTES
    for number, name in enumerate([ROOT, *names[:_MAX_LAYERS]]):
        layer = sides.sources[name]() if name else root
        left_bytes -= len(layer)
        if left_bytes < 0:
            raise TooMuchError
        files[name] = directory / f"{number}.{suffix_of_name(name) or suffix}"
        files[name].write_bytes(layer)
    return files, sides
