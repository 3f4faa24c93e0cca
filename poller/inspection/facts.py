"""Count what a model holds, and name what a studio must know before it opens it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from poller.inspection.normals import welded
from poller.inspection.surface import Points, Surface, cleaned, used_vertices
from poller.model import ModelFacts, ModelIssue

if TYPE_CHECKING:
    from collections.abc import Sequence

DENSE: Final = 5_000_000  # triangles
_MAX_CHECKED: Final = 1_500_000  # triangles, above which nobody waits for the search for holes
_WITH_UVS: Final = frozenset({"dae", "glb", "gltf", "obj", "usd", "usda", "usdc", "usdz", "vrm", "zae"})
_SOLIDS: Final = frozenset({"3mf", "obj", "off", "ply", "stl"})  # formats whose files are printed and milled
_UNITS: Final = {
    "meter": "m", "meters": "m", "centimeter": "cm", "centimeters": "cm", "millimeter": "mm", "millimeters": "mm",
    "micron": "µm", "microns": "µm", "inch": "in", "inches": "in", "foot": "ft", "feet": "ft",
    "1.0": "m", "0.1": "dm", "0.01": "cm", "0.001": "mm", "0.0254": "in", "0.3048": "ft",
}  # fmt: skip
_LINE_CHARS: Final = 80


def of_parts(facts: ModelFacts, suffix: str, parts: Sequence[Surface | Points]) -> ModelFacts:
    """Return the facts, with what the surfaces of a model of this format tell."""
    surfaces = [part for part in parts if isinstance(part, Surface)]
    triangles = sum(len(surface.faces) for surface in surfaces)
    issues = list(facts.issues)
    if triangles > DENSE:
        issues.append(ModelIssue.DENSE)
    if surfaces and suffix in _WITH_UVS and all(surface.uv is None for surface in surfaces):
        issues.append(ModelIssue.NO_UVS)
    if surfaces and suffix in _SOLIDS and triangles <= _MAX_CHECKED and _has_holes(surfaces):
        issues.append(ModelIssue.NOT_WATERTIGHT)
    return replace(
        facts,
        triangles=triangles,
        vertices=facts.vertices if facts.vertices is not None else sum(len(part.vertices) for part in parts),
        size=_size(parts),
        materials=facts.materials,
        parts=facts.parts if facts.parts is not None else len(parts),
        issues=tuple(dict.fromkeys(issues)),
    )


def unit_of(name: str) -> str:
    """Return the sign of a unit by its English name, or by the metres it has, "" for one that is not known."""
    return _UNITS.get(name.strip().lower().removesuffix(" * meters"), "")


def one_line(text: str) -> str:
    """Return a text from a file as one line of at most 80 characters."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:_LINE_CHARS]


def _size(parts: Sequence[Surface | Points]) -> tuple[float, float, float] | None:
    """Return width, height and depth of what is drawn, None if nothing is."""
    lows, highs = [], []
    for part in parts:
        if isinstance(part, Surface):
            used = used_vertices(cleaned(part))
        else:
            used = part.vertices[np.isfinite(part.vertices).all(axis=1)]
        if len(used):
            lows.append(used.min(axis=0))
            highs.append(used.max(axis=0))
    if not lows:
        return None
    width, height, depth = (np.max(highs, axis=0) - np.min(lows, axis=0)).tolist()
    return (width, height, depth)


def _has_holes(surfaces: Sequence[Surface]) -> bool:
    """Return whether an edge has a triangle on one side alone. Vertices at the same place count as one."""
    vertices = np.concatenate([surface.vertices for surface in surfaces])
    offsets = np.cumsum([0, *(len(surface.vertices) for surface in surfaces)])
    faces = np.concatenate(
        [cleaned(surface).faces + offset for surface, offset in zip(surfaces, offsets, strict=False)]
    )
    faces = welded(vertices)[faces]
    faces = faces[(faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])]
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, count = np.unique(edges[:, 0] * len(vertices) + edges[:, 1], return_counts=True)
    return bool((count % 2).any())
