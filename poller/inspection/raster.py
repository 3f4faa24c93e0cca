"""Find the triangle that is seen at each pixel, by scan conversion into a depth buffer.

Triangles become rows, and rows become pixels, each step for many triangles at once. So the work grows with the pixels
that are covered, and chunks bound the memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

NONE: Final = 0xFFFFFFFF  # in place of a triangle's number where there is none
_CHUNK_PIXELS: Final = 1_000_000
_CHUNK_TRIANGLES: Final = 200_000
_FAR: Final = np.uint64(0xFFFFFFFFFFFFFFFF)


def visible(
    corners: NDArray[np.float32],
    width: int,
    height: int,
    keep: Callable[[NDArray[np.int64], NDArray[np.floating], NDArray[np.floating]], NDArray[np.bool_]] | None = None,
) -> NDArray[np.uint64]:
    """Return a buffer (height, width): depth in the upper 32 bits, number of the nearest triangle in the lower.

    `corners` is (n, 3, 3): x and y in pixels, and a nearness of 0 to 1 that is linear on the screen. `keep` is given
    the triangles and places (x, y) of fragments, and says which of them are to be drawn.
    """
    buffer = np.full(width * height, _FAR, np.uint64)
    for first, last in _chunks(corners, width, height):
        part = corners[first:last].astype(np.float64)
        triangle, y, left, right = _rows(part, width, height)
        count = right - left
        some = np.flatnonzero(count > 0)
        triangle, y, left, count = triangle[some], y[some], left[some], count[some]
        if not len(triangle):
            continue
        row = np.repeat(np.arange(len(triangle)), count)
        x = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + left[row]
        triangle, y = triangle[row], y[row]
        near = _nearness(part, triangle, x + 0.5, y + 0.5)
        if keep is not None:
            kept = keep(triangle + first, x + 0.5, y + 0.5)
            triangle, x, y, near = triangle[kept], x[kept], y[kept], near[kept]
        far = ((1.0 - np.clip(near, 0.0, 1.0)) * 0x7FFFFFFF).astype(np.uint64)
        np.minimum.at(buffer, y * width + x, (far << np.uint64(32)) | (triangle + first).astype(np.uint64))
    return buffer.reshape(height, width)


def numbers(buffer: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return the number of the triangle at each pixel, `NONE` where there is none."""
    return buffer.astype(np.uint32)  # the lower 32 bits


def _chunks(corners: NDArray[np.float32], width: int, height: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of triangles whose boxes hold a bounded number of pixels, or one triangle."""
    for start in range(0, len(corners), _CHUNK_TRIANGLES):
        part = corners[start : start + _CHUNK_TRIANGLES, :, :2]
        size = np.clip(part.max(axis=1), 0, (width, height)) - np.clip(part.min(axis=1), 0, (width, height)) + 1
        covered = np.cumsum(size[:, 0].astype(np.float64) * size[:, 1])
        first = 0
        while first < len(part):
            begin = covered[first - 1] if first else 0.0
            last = max(first + 1, int(np.searchsorted(covered, begin + _CHUNK_PIXELS, side="right")))
            yield start + first, start + min(last, len(part))
            first = last


def _rows(
    corners: NDArray[np.float64], width: int, height: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of pixels whose centres lie in each triangle: triangle, y, first x, and the x after the last.

    An edge that two triangles share gives both the same x, so that no pixel between them is left out.
    """
    ys = corners[:, :, 1]
    top = np.clip(np.ceil(ys.min(axis=1) - 0.5), 0, height).astype(np.int64)
    bottom = np.clip(np.ceil(ys.max(axis=1) - 0.5), 0, height).astype(np.int64)
    count = bottom - top
    some = np.flatnonzero(count > 0)
    triangle = np.repeat(some, count[some])
    offset = np.arange(len(triangle)) - np.repeat(np.cumsum(count[some]) - count[some], count[some])
    y = top[triangle] + offset
    centre = y + 0.5
    left = np.full(len(y), np.inf)
    right = np.full(len(y), -np.inf)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        swap = (ys[:, a] > ys[:, b])[:, None]
        low, high = np.where(swap, corners[:, b], corners[:, a]), np.where(swap, corners[:, a], corners[:, b])
        rise = high[:, 1] - low[:, 1]
        slope = (high[:, 0] - low[:, 0]) / np.where(rise > 0, rise, 1.0)
        crosses = (low[triangle, 1] <= centre) & (centre < high[triangle, 1])
        x = low[triangle, 0] + (centre - low[triangle, 1]) * slope[triangle]
        left = np.where(crosses, np.minimum(left, x), left)
        right = np.where(crosses, np.maximum(right, x), right)
    bounds = np.clip(np.ceil(np.stack([left, right]) - 0.5), 0, width)
    return triangle, y, bounds[0].astype(np.int64), bounds[1].astype(np.int64)


def _nearness(
    corners: NDArray[np.float64], triangle: NDArray[np.int64], x: NDArray[np.floating], y: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the nearness at places in triangles, from the plane through the corners."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    ab, ac = b - a, c - a
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    area = np.where(np.abs(area) > 1e-12, area, np.inf)  # noqa: PLR2004 - seen from its edge
    dx = (ab[:, 2] * ac[:, 1] - ac[:, 2] * ab[:, 1]) / area
    dy = (ac[:, 2] * ab[:, 0] - ab[:, 2] * ac[:, 0]) / area
    return a[triangle, 2] + dx[triangle] * (x - a[triangle, 0]) + dy[triangle] * (y - a[triangle, 1])  # type: ignore[no-any-return]


def weights(
    corners: NDArray[np.float32], x: NDArray[np.floating], y: NDArray[np.floating], depth: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the weight of each corner at places in as many triangles, right for the perspective.

    `corners` is (n, 3, 3) as in `visible`. `depth` is (n, 3): the distance of each corner from the camera.
    """
    a, b, c = (corners[:, k, :2].astype(np.float64) for k in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    area = np.where(np.abs(area) > 1e-12, area, np.inf)  # noqa: PLR2004
    second = ((x - a[:, 0]) * (c[:, 1] - a[:, 1]) - (y - a[:, 1]) * (c[:, 0] - a[:, 0])) / area
    third = ((b[:, 0] - a[:, 0]) * (y - a[:, 1]) - (b[:, 1] - a[:, 1]) * (x - a[:, 0])) / area
    flat = np.stack([1 - second - third, second, third], axis=1)
    bent = np.clip(flat, 0, 1) / depth
    return np.asarray(bent / bent.sum(axis=1, keepdims=True), np.float32)
