"""Radiance files as environment maps (G. Ward, "Real pixels", Graphics Gems II; Radiance's `color.c`)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from objascale.maps.opened import MAP_ROWS_PER_BAND, Bands, EnvironmentMapError, OpenedMap
from objascale.maps.primaries import XYZ, to_rec709

_RESOLUTION = re.compile(rb"([-+][XY]) (\d{1,9}) ([-+][XY]) (\d{1,9})\s*")
_SCALE = np.array([0.0] + [math.ldexp(1, exponent - 136) for exponent in range(1, 256)], np.float32)
_RGBE, _XYZE = b"32-bit_rle_rgbe", b"32-bit_rle_xyze"


@dataclass(frozen=True)
class _Header:
    """Header of a Radiance file, and the start of its scanlines.

    A scanline runs along `line_axis`; its sign is `-` if positions fall. Scanlines follow each other along the other
    axis. The usual order is `-Y height +X width`: rows from the top, each from the left.
    """

    scanlines: int
    scanline_length: int
    order: tuple[bytes, bytes]
    xyz: bool
    plain: bool
    start: int


def open_radiance(path: Path) -> OpenedMap:
    """Open a Radiance file in any of the eight orientations, of RGBE or XYZE texels.

    The scanlines may be plain, or run-length encoded in the old or the new way.

    Raises:
        EnvironmentMapError: The file is no Radiance picture.
    """
    try:
        header = _read_header(path)
    except OSError as error:
        raise EnvironmentMapError(f"{path} cannot be read as an environment map ({error.strerror})") from error
    height, width = header.scanlines, header.scanline_length
    if header.order[0][1:] == b"X":
        height, width = width, height
    matrix = to_rec709(XYZ) if header.xyz else None

    def bands() -> Bands:
        scanlines = _scanlines(path, header)
        oriented = scanlines if header.order == (b"-Y", b"+X") else _turned(scanlines, header)
        for texels in oriented:
            band = texels[..., :3] * _SCALE[texels[..., 3:]]
            yield band if matrix is None else band @ matrix.T

    return OpenedMap(height, width, bands, header.plain)


def _read_header(path: Path) -> _Header:
    with path.open("rb") as file:
        line = file.readline(1024)
        known = line.startswith(b"#?")
        plain, form = True, b""
        while known and line.strip():
            plain &= not line.endswith(b"\r\n")
            if line.startswith(b"FORMAT="):
                form = line.removeprefix(b"FORMAT=").strip()
            line = file.readline(1024)
        resolution = file.readline(1024)
        match = _RESOLUTION.fullmatch(resolution)
        start = file.tell()
    if form not in (b"", _RGBE, _XYZE):
        raise EnvironmentMapError(f"{path} has texels of the format {form.decode('latin-1')}; RGBE and XYZE are read")
    if not (known and match and match[1][1:] != match[3][1:]):
        raise EnvironmentMapError(f"{path} is no Radiance HDR picture; environment maps are .hdr or .exr files")
    order = (match[1], match[3])
    plain &= form == _RGBE and order == (b"-Y", b"+X") and not resolution.endswith(b"\r\n")
    return _Header(int(match[2]), int(match[4]), order, form == _XYZE, plain, start)


def _scanlines(path: Path, header: _Header) -> Iterator[NDArray[np.uint8]]:
    """Yield bands of scanlines, (scanlines, length, 4) bytes, in the file's own order."""
    position = header.start
    with path.open("rb") as file:
        for first in range(0, header.scanlines, MAP_ROWS_PER_BAND):
            band = np.empty((min(MAP_ROWS_PER_BAND, header.scanlines - first), header.scanline_length, 4), np.uint8)
            file.seek(position)
            data = np.frombuffer(file.read(len(band) * (8 * header.scanline_length + 4)), np.uint8)
            rows, used = _decode_scanlines(data, band)
            if rows < len(band):
                raise EnvironmentMapError(f"{path} is truncated or damaged at row {first + rows} of {header.scanlines}")
            position += used
            yield band


def _turned(bands: Iterator[NDArray[np.uint8]], header: _Header) -> Iterator[NDArray[np.uint8]]:
    """Yield bands of rows from the top, each from the left. All texels are in memory as bytes."""
    whole = np.concatenate(list(bands))
    if b"+Y" in header.order:  # y grows upwards
        whole = np.flip(whole, header.order.index(b"+Y"))
    if b"-X" in header.order:
        whole = np.flip(whole, header.order.index(b"-X"))
    if header.order[0][1:] == b"X":
        whole = whole.swapaxes(0, 1)
    for first in range(0, len(whole), MAP_ROWS_PER_BAND):
        yield whole[first : first + MAP_ROWS_PER_BAND]


@numba.njit(cache=True, nogil=True)
def _decode_scanlines(data: NDArray[np.uint8], band: NDArray[np.uint8]) -> tuple[int, int]:
    """Fill `band` with scanlines decoded from `data`. Return the number of valid scanlines, and of their bytes."""
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
            for channel in range(4):
                band[row, i, channel] = texels[channel, i]
    return rows, at


@numba.njit(cache=True, nogil=True)
def _decode_row(data: NDArray[np.uint8], texels: NDArray[np.uint8]) -> int:
    """Decode a row whose four channels are run-length encoded in turn. Return its bytes, -1 if it is broken."""
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
    """Decode a row of plain texels, where (1, 1, 1, n) repeats the previous one. Return its bytes, -1 if broken."""
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
