"""OpenEXR files as environment maps."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objascale.maps.exr_header import ExrPart, read_parts
from objascale.maps.opened import MAP_ROWS_PER_BAND, Bands, EnvironmentMapError, OpenedMap
from objascale.maps.primaries import to_rec709

_PICTURE_KINDS = ("scanlineimage", "tiledimage")


def open_exr(path: Path) -> OpenedMap:
    """Open the first part of an EXR file that has RGB, in its main layer if it has one, else in its only RGB layer.

    Raises:
        EnvironmentMapError: The file is damaged, has no RGB or several layers of it, or is a cube map.
    """
    parts = read_parts(path)
    number, layer = _find_rgb(path, parts)
    part = parts[number]
    if part.cube:
        raise EnvironmentMapError(f"{path} is a cube map; convert it to an equirectangular panorama")
    try:
        matrix = to_rec709(part.chromaticities) if part.chromaticities else None
    except ValueError as error:
        raise EnvironmentMapError(f"{path} is no usable environment map: {error}") from error
    left, top, right, bottom = part.window
    if right < left or bottom < top:
        raise EnvironmentMapError(f"{path} is no usable environment map: its data window is empty")
    names = [layer + channel for channel in "RGB"]

    def bands() -> Bands:
        rows = _rows_of_first_part(path, names, top, bottom + 1) if number == 0 else _rows_of_part(path, names, number)
        for band in rows:
            yield band if matrix is None else band @ matrix.T

    plain = len(parts) == 1 and matrix is None and set(part.channels) <= {"R", "G", "B", "A"}
    return OpenedMap(bottom + 1 - top, right + 1 - left, bands, plain)


def _find_rgb(path: Path, parts: list[ExrPart]) -> tuple[int, str]:
    """Return the number of the part with RGB, and what precedes R, G and B in the names of its channels."""
    several: list[str] = []
    for number, part in enumerate(parts):
        if part.kind not in _PICTURE_KINDS:
            continue
        layers = [name[:-1] for name in part.channels if name.endswith("R")]
        layers = [layer for layer in layers if {layer + "G", layer + "B"} <= set(part.channels)]
        if "" in layers or len(layers) == 1:
            return number, "" if "" in layers else layers[0]
        several += [layer.removesuffix(".") for layer in layers]
    if several:
        raise EnvironmentMapError(
            f"{path} has several RGB layers, {', '.join(several)}, and none is the main one; save one of them alone"
        )
    found = sorted({name for part in parts for name in part.channels})
    deep = any(part.kind not in _PICTURE_KINDS for part in parts)
    raise EnvironmentMapError(f"{path} has no RGB channels, only {', '.join(found)}{' (deep data)' if deep else ''}")


def _rows_of_first_part(path: Path, names: list[str], first: int, last: int) -> Bands:
    import Imath
    import OpenEXR

    file = _checked(path, lambda: OpenEXR.InputFile(str(path)))
    kind = Imath.PixelType(Imath.PixelType.FLOAT)
    for row in range(first, last, MAP_ROWS_PER_BAND):
        end = min(row + MAP_ROWS_PER_BAND, last)
        planes = _checked(path, partial(file.channels, names, kind, row, end - 1))
        yield np.stack([np.frombuffer(plane, np.float32).reshape(end - row, -1) for plane in planes], axis=2)


def _rows_of_part(path: Path, names: list[str], number: int) -> Bands:
    """Return the rows of a further part. The package decodes it at once."""
    import OpenEXR

    def planes() -> list[NDArray[Any]]:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            return [file.channels(number)[name].pixels for name in names]

    whole = _checked(path, planes)
    for row in range(0, len(whole[0]), MAP_ROWS_PER_BAND):
        yield np.stack([plane[row : row + MAP_ROWS_PER_BAND].astype(np.float32) for plane in whole], axis=2)


def _checked(path: Path, read: Callable[[], Any]) -> Any:
    """Call `read`. The OpenEXR package raises any kind of exception for a damaged file."""
    try:
        return read()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1][:120]
        raise EnvironmentMapError(f"{path} cannot be read as an environment map ({reason})") from error
