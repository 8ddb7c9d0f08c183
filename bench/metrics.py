"""Metrics that compare a predicted mask with the true mask. An empty prediction scores 0."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.bits import BitMask
from objascale.masks import RegionMask, without_ignored

BOUNDARY_FRACTION = 0.02  # of a diagonal: the default of the boundary IoU's paper


@dataclass(frozen=True)
class Scores:
    """Scores of one prediction.

    Attributes:
        iou: Intersection over union, the paper's metric, from 0 to 1.
        dice: Dice coefficient, from 0 to 1.
        boundary_iou: Boundary IoU with the width of `object_boundary_width`, from 0 to 1.
        standard_boundary_iou: Boundary IoU with the width of `image_boundary_width`, from 0 to 1.
        centre_error: Distance between the means of both masks in px; None if the prediction is empty.
    """

    iou: float
    dice: float
    boundary_iou: float
    standard_boundary_iou: float
    centre_error: float | None


def score(predicted: RegionMask, truth: RegionMask, ignored: RegionMask | None = None) -> Scores:
    """Compute all scores of one object.

    Args:
        predicted: The mask of a model.
        truth: The true mask, in a frame of the same size.
        ignored: Pixels that are removed from both masks first, such as a band that nobody labelled; None for none.

    Raises:
        MaskError: The frames have different sizes.

    Example:
        >>> truth = RegionMask(x=2, y=2, data=np.ones((4, 4), bool), width=10, height=10)
        >>> scores = score(RegionMask(x=3, y=2, data=np.ones((4, 4), bool), width=10, height=10), truth)
        >>> scores.iou, scores.centre_error
        (0.6, 1.0)
    """
    predicted.check_frame(truth)
    predicted, truth = without_ignored(predicted, truth, ignored)
    packed = BitMask.of(predicted.tight()), BitMask.of(truth.tight())
    both, total = packed[0].intersection(packed[1]), packed[0].area + packed[1].area
    of_object, standard = _boundary_ious(*packed, (object_boundary_width(truth), image_boundary_width(truth)))
    return Scores(
        iou=_ratio(both, total - both),
        dice=_ratio(2 * both, total),
        boundary_iou=of_object,
        standard_boundary_iou=standard,
        centre_error=centre_error(predicted, truth),
    )


def centre_error(predicted: RegionMask, truth: RegionMask) -> float | None:
    """Return the distance between the means of two masks in px, None if either mask is empty."""
    if predicted.area == 0 or truth.area == 0:
        return None
    return float(np.linalg.norm(predicted.mean() - truth.mean()))


def object_boundary_width(truth: RegionMask) -> int:
    """Return 2 % of the diagonal of the true mask's tight box in px, at least 1.

    The standard boundary covers a small object in a large image completely. This one does not.
    """
    x0, y0, x1, y1 = truth.box or (0, 0, 0, 0)
    return _width(x1 - x0, y1 - y0)


def image_boundary_width(truth: RegionMask) -> int:
    """Return 2 % of the diagonal of the image in px, at least 1: the standard width of the boundary IoU."""
    return _width(truth.width, truth.height)


def _width(width: int, height: int) -> int:
    return max(round(BOUNDARY_FRACTION * math.hypot(width, height)), 1)


def boundary_iou(predicted: RegionMask, truth: RegionMask, width: int) -> float:
    """Return the IoU of the inner boundaries of two masks, 0 if either mask is empty.

    The inner boundary holds the pixels of a mask whose distance to a pixel outside the mask is at most `width` px
    (maximum of the distances along x and y). Pixels outside the frame are outside the mask.

    Source: Cheng et al., Boundary IoU, CVPR 2021, arXiv 2103.16562, and its implementation,
    github.com/bowenc0221/boundary-iou-api.
    """
    (found,) = _boundary_ious(BitMask.of(predicted), BitMask.of(truth), [width])
    return found


def _boundary_ious(predicted: BitMask, truth: BitMask, widths: Sequence[int]) -> Iterator[float]:
    """Yield `boundary_iou` for ascending widths."""
    for ours, theirs in zip(_boundaries(predicted, widths), _boundaries(truth, widths), strict=True):
        both = ours.intersection(theirs)
        yield _ratio(both, ours.area + theirs.area - both)


def _boundaries(mask: BitMask, widths: Sequence[int]) -> Iterator[BitMask]:
    """Yield the inner boundaries of a mask for ascending widths. Each continues the erosion of the one before it."""
    inner, reach = mask, 0
    for width in widths:
        inner, reach = inner.eroded(width - reach), width
        yield mask.without(inner)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
