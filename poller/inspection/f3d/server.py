"""Draw one model by f3d, for one connection whose socket is standard input and output.

f3d opens every path that a model names, and some files end it. So it runs in a unit of its own
(systemd/figurative-poller-f3d@.service), never in the daemon. Here it loses the network and all files but its libraries
and those of the one connection. Whatever goes wrong, the connection ends without a whole picture.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from poller import confinement
from poller.escaping import file_path
from poller.formats.table import suffix_of_name
from poller.inspection.f3d.limits import HEIGHT, MAX_BYTES, MAX_FILES, MAX_HEADER_BYTES, WIDTH
from poller.inspection.formats import ARCHIVES, up_axis

if TYPE_CHECKING:
    from typing import BinaryIO

_PIECE_BYTES: Final = 1 << 20
_MAX_MEMBERS: Final = 2000  # of an archive
_MAX_PATH_CHARS: Final = 500
_WRITTEN_BYTES: Final = 10_000_000  # of a file that f3d writes
_BACKGROUND: Final = (0.957, 0.957, 0.949)


def main() -> None:
    """Take the files of a model from standard input, and write its picture to standard output.

    Raises:
        ValueError, OSError, RuntimeError: there is no picture.
    """
    answer = os.dup(1)
    os.dup2(2, 1)  # the libraries print
    directory = Path(tempfile.mkdtemp(prefix="f3d-"))  # in the unit's private /tmp, which goes with this process
    picture = draw(receive(sys.stdin.buffer, directory), directory)
    with os.fdopen(answer, "wb") as out:
        out.write(picture)


def receive(stream: BinaryIO, directory: Path) -> Path:
    """Write the files of one connection below a directory, and return the path of the model.

    Raises:
        ValueError, KeyError, TypeError: they are not as the daemon sends them.
        OSError: the disk is full.
    """
    header = json.loads(stream.readline(MAX_HEADER_BYTES))
    files = [(str(name), int(size)) for name, size in header["files"][:MAX_FILES]]
    if not files or min(size for _, size in files) < 0 or sum(size for _, size in files) > MAX_BYTES:
        raise ValueError("too much, or nothing")
    paths = [_place(directory, name) for name, _ in files]
    for path, (_, size) in zip(paths, files, strict=True):
        with path.open("xb") as file:
            _copy(stream, file, size)
    if suffix_of_name(files[0][0]) in ARCHIVES:
        return _unpack(paths[0], str(header["member"]), directory)
    return paths[0]


def _place(directory: Path, name: str) -> Path:
    safe = file_path(name, _MAX_PATH_CHARS)
    if not safe:
        raise ValueError("a path that leads elsewhere")
    path = directory / safe
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _copy(stream: BinaryIO, file: BinaryIO, size: int) -> None:
    while size > 0:
        piece = stream.read(min(size, _PIECE_BYTES))
        if not piece:
            raise ValueError("cut off")
        file.write(piece)
        size -= len(piece)


def _unpack(path: Path, member: str, directory: Path) -> Path:
    """Unpack an archive beside itself, and return the path of the member that is the model."""
    with zipfile.ZipFile(path) as archive:
        members = [
            each for each in archive.infolist() if not each.is_dir() and file_path(each.filename, _MAX_PATH_CHARS)
        ]
        if sum(each.file_size for each in members) > MAX_BYTES or len(members) > _MAX_MEMBERS:
            raise ValueError("too much")
        places = {each.filename: _place(directory / "unpacked", each.filename) for each in members}
        for each in members:
            with archive.open(each) as packed, places[each.filename].open("wb") as file:
                _copy(packed, file, each.file_size)  # type: ignore[arg-type]
    return places[member]


def draw(path: Path, directory: Path) -> bytes:
    """Return a PNG of 800 x 600 pixels of a model.

    Raises:
        RuntimeError: f3d cannot read it.
    """
    import f3d  # noqa: PLC0415 - a library of the extra `f3d`, loaded before its files are out of reach

    f3d.Engine.autoload_plugins()
    engine = f3d.Engine.create_egl()
    confinement.confine(directory, _WRITTEN_BYTES)
    up = f"+{up_axis(suffix_of_name(path.name)).upper()}"
    engine.options.update(
        {
            "scene.up_direction": up,
            "scene.animation.autoplay": False,
            "render.background.color": _BACKGROUND,
            "render.effect.antialiasing.mode": "ssaa",
            "render.light.intensity": 1.6,
            "render.grid.enable": False,
        }
    )
    engine.window.size = WIDTH, HEIGHT
    engine.scene.add(str(path))
    camera = engine.window.camera
    camera.view_angle = 30
    camera.azimuth(-35)
    camera.elevation(20)
    camera.reset_to_bounds(0.9)
    image = engine.window.render_to_image()
    return bytes(image.save_buffer(f3d.Image.PNG))


if __name__ == "__main__":
    main()
