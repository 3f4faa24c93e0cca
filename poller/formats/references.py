"""Read the names of the files that a 3D file refers to: buffers, materials, textures."""

from __future__ import annotations

import html
import json
import re
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_READ_BYTES: Final = 64 * 1024 * 1024
MAX_NAMES: Final = 200
MAX_REFERENCES: Final = 5000  # of which many may be to the same file
_PIECE_BYTES: Final = 1024 * 1024
_OVERLAP_BYTES: Final = 4096  # longer than any match of the patterns
_NAME_CHARS: Final = 255

_SCHEME: Final = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+:", re.IGNORECASE)  # no letter of a drive
_MTL_OPTION: Final = re.compile(r"-?[\d.]+(?:e-?\d+)?|on|off|[rgbmlz]|sphere|cube_\w+", re.IGNORECASE)


def read_references(stream: BinaryIO, suffix: str) -> tuple[str, ...]:
    """Return the paths of the files that a 3D file refers to, in order, each once.

    `stream` is at the beginning of the file. `suffix` is that of its format in lower case, without a dot. At most
    64 MB are read, in pieces, and at most 200 paths returned. They are as the file gives them, and untrusted. What is
    in the file itself or on a web server is not named. The result is empty for a format that cannot be read cheaply.

    Raises:
        OSError: the stream cannot be read.
    """
    if suffix not in _REFERENCES:
        return ()
    pattern, names_in = _REFERENCES[suffix]
    found: dict[str, None] = {}
    limit_bytes = _json_bytes(stream) if suffix == "glb" else MAX_READ_BYTES
    for match in islice(_matches(pattern, stream, limit_bytes), MAX_REFERENCES):
        for name in names_in(match):
            path = name.strip().strip('"').strip()
            base = last_part(path)
            if base.strip(".") and len(base) <= _NAME_CHARS and path.isprintable() and not _SCHEME.match(path):
                found[path] = None
        if len(found) >= MAX_NAMES:
            break
    return tuple(found)[:MAX_NAMES]


def last_part(path: str) -> str:
    """Return what stands behind the last slash or backslash of a path."""
    return re.split(r"[\\/]", path)[-1].strip()


def _matches(pattern: re.Pattern[bytes], stream: BinaryIO, limit_bytes: int) -> Iterator[re.Match[bytes]]:
    """Yield each match in the first `limit_bytes`, of which little more than a piece is held at a time."""
    window, left, done = b"", limit_bytes, 0
    while left > 0 and (piece := stream.read(min(_PIECE_BYTES, left))):
        left -= len(piece)
        window += piece
        is_last = left <= 0 or len(piece) < _PIECE_BYTES
        end = len(window) if is_last else len(window) - _OVERLAP_BYTES
        for match in pattern.finditer(window, done):
            if match.start() >= end:
                break
            yield match
            done = match.end()
        keep = max(0, len(window) - _OVERLAP_BYTES)
        window, done = window[keep:], max(0, done - keep)


def _json_bytes(stream: BinaryIO) -> int:
    """Return the length of a GLB file's JSON chunk, which follows its header (glTF 2.0 section 4.4)."""
    header = stream.read(20)
    is_json = header.startswith(b"glTF") and header[16:20] == b"JSON"
    return min(MAX_READ_BYTES, int.from_bytes(header[12:16], "little")) if is_json else 0


def _decoded(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1")


def _as_written(match: re.Match[bytes]) -> list[str]:
    return [_decoded(match[1])]


def _uri(match: re.Match[bytes]) -> list[str]:
    try:
        return [unquote(json.loads(b'"%b"' % match[1], strict=False))]
    except ValueError:  # neither UTF-8 nor JSON
        return []


def _xml_uri(match: re.Match[bytes]) -> list[str]:
    name = unquote(html.unescape(_decoded(match[1])))
    return [name] if re.search(r"\.\w{1,5}\s*$", name) else []  # of a surface it is the id of an image


def _libraries(match: re.Match[bytes]) -> list[str]:
    """Return the files of a line: a name may have spaces, and there may be several names."""
    if match.string[max(0, match.start() - 1) : match.start()] not in (b"", b"\n", b"\r"):
        return []  # in a comment, say
    return re.split(r"(?<=\.mtl)[ \t]+", _decoded(match[1]), flags=re.IGNORECASE)


def _map(match: re.Match[bytes]) -> list[str]:
    """Return the file of a texture map, which stands behind the options and their values."""
    words = _decoded(match[1]).split()
    while len(words) > 1 and words[0].startswith("-"):
        del words[0]
        while len(words) > 1 and _MTL_OPTION.fullmatch(words[0]):
            del words[0]
    return [" ".join(words)]


def _fbx_name(match: re.Match[bytes]) -> list[str]:
    if match[3] is not None:  # in quotes: FBX as text
        return [_decoded(match[3])]
    length = int.from_bytes(match[1], "little")
    name = match[2][:length]
    return [_decoded(name)] if length == len(name) and b"." in name else []


_GLTF: Final = re.compile(rb'"uri"\s{0,100}:\s{0,100}"(?!data:)((?:[^"\\]|\\.){1,2000})"')
# Each format's references, with what reads the names in one.
_REFERENCES: Final[dict[str, tuple[re.Pattern[bytes], Callable[[re.Match[bytes]], list[str]]]]] = {
    "gltf": (_GLTF, _uri),
    "glb": (_GLTF, _uri),
    "vrm": (_GLTF, _uri),
    "obj": (re.compile(rb"mtllib[ \t]+([^\r\n]{1,2000})"), _libraries),
    "mtl": (
        re.compile(rb"(?<![^\r\n])[ \t]{0,20}(?i:map_\w{1,20}|bump|disp|decal|refl|norm)[ \t]+([^\r\n]{1,2000})"),
        _map,
    ),
    "dae": (re.compile(rb"<init_from[^>]{0,200}>\s{0,100}(?:<ref>)?([^<]{1,2000})<"), _xml_uri),
    "fbx": (
        re.compile(
            rb'(?:\x08File[Nn]ame|\x10RelativeFilename)S(.{4})(?=(.{1,1000}))|[Ff]ile[Nn]ame: ?"([^"\r\n]{1,1000})"',
            re.DOTALL,
        ),
        _fbx_name,
    ),
    "ply": (re.compile(rb"comment TextureFile ([^\r\n]{1,1000})"), _as_written),
    "usda": (re.compile(rb"@([^@\r\n]{1,1000})@"), _as_written),
}  # fmt: skip
