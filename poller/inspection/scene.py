"""Turn what trimesh has read into surfaces: each mesh where the scene places it, with its material."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image

from poller.inspection.surface import GREY, Material, Points, Surface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from trimesh import Scene

_TEXTURE_PIXELS: Final = 1536  # a side: more than the picture shows


def surfaces(scene: Scene, up: str) -> Iterator[Surface | Points]:
    """Yield the surfaces and clouds of a scene, turned so that the y axis is up.

    `up` is the axis that points up in the file: "x", "y" or "z".
    """
    looks: dict[int, Material] = {}
    for node in scene.graph.nodes_geometry:
        placed, name = scene.graph[node]
        mesh = scene.geometry[name]
        vertices = getattr(mesh, "vertices", None)
        if vertices is None or not len(vertices) or vertices.shape[1] != 3:  # noqa: PLR2004 - drawings have two
            continue
        matrix = turned(up) @ placed
        at = np.asarray(vertices, np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        faces = getattr(mesh, "faces", None)
        if faces is None or not len(faces):
            if mesh.__class__.__name__ in {"PointCloud", "Trimesh"}:
                yield Points(at, _colours(getattr(mesh, "colors", None), len(at)))
            continue
        visual = mesh.visual
        material = getattr(visual, "material", None)
        colours = _vertex_colours(visual, len(at), len(faces))
        if colours is not None and not hasattr(material, "baseColorTexture") and texture_of(material) is None:
            material = None  # trimesh's own, which would hide the colours
        key = id(material)
        if material is not None and key not in looks:
            looks[key] = read_material(material)
        uv = getattr(visual, "uv", None)
        yield Surface(
            at,
            np.asarray(faces, np.int64),
            looks.get(key, Material(colour=(1.0, 1.0, 1.0, 1.0) if colours is not None else GREY)),
            np.asarray(uv, np.float32)[:, :2] if uv is not None and len(uv) == len(at) else None,
            _normals(mesh, matrix, len(at)),
            colours,
        )


def turned(up: str) -> NDArray[np.float64]:
    """Return the rotation (4, 4) that turns the axis into the y axis."""
    matrix = np.eye(4)
    if up == "z":
        matrix[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    elif up == "x":
        matrix[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    return matrix


def read_image(image: Any) -> NDArray[np.uint8] | None:
    """Return a texture (height, width, 4), reduced to what the picture shows; None if it cannot be read.

    `image` is a Pillow image, or the bytes of one.
    """
    try:
        opened = Image.open(io.BytesIO(image)) if isinstance(image, bytes) else image
        opened.draft("RGB", (_TEXTURE_PIXELS, _TEXTURE_PIXELS))
        if max(opened.size) > _TEXTURE_PIXELS:
            opened = opened.reduce(-(-max(opened.size) // _TEXTURE_PIXELS))
        return np.asarray(opened.convert("RGBA"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def texture_of(material: Any) -> Any:
    """Return the Pillow image of a `SimpleMaterial`, None if it has none. trimesh gives a grey one of four pixels."""
    image = getattr(material, "image", None)
    return None if image is None or image.size == (2, 2) else image


def read_material(material: Any) -> Material:
    """Return the look of a material of trimesh: a `PBRMaterial`, or a `SimpleMaterial` of OBJ."""
    if not hasattr(material, "baseColorTexture"):
        image, diffuse = texture_of(material), getattr(material, "diffuse", None)
        if image is None and getattr(material, "image", None) is not None:
            return Material()
        texture = None if image is None else read_image(image)
        colour = (1.0, 1.0, 1.0, 1.0) if texture is not None else _rgba(diffuse)
        return Material(colour, texture, cutoff=0.5 if texture is not None else 0.0)
    base = material.baseColorTexture
    texture = None if base is None else read_image(base)
    rough = material.metallicRoughnessTexture
    emissive = material.emissiveTexture
    factor = material.roughnessFactor
    metal = material.metallicFactor
    mode = material.alphaMode or "OPAQUE"
    return Material(
        _rgba(material.baseColorFactor, linear=True) if material.baseColorFactor is not None else (1.0, 1.0, 1.0, 1.0),
        texture,
        1.0 if metal is None else float(metal),
        1.0 if factor is None else float(factor),
        None if rough is None else read_image(rough),
        None if emissive is None else read_image(emissive),
        {"MASK": 0.5 if material.alphaCutoff is None else float(material.alphaCutoff), "BLEND": 0.02}.get(mode, 0.0),
        mode == "BLEND",
    )


def _rgba(colour: Any, *, linear: bool = False) -> tuple[float, float, float, float]:
    """Return a colour as four values of 0 to 1, sRGB."""
    if colour is None:
        return GREY
    values = np.asarray(colour)
    values = values / 255.0 if values.dtype.kind in "ui" else values.astype(float)
    values = np.clip(np.append(values, 1.0)[:4] if len(values) == 3 else values[:4], 0, 1)  # noqa: PLR2004
    if linear:
        values[:3] = np.power(values[:3], 1 / 2.2)
    return (float(values[0]), float(values[1]), float(values[2]), float(values[3]))


def _colours(colours: Any, count: int) -> NDArray[np.float32] | None:
    if colours is None or len(colours) != count:
        return None
    values = np.asarray(colours)
    values = (values / 255.0 if values.dtype.kind in "ui" else values).astype(np.float32)
    return values if values.shape[1] == 4 else np.column_stack([values[:, :3], np.ones(count, np.float32)])  # noqa: PLR2004


def _vertex_colours(visual: Any, vertices: int, faces: int) -> NDArray[np.float32] | None:
    """Return the colours of vertices or faces, None if the file gives none."""
    kind = getattr(visual, "kind", None)
    if kind == "vertex":
        return _colours(visual.vertex_colors, vertices)
    if kind == "face":
        return _colours(visual.face_colors, faces)
    given = getattr(visual, "vertex_attributes", {}).get("color")
    return None if given is None else _colours(given, vertices)


def _normals(mesh: Any, matrix: NDArray[np.float64], count: int) -> NDArray[np.float32] | None:
    """Return the normals that the file gives, turned as the mesh is; None if it gives none."""
    given = mesh._cache.cache.get("vertex_normals")  # noqa: SLF001 - asked in the open, trimesh computes what is missing
    if given is None or len(given) != count:
        return None
    try:
        return np.asarray(np.asarray(given) @ np.linalg.inv(matrix[:3, :3]), np.float32)
    except np.linalg.LinAlgError:
        return None
