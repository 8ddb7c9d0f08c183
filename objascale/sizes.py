"""Bins of mask size: relative to the picture, and in pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE_EDGES = (1e-5, 1e-4, 1e-3, 1e-2)
SIZE_LABELS = ("to 10⁻⁵", "10⁻⁵ to 10⁻⁴", "10⁻⁴ to 10⁻³", "10⁻³ to 10⁻²", "above 10⁻²")
PIXEL_EDGES = (30, 100, 1000, 10_000)
PIXEL_LABELS = ("under 30 px", "30 to 100 px", "100 to 1,000 px", "1,000 to 10,000 px", "10,000 px and more")
COCO_EDGES = (32**2, 96**2)
"""Areas in px that separate COCO's small, medium and large objects (pycocotools.cocoeval)."""
COCO_LABELS = ("S: under 32² px", "M: 32² to 96² px", "L: 96² px and more")


def size_bin(fractions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Index into SIZE_LABELS for each mask area over image area; an upper edge belongs to its bin."""
    return np.searchsorted(SIZE_EDGES, fractions, side="left")


def pixel_bin(areas: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Index into PIXEL_LABELS for each mask area in pixels; a lower edge belongs to its bin."""
    return np.searchsorted(PIXEL_EDGES, areas, side="right")


def coco_bin(areas: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Index into COCO_LABELS for each mask area in pixels; a lower edge belongs to its bin."""
    return np.searchsorted(COCO_EDGES, areas, side="right")
