"""Have a model drawn by f3d, which runs in a unit of its own behind a socket (`server`).

The files go to the socket, and a picture comes back or none does. Nothing else is taken from the other side.
"""

from __future__ import annotations

import io
import json
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

import structlog

from poller.inspection.f3d.limits import HEIGHT, MAX_BYTES, MAX_FILES, WIDTH
from poller.model import Attachment, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LIMIT_S: Final = 60.0  # of the clock, for a model
_MAX_PICTURE_BYTES: Final = 8 << 20
_PIECE_BYTES: Final = 1 << 20
_SIGNATURE, _END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_TRIANGLE: Final = b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"


class _Triangle:
    """The content of an OBJ file."""

    def open(self) -> BinaryIO:
        return io.BytesIO(_TRIANGLE)


def is_ready(path: Path) -> bool:
    """Return whether f3d draws a triangle. `path` is its socket."""
    name = "triangle.obj"
    triangle = Attachment(name, "model/obj", len(_TRIANGLE), Kind.MODEL, inline=False, content=_Triangle())
    return draw(path, {name: triangle}) is not None


def draw(path: Path, files: Mapping[str, Attachment], member: str = "", *, limit_s: float = LIMIT_S) -> bytes | None:
    """Return a PNG of 800 x 600 pixels of a model, None if f3d gives none in time.

    `path` is the socket. `files` are by the path at which the model looks for each, and the model comes first. Of an
    archive, `member` is the model.

    Raises:
        OSError: the spool file cannot be read.
    """
    if sum(file.size_bytes for file in files.values()) > MAX_BYTES or len(files) > MAX_FILES:
        return None
    ends_at = time.monotonic() + limit_s
    with socket.socket(socket.AF_UNIX) as server:
        try:
            server.settimeout(limit_s)
            server.connect(str(path))
        except OSError as error:
            log.warning("f3d_out_of_reach", error=error.strerror or str(error))
            return None
        for piece in _pieces(files, member):
            if not _sent(server, piece, ends_at):
                break  # it may have drawn all the same, or died
        return _picture(server, ends_at)


def _pieces(files: Mapping[str, Attachment], member: str) -> Iterator[bytes]:
    """Yield a line of JSON that names the files, and the files."""
    header = {"files": [[name, file.size_bytes] for name, file in files.items()], "member": member}
    yield json.dumps(header).encode() + b"\n"
    for file in files.values():
        with file.content.open() as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece


def _sent(server: socket.socket, piece: bytes, ends_at: float) -> bool:
    try:
        server.settimeout(max(ends_at - time.monotonic(), 0.001))
        server.sendall(piece)
    except OSError:
        return False
    return True


def _picture(server: socket.socket, ends_at: float) -> bytes | None:
    """Return the picture that comes, None if it is none."""
    content = bytearray()
    try:
        server.shutdown(socket.SHUT_WR)
        while len(content) <= _MAX_PICTURE_BYTES:
            server.settimeout(max(ends_at - time.monotonic(), 0.001))
            piece = server.recv(_PIECE_BYTES)
            if not piece:
                break
            content += piece
    except OSError:
        return None
    is_whole = content.startswith(_SIGNATURE) and content.endswith(_END) and len(content) <= _MAX_PICTURE_BYTES
    return bytes(content) if is_whole and content[12:24] == b"IHDR" + struct.pack(">II", WIDTH, HEIGHT) else None
