"""Masks as SVG paths: exactly along pixel edges where pixels are seen, and as few corners as the eye needs elsewhere.

A path lies in the grid of its crop: one unit an image pixel, or more where the crop has more than `GRID` pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.masks import Box, MaskError, RegionMask
from reports.pixels import PANEL

GRID = 3 * PANEL  # units along the longer side of a crop at most
SEEN = 2.0  # panel pixels per image pixel from which on edges are kept exactly
TOLERANCE = 0.5  # panel pixels that an outline may be off


def grid_size(box: Box) -> tuple[int, int]:
    """Width and height of a crop in units: its pixels, or fewer of the same shape if it has more than `GRID`."""
    width, height = box[2] - box[0], box[3] - box[1]
    scale = min(1.0, GRID / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def outline(mask: RegionMask, box: Box) -> str:
    """The outline of what a mask is inside `box` (xyxy pixel edges), as an SVG path for the even-odd rule.

    Shown with the longer side of `box` on `PANEL` pixels, no point is off by more than `TOLERANCE` of those, and none
    at all where a pixel takes `SEEN` of them or more. The empty string where nothing of the mask is in the box.
    """
    width, height = grid_size(box)
    unit = PANEL / max(width, height)  # panel pixels
    tolerance = 0.0 if unit >= SEEN else TOLERANCE / unit
    if width < box[2] - box[0]:
        tolerance -= np.sqrt(0.5)  # a unit takes the pixel under its centre, which is up to half a unit away
    h, w = mask.data.shape
    columns, x0 = _sampled(box[0], box[2], width, mask.x, mask.x + w)
    rows, y0 = _sampled(box[1], box[3], height, mask.y, mask.y + h)
    if not len(rows) or not len(columns):
        return ""
    seen = mask.data[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if seen.shape != (len(rows), len(columns)):
        seen = mask.data[np.ix_(rows, columns)]
    return "".join(_path(corners + (x0, y0)) for corners in _polygons(seen, tolerance))


def outline_of(counts: object, width: int, height: int, box: Box) -> str | None:
    """The outline of a mask given as RLE counts; None if there are none, or they cannot be read."""
    if not isinstance(counts, str) or not counts:
        return None
    try:
        return outline(RegionMask.from_rle({"size": [height, width], "counts": counts}), box)
    except MaskError:
        return None


def _sampled(start: int, end: int, units: int, low: int, high: int) -> tuple[NDArray[np.int64], int]:
    """Which of the pixels from `low` to `high`, counted from `low`, the units of a crop from `start` to `end` take.

    Gives them with the first unit that takes one.
    """
    pixels = start + ((np.arange(units) + 0.5) * (end - start) / units).astype(np.int64)
    first, last = np.searchsorted(pixels, (low, high))
    return pixels[first:last] - low, int(first)


def _polygons(mask: NDArray[np.bool_], tolerance: float) -> list[NDArray[np.int64]]:
    """Closed polygons (n×2, x and y of pixel edges) around all parts and holes of a mask, within `tolerance`."""
    # OpenCV follows the centres of border pixels: in a mask of double size those of a pixel's quarters, of which each
    # has one corner of the pixel, ⌊(centre + 1) / 2⌋, so that what it cuts at a concave corner is that corner itself
    doubled = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(doubled, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    polygons = []
    for contour in contours:
        corners = _corners((contour[:, 0] + 1) // 2)
        if tolerance:
            corners = cv2.approxPolyDP(corners, tolerance, closed=True)[:, 0]
        if len(corners) > 2:
            polygons.append(corners.astype(np.int64))
    return polygons


def _corners(points: NDArray) -> NDArray:
    """The points at which a closed polygon with steps along one axis turns."""
    points = points[(points != np.roll(points, 1, axis=0)).any(1)]
    steps = np.sign(np.roll(points, -1, axis=0) - points)
    return points[(steps != np.roll(steps, 1, axis=0)).any(1)]


def _path(corners: NDArray[np.int64]) -> str:
    """A closed polygon as an SVG path with relative steps."""
    (x, y), steps = corners[0].tolist(), np.diff(corners, axis=0).tolist()
    lines = (f"h{dx}" if not dy else f"v{dy}" if not dx else f"l{dx}{'' if dy < 0 else ' '}{dy}" for dx, dy in steps)
    return f"M{x} {y}{''.join(lines)}z"
