"""Outlines of masks: polygons along pixel edges, and SVG paths."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray


def outlines(mask: NDArray[np.bool_], tolerance: float = 0.0) -> list[NDArray[np.int64]]:
    """Return closed polygons around all parts and holes of a mask.

    Args:
        mask: (H, W) bool.
        tolerance: Largest distance, px, between a polygon and the pixel edges; 0 follows them exactly.

    Returns:
        Corners (n, 2) of each polygon, x and y of pixel edges.
    """
    # OpenCV follows the centres of border pixels. At double size these are the quarters of a pixel. Each quarter maps
    # to one corner of its pixel: ⌊(centre + 1) / 2⌋. The cut at a concave corner maps to that corner.
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


def svg_path(corners: NDArray[np.int64]) -> str:
    """Return a closed polygon as an SVG path with relative steps."""
    (x, y), steps = corners[0].tolist(), np.diff(corners, axis=0).tolist()
    lines = (f"h{dx}" if not dy else f"v{dy}" if not dx else f"l{dx}{'' if dy < 0 else ' '}{dy}" for dx, dy in steps)
    return f"M{x} {y}{''.join(lines)}z"


def _corners(points: NDArray[Any]) -> NDArray[Any]:
    """Return the corners of a closed polygon with axis-aligned steps."""
    points = points[(points != np.roll(points, 1, axis=0)).any(1)]
    steps = np.sign(np.roll(points, -1, axis=0) - points)
    return points[(steps != np.roll(steps, 1, axis=0)).any(1)]
