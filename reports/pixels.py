"""Small pictures of small objects: cut out around a mask, and small enough to be shown by the thousand.

All in uint8 RGB and pixel edges (xyxy). Nothing here knows of results or pages.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.datasets import EncodedImage, Exif, ImageError
from objascale.files import write_atomically
from objascale.masks import Box

Image = NDArray[np.uint8]
PANEL = 480  # side of a cut-out at most, in its own pixels
WHOLE = 320  # longer side of a whole picture at most
CONTEXT = 2.2  # side of a crop over the longer side of the object
LEAST = 18  # side of a crop at least, in image pixels
QUALITY = 82  # of a WebP; what needs no more than `EXACT` pixels a side is kept to the last bit
EXACT = 96


class PictureMissing(Exception):
    """A picture that is not there, cannot be decoded, or has another size than its results say."""


@dataclass(frozen=True)
class Cutting:
    """What is to be made of one picture: itself, small, and a crop an object, each written to its path as WebP.

    `exif` is that of the run, so that the pixels are those that were measured.
    """

    picture: Path
    width: int
    height: int
    whole: Path
    crops: list[tuple[Box, Path]]
    exif: Exif = "stored"


def cut(cutting: Cutting) -> str:
    """Make the small pictures that are not there yet. The picture is decoded once, and not at all if there are none.

    Gives an empty string, or a sentence on why the picture cannot be shown. Raises OSError if the disk takes no more.
    """
    wanted = [(box, path) for box, path in cutting.crops if not path.exists()]
    if not wanted and cutting.whole.exists():
        return ""
    try:
        image = read_picture(cutting.picture, cutting.width, cutting.height, cutting.exif)
    except PictureMissing as missing:
        return str(missing)
    for (x0, y0, x1, y1), path in wanted:
        write_atomically(path, webp(shrink(image[y0:y1, x0:x1], PANEL)))
    write_atomically(cutting.whole, webp(shrink(image, WHOLE)))
    return ""


def read_picture(path: Path, width: int, height: int, exif: Exif = "stored") -> Image:
    """Decode one picture as `bench run` with `--exif` did, RGB, H×W×3.

    Raises PictureMissing if it is not `width` × `height`, or no picture.
    """
    if not os.path.isfile(path):  # noqa: PTH113 Path.is_file raises where nobody may look
        raise PictureMissing(f"the picture {path} is missing")
    try:
        return EncodedImage(str(path), path.read_bytes(), "", (width, height)).decode(exif)
    except OSError as error:
        raise PictureMissing(f"the picture {path} cannot be read ({error.strerror})") from error
    except ImageError as error:
        raise PictureMissing(str(error)) from error


def crop_box(box: Box, width: int, height: int) -> Box:
    """A square around `box`, `CONTEXT` times its longer side and `LEAST` pixels at least, kept inside the picture."""
    x0, y0, x1, y1 = box
    side = max(LEAST, int(np.ceil(CONTEXT * max(x1 - x0, y1 - y0))))
    w, h = min(side, width), min(side, height)
    left = int(np.clip((x0 + x1 - w) // 2, 0, width - w))
    top = int(np.clip((y0 + y1 - h) // 2, 0, height - h))
    return left, top, left + w, top + h


def shrink(image: Image, side: int) -> Image:
    """The image with `side` pixels along its longer side at most, its pixels averaged."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def webp(image: Image) -> bytes:
    """An RGB picture as WebP, without loss if it is small enough for its pixels to be looked at one by one."""
    quality = QUALITY if max(image.shape) > EXACT else 101  # OpenCV's word for lossless
    done, data = cv2.imencode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, quality])
    if not done:
        raise OSError("a picture could not be encoded as WebP")
    return data.tobytes()
