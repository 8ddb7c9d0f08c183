"""Exposure: the picture is metered, and the strength is the number of stops above or below."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from objascale.camera import Camera, equirectangular

MIDDLE_GREY = 0.18
"""Scene-linear luminance that the metered exposure gives to the median of the background."""

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)  # of linear sRGB, Rec. 709
_METERED_POINTS = 64  # a side
_MAX_STOPS = 12.0  # of metering; a black map stays black


def luminance(linear: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the luminance, (…), of scene-linear RGB, (…, 3)."""
    return linear @ _LUMINANCE


def metered_gain(texels: NDArray[np.float16], camera: Camera) -> float:
    """Return the factor that brings the median luminance of the background to `MIDDLE_GREY`.

    The median is over a grid of 64 × 64 points of the picture, each with the nearest texel. The factor is limited to
    2^±12.

    Args:
        texels: Environment map, see `background.render_rows`.
        camera: Camera of the picture.
    """
    steps = (np.arange(_METERED_POINTS) + 0.5) / _METERED_POINTS - 0.5
    right, up = (each.ravel() for each in np.meshgrid(steps * camera.width, steps * camera.height))
    rays = np.stack([right, up, np.full_like(right, -camera.focal)], 1) @ camera.axes.T
    height, width = texels.shape[:2]
    columns, rows = (equirectangular(rays) * (width, height)).astype(int).T
    seen = texels[np.minimum(rows, height - 1), np.minimum(columns, width - 1)].astype(np.float32)
    median = float(np.median(luminance(seen)))
    if median <= 0:
        return 2.0**_MAX_STOPS
    return float(np.clip(MIDDLE_GREY / median, 2.0**-_MAX_STOPS, 2.0**_MAX_STOPS))


def stops(strength: float, rng: np.random.Generator) -> float:
    """Return the exposure, stops: `strength` above or below the metered one, with equal chance."""
    return math.copysign(strength, rng.uniform() - 0.5)
