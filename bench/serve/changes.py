"""Changes of a finished picture: the object shrinks, and the dials of the camera are turned.

The dials are those of `objascale.difficulty` that need no scene. The picture is taken as sRGB of a metered exposure:
its values are converted to light, the effects act on the light, and the result is converted back. Unlike in rendered
pictures, blur is not limited by the size of an object, the whole picture moves, and the sign of `exposure` is given.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from objascale.camera import Camera
from objascale.difficulty.compression import jpeg_quality
from objascale.difficulty.contrast import AIRLIGHT, transmission
from objascale.difficulty.effects import Effects
from objascale.difficulty.motion import direction, motion_length
from objascale.difficulty.record import MAX_STRENGTH, stream
from objascale.difficulty.sharpness import defocus_sigma
from objascale.difficulty.spread import Spread
from objascale.masks import RegionMask

MAX_SHRINK = 32.0
ROWS_PER_BAND = 256
SEED = 0
_LIGHT_LEVELS = 65535


class Changes(BaseModel):
    """Changes of a picture. Without arguments there is none.

        >>> import numpy as np
        >>> Changes(noise=2).apply(np.full((8, 8, 3), 128, np.uint8)).std() > 0
        True

    Attributes:
        shrink: The picture is resampled to 1/shrink of its width and height, by averaging, and set in the middle of a
            plain frame of its mean colour. The frame has the size of the picture, so an object has 1/shrink² of its
            pixels and of its fraction.
        exposure: Stops above or below the exposure of the picture.
        sharpness: Strength of the defocus, 0 to 5.
        motion: Strength of the motion of the camera.
        noise: Strength of the noise.
        compression: Strength of the JPEG's loss; 0 for none.
        contrast: Strength of the haze.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    shrink: float = Field(1.0, ge=1, le=MAX_SHRINK)
    exposure: float = Field(0.0, ge=-MAX_STRENGTH, le=MAX_STRENGTH)
    sharpness: float = Field(0.0, ge=0, le=MAX_STRENGTH)
    motion: float = Field(0.0, ge=0, le=MAX_STRENGTH)
    noise: float = Field(0.0, ge=0, le=MAX_STRENGTH)
    compression: float = Field(0.0, ge=0, le=MAX_STRENGTH)
    contrast: float = Field(0.0, ge=0, le=MAX_STRENGTH)

    def apply(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the changed picture, (H, W, 3) uint8 RGB. Without changes it is `pixels` itself."""
        if self.shrink > 1:
            pixels = self._shrunk(pixels)
        if self.exposure or self.sharpness or self.motion or self.noise or self.contrast:
            pixels = _developed(pixels, self._effects(pixels.shape[1], pixels.shape[0]))
        if self.compression:
            options = [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality(self.compression)]
            _, content = cv2.imencode(".jpg", np.ascontiguousarray(pixels[..., ::-1]), options)
            pixels = np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR_RGB), np.uint8)
        return pixels

    def apply_to_mask(self, mask: RegionMask) -> RegionMask:
        """Return the mask in the changed picture, which only `shrink` moves: the pixels that it covers by half."""
        if self.shrink == 1:
            return mask
        left, top, width, height = self._place(mask.width, mask.height)
        covered = cv2.resize(255 * mask.full().view(np.uint8), (width, height), interpolation=cv2.INTER_AREA)
        return RegionMask(left, top, covered > 127, mask.width, mask.height).tight()

    def _shrunk(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        left, top, width, height = self._place(pixels.shape[1], pixels.shape[0])
        small = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
        frame = np.empty_like(pixels)
        frame[:] = np.round(small.mean((0, 1)))
        frame[top : top + height, left : left + width] = small
        return frame

    def _place(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Return the left column, upper row, width and height of the shrunk picture in its frame."""
        small = max(1, round(width / self.shrink)), max(1, round(height / self.shrink))
        return (width - small[0]) // 2, (height - small[1]) // 2, *small

    def _effects(self, width: int, height: int) -> Effects:
        camera = Camera(width, height, fov=1.0, azimuth=0.0, elevation=0.0)  # only its size matters here
        exposure, passing = 2.0**self.exposure, transmission(self.contrast)
        return Effects(
            scale=exposure * passing,
            veil=AIRLIGHT * exposure * (1 - passing),
            objects=Spread(),
            everything=Spread.visible(
                defocus_sigma(self.sharpness, camera, np.inf),
                motion_length(self.motion, camera, np.inf),
                direction(stream("motion", SEED)),
            ),
            noise=self.noise,
            seed=SEED,
        )


def _developed(pixels: NDArray[np.uint8], effects: Effects) -> NDArray[np.uint8]:
    """Apply effects to a picture in bands of rows, each with the rows around it that blur reaches."""
    to_light, to_display = _tables()
    reach, height = effects.everything.reach, len(pixels)
    result = np.empty_like(pixels)
    for first in range(0, height, ROWS_PER_BAND):
        last = min(first + ROWS_PER_BAND, height)
        begin, end = max(first - reach, 0), min(last + reach, height)
        light = effects.develop(to_light[pixels[begin:end]], first, slice(first - begin, last - begin))
        result[first:last] = to_display[np.round(np.minimum(light, 1) * _LIGHT_LEVELS).astype(np.uint16)]
    return result


@lru_cache
def _tables() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the light of each value of sRGB (IEC 61966-2-1), and the value of each of 65536 levels of light."""
    shown = np.arange(256) / 255
    light = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    levels = np.arange(_LIGHT_LEVELS + 1) / _LIGHT_LEVELS
    values = np.where(levels <= 0.0031308, levels * 12.92, 1.055 * levels ** (1 / 2.4) - 0.055)
    return light.astype(np.float32), np.round(255 * values).astype(np.uint8)
