"""Images as users have them: paths, PIL images and arrays of several types, all of which become uint8 RGB."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from flip.prompts import PredictorError

if TYPE_CHECKING:
    from PIL.Image import Image

ImageLike: TypeAlias = "str | PathLike[str] | Image | NDArray[Any]"
"""The path of a picture, a PIL image, or an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)."""


def as_rgb(image: ImageLike) -> NDArray[np.uint8]:
    """Convert an image to uint8 RGB.

    Channels are red, green and blue, as in segment-anything; OpenCV's are in the opposite order. Grey becomes RGB, and
    alpha is dropped. uint16 is reduced by `objascale.pictures.eight_bits`. Floating-point values must lie from 0 to 1,
    and 1 becomes 255.

    A path is read as viewers show the picture, which may be turned by its EXIF orientation. A PIL image and an array
    are taken as they are, because the user has their width and height.

    Args:
        image: See `ImageLike`.

    Returns:
        (H, W, 3). A uint8 array of this shape is returned itself.

    Raises:
        PredictorError: The image has another type or shape, has no pixels, has values of unknown range, or cannot be
            read.

    Example:
        >>> import numpy as np
        >>> as_rgb(np.array([[0.0, 1.0]])).tolist()
        [[[0, 0, 0], [255, 255, 255]]]
    """
    if isinstance(image, np.ndarray):
        return _of_array(image)
    if isinstance(image, str | PathLike):
        from flip.picture_files import read_picture  # here, so that `import flip` needs no OpenCV

        return read_picture(Path(image))
    from PIL import Image

    if isinstance(image, Image.Image):
        deep = image.mode in ("F", "I") or image.mode.startswith("I;")
        return _of_array(np.asarray(image if deep else image.convert("RGB")))
    raise PredictorError(
        f"image must be a path, a PIL image or a NumPy array H×W×3 in the order RGB, not a {type(image).__name__}"
    )


def _of_array(image: NDArray[Any]) -> NDArray[np.uint8]:
    if image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 and image.size:
        return image
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)) or not image.size:
        remedy = (
            "; transpose it with image.transpose(1, 2, 0)" if image.ndim == 3 and image.shape[0] in (1, 3, 4) else ""
        )
        raise PredictorError(f"image must have the shape H×W, H×W×3 or H×W×4, not {image.shape}{remedy}")
    colours = image[..., None] if image.ndim == 2 else image[..., :3]
    return np.broadcast_to(_bytes(colours), (*image.shape[:2], 3)) if colours.shape[2] == 1 else _bytes(colours)


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Reduce values to 8 bits."""
    if values.dtype == np.uint8:
        return values
    if values.dtype == np.uint16:
        from objascale.pictures import eight_bits

        return eight_bits(values)
    if values.dtype.kind != "f":
        raise PredictorError(
            f"image has {values.dtype} values, whose range is unknown; convert it to uint8, or to float from 0 to 1"
        )
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 1):
        raise PredictorError(
            f"image has {values.dtype} values from {low:g} to {high:g}, but they must lie from 0 to 1; divide them by "
            "their full scale, or convert them to uint8"
        )
    return np.round(values * 255).astype(np.uint8)
