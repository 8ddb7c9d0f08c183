"""Training points of the released models: most lie near the mask's edge, half of them inside."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.masks import Box, RegionMask

EDGE_DISTANCES = (2, 4, 8, 16, 32, 64, 255)
"""Maximum distance to the edge of each group of points, in px. A group contains those before it; 255 means any."""


def edge_distance(window: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the distance of each pixel to the mask's edge, in steps to one of four neighbours; at most 255.

    A pixel beside one of the other class has distance 0. Without an edge all distances are 255.

    Args:
        window: Mask, bool (h, w).
    """
    distances = [
        cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L1, cv2.DIST_MASK_3) for side in (window, ~window)
    ]
    return np.clip(np.where(window, distances[0], distances[1]) - 1, 0, 255).astype(np.uint8)


def sample_points(
    mask: RegionMask, box: Box, num_points: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Draw random points in a box, `num_points` for each group of EDGE_DISTANCES.

    Pixels are drawn with replacement, and each point lies anywhere in its pixel. If the box has only one class, all
    points have that class.

    Args:
        mask: The mask.
        box: xyxy pixel edges, inside the frame.
        num_points: Points per group.
        rng: Draws the points.

    Returns:
        Points, (7, num_points, 2), x and y in px with pixel centres at +½, and whether the point's pixel belongs to the
        mask, (7, num_points). The first half of each group, rounded down, is inside.
    """
    window = mask.window(box)
    distance = edge_distance(window).ravel()
    num_inside = num_points if window.all() else num_points // 2 if window.any() else 0
    pixels = [
        _draw_pixels(np.flatnonzero(side), distance, count, rng)
        for side, count in ((window, num_inside), (~window, num_points - num_inside))
        if count
    ]
    rows, columns = np.divmod(np.concatenate(pixels, 1), window.shape[1])
    points = np.stack((columns, rows), -1) + box[:2] + rng.random((*rows.shape, 2))
    return points, window[rows, columns]


def _draw_pixels(
    pixels: NDArray[np.int64], distance: NDArray[np.uint8], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw `count` pixels for each group, (7, count)."""
    distances = distance[pixels]
    order = np.argsort(distances, kind="stable")
    ends = np.searchsorted(distances[order], EDGE_DISTANCES, "right")
    ends[ends == 0] = len(pixels)
    return pixels[order[rng.integers(0, ends[:, None], (len(EDGE_DISTANCES), count))]]
