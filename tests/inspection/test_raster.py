"""Which triangle is seen at a pixel."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy", reason="the extra `models` is not installed")

from poller.inspection import raster  # noqa: E402


def test_nearest_triangle_is_seen() -> None:
    """Whatever the order in which they come."""
    far = [[0, 0, 0.2], [8, 0, 0.2], [0, 8, 0.2]]
    near = [[0, 0, 0.9], [4, 0, 0.9], [0, 4, 0.9]]
    for corners, seen in (([far, near], 1), ([near, far], 0)):
        numbers = raster.numbers(raster.visible(np.array(corners, np.float32), 8, 8))
        assert numbers[0, 0] == seen
        assert numbers[0, 6] == 1 - seen
        assert numbers[7, 7] == raster.NONE


def test_triangles_with_a_common_edge_leave_no_gap() -> None:
    square = [[[0, 0, 0.5], [8, 0, 0.5], [8, 8, 0.5]], [[0, 0, 0.5], [8, 8, 0.5], [0, 8, 0.5]]]
    numbers = raster.numbers(raster.visible(np.array(square, np.float32), 8, 8))
    assert set(numbers.ravel()) == {0, 1}


def test_weights_are_those_of_the_corners() -> None:
    """The nearer corner weighs more than on the flat picture."""
    corner = np.array([[[0, 0, 0.5], [8, 0, 0.5], [0, 8, 0.5]]], np.float32)
    even = raster.weights(corner, np.array([4.0]), np.array([0.0]), np.array([[1.0, 1.0, 1.0]], np.float32))
    bent = raster.weights(corner, np.array([4.0]), np.array([0.0]), np.array([[1.0, 3.0, 1.0]], np.float32))
    assert even[0] == pytest.approx([0.5, 0.5, 0.0])
    assert bent[0] == pytest.approx([0.75, 0.25, 0.0])
