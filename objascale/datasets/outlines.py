"""Masks of COCO's and SA-1B's JSON: polygons, or RLE with or without compression."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from objascale.datasets import TruthObject
from objascale.masks import MaskError, RegionMask

MALFORMED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""Exceptions of reading a malformed JSON file."""

_MAX_PIXELS = 1 << 30  # OpenCV does not decode larger images
_MAX_COORDINATE = 1e5  # px; COCO's C code allocates memory by the length of an outline, and crashes if it is infinite


def image_size(image: dict[str, Any]) -> tuple[int, int]:
    """Return the annotated height and width of an image. Raises ValueError if they are impossible."""
    height, width = int(image["height"]), int(image["width"])
    if min(height, width) < 1 or height * width > _MAX_PIXELS:
        raise ValueError(f"an image of {width}×{height} px")
    return height, width


def truth_object(
    annotation: dict[str, Any], size: tuple[int, int], *, object_id: str, asset_id: str, category: str
) -> TruthObject | None:
    """Make the object of an annotation.

    An object whose mask contradicts itself or the image is kept: its mask raises MaskError, or has another size.

    Args:
        annotation: Annotation of the JSON.
        size: Height and width of the image.
        object_id: See `TruthObject`.
        asset_id: See `TruthObject`.
        category: See `TruthObject`.

    Returns:
        The object, None if it covers no pixel.
    """
    try:
        mask = _mask(annotation.get("segmentation"), size)
    except MALFORMED:  # MaskError is a ValueError
        return TruthObject(object_id, asset_id, category, area=_annotated_area(annotation), size=size, counts="")
    empty = mask.area == 0 and (mask.height, mask.width) == size
    return None if empty else TruthObject.of(mask, object_id, asset_id, category)


def _mask(outline: Any, size: tuple[int, int]) -> RegionMask:
    """Decode RLE, or fill polygons with pycocotools. Polygons with fewer than three points are dropped."""
    if isinstance(outline, dict):
        if math.prod(outline["size"]) > _MAX_PIXELS:
            raise MaskError(f"an RLE of {outline['size']} px")
        return RegionMask.from_rle(outline)
    if not isinstance(outline, list):
        raise MaskError("neither RLE nor polygons")
    polygons = [np.asarray(polygon, np.float64) for polygon in outline if len(polygon) >= 6]
    if not all(each.ndim == 1 and each.size % 2 == 0 and (np.abs(each) <= _MAX_COORDINATE).all() for each in polygons):
        raise MaskError("a polygon that is no list of coordinates x, y near the image")
    height, width = size
    if not polygons:
        return RegionMask.empty(width, height)
    filled = coco_mask.frPyObjects([polygon.tolist() for polygon in polygons], height, width)
    return RegionMask.from_rle(coco_mask.merge(filled))


def _annotated_area(annotation: dict[str, Any]) -> int:
    try:
        return int(annotation["area"])
    except MALFORMED:
        return 0
