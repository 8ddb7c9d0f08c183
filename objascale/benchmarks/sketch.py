"""Sketches: a few numbers of a picture that agree between renders of one spec and differ between specs.

Two renders of a spec differ where the paths of light are random, on the objects and in their shadows, and where kinds
of processors round differently. All of this averages out over a sixteenth of the picture, or over an object. A sketch
has

- the mean colour of each sixteenth (4 × 4). Another map, exposure, haze or shadow changes it;
- the mean absolute difference between neighbouring pixels in each sixteenth. Blur, noise and compression change it;
- the mean colour of the objects' pixels. Another object or camouflage changes it. Few pixels average less, so its
  tolerance is wider for small objects.

Values are of 255, in the picture's 8-bit sRGB. `tests/objascale/test_sketches.py` measures both sides: renders with
other seeds and samples pass, and each wrong dial fails.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

GRID = 4
COLOUR_TOLERANCE = 2.0
DETAIL_TOLERANCE = 0.25
DETAIL_RATIO = 0.06
OBJECT_TOLERANCE = 4.0
OBJECT_NOISE = 40.0  # of a single pixel, so an object of 100 px has 4 more

_COLOURS, _DETAILS = GRID * GRID * 3, GRID * GRID
SKETCH_LENGTH = _COLOURS + _DETAILS + 3


def sketch(picture: NDArray[np.uint8], objects: NDArray[np.bool_]) -> list[float]:
    """Return the sketch of a picture.

    Args:
        picture: uint8 RGB, H×W×3.
        objects: The pixels of all objects, H×W.

    Returns:
        SKETCH_LENGTH numbers, rounded to 0.01: RGB of each sixteenth, row by row; its differences; RGB of the objects.
    """
    colours = cv2.resize(picture.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    grey = picture.astype(np.float32).mean(2)
    steps = np.abs(np.diff(grey, axis=1))
    details = cv2.resize(steps, (GRID, GRID), interpolation=cv2.INTER_AREA)
    inside = picture[objects].mean(0) if objects.any() else np.zeros(3)
    return [round(float(value), 2) for value in (*colours.ravel(), *details.ravel(), *inside)]


def sketch_fault(found: list[float], pinned: list[float], area: int) -> str:
    """Compare the sketch of a picture with the pinned one.

    Args:
        found: The sketch of the picture.
        pinned: The pinned sketch.
        area: Number of the objects' pixels.

    Returns:
        A clause that describes the first tolerance that is exceeded; "" if there is none.
    """
    if len(found) != len(pinned):
        return f"its pinned sketch has {len(pinned)} numbers instead of {len(found)}"
    colours, details, inside = np.split(np.abs(np.subtract(found, pinned)), [_COLOURS, _COLOURS + _DETAILS])
    if colours.max() > COLOUR_TOLERANCE:
        return f"its colours differ by {colours.max():.1f} of 255 in a sixteenth of the picture"
    allowed = DETAIL_TOLERANCE + DETAIL_RATIO * np.array(pinned[_COLOURS : _COLOURS + _DETAILS])
    if (details > allowed).any():
        return f"its sharpness or noise differs by {details.max():.2f} of 255 in a sixteenth of the picture"
    if inside.max() > OBJECT_TOLERANCE + OBJECT_NOISE / math.sqrt(max(area, 1)):
        return f"the colours of its objects differ by {inside.max():.1f} of 255"
    return ""
