"""Where the released line asks for the mask in training: mostly near its edge, inside and outside alike."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.masks import Box, RegionMask

REACHES = (2, 4, 8, 16, 32, 64, 255)
"""Px from the edge that each group of points reaches; each holds the one before it, and the last holds everything."""


def edge_distance(window: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """How far pixels (h, w) are from the mask's edge, in steps to one of four neighbours; 255 stands for more, too.

    Pixels beside one of the other kind have 0. Where all are of one kind there is no edge, and all have 255.
    """
    distances = [
        cv2.distanceTransform(side.astype(np.uint8), cv2.DIST_L1, cv2.DIST_MASK_3) for side in (window, ~window)
    ]
    return np.clip(np.where(window, distances[0], distances[1]) - 1, 0, 255).astype(np.uint8)


def grouped_points(
    mask: RegionMask, box: Box, each: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Random points in a box (xyxy pixel edges inside the frame), `each` in every group of REACHES.

    Returns (7, each, 2) as x, y in pixels with centres at +½, and whether the pixel that a point is in is the mask's,
    (7, each). The first half of each group, rounded down, is inside. Pixels are drawn with replacement; if all of the
    box is of one kind, so are the points.
    """
    window = mask.window(box)
    distance = edge_distance(window).ravel()
    share = each if window.all() else each // 2 if window.any() else 0
    drawn = [
        _drawn(np.flatnonzero(side), distance, count, rng)
        for side, count in ((window, share), (~window, each - share))
        if count
    ]
    rows, columns = np.divmod(np.concatenate(drawn, 1), window.shape[1])
    points = np.stack((columns, rows), -1) + box[:2] + rng.random((*rows.shape, 2))
    return points, window[rows, columns]


def _drawn(
    pixels: NDArray[np.int64], distance: NDArray[np.uint8], count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """`count` of the pixels for each group, (7, count)."""
    far = distance[pixels]
    order = np.argsort(far, kind="stable")
    ends = np.searchsorted(far[order], REACHES, "right")
    ends[ends == 0] = len(pixels)
    return pixels[order[rng.integers(0, ends[:, None], (len(REACHES), count))]]
