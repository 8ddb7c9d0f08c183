"""Motion: during the exposure, the object, the camera, or both move along a straight line."""

from __future__ import annotations

import math

import numpy as np

from objascale.camera import Camera

_LENGTH = 0.003  # of the picture's side, per unit of strength; 12 px at strength 4 and 1024 px
_LARGEST_LENGTH = 1 / 2  # of the square root of the smallest mask's area


def motion_length(strength: float, camera: Camera, smallest_area: float) -> float:
    """Return the length of a motion, px: 0.3 % of the picture's side per unit of strength.

    It is at most half of the square root of `smallest_area`, the area of the smallest mask in px.
    """
    side = max(camera.width, camera.height)
    return min(_LENGTH * strength * side, _LARGEST_LENGTH * math.sqrt(smallest_area))


def moving(rng: np.random.Generator) -> tuple[bool, bool]:
    """Return whether the object moves, and whether the camera moves: one of the two, or both, with equal chance."""
    return ((True, False), (False, True), (True, True))[int(rng.integers(3))]


def direction(rng: np.random.Generator) -> float:
    """Return the direction of a motion, radians in [0, π)."""
    return float(rng.uniform(0, math.pi))
