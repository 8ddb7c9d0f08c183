"""Pictures with masks, made smaller."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numba import njit

from objascale.masks import RegionMask
from objascale.scenes import Scene, SceneError


def shrunk(scene: Scene, short_side: int) -> Scene:
    """The scene with a shorter side of so many px; as it is if that is shorter already.

    Pixels are means over what they cover, a mask has those of which it covers at least half; masks without a pixel
    left are dropped. Raises SceneError if none is left.
    """
    height, width = scene.image.shape[:2]
    factor = short_side / min(height, width)
    if factor >= 1:
        return scene
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    image = np.asarray(cv2.resize(scene.image, size, interpolation=cv2.INTER_AREA), np.uint8)
    masks = [mask for mask in (_shrunk(mask, *size) for mask in scene.masks) if mask.area]
    if not masks:
        raise SceneError(f"{scene.name}: no mask has a pixel left at {size[0]}×{size[1]}")
    return Scene(image, masks, scene.name)


def _shrunk(mask: RegionMask, width: int, height: int) -> RegionMask:
    if mask.box is None:
        return RegionMask.empty(width, height)
    x0, y0, x1, y1 = mask.box
    across, down = width / mask.width, height / mask.height
    left, top = math.floor(x0 * across), math.floor(y0 * down)
    right, bottom = min(math.ceil(x1 * across), width), min(math.ceil(y1 * down), height)
    covered = np.zeros((bottom - top, right - left), np.float32)
    _cover(mask.data, mask.x, mask.y, across, down, left, top, covered)
    return RegionMask(left, top, covered >= 0.5 - 1e-4, width, height).tight()


@njit(cache=True, nogil=True)
def _cover(data, x, y, across, down, left, top, covered):
    """Add to each pixel of `covered`, whose first is (left, top), the share of it that the mask's pixels cover."""
    rows, columns = covered.shape
    for i in range(data.shape[0]):
        top_edge, bottom_edge = (y + i) * down - top, (y + i + 1) * down - top
        row = int(top_edge)
        lower = max(bottom_edge - row - 1, 0.0)  # of it in the next row
        for j in range(data.shape[1]):
            if not data[i, j]:
                continue
            left_edge, right_edge = (x + j) * across - left, (x + j + 1) * across - left
            column = int(left_edge)
            more = max(right_edge - column - 1, 0.0)
            upper, less = down - lower, across - more
            covered[row, column] += upper * less
            if more > 0 and column + 1 < columns:
                covered[row, column + 1] += upper * more
            if lower > 0 and row + 1 < rows:
                covered[row + 1, column] += lower * less
                if more > 0 and column + 1 < columns:
                    covered[row + 1, column + 1] += lower * more
