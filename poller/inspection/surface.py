"""Describe what is drawn: triangles, and how each of them looks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

GREY = (0.66, 0.68, 0.71, 1.0)  # of a surface without a colour


@dataclass(frozen=True, slots=True)
class Material:
    """The look of a surface, after the metallic-roughness model of glTF 2.0 (section 3.9)."""

    colour: tuple[float, float, float, float] = GREY  # sRGB and opacity, 0 to 1
    texture: NDArray[np.uint8] | None = None  # (height, width, 4), sRGB and opacity, multiplied by `colour`
    metallic: float = 0.0
    roughness: float = 0.75
    metal_rough: NDArray[np.uint8] | None = None  # (height, width, 4): roughness in green, metallic in blue
    emissive: NDArray[np.uint8] | None = None  # (height, width, 4), sRGB, added
    cutoff: float = 0.0  # opacity below which nothing is drawn
    blended: bool = False  # whether what lies behind shows through


@dataclass(frozen=True, slots=True)
class Surface:
    """Triangles of one material, the y axis up. Units do not matter."""

    vertices: NDArray[np.float64]  # (n, 3)
    faces: NDArray[np.int64]  # (m, 3), each less than n
    material: Material = field(default_factory=Material)
    uv: NDArray[np.float32] | None = None  # (n, 2), the origin at the lower left
    normals: NDArray[np.float32] | None = None  # (n, 3), as the file has them; None: to be computed
    colours: NDArray[np.float32] | None = None  # (n, 4) or (m, 4), 0 to 1, in place of the material's


@dataclass(frozen=True, slots=True)
class Points:
    """A cloud of points, the y axis up."""

    vertices: NDArray[np.float64]  # (n, 3)
    colours: NDArray[np.float32] | None = None  # (n, 4), 0 to 1


def cleaned(surface: Surface) -> Surface:
    """Return the surface without triangles that have a corner at no place, or at an index that there is not."""
    faces, count = surface.faces, len(surface.vertices)
    if len(faces) and faces.min() >= 0 and faces.max() < count and np.isfinite(surface.vertices).all():
        return surface
    good = np.all((faces >= 0) & (faces < count), axis=1)
    good[good] &= np.isfinite(surface.vertices[faces[good]]).all(axis=(1, 2))
    colours = surface.colours
    if colours is not None and len(colours) == len(faces) != len(surface.vertices):
        colours = colours[good]
    return Surface(surface.vertices, faces[good], surface.material, surface.uv, surface.normals, colours)


def used_vertices(surface: Surface) -> NDArray[np.float64]:
    """Return the vertices of a clean surface that are a corner of a triangle."""
    used = np.zeros(len(surface.vertices), np.bool_)
    used[surface.faces.ravel()] = True
    return surface.vertices[used]
