"""Read the JSON of a glTF 2.0 file: what it holds and names, before any geometry is loaded."""

from __future__ import annotations

import base64
import binascii
import io
import json
import struct
from typing import TYPE_CHECKING, Any, Final

from PIL import Image

from poller.inspection.facts import one_line
from poller.model import ModelFacts, ModelIssue

if TYPE_CHECKING:
    from poller.inspection.side_files import SideFiles

_MAX_TEXTURES: Final = 20
_MAX_NODES: Final = 100_000
COMPRESSED: Final = {
    "KHR_draco_mesh_compression": ModelIssue.DRACO,
    "EXT_meshopt_compression": ModelIssue.MESHOPT,
    "KHR_meshopt_compression": ModelIssue.MESHOPT,
}


def header(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the JSON and the binary chunk of a glTF or GLB file (glTF 2.0 sections 3 and 4.4).

    Raises:
        ValueError: it is neither.
    """
    if not content.startswith(b"glTF"):
        return _checked(json.loads(content)), b""
    if len(content) < 20:  # noqa: PLR2004 - the headers of file and chunk
        raise ValueError("cut off")
    size = struct.unpack_from("<I", content, 12)[0]
    rest = content[20 + size :]
    return _checked(json.loads(content[20 : 20 + size])), rest[8 : 8 + struct.unpack_from("<I", rest)[0]] if len(
        rest
    ) >= 8 else b""  # noqa: PLR2004


def _checked(tree: Any) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise ValueError("no JSON object")  # noqa: TRY004 - the file's fault, not a caller's
    return tree


def facts(tree: dict[str, Any], binary: bytes, sides: SideFiles) -> ModelFacts:
    """Return what the JSON tells. Every file that it names is looked for."""
    issues = [
        issue
        for name, issue in COMPRESSED.items()
        if name in (*_list(tree, "extensionsUsed"), *_list(tree, "extensionsRequired"))
    ]
    for buffer in _list(tree, "buffers"):
        uri = _dict(buffer).get("uri")
        if isinstance(uri, str) and not uri.startswith("data:"):
            sides.find(uri)
    textures = [size for image in _list(tree, "images") if (size := _size(_dict(image), tree, binary, sides))]
    triangles, vertices, parts = _counts(tree)
    return ModelFacts(
        triangles=triangles,
        vertices=vertices,
        unit="m",
        materials=len(_list(tree, "materials")),
        textures=tuple(sorted(textures, key=lambda size: -size[0] * size[1])[:_MAX_TEXTURES]),
        animations=len(_list(tree, "animations")),
        parts=parts,
        program=one_line(str(_dict(tree.get("asset")).get("generator", ""))),
        issues=tuple(dict.fromkeys(issues)),
    )


def _size(image: dict[str, Any], tree: dict[str, Any], binary: bytes, sides: SideFiles) -> tuple[int, int] | None:
    """Return width and height of an image, None if they cannot be read."""
    uri = image.get("uri")
    try:
        if isinstance(uri, str) and uri.startswith("data:"):
            content = base64.b64decode(uri.partition(",")[2])
        elif isinstance(uri, str):
            content = sides.get(uri)
        else:
            view = _dict(_list(tree, "bufferViews")[image.get("bufferView", -1)])
            start = int(view.get("byteOffset", 0))
            content = binary[start : start + int(view.get("byteLength", 0))]
        return Image.open(io.BytesIO(content)).size
    except (OSError, ValueError, TypeError, IndexError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        return None


def _counts(tree: dict[str, Any]) -> tuple[int | None, int | None, int | None]:
    """Return triangles, vertices and nodes with a mesh, as often as nodes place them. None where it is damaged."""
    try:
        accessors = [int(accessor["count"]) for accessor in _list(tree, "accessors")]
        meshes = []
        for mesh in _list(tree, "meshes"):
            triangles = vertices = 0
            for primitive in mesh["primitives"]:
                count = accessors[primitive["attributes"]["POSITION"]]
                drawn = accessors[primitive["indices"]] if "indices" in primitive else count
                mode = primitive.get("mode", 4)
                vertices += count
                triangles += drawn // 3 if mode == 4 else max(drawn - 2, 0) if mode in {5, 6} else 0  # noqa: PLR2004
            meshes.append((triangles, vertices))
        used = [meshes[node["mesh"]] for node in _list(tree, "nodes")[:_MAX_NODES] if "mesh" in node]
        return sum(each[0] for each in used), sum(each[1] for each in used), len(used)
    except (KeyError, IndexError, TypeError, ValueError):
        return None, None, None


def _list(tree: dict[str, Any], key: str) -> list[Any]:
    found = tree.get(key)
    return found if isinstance(found, list) else []


def _dict(found: Any) -> dict[str, Any]:
    return found if isinstance(found, dict) else {}
