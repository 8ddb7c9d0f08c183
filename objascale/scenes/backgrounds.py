"""What things are pasted before: photographs, and pictures of environment maps, each made once."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.background import render_rows
from objascale.camera import Camera
from objascale.color import to_display
from objascale.dataset import DatasetError
from objascale.files import file_state
from objascale.maps import EnvironmentMapError, load_map
from objascale.scenes.packed import Packed, packed
from objascale.sources.folder import MAP_SUFFIXES

LONGEST = 768
"""Px of a background's longer side, at the most."""

VIEWS = 8
"""Pictures of each environment map, and pieces of each photograph that is larger than LONGEST."""

_PHOTOGRAPH_ENDINGS = (".jpg", ".jpeg", ".png")
_SHORTEST = 64  # px


def backgrounds(paths: Sequence[Path]) -> Packed:
    """uint8 H×W×3 RGB pictures, sides from 64 to LONGEST px, VIEWS of each photograph and environment map.

    paths: files, and folders of files, which are told by their endings: .exr and .hdr are maps. What a map shows goes
    through Blender's AgX. Pieces of a photograph are shrunk between not at all and as much as the whole of it must be;
    of a small one there is one picture, as it is. Made at the first call and kept in the user's cache. Raises
    DatasetError if one is not there, holds neither, or cannot be read.
    """
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise DatasetError("no background was named; training needs photographs or environment maps to paste before")
    origin = "backgrounds of " + " ".join(str(path.resolve()) for path in paths)
    return packed(origin, "\n".join((f"2 {LONGEST} {VIEWS}", *map(file_state, files))), lambda: _pictures(files))


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise DatasetError(f"there are no backgrounds {path}; name a folder of photographs or environment maps")
    endings = (*_PHOTOGRAPH_ENDINGS, *MAP_SUFFIXES)
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file())
    found = [file for file in files if file.suffix.lower() in endings]
    if not found:
        raise DatasetError(f"{path} holds no background: expected files with an ending among {' '.join(endings)}")
    return found


def _pictures(files: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    for number, file in enumerate(files):
        if file.suffix.lower() in MAP_SUFFIXES:
            yield from _views(file, np.random.default_rng(number))
        else:
            yield from _pieces(_photograph(file), np.random.default_rng(number))


def _photograph(file: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise DatasetError(f"{file} is no picture that OpenCV can decode; take it out of the backgrounds")
    if min(picture.shape[:2]) * min(LONGEST / max(picture.shape[:2]), 1) < _SHORTEST:
        raise DatasetError(f"{file} is too small or too narrow for a background; take it out of them")
    return np.asarray(picture, np.uint8)


def _pieces(picture: NDArray[np.uint8], rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    height, width = picture.shape[:2]
    most = max(height, width) / LONGEST
    for _ in range(VIEWS if most > 1 else 1):
        factor = math.exp(rng.uniform(0, math.log(max(most, 1))))
        columns, rows = (min(round(factor * LONGEST), length) for length in (width, height))
        x, y = int(rng.integers(width - columns + 1)), int(rng.integers(height - rows + 1))
        piece = picture[y : y + rows, x : x + columns]
        size = max(round(columns / factor), 1), max(round(rows / factor), 1)
        yield np.asarray(cv2.resize(piece, size, interpolation=cv2.INTER_AREA), np.uint8)


def _views(file: Path, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    """A map as cameras see it that look mostly level, or somewhat down."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            texels = load_map(file, Path(scratch)).texels
        except EnvironmentMapError as error:
            raise DatasetError(str(error)) from error
    for _ in range(VIEWS):
        fov, azimuth = math.radians(rng.uniform(40, 100)), rng.uniform(0, 2 * math.pi)
        camera = Camera(LONGEST, LONGEST * 3 // 4, fov, azimuth, math.radians(rng.uniform(-20, 50)))
        yield to_display(render_rows(texels, camera, 0, camera.height), "AgX")
