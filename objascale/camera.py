"""Pinhole camera and equirectangular projection.

World: right-handed, z up. The unit of length is the radius of the object's bounding sphere; its centre is the origin.
Picture: x to the right, y down, in pixels. Pixel (c, r) has its centre at (c+½, r+½).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Camera:
    """Pinhole camera with a level horizon.

    Attributes:
        width: Width of the picture, px.
        height: Height of the picture, px.
        fov: Angle across the picture's longer side, radians.
        azimuth: Horizontal viewing direction, radians from +x towards +y.
        elevation: Angle below the horizon, radians: 0 is level, π/2 straight down.
        position: Position of the pinhole, world units.
    """

    width: int
    height: int
    fov: float
    azimuth: float
    elevation: float
    position: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @cached_property
    def focal(self) -> float:
        """Focal length, px."""
        return max(self.width, self.height) / 2 / math.tan(self.fov / 2)

    @cached_property
    def axes(self) -> NDArray[np.float64]:
        """3×3 rotation whose columns are the camera's right, up and backward directions in the world."""
        sin_a, cos_a = math.sin(self.azimuth), math.cos(self.azimuth)
        sin_e, cos_e = math.sin(self.elevation), math.cos(self.elevation)
        forward = np.array([cos_e * cos_a, cos_e * sin_a, -sin_e])
        right = np.array([sin_a, -cos_a, 0.0])
        return np.stack([right, np.cross(right, forward), -forward], axis=1)

    def ray(self, x: float, y: float) -> NDArray[np.float64]:
        """Return the unit direction in the world of the ray through the picture point (x, y), px."""
        direction = self.axes @ (x - self.width / 2, self.height / 2 - y, -self.focal)
        return direction / np.linalg.norm(direction)

    def project(self, points: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Project world points (n, 3) to picture points (n, 2), px. Points behind the camera become NaN."""
        local = (points - np.asarray(self.position)) @ self.axes
        depth = np.where(local[:, 2] < 0, -local[:, 2], np.nan)
        scale = self.focal / depth
        return np.stack([self.width / 2 + local[:, 0] * scale, self.height / 2 - local[:, 1] * scale], axis=1)

    def looking_at_origin_through(self, x: float, y: float, distance: float) -> Camera:
        """Return the camera moved so that it sees the origin at the picture point (x, y), `distance` away."""
        position = -distance * self.ray(x, y)
        return Camera(self.width, self.height, self.fov, self.azimuth, self.elevation, tuple(position.tolist()))


def equirectangular(directions: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Map world directions (n, 3) to coordinates (n, 2) in [0, 1]: u from left to right, v from the zenith down.

    As in Blender's environment texture, the middle column of the map lies towards +x, and u grows towards −y.
    """
    x, y, z = directions.T
    u = 0.5 - np.arctan2(y, x) / (2 * np.pi)
    v = np.arctan2(np.hypot(x, y), z) / np.pi
    return np.stack([u, v], axis=1)
