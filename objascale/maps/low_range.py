"""Panoramas of eight bits in sRGB (JPEG, PNG) as environment maps of low dynamic range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objascale.maps.opened import MAP_ROWS_PER_BAND, Bands, EnvironmentMapError, OpenedMap
from objascale.pictures import PictureError, decode, orientation, turned

_RATIO_TOLERANCE = 0.01  # of 2:1; a choice: panoramas are a few pixels off, photographs of 16:9 are not


def open_low_range(path: Path) -> OpenedMap:
    """Open a panorama in sRGB. Its texels are the inverse of sRGB's transfer function (IEC 61966-2-1), from 0 to 1.

    Raises:
        EnvironmentMapError: The file cannot be decoded, or is not twice as wide as high.
    """
    try:
        content = path.read_bytes()
        pixels = turned(decode(content), orientation(content))
    except OSError as error:
        raise EnvironmentMapError(f"{path} cannot be read as an environment map ({error.strerror})") from error
    except PictureError as error:
        raise EnvironmentMapError(f"{path} cannot be read as an environment map: it {error}") from error
    height, width = pixels.shape[:2]
    if abs(width / height - 2) > 2 * _RATIO_TOLERANCE:
        raise EnvironmentMapError(
            f"{path} is {width}×{height} px; an equirectangular panorama is twice as wide as high"
        )
    linear = _srgb_to_linear()

    def bands() -> Bands:
        for first in range(0, height, MAP_ROWS_PER_BAND):
            yield linear[pixels[first : first + MAP_ROWS_PER_BAND]]

    return OpenedMap(height, width, bands, plain=False)


def _srgb_to_linear() -> NDArray[np.float32]:
    """Return the linear value of each of the 256 values of sRGB."""
    values = np.arange(256) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)
