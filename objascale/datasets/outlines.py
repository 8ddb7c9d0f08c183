"""Masks as COCO's JSON holds them, and SA-1B's: polygons, or run lengths, compressed or not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from objascale.datasets import TruthObject
from objascale.masks import MaskError, RegionMask

MALFORMED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a JSON file of another shape raises."""

_MAX_PIXELS = 1 << 30  # OpenCV decodes no larger picture
_MAX_COORDINATE = 1e5  # px; COCO's C code allocates by the length of an outline, and crashes over one that has none


def image_size(image: dict) -> tuple[int, int]:
    """Height and width that the JSON gives for an image. Raises ValueError if no picture can have them."""
    height, width = int(image["height"]), int(image["width"])
    if min(height, width) < 1 or height * width > _MAX_PIXELS:
        raise ValueError(f"an image of {width}×{height} px")
    return height, width


def truth_object(
    annotation: dict, size: tuple[int, int], *, object_id: str, asset_id: str, category: str
) -> TruthObject | None:
    """The object of an annotation on an image of `size` (height, width), None if it covers no pixel.

    One that contradicts itself or the image is kept: its mask raises MaskError, or has another size than the image.
    """
    try:
        mask = _mask(annotation.get("segmentation"), size)
    except MALFORMED:  # MaskError is a ValueError
        return TruthObject(object_id, asset_id, category, area=_annotated_area(annotation), size=size, counts="")
    nothing = mask.area == 0 and (mask.height, mask.width) == size
    return None if nothing else TruthObject.of(mask, object_id, asset_id, category)


def _mask(outline: Any, size: tuple[int, int]) -> RegionMask:
    """From RLE, or from polygons as pycocotools fills them; those of fewer than three points are dropped."""
    if isinstance(outline, dict):
        if math.prod(outline["size"]) > _MAX_PIXELS:
            raise MaskError(f"an RLE of {outline['size']} px")
        return RegionMask.from_rle(outline)
    if not isinstance(outline, list):
        raise MaskError("neither RLE nor polygons")
    polygons = [np.asarray(polygon, np.float64) for polygon in outline if len(polygon) >= 6]
    if not all(each.ndim == 1 and each.size % 2 == 0 and (np.abs(each) <= _MAX_COORDINATE).all() for each in polygons):
        raise MaskError("a polygon that is no list of x, y near the image")
    height, width = size
    if not polygons:
        return RegionMask.empty(width, height)
    filled = coco_mask.frPyObjects([polygon.tolist() for polygon in polygons], height, width)
    return RegionMask.from_rle(coco_mask.merge(filled))


def _annotated_area(annotation: dict) -> int:
    try:
        return int(annotation["area"])
    except MALFORMED:
        return 0
