"""Draw models: what is in front hides what is behind, and the picture is filled and light."""

from __future__ import annotations

import numpy as np
import pytest

from poller.inspection import renderer, shading
from poller.inspection.normals import corner_normals
from poller.inspection.renderer import NothingToDrawError, render
from poller.inspection.surface import Material, Points, Surface
from tests.inspection import samples


@pytest.fixture(autouse=True)
def _quarter_of_the_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in a picture shows in a small one. `test_process.py` has those of full size."""
    monkeypatch.setattr(renderer, "WIDTH", 400)
    monkeypatch.setattr(renderer, "HEIGHT", 300)


def surface(mesh: object, **material: object) -> Surface:
    return Surface(np.array(mesh.vertices), np.array(mesh.faces), Material(**material))  # type: ignore[attr-defined,arg-type]


def test_model_fills_the_picture_and_stands_in_its_middle() -> None:
    """Whatever its size and place: a hair or a house."""
    for scale in (1e-4, 1e6):
        mesh = samples.box().apply_translation([5, 9, -3]).apply_scale(scale)
        shown = samples.pixels(render([surface(mesh, colour=(0.8, 0.1, 0.1, 1.0))]))
        rows, columns = np.nonzero(shown[..., 0] > 1.4 * shown[..., 1])
        assert max(np.ptp(rows) / 300, np.ptp(columns) / 400) == pytest.approx(0.86, abs=0.03)
        assert (rows.max() + rows.min()) / 2 == pytest.approx(150, abs=4)
        assert (columns.max() + columns.min()) / 2 == pytest.approx(200, abs=4)


def test_nearer_surface_hides_the_other() -> None:
    """A green box in front of a red one that is as large: little red is left."""
    behind, front = samples.box(1, 1, 0.1), samples.box(1, 1, 0.1).apply_translation([0, 0, 0.3])
    picture = render([surface(behind, colour=(0.8, 0.1, 0.1, 1)), surface(front, colour=(0.1, 0.7, 0.2, 1))])
    assert samples.share_of(picture, samples.GREEN) > 3 * samples.share_of(picture, samples.RED) > 0


def test_glass_lets_what_is_behind_show_through() -> None:
    behind, front = samples.box(1, 1, 0.1), samples.box(1, 1, 0.1).apply_translation([0, 0, 0.3])
    clear = surface(front, colour=(1.0, 1.0, 1.0, 0.1), blended=True)
    red = surface(behind, colour=(0.8, 0.1, 0.1, 1.0))
    assert samples.share_of(render([red, clear]), samples.RED) > 0.15


def test_texture_cuts_out_what_is_transparent() -> None:
    """A leaf on a card: the rest of the card is not there."""
    card = np.zeros((8, 8, 4), np.uint8)
    card[:, :4] = (200, 30, 30, 255)
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    uv = square[:, :2].astype(np.float32)
    cut = Material((1, 1, 1, 1), card, cutoff=0.5)
    whole = Material((1, 1, 1, 1), np.broadcast_to(np.array([200, 30, 30, 255], np.uint8), (8, 8, 4)), cutoff=0.5)
    half = samples.share_of(render([Surface(square, faces, cut, uv)]), samples.RED)
    assert half == pytest.approx(
        samples.share_of(render([Surface(square, faces, whole, uv)]), samples.RED) / 2, rel=0.2
    )


def quartered() -> Surface:
    """A square that stands upright. Its texture is red, but green in the right upper quarter."""
    texture = np.full((8, 8, 4), (200, 30, 30, 255), np.uint8)
    texture[:4, 4:] = (30, 160, 60, 255)
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    return Surface(
        square, np.array([[0, 1, 2], [0, 2, 3]]), Material((1, 1, 1, 1), texture), square[:, :2].astype("f4")
    )


def test_texture_lies_where_it_belongs() -> None:
    shown = samples.pixels(render([quartered()])).astype(int)
    is_green, is_red = shown[..., 1] > 1.4 * shown[..., 0], shown[..., 0] > 1.4 * shown[..., 1]
    rows, columns = np.nonzero(is_green)
    assert is_green.sum() > is_red.sum() / 5
    red_rows, red_columns = np.nonzero(is_red)
    assert rows.mean() < red_rows.mean() - 20
    assert columns.mean() > red_columns.mean() + 20


def test_texture_is_smooth_between_its_pixels() -> None:
    """It is repeated beyond its borders, and its first row is the upper one."""
    texture = np.zeros((2, 2, 4), np.uint8)
    texture[0, 0], texture[0, 1], texture[1, 0] = 200, 100, 40
    places = np.array([[0.25, 0.75], [0.5, 0.75], [1.0, 0.75], [0.25, 0.5], [0.75, 0.25], [1.25, -0.25]], np.float32)
    assert shading.sampled(texture, places)[:, 0].tolist() == [200, 150, 150, 120, 0, 200]


def test_picture_is_the_same_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is shaded a number of pixels at a time, and encoded a few rows at a time."""
    monkeypatch.setattr(renderer, "WIDTH", 100)
    monkeypatch.setattr(renderer, "HEIGHT", 75)
    whole = render([quartered()])
    monkeypatch.setattr(shading, "_CHUNK", 999)
    monkeypatch.setattr(shading, "_ROWS", 7)
    assert render([quartered()]) == whole


def test_surface_is_lit_on_the_side_that_is_seen() -> None:
    """A file may have the corners of its triangles the other way round."""
    ball = samples.trimesh.creation.icosphere(3)
    usual, turned = (
        samples.pixels(render([Surface(np.array(ball.vertices), np.array(ball.faces)[:, order])])).astype(int)
        for order in ([0, 1, 2], [2, 1, 0])
    )
    assert np.abs(usual - turned).mean() < 0.5
    assert usual[90:130, 140:180].mean() > usual[170:210, 220:260].mean() + 20  # the light comes from the upper left


def test_sphere_is_smooth_and_box_has_edges() -> None:
    """Corners of a round surface have the normal of the sphere, those of a box the normal of their face."""
    ball = samples.trimesh.creation.icosphere(3)
    normals = corner_normals(ball.vertices, ball.faces)
    assert np.einsum("nci,nci->nc", normals, ball.vertices[ball.faces]).min() > 0.99
    cube = samples.box(1, 1, 1)
    faces = np.cross(*(cube.triangles[:, k] - cube.triangles[:, 0] for k in (1, 2)))
    assert np.einsum("nci,ni->nc", corner_normals(cube.vertices, cube.faces), faces).min() == pytest.approx(1.0)


def test_points_are_drawn() -> None:
    ball = samples.trimesh.creation.icosphere(4)
    red = np.tile(np.array([0.8, 0.1, 0.1, 1.0], np.float32), (len(ball.vertices), 1))
    assert samples.share_of(render([Points(np.array(ball.vertices), red)]), samples.RED) > 0.1


def test_sample_of_many_triangles_has_no_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more than a million triangles an even sample is drawn, as large as what it stands for."""
    ball = samples.trimesh.creation.icosphere(5)
    whole = samples.share_of(render([surface(ball, colour=(0.8, 0.1, 0.1, 1.0))]), samples.RED)
    monkeypatch.setattr(renderer, "MAX_TRIANGLES", len(ball.faces) // 4)
    sampled = samples.share_of(render([surface(ball, colour=(0.8, 0.1, 0.1, 1.0))]), samples.RED)
    assert sampled == pytest.approx(whole, rel=0.1)


@pytest.mark.parametrize(
    "part",
    [
        Surface(np.zeros((0, 3)), np.zeros((0, 3), np.int64)),
        Surface(np.full((3, 3), np.nan), np.array([[0, 1, 2]])),
        Surface(np.zeros((3, 3)), np.array([[0, 1, 7]])),
        Points(np.full((3, 3), np.inf)),
    ],
    ids=["empty", "not a number", "no such vertex", "infinite points"],
)
def test_nothing_to_draw_is_said(part: Surface | Points) -> None:
    with pytest.raises(NothingToDrawError):
        render([part])
