"""Small pictures of small objects: crop, magnify so that pixels stay visible, outline along their edges.

All in uint8 RGB and pixel edges (xyxy). Nothing here knows of results or pages.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from objascale.masks import Box

Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
PANEL = 360  # side of a panel at most, in its own pixels
LINE = 2  # thickness of an outline, in panel pixels
CONTEXT = 2.2  # side of a crop over the longer side of the object
LEAST = 18  # side of a crop at least, in image pixels


class PictureMissing(Exception):
    """A picture that is not there, cannot be decoded, or has another size than its results say."""


def read_picture(path: Path, width: int, height: int) -> Image:
    """Decode one picture as RGB, H×W×3. Raises PictureMissing if it is not `width` × `height`, or no picture."""
    if not path.is_file():
        raise PictureMissing(f"the picture {path} is missing")
    image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise PictureMissing(f"{path} cannot be decoded as a picture")
    if image.shape[:2] != (height, width):
        found = f"{image.shape[1]}×{image.shape[0]}"
        raise PictureMissing(f"{path} is {found}, but the results were made from a {width}×{height} picture")
    return np.asarray(image, np.uint8)


def crop_box(box: Box, width: int, height: int) -> Box:
    """A square around `box`, `CONTEXT` times its longer side and `LEAST` pixels at least, kept inside the picture."""
    x0, y0, x1, y1 = box
    side = max(LEAST, int(np.ceil(CONTEXT * max(x1 - x0, y1 - y0))))
    w, h = min(side, width), min(side, height)
    left = int(np.clip((x0 + x1 - w) // 2, 0, width - w))
    top = int(np.clip((y0 + y1 - h) // 2, 0, height - h))
    return left, top, left + w, top + h


def panel_scale(side: int) -> float:
    """Panel pixels per image pixel for a crop of `side`: a whole number where it magnifies, a fraction where not."""
    return PANEL // side if side <= PANEL else PANEL / side


def scale_image(image: Image, scale: float) -> Image:
    """Magnify by repeating pixels, or shrink by averaging them."""
    if scale >= 1:
        return np.repeat(np.repeat(image, int(scale), axis=0), int(scale), axis=1)
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def scale_mask(mask: Mask, scale: float) -> Mask:
    """As `scale_image`; when shrinking, a panel pixel takes the mask pixel under its centre."""
    if scale >= 1:
        return np.repeat(np.repeat(mask, int(scale), axis=0), int(scale), axis=1)
    h, w = (max(1, round(length * scale)) for length in mask.shape)
    rows = ((np.arange(h) + 0.5) * mask.shape[0] / h).astype(int)
    columns = ((np.arange(w) + 0.5) * mask.shape[1] / w).astype(int)
    return mask[np.ix_(rows, columns)]


def inner_ring(mask: Mask, thickness: int) -> Mask:
    """The mask's pixels within `thickness` of its edge. The array's own border is no edge."""
    kernel = np.ones((2 * thickness + 1, 2 * thickness + 1), np.uint8)
    return mask & (cv2.erode(mask.astype(np.uint8), kernel) == 0)


def outer_ring(mask: Mask, thickness: int) -> Mask:
    """The pixels around the mask within `thickness` of its edge."""
    kernel = np.ones((2 * thickness + 1, 2 * thickness + 1), np.uint8)
    return ~mask & (cv2.dilate(mask.astype(np.uint8), kernel) > 0)


def draw_masks(image: Image, truth: Mask, predicted: Mask | None, colour: str, scale: float) -> Image:
    """Magnified crop with the truth outlined just outside its edge, and the prediction just inside its own.

    The truth's line is white, cased in black; the prediction is tinted and lined in `colour`. So where both masks
    share an edge, both lines are seen, and the edge itself runs between them.
    """
    panel = scale_image(image, scale)
    true = scale_mask(truth, scale)
    panel[outer_ring(true, LINE + 1)] = 0
    panel[outer_ring(true, LINE)] = 255
    if predicted is not None:
        shown = scale_mask(predicted, scale)
        rgb = np.array(to_rgb(colour)) * 255
        inside = shown & ~outer_ring(true, LINE + 1)
        panel[inside] = (0.62 * panel[inside] + 0.38 * rgb).astype(np.uint8)
        panel[inner_ring(shown, LINE)] = rgb.astype(np.uint8)
    return panel


def thumbnail(image: Image, box: Box) -> Image:
    """The whole picture, `PANEL` pixels at its longer side, with a ring around `box`."""
    scale = min(1.0, PANEL / max(image.shape[:2]))
    small = scale_image(image, scale)
    if small.shape == image.shape:
        small = image.copy()
    x0, y0, x1, y1 = (edge * scale for edge in box)
    centre = (round(8 * ((x0 + x1) / 2 - 0.5)), round(8 * ((y0 + y1) / 2 - 0.5)))  # OpenCV counts eighths, from centres
    radius = max(14.0, float(np.hypot(x1 - x0, y1 - y0)) / 2 + 5)
    for colour, width in (((0, 0, 0), 5), ((255, 255, 255), 2)):
        cv2.circle(small, centre, round(8 * radius), colour, width, cv2.LINE_AA, shift=3)
    return small


def write_png(path: Path, image: Image) -> None:
    """Write an RGB picture; raises OSError if it cannot be written."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise OSError(f"{path} could not be encoded")
    path.write_bytes(data.tobytes())
