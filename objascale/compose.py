"""Compositing of rendered crops over the background, and encoding of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.background import render_rows
from objascale.camera import Camera
from objascale.choices import ImageFormat
from objascale.color import to_display

ROWS_PER_BAND = 64  # 6 MB of float32 at 8192 px; a choice

_JPEG_OPTIONS = [
    *(cv2.IMWRITE_JPEG_QUALITY, 95),
    # Colour at full resolution: the object may be 3 px wide.
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
]
# The fastest zlib level. Run lengths shrink renders as far as string matching at that level does, or further.
_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]


@dataclass(frozen=True)
class Crop:
    """Traced part of the picture: (h, w, 4) scene-linear RGB premultiplied by alpha, and its upper left pixel."""

    rgba: NDArray[np.float32]
    x: int
    y: int


def compose(
    texels: NDArray[np.float16], camera: Camera, crops: Sequence[Crop], view: str, threads: int = 1
) -> NDArray[np.uint8]:
    """Composite crops over the environment map in linear light.

    Each thread holds one band of rows in floating point. The result does not depend on the number of threads.

    Args:
        texels: Environment map, see `background.render_rows`.
        camera: Camera of the picture.
        crops: Traced parts of the picture. They must not overlap.
        view: View transform: AgX, Filmic or Standard.
        threads: Number of threads.

    Returns:
        The picture, H×W×3 uint8 RGB.
    """
    picture = np.empty((camera.height, camera.width, 3), np.uint8)[..., ::-1]  # BGR in memory, as OpenCV encodes it

    def fill(first: int) -> None:
        last = min(first + ROWS_PER_BAND, camera.height)
        band = render_rows(texels, camera, first, last)
        for crop in crops:
            h, w = crop.rgba.shape[:2]
            top, bottom = max(first, crop.y), min(last, crop.y + h)
            if top < bottom:
                rendered = crop.rgba[top - crop.y : bottom - crop.y]
                behind = band[top - first : bottom - first, crop.x : crop.x + w]
                behind *= 1 - rendered[..., 3:]
                behind += rendered[..., :3]
        picture[first:last] = to_display(band, view)

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(fill, range(0, camera.height, ROWS_PER_BAND)):
            pass
    return picture


def encode(picture: NDArray[np.uint8], image_format: ImageFormat) -> bytes:
    """Encode an H×W×3 uint8 RGB picture as PNG (lossless, fast) or JPEG (quality 95, 4:4:4)."""
    options = _PNG_OPTIONS if image_format == "png" else _JPEG_OPTIONS
    done, data = cv2.imencode(f".{image_format}", np.ascontiguousarray(picture[..., ::-1]), options)
    if not done:
        raise ValueError(f"OpenCV cannot encode a picture of shape {picture.shape} as {image_format}")
    return data.tobytes()
