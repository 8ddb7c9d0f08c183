"""An environment map whose header is read, but not its texels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAP_ROWS_PER_BAND = 256  # as many rows as the coarsest compression of EXR packs together

_MAX_SIDE = 32768
_CUBE_LAYOUTS = {(1, 1): "one face", (6, 1): "a row", (1, 6): "a column", (4, 3): "a cross", (3, 4): "a cross"}

Bands = Iterator[NDArray[np.float32]]


class EnvironmentMapError(ValueError):
    """An environment map cannot be read or used."""


@dataclass(frozen=True)
class OpenedMap:
    """An environment map whose header is read.

    Attributes:
        height: Texels from the zenith to the nadir.
        width: Texels around the horizon.
        bands: Returns the rows, zenith first, a band at a time: (rows, width, 3) float32, linear Rec. 709.
        plain: Whether Blender reads the same texels from the file.
    """

    height: int
    width: int
    bands: Callable[[], Bands]
    plain: bool


def check_size(path: Path, width: int, height: int) -> None:
    """Raise EnvironmentMapError for an invalid size, and for the layouts of cube maps."""
    if not (4 <= width <= _MAX_SIDE and 2 <= height <= _MAX_SIDE):
        raise EnvironmentMapError(f"{path} is no usable environment map: {width}×{height} px")
    for (across, down), layout in _CUBE_LAYOUTS.items():
        if width * down == height * across:
            raise EnvironmentMapError(
                f"{path} has the shape of a cube map ({layout}, {width}×{height} px); "
                "convert it to an equirectangular panorama, twice as wide as high"
            )
