"""Where a surface is shaded smooth, and where it has an edge."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy", reason="the extra `models` is not installed")

from poller.inspection.normals import corner_normals, welded  # noqa: E402


def fold(angle: float) -> object:
    """Return the normals of two triangles that meet at an edge at this angle, in degrees, 0 for a plane."""
    turned = np.radians(angle)
    vertices = np.array([[0, 0, 0], [0, 1, 0], [-1, 0, 0], [np.cos(turned), 0, -np.sin(turned)]], np.float64)
    return corner_normals(vertices, np.array([[0, 1, 2], [1, 0, 3]]))


def test_edge_keeps_the_normal_of_each_side() -> None:
    one, other = fold(90)
    assert np.allclose(one, [0, 0, 1], atol=1e-6)
    assert np.allclose(other, [1, 0, 0], atol=1e-6)


def test_round_place_has_one_normal_for_both_sides() -> None:
    one, other = fold(10)
    assert np.allclose(one[0], other[1], atol=1e-6)
    assert one[0][0] > 0


def test_vertices_at_one_place_count_as_one() -> None:
    assert list(welded(np.array([[0, 0, 0], [1, 0, 0], [-0.0, 0, 0]], np.float64))) == [0, 1, 0]
