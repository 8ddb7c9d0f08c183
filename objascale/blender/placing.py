"""How far away the object must stand so that its silhouette has the area that the spec asks for.

The silhouette is measured, not guessed: the same renderer looks at the object through a fine grid, the distance is
corrected by the square root of the ratio, and again until it fits.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objascale.blender import scene
from objascale.blender.importing import Refusal
from objascale.camera import Camera
from objascale.masks import Box
from objascale.plan import SceneSpec

_GRID = 256  # points across the measured silhouette
_CLOSE_ENOUGH = 0.01  # relative error of the measured area
_ROUNDS = 24
_MARGIN = 3  # px around the object that its pixel filter can reach


def place(spec: SceneSpec, points: NDArray[np.float64], min_area: int, scratch: Path) -> tuple[Camera, Box]:
    """The camera that shows the object at its target size, and the box of px around it that must be traced.

    points: the object's vertices (n, 3), world. Raises Refusal: does-not-fit if the object would leave the picture
    at that size, too-thin if it stays below `min_area` px.
    """
    target = spec.target_fraction * spec.width * spec.height
    camera = Camera(spec.width, spec.height, spec.fov, spec.azimuth, spec.elevation)
    x, y = spec.width / 2, spec.height / 2
    distance = camera.focal / math.sqrt(target / math.pi)
    for _ in range(_ROUNDS):
        camera = camera.looking_at_origin_through(x, y, distance)
        bounds = _bounds(camera, points)
        if bounds is None:
            distance *= 1.2
            continue
        ratio = _measured_area(camera, bounds, scratch) / target
        x0, y0, x1, y1 = bounds
        move_x = 1 + spec.place_x * max(spec.width - 2 - (x1 - x0), 0) - x0
        move_y = 1 + spec.place_y * max(spec.height - 2 - (y1 - y0), 0) - y0
        if abs(ratio - 1) < _CLOSE_ENOUGH and max(abs(move_x), abs(move_y)) < 1:
            break
        x, y = x + move_x, y + move_y
        distance *= math.sqrt(max(ratio, 1e-3))
    else:
        raise Refusal("does-not-fit", f"{spec.object_id} has no place for {spec.target_fraction:.2g} of the picture")
    x0, y0, x1, y1 = bounds
    if x0 < 0 or y0 < 0 or x1 > spec.width or y1 > spec.height:
        raise Refusal(
            "does-not-fit", f"{spec.object_id} at {spec.target_fraction:.2g} of the picture would leave the frame"
        )
    return _visible(camera, points, (x, y), distance, min_area, scratch)


def _visible(
    camera: Camera, points: NDArray[np.float64], at: tuple[float, float], distance: float, min_area: int, scratch: Path
) -> tuple[Camera, Box]:
    """Come a little nearer while a tiny object covers fewer pixel centres than it must."""
    for _ in range(_ROUNDS):
        bounds = _bounds(camera, points)
        assert bounds is not None
        box = _pixel_box(camera, bounds)
        wide = (box[2] - box[0]) * (box[3] - box[1]) > 64 * min_area + 4096
        if wide or np.count_nonzero(scene.silhouette(camera, box, scratch)) >= min_area:
            return camera, box
        distance *= 0.97
        camera = camera.looking_at_origin_through(*at, distance)
    raise Refusal("too-thin", f"an object stays below {min_area} px: it is too thin at this size")


def _bounds(camera: Camera, points: NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """Tight xyxy of the projected vertices in px, None if one is not in front of the camera."""
    projected = camera.project(points)
    if not np.isfinite(projected).all():
        return None
    (x0, y0), (x1, y1) = projected.min(0).tolist(), projected.max(0).tolist()
    return x0, y0, x1, y1


def _pixel_box(camera: Camera, bounds: tuple[float, float, float, float]) -> Box:
    x0, y0, x1, y1 = bounds
    return (
        max(math.floor(x0) - _MARGIN, 0),
        max(math.floor(y0) - _MARGIN, 0),
        min(math.ceil(x1) + _MARGIN, camera.width),
        min(math.ceil(y1) + _MARGIN, camera.height),
    )


def _measured_area(camera: Camera, bounds: tuple[float, float, float, float], scratch: Path) -> float:
    """Area of the silhouette in px of the picture, also where it leaves the frame."""
    x0, y0, x1, y1 = bounds
    side = 1.02 * max(x1 - x0, y1 - y0)
    corner = ((x0 + x1 - side) / 2, (y0 + y1 - side) / 2)
    seen = scene.silhouette_on_grid(camera, corner, side, _GRID, scratch)
    return float(np.count_nonzero(seen)) * (side / _GRID) ** 2
