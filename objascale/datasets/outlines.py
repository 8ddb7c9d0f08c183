"""Masks in JSON files: polygons and RLE, as in the annotations of COCO, LVIS and SA-1B.

The published forms are a list of polygons [x, y, x, y, …] and an RLE with or without compression. Other programs write
polygons as lists of pairs [x, y], a single polygon without the outer list, a list of RLEs, and coordinates from 0 to 1.
All of these are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from objascale.datasets import TruthObject
from objascale.masks import MaskError, RegionMask
from objascale.validation import in_one_line

MALFORMED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""Exceptions of reading a malformed JSON file."""

_MAX_PIXELS = 1 << 30  # OpenCV does not decode larger images
_MAX_COORDINATE = 1e5  # px; COCO's C code allocates memory by the length of an outline, and crashes if it is infinite
_MAX_NESTING = 3  # lists around a polygon


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

    An object whose segmentation is malformed or contradicts the image has a `problem` in place of a mask.

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
        mask = segmentation_mask(annotation.get("segmentation"), size)
    except MALFORMED as error:  # MaskError is a ValueError
        problem = (
            str(error) if isinstance(error, MaskError) else f"the segmentation is malformed ({in_one_line(error)})"
        )
        area = _annotated_area(annotation)
        return TruthObject(object_id, asset_id, category, area=area, size=size, counts="", problem=problem)
    return TruthObject.of(mask, object_id, asset_id, category) if mask.area else None


def segmentation_mask(segmentation: Any, size: tuple[int, int]) -> RegionMask:
    """Decode the segmentation of an annotation. Its parts are united.

    Polygons are filled by pycocotools. Polygons with fewer than three points are dropped. If all coordinates lie from 0
    to 1 and one of them has a fraction, they are multiplied by the width and height of the image.

    Args:
        segmentation: RLE or polygons.
        size: Height and width of the image.

    Raises:
        MaskError: The segmentation is missing, malformed, or of another size than the image.

    Example:
        >>> segmentation_mask([[1, 1, 4, 1, 4, 3, 1, 3]], size=(6, 8)).box
        (1, 1, 4, 3)
        >>> segmentation_mask([[[0.25, 0.5], [0.5, 0.5], [0.5, 1], [0.25, 1]]], size=(4, 8)).box
        (2, 2, 4, 4)
    """
    height, width = size
    parts = list(_parts(segmentation))
    regions = [_decode(part, size) for part in parts if isinstance(part, dict)]
    polygons = [_checked(part) for part in parts if not isinstance(part, dict) and part.size >= 6]
    if polygons:
        if all((polygon >= 0).all() and (polygon <= 1).all() for polygon in polygons) and any(
            (polygon % 1).any() for polygon in polygons
        ):
            polygons = [polygon * np.tile((width, height), polygon.size // 2) for polygon in polygons]
        regions.append(fill_polygons(polygons, size))
    if not regions:
        return RegionMask.empty(width, height)
    return regions[0] if len(regions) == 1 else RegionMask.from_rle(coco_mask.merge([each.rle() for each in regions]))


def fill_polygons(polygons: Sequence[NDArray[np.float64]], size: tuple[int, int]) -> RegionMask:
    """Fill polygons as COCO does, and unite them.

    Args:
        polygons: x, y, x, y, … in px, each of at least three finite points.
        size: Height and width of the image.
    """
    filled = coco_mask.frPyObjects([polygon.tolist() for polygon in polygons], *size)
    return RegionMask.from_rle(coco_mask.merge(filled))


def _parts(outline: Any, nesting: int = 0) -> Iterator[dict[str, Any] | NDArray[np.float64]]:
    """Yield the RLEs and the polygons, x, y, x, y, …, of a segmentation."""
    if isinstance(outline, dict):
        yield outline
    elif outline is None:
        raise MaskError("the annotation has no segmentation")
    elif not isinstance(outline, list):
        raise MaskError(f"the segmentation is neither RLE nor polygons but {type(outline).__name__}")
    elif all(isinstance(each, int | float) for each in outline):
        yield np.asarray(outline, np.float64)
    elif len(outline) >= 3 and all(_is_pair(each) for each in outline):
        yield np.asarray(outline, np.float64).ravel()
    elif nesting == _MAX_NESTING:
        raise MaskError("the segmentation is nested too deeply")
    else:
        for each in outline:
            yield from _parts(each, nesting + 1)


def _is_pair(point: Any) -> bool:
    return isinstance(point, list) and len(point) == 2 and all(isinstance(each, int | float) for each in point)


def _checked(polygon: NDArray[np.float64]) -> NDArray[np.float64]:
    if polygon.size % 2:
        raise MaskError(f"a polygon has an odd number of coordinates, {polygon.size}")
    if not np.isfinite(polygon).all():
        raise MaskError("a polygon has a coordinate that is not finite")
    if (np.abs(polygon) > _MAX_COORDINATE).any():
        raise MaskError(f"a polygon has a coordinate beyond {_MAX_COORDINATE:g} px")
    return polygon


def _decode(rle: dict[str, Any], size: tuple[int, int]) -> RegionMask:
    if missing := [key for key in ("size", "counts") if rle.get(key) is None]:
        raise MaskError(f"the RLE has no {' and no '.join(missing)}")
    try:
        height, width = (int(side) for side in rle["size"])
    except MALFORMED:
        raise MaskError(f"the size of the RLE is not a height and a width but {str(rle['size'])[:40]}") from None
    if (height, width) != size:
        raise MaskError(f"the RLE has {width}×{height} px, but its image has {size[1]}×{size[0]}")
    try:
        return RegionMask.from_rle(rle)
    except MaskError:
        raise
    except MALFORMED:
        raise MaskError("the counts of the RLE are neither text nor a list of numbers of pixels") from None


def _annotated_area(annotation: dict[str, Any]) -> int:
    try:
        return int(annotation["area"])
    except MALFORMED:
        return 0
