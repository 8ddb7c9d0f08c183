"""Sharpness: the point spread of the background on the objects, and defocus of the whole picture."""

from __future__ import annotations

import math

from objascale.camera import Camera

_DEFOCUS = 0.0008  # of the picture's side, per unit of strength; 3.3 px at strength 4 and 1024 px
_LARGEST_MATCH = 1 / 8  # of the square root of the smallest mask's area
_LARGEST_DEFOCUS = 1 / 6


def background_sigma(camera: Camera, map_width: int) -> float:
    """Return the standard deviation, px, of the sharpest edge that a magnified map shows.

    Bilinear interpolation turns a step between two texels into a ramp one texel long, whose standard deviation is 1/√12
    of a texel. The footprint of a texel in the picture is its angle times the focal length. A footprint below one pixel
    adds no spread, because the pixel filter is wider.
    """
    footprint = 2 * math.pi / map_width * camera.focal
    return footprint / math.sqrt(12) if footprint > 1 else 0.0


def object_sigma(camera: Camera, map_width: int, smallest_area: float) -> float:
    """Return the standard deviation, px, that makes objects as sharp as the background.

    It is at most an eighth of the square root of `smallest_area`, the area of the smallest mask in px.
    """
    return min(background_sigma(camera, map_width), _LARGEST_MATCH * math.sqrt(smallest_area))


def defocus_sigma(strength: float, camera: Camera, smallest_area: float) -> float:
    """Return the standard deviation, px, of the defocus: 0.08 % of the picture's side per unit of strength.

    It is at most a sixth of the square root of `smallest_area`.
    """
    side = max(camera.width, camera.height)
    return min(_DEFOCUS * strength * side, _LARGEST_DEFOCUS * math.sqrt(smallest_area))
