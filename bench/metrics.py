"""How well a predicted mask agrees with the truth. Costs what the two masks cost, not what the frame would.

No detection (an empty prediction) scores 0 everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.masks import RegionMask

BOUNDARY_FRACTION = 0.02  # of the diagonal of the object's box


@dataclass(frozen=True)
class Scores:
    """IoU is the paper's number; Dice and boundary IoU are between 0 and 1 as well.

    `centre_error`: pixels between the masks' means; None if the prediction is empty.
    """

    iou: float
    dice: float
    boundary_iou: float
    centre_error: float | None


def score(predicted: RegionMask, truth: RegionMask) -> Scores:
    """All scores of one object. Raises MaskError if the masks belong to frames of different sizes."""
    return Scores(
        predicted.iou(truth), predicted.dice(truth), boundary_iou(predicted, truth), centre_error(predicted, truth)
    )


def centre_error(predicted: RegionMask, truth: RegionMask) -> float | None:
    """Pixels from the mean of one mask to that of the other; None if either is empty."""
    if predicted.area == 0 or truth.area == 0:
        return None
    return float(np.linalg.norm(predicted.moments()[0] - truth.moments()[0]))


def band_width(truth: RegionMask) -> int:
    """Width of the boundary in pixels: 2 % of the diagonal of the truth's tight box, at least 1."""
    x0, y0, x1, y1 = truth.box or (0, 0, 0, 0)
    return max(round(BOUNDARY_FRACTION * math.hypot(x1 - x0, y1 - y0)), 1)


def boundary_iou(predicted: RegionMask, truth: RegionMask) -> float:
    """IoU of the two masks' inner boundaries (Cheng et al., CVPR 2021, arXiv 2103.16562), 0 if either is empty.

    A mask's boundary are its pixels within the band of a pixel outside it, the outside of the frame included. The
    paper takes 2 % of the image's diagonal for the band, which swallows a small object whole; here it is 2 % of the
    diagonal of the object's own box.
    """
    width = band_width(truth)
    return _boundary(predicted, width).iou(_boundary(truth, width))


def _boundary(mask: RegionMask, width: int) -> RegionMask:
    """The pixels of `mask` with a pixel outside it in the square of 2·`width` + 1 about them."""
    side = 2 * width + 1
    inner: NDArray = mask.data.view(np.uint8)
    if inner.size == 0:
        return mask
    for _ in range(2):  # along columns, then, turned, along rows; eight pixels at a time, as bits of a byte
        bits = np.zeros((inner.shape[0] + 2 * width, -(-inner.shape[1] // 8)), np.uint8)
        bits[width:-width] = np.packbits(inner, axis=1)
        reach = 1
        while reach < side:
            step = min(reach, side - reach)
            bits = bits[:-step] & bits[step:]
            reach += step
        inner = cv2.transpose(np.unpackbits(bits, axis=1, count=inner.shape[1]))
    return replace(mask, data=mask.data & ~inner.view(bool))
