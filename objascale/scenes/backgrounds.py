"""Backgrounds of compositions: photographs and views of environment maps."""

from __future__ import annotations

import hashlib
import math
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.background import render_rows
from objascale.camera import Camera
from objascale.color import to_display
from objascale.dataset import DatasetError
from objascale.files import file_sha256, file_state
from objascale.maps import EnvironmentMapError, load_map
from objascale.picture_kind import true_suffix
from objascale.pictures import PictureError, decode, orientation, turned
from objascale.scenes import Contents
from objascale.scenes.exclusions import NO_EXCLUSIONS, Exclusions
from objascale.scenes.packed import PackedImages, load_packed
from objascale.sources.folder import MAP_SUFFIXES

MAX_BACKGROUND_SIDE = 768
"""Maximum longer side in px: half as much again as the largest composition, so that pieces can be shrunk."""

VIEWS_PER_FILE = 8
"""Views of each environment map, and pieces of each photograph that is larger than MAX_BACKGROUND_SIDE."""

_PHOTOGRAPH_ENDINGS = (".jpg", ".jpeg", ".png")
_MIN_SIDE = 64  # px; half the smallest composition


def load_backgrounds(paths: Sequence[Path], exclusions: Exclusions = NO_EXCLUSIONS) -> PackedImages:
    """Load backgrounds, uint8 RGB images with sides from 64 to MAX_BACKGROUND_SIDE px.

    An environment map gives VIEWS_PER_FILE views through Blender's AgX. A large photograph gives as many pieces at
    random scales, a small one is used whole. The images are made on the first call and kept in the user's cache.

    Args:
        paths: Files or folders of files. EXR and Radiance files are environment maps.
        exclusions: These photographs and maps are left out.

    Raises:
        DatasetError: A path does not exist, a folder has no background, a file cannot be read, or all are excluded.
    """
    files, contents = _chosen(paths, exclusions)
    if not files and contents.left_out:
        raise DatasetError(f"all backgrounds are excluded ({next(iter(contents.left_out))}); give others")
    if not files:
        raise DatasetError("crops need backgrounds: give photographs or environment maps to paste them on")
    origin = "backgrounds of " + " ".join(str(path.resolve()) for path in paths)
    if contents.left_out:
        origin += f" without {hashlib.sha256(chr(10).join(map(str, files)).encode()).hexdigest()}"
    version = "\n".join((f"2 {MAX_BACKGROUND_SIDE} {VIEWS_PER_FILE}", *map(file_state, files)))
    return load_packed(origin, version, lambda: _images(files))


def background_contents(paths: Sequence[Path], exclusions: Exclusions = NO_EXCLUSIONS) -> Contents:
    """Return the photographs and maps of `load_backgrounds`."""
    return _chosen(paths, exclusions)[1]


def _chosen(paths: Sequence[Path], exclusions: Exclusions) -> tuple[list[Path], Contents]:
    files, names, left_out = [], {}, Counter[str]()
    for file in (file for path in paths for file in _background_files(path)):
        sha256 = file_sha256(file)
        if true_suffix(file) in MAP_SUFFIXES:
            reason = exclusions.of_map(file.stem, sha256)
        else:
            reason = exclusions.of_picture(file.read_bytes())
        if reason:
            left_out[reason] += 1
        else:
            files.append(file)
            names[f"{file.parent.name}:{file.name}"] = sha256
    return files, Contents(backgrounds=names, left_out=left_out)


def _background_files(path: Path) -> list[Path]:
    if not path.exists():
        raise DatasetError(f"there are no backgrounds {path}; name a folder of photographs or environment maps")
    endings = (*_PHOTOGRAPH_ENDINGS, *MAP_SUFFIXES)
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file())
    files = [file for file in files if file.suffix.lower() in endings]
    if not files:
        raise DatasetError(f"{path} has no background: expected files with an ending among {' '.join(endings)}")
    return files


def _images(files: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    for number, file in enumerate(files):
        if true_suffix(file) in MAP_SUFFIXES:
            yield from _map_views(file, np.random.default_rng(number))
        else:
            yield from _photograph_pieces(_photograph(file), np.random.default_rng(number))


def _photograph(file: Path) -> NDArray[np.uint8]:
    try:
        content = file.read_bytes()
        image = turned(decode(content), orientation(content))
    except (OSError, PictureError) as error:
        raise DatasetError(f"OpenCV cannot decode {file}; remove it from the backgrounds") from error
    if min(image.shape[:2]) * min(MAX_BACKGROUND_SIDE / max(image.shape[:2]), 1) < _MIN_SIDE:
        raise DatasetError(f"{file} is too small or too narrow for a background; remove it from the backgrounds")
    return image


def _photograph_pieces(image: NDArray[np.uint8], rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    height, width = image.shape[:2]
    max_factor = max(height, width) / MAX_BACKGROUND_SIDE
    for _ in range(VIEWS_PER_FILE if max_factor > 1 else 1):
        factor = math.exp(rng.uniform(0, math.log(max(max_factor, 1))))
        columns, rows = (min(round(factor * MAX_BACKGROUND_SIDE), length) for length in (width, height))
        x, y = int(rng.integers(width - columns + 1)), int(rng.integers(height - rows + 1))
        piece = image[y : y + rows, x : x + columns]
        size = max(round(columns / factor), 1), max(round(rows / factor), 1)
        yield np.asarray(cv2.resize(piece, size, interpolation=cv2.INTER_AREA), np.uint8)


def _map_views(file: Path, rng: np.random.Generator) -> Iterator[NDArray[np.uint8]]:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            texels = load_map(file, Path(scratch)).texels
        except EnvironmentMapError as error:
            raise DatasetError(str(error)) from error
    for _ in range(VIEWS_PER_FILE):
        # Fields of view from a normal to a wide-angle lens. Most cameras look level or down, as people do.
        fov, azimuth = math.radians(rng.uniform(40, 100)), rng.uniform(0, 2 * math.pi)
        camera = Camera(
            MAX_BACKGROUND_SIDE, MAX_BACKGROUND_SIDE * 3 // 4, fov, azimuth, math.radians(rng.uniform(-20, 50))
        )
        yield to_display(render_rows(texels, camera, 0, camera.height), "AgX")
