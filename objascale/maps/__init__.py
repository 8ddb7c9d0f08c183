"""Environment maps: equirectangular panoramas as half floats, and the smaller map that lights objects."""

from __future__ import annotations

import errno
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from objascale.files import LFS_HELP, is_lfs_pointer
from objascale.maps.exr import open_exr
from objascale.maps.low_range import open_low_range
from objascale.maps.opened import EnvironmentMapError, OpenedMap, check_size
from objascale.maps.radiance import open_radiance
from objascale.picture_kind import true_suffix

__all__ = ["BRIGHTEST", "LIGHT_WIDTH", "EnvironmentMap", "EnvironmentMapError", "check_map", "load_map", "write_exr"]

BRIGHTEST = 65504.0
"""The largest half float. Brighter texels are clamped to it in the background, but light objects with full energy."""

LIGHT_WIDTH = 4096
"""Maximum width, texels, of a map that lights objects unchanged. A wider map is averaged."""


@dataclass(frozen=True)
class EnvironmentMap:
    """An equirectangular map.

    Attributes:
        texels: H×W×3 float16, linear Rec. 709, zenith first, from 0 to BRIGHTEST.
        light: File that Blender lights objects with. A map that is `plain` and at most LIGHT_WIDTH wide is its own
            light. The light of any other is an EXR file of the means of its texels, weighted by solid angle, so that
            no energy is lost.
        plain: Whether Blender reads the same texels from the map's file. Negative light, which resampling leaves
            around suns and lamps, becomes 0 and makes a map not plain.
    """

    texels: NDArray[np.float16]
    light: Path
    plain: bool


_latest: dict[tuple[Path, Path], EnvironmentMap] = {}


def load_map(path: Path, scratch: Path) -> EnvironmentMap:
    """Read an environment map. Only the map that was read last is kept in memory.

    Args:
        path: An .exr or .hdr file, or a .jpg or .png file of eight bits in sRGB. The content decides which it is.
        scratch: Folder for the file that lights objects. The next map overwrites it.

    Raises:
        EnvironmentMapError: The file is no usable environment map.
        OSError: There is no room in the folder.
    """
    if (path, scratch) not in _latest:
        _latest.clear()  # first, because memory may not hold two maps
        _latest[path, scratch] = _read(path, scratch)
    return _latest[path, scratch]


def check_map(path: Path) -> None:
    """Check the header of an environment map, and of an EXR file also that no block of rows is missing.

    Raises:
        EnvironmentMapError: The file is no usable environment map.
    """
    _open(path)


def _open(path: Path) -> OpenedMap:
    if path.is_file() and is_lfs_pointer(path):
        raise EnvironmentMapError(f"{path} {LFS_HELP}")
    openers = {".exr": open_exr, ".hdr": open_radiance}
    opened = openers.get(true_suffix(path), open_low_range)(path)
    check_size(path, opened.width, opened.height)
    return opened


def _read(path: Path, scratch: Path) -> EnvironmentMap:
    opened = _open(path)
    height, width = opened.height, opened.width
    texels = np.empty((height, width, 3), np.float16)
    light_width = min(width, LIGHT_WIDTH)
    light = np.zeros((max(1, round(height * light_width / width)), light_width, 3), np.float32)
    weights = np.zeros(len(light))
    plain = opened.plain
    first = 0
    for band in opened.bands():
        lowest, highest = band.min(), band.max()
        if not (np.isfinite(lowest) and np.isfinite(highest)):
            raise EnvironmentMapError(f"{path} is no usable environment map: it holds light that is not finite")
        if lowest < 0:
            plain = False
            np.maximum(band, 0, out=band)
        _add_to_mean(band, first, height, light, weights)
        np.minimum(band, BRIGHTEST, out=band)
        texels[first : first + len(band)] = cv2.convertFp16(band).view(np.float16)
        first += len(band)
    if width == light_width and plain:
        return EnvironmentMap(texels, path, plain)
    light /= (weights * width)[:, None, None]
    write_exr(scratch / "light.exr", light)
    return EnvironmentMap(texels, scratch / "light.exr", plain)


@numba.njit(cache=True, nogil=True)
def _add_to_mean(
    band: NDArray[np.float32], first: int, map_height: int, light: NDArray[np.float32], weights: NDArray[np.float64]
) -> None:
    """Add rows of a map to a smaller map, weighted by solid angle and by the area that two texels share.

    Areas are whole numbers: a texel of the large map covers h·w units, one of the small map H·W.
    """
    map_width = band.shape[1]
    height, width = light.shape[:2]
    for row in range(band.shape[0]):
        j = first + row
        solid_angle = math.sin(math.pi * (j + 0.5) / map_height)
        for y in range(j * height // map_height, ((j + 1) * height - 1) // map_height + 1):
            share = solid_angle * (min((j + 1) * height, (y + 1) * map_height) - max(j * height, y * map_height))
            weights[y] += share
            for x in range(width):
                left, right = x * map_width, (x + 1) * map_width
                red = green = blue = 0.0
                for i in range(left // width, (right - 1) // width + 1):
                    weight = min((i + 1) * width, right) - max(i * width, left)
                    red += weight * band[row, i, 0]
                    green += weight * band[row, i, 1]
                    blue += weight * band[row, i, 2]
                light[y, x, 0] += share * red
                light[y, x, 1] += share * green
                light[y, x, 2] += share * blue


def write_exr(path: Path, pixels: NDArray[np.floating[Any]]) -> None:
    """Write H×W×3 linear Rec. 709, float16 or float32, as an EXR file. Raises OSError if there is no room for it."""
    import OpenEXR

    header = {"compression": OpenEXR.NO_COMPRESSION, "type": OpenEXR.scanlineimage}
    partial = path.with_suffix(".part")
    try:
        OpenEXR.File(header, {"RGB": pixels}).write(str(partial))
    except RuntimeError as error:
        raise OSError(errno.ENOSPC, str(error), str(path)) from error
    partial.rename(path)
