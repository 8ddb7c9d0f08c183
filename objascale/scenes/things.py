"""Things to paste: crops of objects, cut-outs of photographs, and random silhouettes of any texture.

All are RGBA, multiplied by alpha."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.crops import CROPS_TABLE, read_crops
from objascale.dataset import DatasetError
from objascale.files import file_sha256, file_state
from objascale.scenes.packed import Packed, packed

LEVELS = 6
"""Each crop is kept whole, and halved 5 times."""

_CORNERS = 96  # of a smooth outline
_MARGIN = 3  # px around a silhouette
_SIDE_WITH_HOLES = 40  # px


def crops(folder: Path) -> Packed:
    """All that `objascale crops` left in a folder, or else its PNGs: uint8 h×w×4, multiplied by alpha; LEVELS of each.

    Made at the first call and kept in the user's cache. Raises DatasetError if one is missing or damaged, or has no
    transparency.
    """
    if (folder / CROPS_TABLE).is_file():
        files = [folder / file for file in read_crops(folder)["file"]]
        version = f"1 {file_sha256(folder / CROPS_TABLE)}"
    else:
        files = sorted(folder.glob("*.png"))
        version = "\n".join(("1", *map(file_state, files)))
    if not files:
        raise DatasetError(f"{folder} holds no crop; objascale crops makes them, or put PNGs with transparency there")
    return packed(f"crops of {folder.resolve()}", version, lambda: (level for file in files for level in _levels(file)))


def _levels(file: Path) -> Iterator[NDArray[np.uint8]]:
    straight = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if straight is None or straight.ndim != 3 or straight.shape[2] != 4:
        raise DatasetError(f"{file} is no PNG with transparency; take it away, or make its crops anew")
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
    """A random outline filled with `texture` (side×side×3): side×side×4, multiplied by alpha.

    Outlines are smooth or have corners, are round or deeply indented; of the larger ones one in five has a hole.
    """
    side = len(texture)
    alpha = np.zeros((side, side), np.uint8)
    _fill(alpha, (0, 0), side / 2 - _MARGIN, 255, rng)
    if side >= _SIDE_WITH_HOLES and rng.uniform() < 0.2:
        _fill(alpha, _away(0.15 * side, rng), side * rng.uniform(0.1, 0.25), 0, rng)
    alpha[[0, -1]] = alpha[:, [0, -1]] = 0  # the smooth edge of a sharp corner can reach that far
    return multiplied(np.dstack([texture, alpha]))


def with_part(thing: NDArray[np.uint8], texture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A thing (h×w×4, multiplied by alpha) that has `texture` (h×w×3) in a random outline, as clothes have a pattern.

    Its alpha is the same.
    """
    side = min(thing.shape[:2])
    part = np.zeros(thing.shape[:2], np.uint8)
    _fill(part, _away(0.4 * side, rng), side * rng.uniform(0.2, 0.5), 255, rng)
    share, alpha = part[..., None] / np.float32(255), thing[..., 3:] / np.float32(255)
    out = thing.copy()
    out[..., :3] = np.rint(share * alpha * texture + (1 - share) * thing[..., :3])
    return out


def _away(most: float, rng: np.random.Generator) -> tuple[float, float]:
    """Up to so far in any direction."""
    angle, distance = rng.uniform(0, 2 * math.pi), rng.uniform(0, most)
    return distance * math.cos(angle), distance * math.sin(angle)


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
    middle = np.array(alpha.shape[::-1]) / 2 - 0.5
    points = np.stack([np.cos(angles) * radii + offset[0], np.sin(angles) * radii + offset[1]], 1) + middle
    cv2.fillPoly(alpha, [np.rint(points * 16).astype(np.int32)], (value,), cv2.LINE_AA, 4)
