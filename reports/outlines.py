"""Outlines of masks as SVG paths.

Outlines follow pixel edges exactly where pixels are large on the screen, and are simplified elsewhere. A path lies in
the grid of its crop: one unit per image pixel, or per several pixels if the crop has more than `MAX_GRID_SIDE`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objascale.files import write_atomically
from objascale.masks import Box, MaskError, RegionMask
from objascale.outlines import outlines, svg_path
from reports.pixels import MAX_CROP_SIDE

MAX_GRID_SIDE = 3 * MAX_CROP_SIDE  # grid units along the longer side of a crop
EXACT_SCALE = 2.0  # screen pixels per image pixel from which on edges are exact
OUTLINE_TOLERANCE = 0.5  # screen pixels


@dataclass(frozen=True)
class OutlineChunk:
    """The masks of some objects: width, height, crop, and the RLE counts of the true and predicted masks.

    `call` is the start of the JavaScript call in the file.
    """

    path: Path
    call: str
    objects: list[tuple[int, int, Box, list[str | None]]]


def write_outlines(chunk: OutlineChunk) -> None:
    """Write the file of a chunk: per object the paths of the true and predicted masks, null if missing."""
    paths = [[outline_of(counts, w, h, box) for counts in masks] for w, h, box, masks in chunk.objects]
    write_atomically(chunk.path, f"{chunk.call}{json.dumps(paths, separators=(',', ':'))});\n".encode())


def grid_size(box: Box) -> tuple[int, int]:
    """Return the width and height of a crop's grid: its size in px, scaled down to at most `MAX_GRID_SIDE`."""
    width, height = box[2] - box[0], box[3] - box[1]
    scale = min(1.0, MAX_GRID_SIDE / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def outline(mask: RegionMask, box: Box) -> str:
    """Return the outline of a mask within `box` as an SVG path with the even-odd fill rule.

    Args:
        mask: The mask.
        box: The crop, xyxy pixel edges.

    Returns:
        The path in grid units; empty if no pixel of the mask lies in the box. With the longer side of `box` shown on
        `MAX_CROP_SIDE` screen pixels, points are off by at most `OUTLINE_TOLERANCE` screen pixels. They are exact where
        an image pixel takes `EXACT_SCALE` screen pixels or more.
    """
    width, height = grid_size(box)
    unit = MAX_CROP_SIDE / max(width, height)  # screen pixels
    tolerance = 0.0 if unit >= EXACT_SCALE else OUTLINE_TOLERANCE / unit
    if width < box[2] - box[0]:
        tolerance -= np.sqrt(0.5)  # a unit samples the pixel at its centre, up to half a unit away
    h, w = mask.data.shape
    columns, x0 = _sampled(box[0], box[2], width, mask.x, mask.x + w)
    rows, y0 = _sampled(box[1], box[3], height, mask.y, mask.y + h)
    if not len(rows) or not len(columns):
        return ""
    seen = mask.data[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if seen.shape != (len(rows), len(columns)):
        seen = mask.data[np.ix_(rows, columns)]
    return "".join(svg_path(corners + (x0, y0)) for corners in outlines(seen, tolerance))


def outline_of(counts: object, width: int, height: int, box: Box) -> str | None:
    """Return the outline of a mask given as RLE counts; None if there are no counts or they are invalid."""
    if not isinstance(counts, str) or not counts:
        return None
    try:
        return outline(RegionMask.from_rle({"size": [height, width], "counts": counts}), box)
    except MaskError:
        return None


def _sampled(start: int, end: int, units: int, low: int, high: int) -> tuple[NDArray[np.int64], int]:
    """Sample the crop from `start` to `end` at the centres of `units` equal steps.

    Returns:
        The sampled pixels that lie in `low` to `high`, counted from `low`, and the index of the first one.
    """
    pixels = start + ((np.arange(units) + 0.5) * (end - start) / units).astype(np.int64)
    first, last = np.searchsorted(pixels, (low, high))
    return pixels[first:last] - low, int(first)
