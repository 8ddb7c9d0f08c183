"""Compositing of rendered crops over the background, encoding of the picture, and objects without a background."""

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
from objascale.difficulty.compression import BEST_QUALITY
from objascale.difficulty.context import Shadow
from objascale.difficulty.effects import Effects
from objascale.png import encode_png

ROWS_PER_BAND = 64  # 6 MB of float32 at 8192 px; a choice
_ROWS_PER_BLURRED_BAND = 256  # a choice: the rows above and below, which are rendered twice, are few

_MIN_FULL_COLOUR_QUALITY = 90  # of a JPEG with colour at full resolution; the limit of ImageMagick and others
_MIN_ALPHA = 0.2  # below it, dividing by alpha mostly amplifies the noise of the colour


@dataclass(frozen=True)
class Crop:
    """Traced part of the picture: (h, w, 4) scene-linear RGB premultiplied by alpha, and its upper left pixel."""

    rgba: NDArray[np.float32]
    x: int
    y: int


def compose(
    texels: NDArray[np.float16],
    camera: Camera,
    crops: Sequence[Crop],
    view: str,
    threads: int = 1,
    effects: Effects | None = None,
    shadows: Sequence[tuple[Shadow, float]] = (),
) -> NDArray[np.uint8]:
    """Composite crops over the environment map in linear light.

    Each thread holds one band of rows in floating point. The result does not depend on the number of threads.

    Args:
        texels: Environment map, see `background.render_rows`.
        camera: Camera of the picture.
        crops: Traced parts of the picture. Where they overlap, later ones lie over earlier ones.
        view: View transform: AgX, Filmic or Standard.
        threads: Number of threads.
        effects: Effects of the camera on the light; None for none.
        shadows: Shadows on the background, each with its strength.

    Returns:
        The picture, H×W×3 uint8 RGB.
    """
    picture = np.empty((camera.height, camera.width, 3), np.uint8)
    reach = effects.everything.reach if effects else 0
    step = _ROWS_PER_BLURRED_BAND if reach else ROWS_PER_BAND

    def fill(first: int) -> None:
        last = min(first + step, camera.height)
        begin, end = max(first - reach, 0), min(last + reach, camera.height)
        band = render_rows(texels, camera, begin, end)
        for shadow, strength in shadows:
            shadow.darken(band, begin, strength)
        for crop in crops:
            _paste(crop, band, begin)
        if effects:
            band = effects.develop(band, first, slice(first - begin, last - begin))
        picture[first:last] = to_display(band, view)

    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(fill, range(0, camera.height, step)):
            pass
    return picture


def _paste(crop: Crop, band: NDArray[np.float32], first: int) -> None:
    """Composite a crop over a band of rows that begins at row `first`."""
    h, w = crop.rgba.shape[:2]
    top, bottom = max(first, crop.y), min(first + len(band), crop.y + h)
    if top < bottom:
        rendered = crop.rgba[top - crop.y : bottom - crop.y]
        behind = band[top - first : bottom - first, crop.x : crop.x + w]
        behind *= 1 - rendered[..., 3:]
        behind += rendered[..., :3]


def encode(picture: NDArray[np.uint8], image_format: ImageFormat, quality: int = BEST_QUALITY) -> bytes:
    """Encode a picture.

    Args:
        picture: H×W×3 uint8 RGB.
        image_format: `png` (lossless, fast) or `jpg`.
        quality: Quality of the JPEG. From 90 on, its colour has full resolution, because an object may be 3 px wide;
            below, it has half the resolution (4:2:0), as cameras store it.
    """
    if image_format == "png":
        return encode_png(picture)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), _jpeg_options(quality))
    if not done:
        raise ValueError(f"OpenCV cannot encode a picture of shape {picture.shape} as JPEG")
    return data.tobytes()


def _jpeg_options(quality: int) -> list[int]:
    full = quality >= _MIN_FULL_COLOUR_QUALITY
    factor = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444 if full else cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    return [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]


def cut_out(traced: NDArray[np.float32], view: str) -> NDArray[np.uint8]:
    """Convert traced light to a picture that is cut to its alpha.

    A pixel with little alpha gets the colour of the nearest pixel with more.

    Args:
        traced: (h, w, 4) float32, scene-linear RGB premultiplied by alpha.
        view: View transform: AgX, Filmic or Standard.

    Returns:
        (h', w', 4) uint8 display RGBA, not premultiplied; 0×0 if no pixel has more than a little alpha.
    """
    alpha = np.clip(traced[..., 3], 0, 1)
    unknown = alpha < _MIN_ALPHA
    if unknown.all():
        return np.empty((0, 0, 4), np.uint8)
    straight = traced[..., :3] / np.maximum(alpha, _MIN_ALPHA)[..., None]
    if unknown.any():
        _, nearest = cv2.distanceTransformWithLabels(
            unknown.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        colours = np.empty((nearest.max() + 1, 3), np.float32)
        colours[nearest[~unknown]] = straight[~unknown]
        straight = colours[nearest]
    opacity = np.rint(255 * alpha).astype(np.uint8)
    picture = np.dstack([to_display(np.ascontiguousarray(straight), view), opacity])
    rows, columns = np.flatnonzero(opacity.any(1)), np.flatnonzero(opacity.any(0))
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
