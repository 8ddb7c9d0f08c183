"""A pinhole camera and equirectangular maths, without Blender.

World: right-handed, z up, lengths in units of the object's bounding sphere (radius 1, centre at the origin).
Picture: x to the right, y down, in pixels; pixel (c, r) has its centre at (c+½, r+½).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with a level horizon.

    width, height: picture in px. fov: angle in radians across the picture's longer side. azimuth: direction in which
    it looks, in radians from +x towards +y. elevation: how far it looks down, radians, 0 level, π/2 straight down.
    position: of the pinhole, world units.
    """

    width: int
    height: int
    fov: float
    azimuth: float
    elevation: float
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @cached_property
    def focal(self) -> float:
        """Distance of the picture plane, in px."""
        return max(self.width, self.height) / 2 / math.tan(self.fov / 2)

    @cached_property
    def axes(self) -> NDArray[np.float64]:
        """3×3; the columns are the camera's right, up and backward directions in the world."""
        sin_a, cos_a = math.sin(self.azimuth), math.cos(self.azimuth)
        sin_e, cos_e = math.sin(self.elevation), math.cos(self.elevation)
        forward = np.array([cos_e * cos_a, cos_e * sin_a, -sin_e])
        right = np.array([sin_a, -cos_a, 0.0])
        return np.stack([right, np.cross(right, forward), -forward], axis=1)

    def ray(self, x: float, y: float) -> NDArray[np.float64]:
        """Unit direction in the world of what is seen at the picture point (x, y), px."""
        direction = self.axes @ (x - self.width / 2, self.height / 2 - y, -self.focal)
        return direction / np.linalg.norm(direction)

    def project(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """World points (n, 3) to picture points (n, 2), px. Points behind the camera become NaN."""
        local = (points - np.asarray(self.position)) @ self.axes
        depth = np.where(local[:, 2] < 0, -local[:, 2], np.nan)
        scale = self.focal / depth
        return np.stack([self.width / 2 + local[:, 0] * scale, self.height / 2 - local[:, 1] * scale], axis=1)

    def looking_at_origin_through(self, x: float, y: float, distance: float) -> Camera:
        """The same camera moved so that the origin lies `distance` away at the picture point (x, y)."""
        position = -distance * self.ray(x, y)
        return Camera(self.width, self.height, self.fov, self.azimuth, self.elevation, tuple(position.tolist()))


def equirectangular(directions: NDArray[np.floating]) -> NDArray[np.float64]:
    """World directions (n, 3) to map coordinates (n, 2) in [0, 1]: u from left to right, v from the zenith down.

    The convention of Blender's environment texture: the map's middle column lies towards +x, u grows towards −y.
    """
    x, y, z = directions.T
    u = 0.5 - np.arctan2(y, x) / (2 * np.pi)
    v = np.arctan2(np.hypot(x, y), z) / np.pi
    return np.stack([u, v], axis=1)
