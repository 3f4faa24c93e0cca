"""Place the camera: perspective, from the front left, a little above, so that the whole model fills the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AZIMUTH: Final = np.radians(-33.0)
_ELEVATION: Final = np.radians(21.0)
_HALF_ANGLE: Final = np.radians(14.0)  # of the height of the picture
_FILLED: Final = 0.86  # of the picture's height and width


@dataclass(frozen=True, slots=True)
class Camera:
    """Camera of a picture. Its axes are right, up and towards the viewer."""

    axes: NDArray[np.float64]  # (3, 3), one axis a row
    position: NDArray[np.float64]  # (3,)
    focal: float  # pixels from the camera to the picture
    width: int  # pixels
    height: int

    def project(self, points: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return x and y in pixels of points (..., 3), and their distances along the view."""
        seen = (points - self.position.astype(np.float32)) @ self.axes.T.astype(np.float32)
        depth = -seen[..., 2]
        x = self.width / 2 + self.focal * seen[..., 0] / depth
        y = self.height / 2 - self.focal * seen[..., 1] / depth
        return np.stack([x, y], axis=-1).astype(np.float32), depth


def axes() -> NDArray[np.float64]:
    """Return the camera's axes: right, up, towards the viewer."""
    towards = np.array(
        [np.sin(_AZIMUTH) * np.cos(_ELEVATION), np.sin(_ELEVATION), np.cos(_AZIMUTH) * np.cos(_ELEVATION)]
    )
    right = np.array([np.cos(_AZIMUTH), 0.0, -np.sin(_AZIMUTH)])
    return np.stack([right, np.cross(towards, right), towards])


def fitted(points: NDArray[np.float64], width: int, height: int) -> Camera:
    """Return the nearest camera that has all the points (n, 3) in its picture, in the middle of it."""
    turned = points @ axes().T
    across = np.tan(_HALF_ANGLE) * _FILLED * np.array([width / height, 1.0])
    centre = (turned[:, :2].max(axis=0) + turned[:, :2].min(axis=0)) / 2
    distance = 0.0
    for _ in range(12):
        distance = float((turned[:, 2, None] + np.abs(turned[:, :2] - centre) / across).max())
        flat = (turned[:, :2] - centre) / (distance - turned[:, 2, None])
        shift = (flat.max(axis=0) + flat.min(axis=0)) / 2
        centre = centre + shift * (distance - np.median(turned[:, 2]))
    distance = float((turned[:, 2, None] + np.abs(turned[:, :2] - centre) / across).max())
    position = np.array([*centre, distance]) @ axes()
    return Camera(axes(), position, height / 2 / np.tan(_HALF_ANGLE), width, height)
