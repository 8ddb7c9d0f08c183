"""Half resolution, which the first phase of the paper's training sees."""

from __future__ import annotations

import cv2
import numpy as np

from objascale.masks import RegionMask
from objascale.scenes import Scene, SceneError


def halved(scene: Scene) -> Scene:
    """The scene at half its size: pixels are means of four, a mask has those of which two or more were its own.

    A last odd row or column is dropped, and so are masks without a pixel left. Raises SceneError if none is left.
    """
    height, width = (length // 2 for length in scene.image.shape[:2])
    if not height or not width:
        raise SceneError(f"{scene.name}: a picture of {scene.image.shape[1]}×{scene.image.shape[0]} has no half")
    image = cv2.resize(scene.image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    masks = [mask for mask in (_halved(mask, width, height) for mask in scene.masks) if mask.area]
    if not masks:
        raise SceneError(f"{scene.name}: no mask has a pixel left at half resolution")
    return Scene(np.asarray(image, np.uint8), masks, scene.name)


def _halved(mask: RegionMask, width: int, height: int) -> RegionMask:
    if mask.box is None:
        return RegionMask.empty(width, height)
    x0, y0, x1, y1 = mask.box
    x0, y0, x1, y1 = x0 // 2, y0 // 2, min((x1 + 1) // 2, width), min((y1 + 1) // 2, height)
    if x0 >= x1 or y0 >= y1:
        return RegionMask.empty(width, height)
    counts = mask.window((2 * x0, 2 * y0, 2 * x1, 2 * y1)).reshape(y1 - y0, 2, x1 - x0, 2).sum((1, 3))
    return RegionMask(x0, y0, counts >= 2, width, height).tight()
