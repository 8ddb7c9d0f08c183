"""Sketches: a few numbers of a picture that agree between renders of one spec and differ between specs.

Two renders of a spec differ where the paths of light are random, on the objects and in their shadows, and where kinds
of processors round differently. All of this averages out over a sixteenth of the picture, or over an object. A sketch
has

- the mean colour of each sixteenth (4 × 4). Another map, exposure, haze or shadow changes it;
- the mean absolute difference between neighbouring pixels in each sixteenth. Blur, noise and compression change it;
- the mean colour of the objects' pixels and the mean difference between neighbours there. Another object, camouflage or
  motion changes them. Few pixels average less, so their tolerances are wider for small objects;
- the sum of the quantisation table of a JPEG, which is equal on every processor. Another compression changes it.

Values are of 255, in the picture's 8-bit sRGB. `tests/objascale/test_sketches.py` measures both sides: renders with
other seeds and samples pass, and each wrong dial fails.
"""

from __future__ import annotations

import io
import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from objascale.pictures import decode

GRID = 4
COLOUR_TOLERANCE = 1.5
DETAIL_TOLERANCE = 0.1
DETAIL_RATIO = 0.04
OBJECT_TOLERANCE = 4.0
OBJECT_DETAIL_TOLERANCE = 0.3
OBJECT_DETAIL_RATIO = 0.05
OBJECT_NOISE = 40.0  # of a single pixel, so an object of 100 px has 4 more

_COLOURS, _DETAILS = GRID * GRID * 3, GRID * GRID
_OBJECTS = 4
SKETCH_LENGTH = _COLOURS + _DETAILS + _OBJECTS + 1


def sketch(content: bytes, objects: NDArray[np.bool_]) -> list[float]:
    """Return the sketch of a picture.

    Args:
        content: The encoded picture.
        objects: The pixels of all objects, H×W.

    Returns:
        SKETCH_LENGTH numbers, rounded to 0.01: RGB of each sixteenth, row by row; its differences; RGB and differences
        of the objects; the sum of the table of a JPEG, 0 for a PNG.

    Raises:
        PictureError: The picture cannot be decoded.
        ValueError: It has another size than the objects.
    """
    picture = decode(content)
    if picture.shape[:2] != objects.shape:
        raise ValueError("the picture and its masks have different sizes")
    colours = cv2.resize(picture.astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    grey = picture.astype(np.float32).mean(2)
    steps = np.abs(np.diff(grey, axis=1, append=grey[:, -1:])) + np.abs(np.diff(grey, axis=0, append=grey[-1:]))
    details = cv2.resize(steps, (GRID, GRID), interpolation=cv2.INTER_AREA)
    inside = (*picture[objects].mean(0), steps[objects].mean()) if objects.any() else (0.0,) * _OBJECTS
    with Image.open(io.BytesIO(content)) as image:
        table = sum(image.quantization[0]) if isinstance(image, JpegImageFile) else 0
    return [round(float(value), 2) for value in (*colours.ravel(), *details.ravel(), *inside, table)]


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
    parts = np.cumsum([_COLOURS, _DETAILS, _OBJECTS])
    colours, details, inside, table = np.split(np.abs(np.subtract(found, pinned)), parts)
    if table.any():
        return "its JPEG has another quality"
    if colours.max() > COLOUR_TOLERANCE:
        return f"its colours differ by {colours.max():.1f} of 255 in a sixteenth of the picture"
    allowed = DETAIL_TOLERANCE + DETAIL_RATIO * np.array(pinned[_COLOURS : _COLOURS + _DETAILS])
    if (details > allowed).any():
        return f"its sharpness or noise differs by {details.max():.2f} of 255 in a sixteenth of the picture"
    noise = OBJECT_NOISE / math.sqrt(max(area, 1))
    if inside[:3].max() > OBJECT_TOLERANCE + noise:
        return f"the colours of its objects differ by {inside[:3].max():.1f} of 255"
    if inside[3] > OBJECT_DETAIL_TOLERANCE + OBJECT_DETAIL_RATIO * pinned[parts[2] - 1] + noise:
        return f"the sharpness or noise of its objects differs by {inside[3]:.2f} of 255"
    return ""
