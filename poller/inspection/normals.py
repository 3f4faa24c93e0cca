"""Compute the normals with which a surface is shaded: smooth where it is round, and sharp at edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CREASE: Final = np.cos(np.radians(40.0))  # two faces at a larger angle meet at an edge
_ROUND: Final = np.cos(np.radians(15.0))  # a face so near the mean of its neighbours has no edge there
_MAX_PAIRS: Final = 6_000_000  # of a corner and a face beside it, that are looked at one by one


def corner_normals(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return a unit normal for each corner of each triangle, (m, 3, 3).

    Corners at the same place count as one vertex. A corner has the mean of the faces there that are no edge away from
    its own face, weighted by area.
    """
    faces = welded(vertices)[faces]
    corners = vertices[faces].astype(np.float32)
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    unit = _unit(area)
    flat = faces.ravel()
    total = np.stack([np.bincount(flat, np.repeat(area[:, axis], 3)) for axis in range(3)], axis=1)
    smooth = _unit(total.astype(np.float32))[flat]
    own = np.repeat(unit, 3, axis=0)
    hard = np.flatnonzero(np.einsum("ij,ij->i", smooth, own) < _ROUND)
    if len(hard):
        smooth[hard] = _creased(flat, hard, area, unit)
    return smooth.reshape(-1, 3, 3)


def welded(vertices: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each vertex the index of the first one at its place."""
    keys = np.ascontiguousarray(vertices.astype(np.float32) + 0.0).view(np.dtype((np.void, 12))).ravel()
    words = keys.view(np.uint32).reshape(-1, 3).astype(np.uint64)
    hashed = (words[:, 0] * np.uint64(0x9E3779B97F4A7C15)) ^ (words[:, 1] * np.uint64(0xC2B2AE3D27D4EB4F))
    hashed = (hashed ^ (hashed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9) ^ (
        words[:, 2] * np.uint64(0x165667B19E3779F9)
    )
    _, first, back = np.unique(hashed, return_index=True, return_inverse=True)
    return first[back.ravel()]


def _creased(
    flat: NDArray[np.int64], hard: NDArray[np.int64], area: NDArray[np.float32], unit: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the normals of the corners `hard`: the mean over those faces at the vertex that are near their own."""
    order = np.argsort(flat, kind="stable")
    count = np.bincount(flat)
    start = np.cumsum(count) - count
    found = unit[hard // 3].copy()
    many = count[flat[hard]]
    within = np.cumsum(many) <= _MAX_PAIRS
    hard, many = hard[within], many[within]
    if not len(hard):
        return found
    pair = np.repeat(np.arange(len(hard)), many)
    place = np.arange(len(pair)) - np.repeat(np.cumsum(many) - many, many) + start[flat[hard]][pair]
    face = order[place] // 3
    near = np.einsum("ij,ij->i", unit[face], unit[hard // 3][pair]) >= _CREASE
    pair, face = pair[near], face[near]
    total = np.stack([np.bincount(pair, area[face, axis], len(hard)) for axis in range(3)], axis=1)
    found[: len(hard)] = _unit(total.astype(np.float32))
    return found


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), np.float32)
