"""Equirectangular maps as half floats, read a band of rows at a time; and the smaller map that lights objects."""

from __future__ import annotations

import errno
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

BRIGHTEST = 65504.0
"""The largest half float; what is brighter is seen as this, though it lights with all its energy."""

LIGHT_WIDTH = 4096
"""Texels across a map of which Blender lights objects with the file itself; of a wider one it gets an average."""

_MAX_WIDTH = 32768
_ROWS_PER_BAND = 256  # as many as the coarsest of EXR's compressions packs together
_RESOLUTION = re.compile(rb"-Y (\d{1,9}) \+X (\d{1,9})\s*")
_RADIANCE_SCALE = np.array([0.0] + [math.ldexp(1, exponent - 136) for exponent in range(1, 256)], np.float32)

Bands = Iterator[NDArray[np.float32]]


class EnvironmentMapError(ValueError):
    """An environment map that cannot be read or used."""


@dataclass(frozen=True)
class EnvironmentMap:
    """An equirectangular map.

    texels: scene-linear H×W×3 float16, zenith first, from 0 to BRIGHTEST.
    light: the file that Blender lights objects with. It is the map's own, unless that is wider than LIGHT_WIDTH or
    `repaired`: then it is an EXR of the texels' means, weighted by solid angle, so that no energy is lost.
    repaired: the file holds negative light, as resampling leaves around suns and lamps. It counts as none here.
    """

    texels: NDArray[np.float16]
    light: Path
    repaired: bool


_latest: dict[tuple[Path, Path], EnvironmentMap] = {}


def load_map(path: Path, scratch: Path) -> EnvironmentMap:
    """Read an .exr or .hdr file, unless it is the one that was read last: only that one is kept.

    scratch: a folder for the file that lights objects, which is overwritten when another map is read. Raises
    EnvironmentMapError if the file is no such map, OSError if there is no room in the folder.
    """
    if (path, scratch) not in _latest:
        _latest.clear()  # first, for there may not be room for two
        _latest[path, scratch] = _read(path, scratch)
    return _latest[path, scratch]


def _read(path: Path, scratch: Path) -> EnvironmentMap:
    (height, width), bands = (_open_exr if path.suffix.lower() == ".exr" else _open_hdr)(path)
    if not (4 <= width <= _MAX_WIDTH and 2 <= height <= _MAX_WIDTH):
        raise EnvironmentMapError(f"{path} is no usable environment map: {width}×{height} px")
    texels = np.empty((height, width, 3), np.float16)
    light_width = min(width, LIGHT_WIDTH)
    light = np.zeros((max(1, round(height * light_width / width)), light_width, 3), np.float32)
    weights = np.zeros(len(light))
    repaired = False
    first = 0
    for band in bands:
        lowest, highest = band.min(), band.max()
        if not (np.isfinite(lowest) and np.isfinite(highest)):
            raise EnvironmentMapError(f"{path} is no usable environment map: it holds light that is not finite")
        if lowest < 0:
            repaired = True
            np.maximum(band, 0, out=band)
        _add_to_mean(band, first, height, light, weights)
        np.minimum(band, BRIGHTEST, out=band)
        texels[first : first + len(band)] = cv2.convertFp16(band).view(np.float16)
        first += len(band)
    if width == light_width and not repaired:
        return EnvironmentMap(texels, path, repaired)
    light /= (weights * width)[:, None, None]
    write_exr(scratch / "light.exr", light)
    return EnvironmentMap(texels, scratch / "light.exr", repaired)


@numba.njit(cache=True, nogil=True)
def _add_to_mean(
    band: NDArray[np.float32], first: int, map_height: int, light: NDArray[np.float32], weights: NDArray[np.float64]
) -> None:
    """Add rows of a map to the smaller map that they share in, weighted by solid angle and by the area shared.

    Areas are counted in units of which a texel of the large map has h·w and one of the small map H·W.
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
    """Scene-linear H×W×3, half or float, as an EXR file. Raises OSError if there is no room for it."""
    import OpenEXR

    header = {"compression": OpenEXR.NO_COMPRESSION, "type": OpenEXR.scanlineimage}
    partial = path.with_suffix(".part")
    try:
        OpenEXR.File(header, {"RGB": pixels}).write(str(partial))
    except RuntimeError as error:
        raise OSError(errno.ENOSPC, str(error), str(path)) from error
    partial.rename(path)


def _open_exr(path: Path) -> tuple[tuple[int, int], Bands]:
    """Height and width in texels, and the rows as float32, a band at a time."""
    import Imath
    import OpenEXR

    def failure(error: Exception) -> EnvironmentMapError:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1][:120]
        return EnvironmentMapError(f"{path} cannot be read as an environment map ({reason})")

    try:
        file = OpenEXR.InputFile(str(path))
        header = file.header()
    except Exception as error:  # the reader raises whatever it likes on a broken file
        raise failure(error) from error
    if not {"R", "G", "B"} <= header["channels"].keys():
        raise EnvironmentMapError(f"{path} has no RGB channels, only {', '.join(sorted(header['channels']))}")
    window = header["dataWindow"]
    top, bottom = window.min.y, window.max.y + 1
    width = window.max.x + 1 - window.min.x

    def bands() -> Bands:
        for first in range(top, bottom, _ROWS_PER_BAND):
            last = min(first + _ROWS_PER_BAND, bottom)
            try:
                planes = file.channels("RGB", Imath.PixelType(Imath.PixelType.FLOAT), first, last - 1)
            except Exception as error:
                raise failure(error) from error
            yield np.stack([np.frombuffer(plane, np.float32).reshape(-1, width) for plane in planes], axis=2)

    return (bottom - top, width), bands()


def _open_hdr(path: Path) -> tuple[tuple[int, int], Bands]:
    """The same of a Radiance file (G. Ward, "Real pixels", Graphics Gems II; Radiance's `color.c`).

    Its scanlines may be plain, or run-length encoded in the old or the new way.
    """
    try:
        with path.open("rb") as file:
            line = file.readline(1024)
            known = line.startswith(b"#?")
            while known and line.strip():
                line = file.readline(1024)
                known = not line.startswith(b"FORMAT=") or line.strip() == b"FORMAT=32-bit_rle_rgbe"
            match = _RESOLUTION.fullmatch(file.readline(1024))
            start = file.tell()
    except OSError as error:
        raise EnvironmentMapError(f"{path} cannot be read as an environment map ({error.strerror})") from error
    if not (known and match):
        raise EnvironmentMapError(f"{path} is no Radiance HDR picture; environment maps are .hdr or .exr files")
    height, width = int(match[1]), int(match[2])

    def bands() -> Bands:
        position = start
        with path.open("rb") as file:
            for first in range(0, height, _ROWS_PER_BAND):
                band = np.empty((min(_ROWS_PER_BAND, height - first), width, 3), np.float32)
                file.seek(position)
                data = np.frombuffer(file.read(len(band) * (8 * width + 4)), np.uint8)
                rows, used = _decode_radiance(data, _RADIANCE_SCALE, band)
                if rows < len(band):
                    raise EnvironmentMapError(f"{path} is truncated or damaged at row {first + rows} of {height}")
                position += used
                yield band

    return (height, width), bands()


@numba.njit(cache=True, nogil=True)
def _decode_radiance(data: NDArray[np.uint8], scale: NDArray[np.float32], band: NDArray[np.float32]) -> tuple[int, int]:
    """Fill `band` with rows decoded from `data`. Returns the number of rows that were sound, and of bytes they took."""
    rows, width = band.shape[:2]
    texels = np.empty((4, width), np.uint8)
    at = 0
    for row in range(rows):
        new = 8 <= width < 32768 and at + 4 <= len(data) and data[at] == 2 and data[at + 1] == 2 and data[at + 2] < 128
        length = _decode_row(data[at:], texels) if new else _decode_old_row(data[at:], texels)
        if length < 0:
            return row, at
        at += length
        for i in range(width):
            factor = scale[texels[3, i]]
            for channel in range(3):
                band[row, i, channel] = texels[channel, i] * factor
    return rows, at


@numba.njit(cache=True, nogil=True)
def _decode_row(data: NDArray[np.uint8], texels: NDArray[np.uint8]) -> int:
    """One row whose four channels are run-length encoded one after the other. Returns its bytes, -1 if it is broken."""
    width = texels.shape[1]
    if data[2] * 256 + data[3] != width:
        return -1
    at = 4
    for channel in range(4):
        i = 0
        while i < width:
            if at + 1 >= len(data):
                return -1
            run = data[at] > 128
            count = data[at] - 128 if run else data[at]
            if count == 0 or i + count > width or (not run and at + count >= len(data)):
                return -1
            if run:
                for j in range(count):
                    texels[channel, i + j] = data[at + 1]
                at += 2
            else:
                for j in range(count):
                    texels[channel, i + j] = data[at + 1 + j]
                at += 1 + count
            i += count
    return at


@numba.njit(cache=True, nogil=True)
def _decode_old_row(data: NDArray[np.uint8], texels: NDArray[np.uint8]) -> int:
    """One row of plain texels, among which (1, 1, 1, n) repeats the one before. Returns its bytes, -1 if broken."""
    width = texels.shape[1]
    at = i = digit = 0
    while i < width:
        if at + 4 > len(data) or digit > 2:
            return -1
        if data[at] == 1 and data[at + 1] == 1 and data[at + 2] == 1:
            count = data[at + 3] * 256**digit
            if i == 0 or i + count > width:
                return -1
            for channel in range(4):
                texels[channel, i : i + count] = texels[channel, i - 1]
            digit += 1
        else:
            count = 1
            texels[:, i] = data[at : at + 4]
            digit = 0
        at += 4
        i += count
    return at
