"""Draw a model as a PNG: perspective, textured, with soft light and a shadow on the ground, on a light background.

numpy alone does it. So it runs without a graphics driver, under MemoryDenyWriteExecute, on every machine.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from poller.inspection import camera as cameras
from poller.inspection import raster, shading
from poller.inspection.normals import corner_normals
from poller.inspection.surface import Material, Points, Surface, cleaned, used_vertices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


WIDTH, HEIGHT = 800, 600  # pixels
MAX_TRIANGLES: Final = 1_000_000  # of more than these, an even sample is drawn
_MAX_POINTS: Final = 400_000
_TIMES: Final = 2  # supersampled
_GROUND: Final = 320  # pixels a side of the ground on which the shadow is counted


@dataclass(frozen=True, slots=True)
class Triangles:
    """All triangles of a model, within a sphere of about 1 around the origin."""

    corners: NDArray[np.float32]  # (n, 3, 3)
    normals: NDArray[np.float32]  # (n, 3, 3)
    uv: NDArray[np.float32]  # (n, 3, 2); zeros where there are none
    colours: NDArray[np.float32] | None  # (n, 3, 4), 0 to 1; None if no surface has any
    material: NDArray[np.int32]  # (n,), number of the material
    materials: tuple[Material, ...]
    sampled: bool  # whether they are not all of the model's


class NothingToDrawError(Exception):
    """The model has no surface and no points."""


def render(parts: Sequence[Surface | Points]) -> bytes:
    """Return a PNG of 800 x 600 pixels.

    Raises:
        NothingToDrawError: there is no triangle and no point.
    """
    triangles = _gathered(parts)
    width, height = WIDTH * _TIMES, HEIGHT * _TIMES
    camera = cameras.fitted(_outline(triangles.corners), width, height)
    flat, depth = camera.project(triangles.corners)
    nearest, farthest = float(1 / depth.min()), float(1 / depth.max())
    near = (1 / depth - farthest) / max(nearest - farthest, 1e-9)
    screen = np.concatenate([flat, near[..., None]], axis=-1).astype(np.float32)

    blended = np.array([material.blended for material in triangles.materials])[triangles.material]
    canvas = shading.background(camera, *_shadow(triangles))
    ambient = np.ones((height, width), np.float32)
    layers = [np.flatnonzero(~blended), np.flatnonzero(blended)]
    solid = np.full((height, width), np.iinfo(np.uint64).max, np.uint64)
    for layer in layers:
        if not len(layer):
            continue
        buffer = raster.visible(screen[layer], width, height, shading.opaque(triangles, layer, screen, depth))
        seen = np.where(buffer < solid, raster.numbers(buffer), raster.NONE)
        if layer is layers[0]:
            solid = (buffer | np.uint64(0xFFFFFFFF)).copy()
            ambient = shading.occlusion(buffer, nearest, farthest, rough=triangles.sampled)
        shading.shade(canvas, camera, triangles, layer, seen, screen, depth, ambient)
    return _png(canvas)


def _gathered(parts: Sequence[Surface | Points]) -> Triangles:
    """Return all parts as triangles, an even sample of them if they are too many."""
    surfaces = [cleaned(part) for part in parts if isinstance(part, Surface)]
    surfaces = [surface for surface in surfaces if len(surface.faces)]
    clouds = [part for part in parts if isinstance(part, Points) and len(part.vertices)]
    used = [used_vertices(surface) for surface in surfaces]
    used += [cloud.vertices[np.isfinite(cloud.vertices).all(axis=1)] for cloud in clouds]
    used = [vertices for vertices in used if len(vertices)]
    if not used:
        raise NothingToDrawError
    low = np.min([vertices.min(axis=0) for vertices in used], axis=0)
    high = np.max([vertices.max(axis=0) for vertices in used], axis=0)
    del used
    centre, scale = (low + high) / 2, 2 / max(float(np.linalg.norm(high - low)), 1e-300)
    if not surfaces:
        surfaces = [_splats(cloud, centre, scale) for cloud in clouds]
    every = -(-sum(len(surface.faces) for surface in surfaces) // MAX_TRIANGLES)
    materials: list[Material] = []
    corners, normals, uvs, colours, numbers = [], [], [], [], []
    has_colours = any(surface.colours is not None for surface in surfaces)
    for surface in surfaces:
        chosen = np.arange(0, len(surface.faces), every)
        faces = surface.faces[chosen]
        placed = ((surface.vertices - centre) * scale)[faces].astype(np.float32)
        normals.append(_normals(surface, faces, placed, (surface.vertices - centre) * scale, every))
        if every > 1:  # each stands for its neighbours as well
            middle = placed.mean(axis=1, keepdims=True)
            placed = middle + (placed - middle) * np.float32(1.15 * np.sqrt(every))
        corners.append(placed)
        uvs.append(np.zeros((len(faces), 3, 2), np.float32) if surface.uv is None else surface.uv[faces])
        if has_colours:
            colours.append(_colours(surface, faces, chosen))
        numbers.append(np.full(len(faces), len(materials), np.int32))
        materials.append(surface.material)
    return Triangles(
        np.concatenate(corners),
        np.concatenate(normals),
        np.nan_to_num(np.concatenate(uvs)),
        np.concatenate(colours) if has_colours else None,
        np.concatenate(numbers),
        tuple(materials),
        every > 1,
    )


def _normals(
    surface: Surface,
    faces: NDArray[np.int64],
    placed: NDArray[np.float32],
    vertices: NDArray[np.float64],
    every: int,
) -> NDArray[np.float32]:
    """Return the normals of the file where it has good ones, else our own."""
    given = surface.normals
    if given is not None and len(given) == len(surface.vertices):
        length = np.linalg.norm(given, axis=1)
        if np.isfinite(length).all() and (length[faces] > 0).mean() > 0.99:  # noqa: PLR2004
            return (given / np.where(length > 0, length, 1)[:, None])[faces].astype(np.float32)
    if every > 1:  # triangles of so dense a model are as small as pixels
        across = np.cross(placed[:, 1] - placed[:, 0], placed[:, 2] - placed[:, 0])
        length = np.linalg.norm(across, axis=1, keepdims=True)
        return np.repeat((across / np.where(length > 0, length, 1))[:, None], 3, axis=1).astype(np.float32)
    return corner_normals(vertices, faces)


def _colours(surface: Surface, faces: NDArray[np.int64], chosen: NDArray[np.int64]) -> NDArray[np.float32]:
    colours = surface.colours
    if colours is None:
        return np.ones((len(faces), 3, 4), np.float32)
    if len(colours) == len(surface.vertices):
        return colours[faces]
    return np.repeat(colours[chosen][:, None], 3, axis=1)


def _splats(cloud: Points, centre: NDArray[np.float64], scale: float) -> Surface:
    """Return the points as small triangles that face the camera."""
    good = np.flatnonzero(np.isfinite(cloud.vertices).all(axis=1))
    good = good[:: -(-len(good) // _MAX_POINTS)]
    right, up, towards = cameras.axes()
    size = float(np.clip(1.6 / np.sqrt(len(good)), 0.0025, 0.03)) / scale
    shape = size * np.stack([up, -0.5 * up + 0.87 * right, -0.5 * up - 0.87 * right])
    vertices = (cloud.vertices[good][:, None] + shape).reshape(-1, 3)
    colours = None if cloud.colours is None else np.repeat(cloud.colours[good], 3, axis=0)
    outwards = cloud.vertices[good] - centre
    outwards = outwards / np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-12) + towards
    normals = np.repeat(outwards, 3, axis=0).astype(np.float32)
    material = Material() if colours is None else Material(colour=(1.0, 1.0, 1.0, 1.0))
    return Surface(vertices, np.arange(len(vertices)).reshape(-1, 3), material, None, normals, colours)


def _outline(corners: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return corners among which are those farthest out in the picture, and an even sample of the others."""
    points = corners.reshape(-1, 3)
    right, up, towards = cameras.axes().astype(np.float32)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    outwards = [np.cos(angle) * right + np.sin(angle) * up + tilt * towards for angle in angles for tilt in (0, 0.35)]
    found = [int(np.argmax(points @ direction.astype(np.float32))) for direction in outwards]
    return np.concatenate([points[found], points[:: -(-len(points) // 20_000)]]).astype(np.float64)


def _shadow(triangles: Triangles) -> tuple[NDArray[np.float32], float, float]:
    """Return how dark the ground is (0 to 1) under the model, half the width of that ground, and its height."""
    low = float(triangles.corners[..., 1].min())
    half = 2.4
    flat = (triangles.corners[..., [0, 2]] / (2 * half) + 0.5) * _GROUND
    high = (triangles.corners[..., 1:2] - low) / 2
    buffer = raster.visible(np.concatenate([flat, 1 - high], axis=-1), _GROUND, _GROUND)
    above = (buffer >> np.uint64(32)).astype(np.float64) / 0x7FFFFFFF * 2
    dark = np.where(raster.numbers(buffer) == raster.NONE, 0.0, np.exp(-above / 0.45))
    return shading.softened(dark.astype(np.float32)), half, low


def _png(canvas: NDArray[np.float32]) -> bytes:
    tones = shading.encoded(canvas)
    written = io.BytesIO()
    Image.fromarray(tones, "RGB").reduce(_TIMES).save(written, "PNG")
    return written.getvalue()
