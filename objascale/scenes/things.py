"""Objects to paste: rendered crops, cut-outs of photographs, and random silhouettes.

All are uint8 RGBA, premultiplied by alpha.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.crops import CROPS_TABLE, read_crops
from objascale.dataset import DatasetError
from objascale.files import file_sha256, file_state
from objascale.scenes import Contents
from objascale.scenes.exclusions import NO_EXCLUSIONS, Exclusions
from objascale.scenes.packed import PackedImages, load_packed
from objascale.sources import STARTER_AUTHOR

PYRAMID_LEVELS = 6
"""Levels of each crop's image pyramid: 1 to 1/32, so that 256 px become 8 px."""

_OUTLINE_POINTS = 96  # of a smooth outline
_SILHOUETTE_MARGIN = 3  # px, keeps smooth edges inside
_MIN_SIDE_WITH_HOLE = 40  # px; a smaller hole would be a few pixels


def load_crops(folder: Path, exclusions: Exclusions = NO_EXCLUSIONS) -> PackedImages:
    """Load the crops of `objascale crops`, or else all PNGs of a folder, with PYRAMID_LEVELS levels of each.

    The pyramids are made on the first call and kept in the user's cache.

    Args:
        folder: The folder.
        exclusions: Crops of these objects and in the light of these maps are left out.

    Returns:
        Images, uint8 RGBA, premultiplied by alpha; level k of crop i is number PYRAMID_LEVELS·i + k.

    Raises:
        DatasetError: A crop is missing or damaged, or has no alpha channel, or all crops are excluded.
    """
    files, contents = _chosen(folder, exclusions)
    if not files and contents.left_out:
        raise DatasetError(f"all crops of {folder} are excluded ({next(iter(contents.left_out))}); omit the folder")
    if not files:
        raise DatasetError(f"{folder} has no crops; make some with objascale crops, or add PNGs with transparency")
    if (folder / CROPS_TABLE).is_file():
        version = f"1 {file_sha256(folder / CROPS_TABLE)}"
    else:
        version = "\n".join(("1", *map(file_state, files)))
    origin = f"crops of {folder.resolve()}"
    if contents.left_out:
        chosen = hashlib.sha256("\n".join(map(str, files)).encode()).hexdigest()
        origin, version = f"{origin} without {chosen}", f"{version} {chosen}"
    return load_packed(origin, version, lambda: (level for file in files for level in _pyramid(file)))


def crop_contents(folder: Path, exclusions: Exclusions = NO_EXCLUSIONS) -> Contents:
    """Return what the crops of `load_crops` show: objects, and the maps in whose light they are rendered."""
    return _chosen(folder, exclusions)[1]


def _chosen(folder: Path, exclusions: Exclusions) -> tuple[list[Path], Contents]:
    files, objects, maps, left_out = [], {}, {}, Counter[str]()
    for file, name, sha256, author, title, map_name, map_sha256 in _listed(folder):
        reason = exclusions.of_object(sha256, author, name, title) or exclusions.of_map(map_name, map_sha256)
        if reason:
            left_out[reason] += 1
            continue
        files.append(file)
        objects[f"{'starter' if author == STARTER_AUTHOR else folder.name}:{name}"] = sha256
        maps.update({f"{folder.name}:{map_name}": map_sha256} if map_name else {})
    return files, Contents(objects=objects, backgrounds=maps, left_out=left_out)


def _listed(folder: Path) -> Iterator[tuple[Path, str, str, str, str, str, str]]:
    """Yield file, name, SHA-256, author and title of each crop's object, and name and SHA-256 of its map."""
    if not (folder / CROPS_TABLE).is_file():
        for file in sorted(folder.glob("*.png")):
            yield file, file.name, file_sha256(file), "", "", "", ""
        return
    table = read_crops(folder)
    columns = ("asset_id", "asset_sha256", "author", "title", "hdri_id", "map_sha256")
    texts = (table[name].fillna("").astype(str) if name in table else [""] * len(table) for name in columns)
    for file, *row in zip(table["file"], *texts, strict=True):
        name, sha256, author, title, map_name, map_sha256 = row
        yield folder / file, name, sha256, author, title, map_name, map_sha256


def _pyramid(file: Path) -> Iterator[NDArray[np.uint8]]:
    straight = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    if straight is None or straight.ndim != 3 or straight.shape[2] != 4:
        raise DatasetError(f"{file} is not a PNG with transparency; remove it, or make its crops again")
    if straight.dtype != np.uint8:
        raise DatasetError(f"{file} has {straight.dtype} channels; save it with 8 bits per channel")
    crop = premultiply_alpha(np.asarray(cv2.cvtColor(straight, cv2.COLOR_BGRA2RGBA), np.uint8))
    for _ in range(PYRAMID_LEVELS):
        yield crop
        height, width = crop.shape[:2]
        even = np.pad(crop, ((0, height % 2), (0, width % 2), (0, 0)))
        size = (max(even.shape[1] // 2, 1), max(even.shape[0] // 2, 1))
        crop = np.asarray(cv2.resize(even, size, interpolation=cv2.INTER_AREA), np.uint8)


def premultiply_alpha(straight: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Multiply the colours of an RGBA image (uint8, (h, w, 4)) by alpha."""
    out = straight.copy()
    alpha = straight[..., 3:].astype(np.uint16)
    out[..., :3] = (straight[..., :3] * alpha + 127) // 255
    return out


def draw_silhouette(texture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Fill a random outline with a texture (uint8 RGB, (side, side, 3)); return RGBA, premultiplied by alpha.

    Outlines are smooth or polygonal, round or deeply indented. One large silhouette in five has a hole.
    """
    side = len(texture)
    alpha = np.zeros((side, side), np.uint8)
    _draw_outline(alpha, (0, 0), side / 2 - _SILHOUETTE_MARGIN, 255, rng)
    if side >= _MIN_SIDE_WITH_HOLE and rng.uniform() < 0.2:
        _draw_outline(alpha, _random_offset(0.15 * side, rng), side * rng.uniform(0.1, 0.25), 0, rng)
    alpha[[0, -1]] = alpha[:, [0, -1]] = 0  # the smooth edge of a sharp corner can extend this far
    return premultiply_alpha(np.dstack([texture, alpha]))


def add_part(source: NDArray[np.uint8], texture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Fill a random outline on an object (RGBA, (h, w, 4)) with a texture (RGB, (h, w, 3)); alpha stays the same."""
    side = min(source.shape[:2])
    part = np.zeros(source.shape[:2], np.uint8)
    _draw_outline(part, _random_offset(0.4 * side, rng), side * rng.uniform(0.2, 0.5), 255, rng)
    share, alpha = part[..., None] / np.float32(255), source[..., 3:] / np.float32(255)
    out = source.copy()
    out[..., :3] = np.rint(share * alpha * texture + (1 - share) * source[..., :3])
    return out


def _random_offset(max_distance: float, rng: np.random.Generator) -> tuple[float, float]:
    angle, distance = rng.uniform(0, 2 * math.pi), rng.uniform(0, max_distance)
    return distance * math.cos(angle), distance * math.sin(angle)


def _draw_outline(
    alpha: NDArray[np.uint8], offset: tuple[float, float], radius: float, value: int, rng: np.random.Generator
) -> None:
    """Fill a random outline, at most `radius` px from a centre that is `offset` px from the middle."""
    if rng.uniform() < 0.6:
        angles = np.linspace(0, 2 * math.pi, _OUTLINE_POINTS, endpoint=False)
        waves = np.arange(1, int(rng.integers(3, 9)))
        phases = rng.uniform(0, 2 * math.pi, len(waves))
        amplitudes = rng.normal(size=len(waves)) / waves ** rng.uniform(0.7, 1.5)
        radii = np.exp(rng.uniform(0.1, 0.7) * (amplitudes @ np.cos(np.outer(waves, angles) + phases[:, None])))
    else:
        corners = int(rng.integers(3, 10))
        angles = np.sort((np.arange(corners) + rng.uniform(-0.4, 0.4, corners)) * 2 * math.pi / corners)
        radii = rng.uniform(rng.uniform(0.25, 1), 1, corners)
    radii *= radius / radii.max()
    middle = np.array(alpha.shape[::-1]) / 2 - 0.5
    points = np.stack([np.cos(angles) * radii + offset[0], np.sin(angles) * radii + offset[1]], 1) + middle
    cv2.fillPoly(alpha, [np.rint(points * 16).astype(np.int32)], (value,), cv2.LINE_AA, 4)
