"""Crops and thumbnails of images for the page. Images are uint8 RGB, boxes are pixel edges (xyxy)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.choices import Exif
from objascale.datasets import EncodedImage, ImageError
from objascale.files import write_atomically
from objascale.masks import Box

RGBImage = NDArray[np.uint8]
MAX_CROP_SIDE = 480  # px, longer side of a crop; cards show it at up to this width
THUMBNAIL_SIDE = 320  # px, longer side
CROP_CONTEXT = 2.2  # side of a crop / longer side of its object
MIN_CROP_SIDE = 18  # px, so that a dot keeps some surroundings
WEBP_QUALITY = 82  # of WebP, 0 to 100
MAX_LOSSLESS_SIDE = 96  # px; shown so large that single pixels are visible


class PictureMissing(Exception):
    """An image that is missing, cannot be decoded, or differs in size from the results."""


@dataclass(frozen=True)
class Cutting:
    """The thumbnail and the crops to make of one image, with the paths of their WebP files."""

    picture: Path
    width: int
    height: int
    whole: Path
    crops: list[tuple[Box, Path]]
    exif: Exif = "stored"

    def is_done(self) -> bool:
        """Return whether all files exist."""
        return self.whole.exists() and all(path.exists() for _, path in self.crops)


def cut(cutting: Cutting) -> str:
    """Write the crops and the thumbnail that do not exist yet. The image is decoded once.

    Returns:
        An empty string, or a sentence that says why the image cannot be shown.

    Raises:
        OSError: A file cannot be written.
    """
    try:
        image = read_picture(cutting.picture, cutting.width, cutting.height, cutting.exif)
    except PictureMissing as missing:
        return str(missing)
    for (x0, y0, x1, y1), path in cutting.crops:
        if not path.exists():
            write_atomically(path, webp(shrink(image[y0:y1, x0:x1], MAX_CROP_SIDE)))
    write_atomically(cutting.whole, webp(shrink(image, THUMBNAIL_SIDE)))
    return ""


def read_picture(path: Path, width: int, height: int, exif: Exif = "stored") -> RGBImage:
    """Decode an image as `bench run` did with the same `exif`.

    Args:
        path: The file.
        width: The expected width in px.
        height: The expected height in px.
        exif: The value of `bench run --exif`.

    Returns:
        uint8 RGB of shape (height, width, 3).

    Raises:
        PictureMissing: The file is missing, is not an image or has another size.
    """
    if not os.path.isfile(path):  # noqa: PTH113 Path.is_file raises without permission
        raise PictureMissing(f"the image {path} is missing")
    try:
        return EncodedImage(str(path), path.read_bytes(), "", (width, height)).decode(exif)
    except OSError as error:
        raise PictureMissing(f"the image {path} cannot be read ({error.strerror})") from error
    except ImageError as error:
        raise PictureMissing(str(error)) from error


def crop_box(box: Box, width: int, height: int) -> Box:
    """Return a square around `box` in the image: `CROP_CONTEXT` × its longer side, at least `MIN_CROP_SIDE` px."""
    x0, y0, x1, y1 = box
    side = max(MIN_CROP_SIDE, int(np.ceil(CROP_CONTEXT * max(x1 - x0, y1 - y0))))
    w, h = min(side, width), min(side, height)
    left = int(np.clip((x0 + x1 - w) // 2, 0, width - w))
    top = int(np.clip((y0 + y1 - h) // 2, 0, height - h))
    return left, top, left + w, top + h


def shrink(image: RGBImage, side: int) -> RGBImage:
    """Scale an image down so that its longer side is at most `side`, by area averaging."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def webp(image: RGBImage) -> bytes:
    """Encode an RGB image as WebP, lossless if it is at most `MAX_LOSSLESS_SIDE` px long."""
    quality = WEBP_QUALITY if max(image.shape) > MAX_LOSSLESS_SIDE else 101  # above 100, OpenCV encodes losslessly
    done, data = cv2.imencode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_WEBP_QUALITY, quality])
    if not done:
        raise OSError("an image could not be encoded as WebP")
    return data.tobytes()
