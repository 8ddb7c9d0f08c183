"""The picture files of `flip predict`: read the image and the rough mask, and write the result."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from flip.prompts import PredictorError
from objascale.files import write_atomically
from objascale.masks import MaskError, RegionMask
from objascale.pictures import PILLOW_ERRORS, PictureError, decode, eight_bits, orientation, turned
from objascale.validation import in_one_line


def read_picture(path: Path) -> NDArray[np.uint8]:
    """Read a picture as viewers show it, with pixels of 16 bits reduced by `objascale.pictures.eight_bits`.

    Returns:
        uint8 RGB, (H, W, 3).

    Raises:
        PredictorError: The file is missing or is no picture.
    """
    with suppress(PictureError, OSError):  # Pillow reads more formats, but of 16-bit colours only the first 8 bits
        content = path.read_bytes()
        return turned(decode(content), orientation(content))
    return _read_with_pillow(path, "RGB")


def read_mask(path: Path, image: Path, width: int, height: int) -> RegionMask:
    """Read a mask whose object is where neither the grey value nor the opacity is 0.

    Args:
        path: File of the mask.
        image: File of the image, for the error.
        width: Width of the image, px.
        height: Height of the image, px.

    Raises:
        PredictorError: The file is missing or is no picture.
        MaskError: The mask is empty or has another size than the image.
    """
    mask = RegionMask.from_full(_read_with_pillow(path, "LA").all(2))
    if (mask.width, mask.height) != (width, height):
        raise MaskError(f"{path} is {mask.width}×{mask.height}, but {image} is {width}×{height}")
    if mask.area == 0:
        raise MaskError(f"{path} is empty: it has no pixel above 0")
    return mask


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a picture, uint8 (H, W) or (H, W, 3), as PNG atomically."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, format="PNG")
    write_atomically(path, data.getvalue())


def _read_with_pillow(path: Path, mode: str) -> NDArray[np.uint8]:
    """Read a picture as H×W×3 for mode RGB, H×W×2 (grey and alpha) for LA, the mode of masks.

    Of a mask's pixels of 16 bits only whether they are 0 is kept.
    """
    if not path.is_file():
        raise PredictorError(f"there is no picture {path}")
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):
                deep = np.asarray(upright)
                upright = Image.fromarray(eight_bits(deep) if mode == "RGB" else deep.clip(max=255).astype(np.uint8))
            elif upright.mode in ("I", "F"):
                raise PredictorError(f"{path} has {upright.mode} pixels of unknown range; save it with 8 or 16 bits")
            return np.asarray(upright.convert(mode))
    except PILLOW_ERRORS as error:
        raise PredictorError(f"{path} cannot be read as a picture: {in_one_line(error)}") from None
