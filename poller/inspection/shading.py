"""Light a model as in a photo studio: a large light at the upper left, a weaker one at the right, a bright room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageFilter

from poller.inspection import raster

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from poller.inspection.camera import Camera
    from poller.inspection.renderer import Triangles
    from poller.inspection.surface import Material

_WHITEST: Final = np.float32(0.8)  # that a surface can be, so that white paint keeps its shape on a light ground
_CHUNK: Final = 64_000  # pixels that are shaded at once
_ROWS: Final = 32  # of pixels that are encoded at once: few enough for the processor's cache
# Direction to the light, along the camera's axes, and its strength.
_LIGHTS: Final = (((-0.5, 0.72, 0.55), 0.72), ((0.8, 0.18, 0.5), 0.2), ((0.25, 0.5, -0.85), 0.22))
_SKY, _FLOOR = 0.52, 0.34  # light of the room from above and from below
_TOP, _BOTTOM = (0.965, 0.97, 0.978), (0.862, 0.87, 0.884)  # of the background, sRGB
_LINEAR: Final = (((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4).astype(np.float32)


def encoded(canvas: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a canvas of linear light as sRGB bytes. Light beyond 0.8 is compressed, so that it keeps its shape."""
    made = np.empty(canvas.shape, np.uint8)
    for first in range(0, len(canvas), _ROWS):
        light = canvas[first : first + _ROWS]
        over = np.maximum(light - 0.8, 0)
        tone = np.minimum(light, 0.8) + 0.2 * (1 - np.exp(-over / 0.2))
        made[first : first + _ROWS] = np.clip(1.055 * np.power(np.maximum(tone, 0), 1 / 2.4) - 0.055, 0, 1) * 255 + 0.5
    return made


def linear(srgb: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return sRGB values of 0 to 1 as linear light."""
    return np.asarray(np.power((np.clip(srgb, 0, 1) + 0.055) / 1.055, 2.4), np.float32)


def softened(dark: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the shadow on the ground: sharp where the model stands on it, and a wide one around."""
    image = Image.fromarray((dark * 255).astype(np.uint8), "L")
    close, wide = (
        np.asarray(image.filter(ImageFilter.GaussianBlur(radius)), np.float32) / 255 for radius in (2.2, 12.0)
    )
    side = len(dark)
    fade = np.clip(np.minimum(np.arange(side), np.arange(side)[::-1]) / (side / 8), 0, 1).astype(np.float32)
    return np.minimum(0.34 * close + 0.42 * wide, 0.62) * fade[:, None] * fade


def background(camera: Camera, shadow: NDArray[np.float32], half: float, ground: float) -> NDArray[np.float32]:
    """Return the empty canvas in linear light, with the shadow on the ground."""
    tops, bottoms = linear(np.array(_TOP, np.float32)), linear(np.array(_BOTTOM, np.float32))
    down = (np.linspace(0, 1, camera.height, dtype=np.float32) ** 1.4)[:, None, None]
    canvas = np.repeat(tops + (bottoms - tops) * down, camera.width, axis=1).astype(np.float32)
    rows, columns = np.arange(0.0, camera.height, 2.0), np.arange(0.0, camera.width, 2.0)
    x = ((columns + 1 - camera.width / 2) / camera.focal).astype(np.float32)
    y = ((camera.height / 2 - rows - 1) / camera.focal).astype(np.float32)
    right, up, towards = (axis.astype(np.float32) for axis in camera.axes)
    rays = x[None, :, None] * right + y[:, None, None] * up - towards
    far = (ground - np.float32(camera.position[1])) / np.minimum(rays[..., 1], -1e-6)
    across, along = (
        np.clip(
            ((np.float32(camera.position[axis]) + rays[..., axis] * far) / (2 * half) + 0.5) * len(shadow) - 0.5,
            0,
            len(shadow) - 1.001,
        )
        for axis in (0, 2)
    )
    dark = bilinear(shadow[..., None], along, across)
    canvas *= 1 - np.repeat(np.repeat(dark, 2, axis=0), 2, axis=1)
    return canvas


def bilinear(image: NDArray[np.float32], row: NDArray[np.float32], column: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the image's values (height, width, channels) between its pixels."""
    top, left = row.astype(np.int32), column.astype(np.int32)
    down, across = (row - top)[..., None], (column - left)[..., None]
    below, beside = np.minimum(top + 1, image.shape[0] - 1), np.minimum(left + 1, image.shape[1] - 1)
    upper = image[top, left] * (1 - across) + image[top, beside] * across
    lower = image[below, left] * (1 - across) + image[below, beside] * across
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def sampled(texture: NDArray[np.uint8], uv: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the texture's values (n, 4), 0 to 255, at texture coordinates (n, 2); it repeats itself."""
    height, width = texture.shape[:2]
    column = (uv[:, 0] % 1.0) * width - 0.5
    row = ((1.0 - uv[:, 1]) % 1.0) * height - 0.5
    left, top = np.floor(column).astype(np.int32), np.floor(row).astype(np.int32)
    across, down = (column - left)[:, None], (row - top)[:, None]
    texels = texture.reshape(-1, 4)
    upper, lower = top % height * width, (top + 1) % height * width
    left, right = left % width, (left + 1) % width
    here = texels.take(upper + left, 0) * (1 - across) + texels.take(upper + right, 0) * across
    there = texels.take(lower + left, 0) * (1 - across) + texels.take(lower + right, 0) * across
    return np.asarray(here * (1 - down) + there * down, np.float32)


def mixed(values: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the values (n, 3, k) of the corners, mixed by weights (n, 3)."""
    return np.asarray(np.einsum("ncj,nc->nj", values, weights), np.float32)


def opaque(
    triangles: Triangles, layer: NDArray[np.int64], screen: NDArray[np.float32], depth: NDArray[np.float32]
) -> Callable[[NDArray[np.int64], NDArray[np.floating], NDArray[np.floating]], NDArray[np.bool_]] | None:
    """Return a function that says which fragments a texture does not cut out, None if no texture does."""
    cut = {
        number: material
        for number, material in enumerate(triangles.materials)
        if material.texture is not None and material.cutoff > 0
    }
    if not cut:
        return None

    def keep(drawn: NDArray[np.int64], x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.bool_]:
        kept = np.ones(len(drawn), np.bool_)
        number = layer[drawn]
        for which, material in cut.items():
            at = np.flatnonzero(triangles.material[number] == which)
            if len(at) and material.texture is not None:
                mix = raster.weights(screen[number[at]], x[at], y[at], depth[number[at]])
                alpha = sampled(material.texture, mixed(triangles.uv[number[at]], mix))[:, 3] / 255
                kept[at] = alpha * material.colour[3] >= material.cutoff
        return kept

    return keep


def occlusion(
    buffer: NDArray[np.uint64], nearest: float, farthest: float, *, rough: bool = False
) -> NDArray[np.float32]:
    """Return how much of the room's light reaches each pixel, 0 to 1: less in corners and folds.

    Two pixels on opposite sides of a place tell whether it lies deeper than they do. A plane has none of that, however
    it is turned. `nearest` and `farthest` are the inverse distances that the depths of the buffer lie between.
    `rough`: the triangles are a sample, which do not meet, so that only large folds count.
    """
    half = buffer[::2, ::2]
    near = 1 - (half >> np.uint64(32)).astype(np.float64) / 0x7FFFFFFF
    depth = 1 / (near * (nearest - farthest) + farthest)
    depth[raster.numbers(half) == raster.NONE] = 2 / farthest
    return _hollow(depth.astype(np.float32), (16, 30) if rough else (4, 10, 22))


def _hollow(depth: NDArray[np.float32], reaches: tuple[int, ...]) -> NDArray[np.float32]:
    shade = np.zeros_like(depth)
    rng = np.random.default_rng(1)
    angles = np.linspace(0, np.pi, 8, endpoint=False)
    for angle in angles:
        for reach in reaches:
            turn = angle + rng.uniform(0, 0.3)
            dx, dy = round(reach * np.cos(turn)), round(reach * np.sin(turn))
            limit = 0.006 * reach
            one = np.clip(depth - np.roll(depth, (dy, dx), (0, 1)), -limit, limit)
            two = np.clip(depth - np.roll(depth, (-dy, -dx), (0, 1)), -limit, limit)
            shade += np.maximum((one + two) / (2 * limit) - 0.06, 0)
    dark = np.minimum(shade / (len(angles) * len(reaches)) * 2.2, 0.75)
    image = Image.fromarray((dark * 255).astype(np.uint8), "L").filter(ImageFilter.GaussianBlur(1.5))
    half = 1 - np.asarray(image, np.float32) / 255
    return np.repeat(np.repeat(half, 2, axis=0), 2, axis=1)


def shade(
    canvas: NDArray[np.float32],
    camera: Camera,
    triangles: Triangles,
    layer: NDArray[np.int64],
    seen: NDArray[np.uint32],
    screen: NDArray[np.float32],
    depth: NDArray[np.float32],
    ambient: NDArray[np.float32],
) -> None:
    """Paint the seen triangles of a layer on the canvas, in chunks of pixels."""
    painted, lit = canvas.reshape(-1, 3), ambient.ravel()
    pixels = np.flatnonzero(seen != raster.NONE)
    axes = camera.axes.T.astype(np.float32)
    for start in range(0, len(pixels), _CHUNK):
        pixel = pixels[start : start + _CHUNK]
        row, column = np.divmod(pixel, camera.width)
        number = layer[seen.ravel()[pixel]]
        mix = raster.weights(screen.take(number, 0), column + 0.5, row + 0.5, depth.take(number, 0))
        normal = mixed(triangles.normals.take(number, 0), mix)
        normal /= np.maximum(_length(normal), 1e-9)
        corners = triangles.corners.take(number, 0)
        view = camera.position.astype(np.float32) - mixed(corners, mix)
        view /= _length(view)
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        across *= np.where(np.einsum("ij,ij->i", across, view) < 0, -1, 1)[:, None]
        # Triangles are drawn from both sides. A normal is taken to point to the side that is seen.
        normal *= np.where(np.einsum("ij,ij->i", normal, across) < 0, -1, 1)[:, None]
        uv = mixed(triangles.uv.take(number, 0), mix)
        light = np.zeros((len(pixel), 3), np.float32)
        alpha = np.ones(len(pixel), np.float32)
        which = triangles.material[number]
        tint = None if triangles.colours is None else mixed(triangles.colours.take(number, 0), mix)
        for each in np.unique(which):
            at = np.flatnonzero(which == each)
            light[at], alpha[at] = _lit(
                triangles.materials[each],
                uv[at],
                None if tint is None else tint[at],
                normal[at] @ axes,
                np.asarray(view[at] @ axes, np.float32),
                normal[at, 1],
                lit[pixel[at]],
            )
        below = painted.take(pixel, 0)
        painted[pixel] = below + (light - below) * alpha[:, None]


def _length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the length of each vector (n, 3), as (n, 1). `norm` takes six times as long for so short ones."""
    x, y, z = vectors.T
    return np.asarray(np.sqrt(x * x + y * y + z * z)[:, None], np.float32)


def _lit(
    material: Material,
    uv: NDArray[np.float32],
    tint: NDArray[np.float32] | None,
    normal: NDArray[np.float32],
    view: NDArray[np.float32],
    upwards: NDArray[np.float32],
    ambient: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the light that leaves places of one material towards the camera, and their opacity."""
    base = np.broadcast_to(linear(np.array(material.colour[:3], np.float32)), (len(uv), 3)).copy()
    alpha = np.full(len(uv), material.colour[3], np.float32)
    if material.texture is not None:
        texel = sampled(material.texture, uv)
        base *= _LINEAR[np.clip(texel[:, :3] + 0.5, 0, 255).astype(np.uint8)]
        alpha *= texel[:, 3] / 255
    if tint is not None:
        base *= linear(tint[:, :3])
        alpha *= tint[:, 3]
    brightest = np.maximum(np.maximum(base[:, 0], base[:, 1]), base[:, 2])[:, None]
    base *= np.minimum(_WHITEST / np.maximum(brightest, 1e-6), 1)
    rough = np.full(len(uv), material.roughness, np.float32)
    metal = np.full(len(uv), material.metallic, np.float32)
    if material.metal_rough is not None:
        texel = sampled(material.metal_rough, uv)
        rough *= texel[:, 1] / 255
        metal *= texel[:, 2] / 255
    rough = np.clip(rough, 0.08, 1.0)
    room = (_FLOOR + (_SKY - _FLOOR) * (0.5 + 0.5 * upwards)) * ambient
    diffuse = room
    mirror = np.zeros_like(room)
    shine = 2 / rough**4 - 2 + 2
    for towards, strength in _LIGHTS:
        to_light = np.array(towards, np.float32) / np.float32(np.linalg.norm(towards))
        facing = normal @ to_light
        diffuse = diffuse + strength * np.clip(facing * 0.88 + 0.12, 0, 1)
        half = to_light + view
        half /= _length(half)
        mirror = mirror + strength * np.clip(np.einsum("ij,ij->i", half, normal), 0, 1) ** shine * (shine + 8) / 60
    facing = np.clip(np.einsum("ij,ij->i", normal, view), 0, 1)
    reflected = 2 * facing * upwards - 0.36  # how far up the mirrored room is looked at
    around = (0.2 + 0.85 / (1 + np.exp(-(7.0 - 5.0 * rough) * reflected))) * ambient
    base_mirror = 0.04 + (base - 0.04) * metal[:, None]
    edge = base_mirror + (np.maximum(1 - rough[:, None], base_mirror) - base_mirror) * (1 - facing[:, None]) ** 5
    light = base * (1 - metal[:, None]) * diffuse[:, None]
    light = light + edge * (around + np.minimum(mirror, 3.0))[:, None]
    if material.emissive is not None:
        light = light + _LINEAR[np.clip(sampled(material.emissive, uv)[:, :3] + 0.5, 0, 255).astype(np.uint8)]
    return light.astype(np.float32), np.clip(alpha, 0, 1) if material.blended else np.ones_like(alpha)
