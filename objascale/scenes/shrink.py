"""Resize scenes to a lower resolution."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from objascale.masks import RegionMask
from objascale.scenes import Scene, SceneError

COVERAGE_EPS = 1e-4  # half a pixel still counts as half after float32 rounding


def resize_short_side(scene: Scene, short_side: int) -> Scene:
    """Resize a scene so that its shorter side has `short_side` px. Smaller scenes are returned unchanged.

    A pixel is the mean of the area that it covers. It belongs to a mask that covers at least half of it. Masks without
    a pixel are dropped. Raises SceneError if none is left.
    """
    height, width = scene.image.shape[:2]
    factor = short_side / min(height, width)
    if factor >= 1:
        return scene
    return resize(scene, max(round(width * factor), 1), max(round(height * factor), 1))


def halve(scene: Scene) -> Scene:
    """Resize a scene to half its size, by the same rule as `resize_short_side`; an odd last row or column is cut off.

    Raises SceneError if the image is one pixel high or wide, or no mask has a pixel left.
    """
    rows, columns = scene.image.shape[:2]
    height, width = rows // 2, columns // 2
    if not height or not width:
        raise SceneError(f"{scene.name}: an image of {columns}×{rows} px cannot be halved")
    return resize(_cropped(scene, 2 * width, 2 * height), width, height)


def _cropped(scene: Scene, width: int, height: int) -> Scene:
    """Keep the upper left `width`×`height` px."""
    frame = (0, 0, width, height)
    masks = [RegionMask(0, 0, mask.window(frame), width, height).tight() for mask in scene.masks]
    return Scene(scene.image[:height, :width], masks, scene.name)


def resize(scene: Scene, width: int, height: int) -> Scene:
    image = np.asarray(cv2.resize(scene.image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    masks = [mask for mask in (_resized_mask(mask, width, height) for mask in scene.masks) if mask.area]
    if not masks:
        raise SceneError(f"{scene.name}: no mask has a pixel left at {width}×{height}")
    return Scene(image, masks, scene.name)


def _resized_mask(mask: RegionMask, width: int, height: int) -> RegionMask:
    if mask.box is None:
        return RegionMask.empty(width, height)
    x0, y0, x1, y1 = mask.box
    across, down = width / mask.width, height / mask.height
    left, top = math.floor(x0 * across), math.floor(y0 * down)
    right, bottom = min(math.ceil(x1 * across), width), min(math.ceil(y1 * down), height)
    covered = np.zeros((bottom - top, right - left), np.float32)
    _cover(mask.data, mask.x, mask.y, across, down, left, top, covered)
    return RegionMask(left, top, covered >= 0.5 - COVERAGE_EPS, width, height).tight()


@njit(cache=True, nogil=True)
def _cover(
    data: NDArray[np.bool_],
    x: int,
    y: int,
    across: float,
    down: float,
    left: int,
    top: int,
    covered: NDArray[np.float32],
) -> None:
    """Add to each pixel of `covered` the share that the mask covers; its first pixel is (left, top) of the image."""
    rows, columns = covered.shape
    for i in range(data.shape[0]):
        top_edge, bottom_edge = (y + i) * down - top, (y + i + 1) * down - top
        row = int(top_edge)
        lower = max(bottom_edge - row - 1, 0.0)  # the part in the next row
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
