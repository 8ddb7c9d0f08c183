"""Things to paste: crops of objects, and random silhouettes of any texture. All are RGBA, multiplied by alpha."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flip.training.packed import Packed, packed
from objascale.crops import TABLE, read_crops
from objascale.dataset import DatasetError
from objascale.files import file_sha256

LEVELS = 6
"""Each crop is kept whole, and halved 5 times."""

_CORNERS = 96  # of a smooth outline
_MARGIN = 3  # px around a silhouette
_SIDE_WITH_HOLES = 40  # px


def crops(folders: Sequence[Path]) -> Packed:
    """All crops that `objascale crops` left in the folders: uint8 h×w×4, multiplied by alpha; LEVELS pictures each.

    Made at the first call and kept in the user's cache. Raises DatasetError if one is missing, empty or damaged.
    """
    if not folders:
        raise DatasetError("no crops were named; objascale crops makes them")
    files = [folder / file for folder in folders for file in read_crops(folder)["file"]]
    origin = "crops of " + " ".join(str(folder.resolve()) for folder in folders)
    version = " ".join(("1", *(file_sha256(folder / TABLE) for folder in folders)))
    return packed(origin, version, lambda: (level for file in files for level in _levels(file)))


def _levels(file: Path) -> Iterator[NDArray[np.uint8]]:
    straight = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if straight is None or straight.ndim != 3 or straight.shape[2] != 4:
        raise DatasetError(f"{file} is no PNG with transparency; delete its folder and make the crops anew")
    crop = multiplied(np.asarray(cv2.cvtColor(straight, cv2.COLOR_BGRA2RGBA), np.uint8))
    for _ in range(LEVELS):
        yield crop
        height, width = crop.shape[:2]
        even = np.pad(crop, ((0, height % 2), (0, width % 2), (0, 0)))
        size = (max(even.shape[1] // 2, 1), max(even.shape[0] // 2, 1))
        crop = np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.uint8)


def multiplied(straight: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """h×w×4 RGBA with its colours multiplied by alpha."""
    out = straight.copy()
    alpha = straight[..., 3:].astype(np.uint16)
    out[..., :3] = (straight[..., :3] * alpha + 127) // 255
    return out


def silhouette(texture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random outline filled with a piece of `texture` (H×W×3): side×side×4, multiplied by alpha.

    Outlines are smooth or have corners, are round or deeply indented; of the larger ones one
    in five has a hole. `side` is the texture's
    shorter side.
    """
    side = min(texture.shape[:2])
    alpha = np.zeros((side, side), np.uint8)
    _fill(alpha, (0, 0), side / 2 - _MARGIN, 255, rng)
    if side >= _SIDE_WITH_HOLES and rng.uniform() < 0.2:
        angle, away = rng.uniform(0, 2 * math.pi), side * rng.uniform(0, 0.15)
        _fill(alpha, (away * math.cos(angle), away * math.sin(angle)), side * rng.uniform(0.1, 0.25), 0, rng)
    return multiplied(np.dstack([texture[:side, :side], alpha]))


def _fill(
    alpha: NDArray[np.uint8], offset: tuple[float, float], radius: float, value: int, rng: np.random.Generator
) -> None:
    """Draw a random outline of that radius at most, `offset` away from the middle, with smooth edges."""
    if rng.uniform() < 0.6:
        angles = np.linspace(0, 2 * math.pi, _CORNERS, endpoint=False)
        waves = np.arange(1, int(rng.integers(3, 9)))
        phases = rng.uniform(0, 2 * math.pi, len(waves))
        sizes = rng.normal(size=len(waves)) / waves ** rng.uniform(0.7, 1.5)
        radii = np.exp(rng.uniform(0.1, 0.7) * (sizes @ np.cos(np.outer(waves, angles) + phases[:, None])))
    else:
        corners = int(rng.integers(3, 10))
        angles = np.sort((np.arange(corners) + rng.uniform(-0.4, 0.4, corners)) * 2 * math.pi / corners)
        radii = rng.uniform(rng.uniform(0.25, 1), 1, corners)
    radii *= radius / radii.max()
    middle = alpha.shape[0] / 2 - 0.5
    points = np.stack([np.cos(angles) * radii + offset[0], np.sin(angles) * radii + offset[1]], 1) + middle
    cv2.fillPoly(alpha, [np.rint(points * 16).astype(np.int32)], (value,), cv2.LINE_AA, 4)
