"""Composed scenes: objects pasted on a background, with exact masks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from objascale.dataset import DatasetError
from objascale.masks import RegionMask
from objascale.scenes import Contents, Scene, SceneError
from objascale.scenes.backgrounds import background_contents, load_backgrounds
from objascale.scenes.camera import add_camera_effects, draw_colours
from objascale.scenes.exclusions import NO_EXCLUSIONS, Exclusions
from objascale.scenes.things import PYRAMID_LEVELS, add_part, crop_contents, draw_silhouette, load_crops

# Choices of this project, explained in docs/training.md under Compositions.
_SIDE_RANGE = 128, 512  # px of the image
_MAX_ASPECT = 1.5  # of the image, as of most photographs
_NUM_OBJECTS = 3, 16  # objects per scene, before any is hidden
_MIN_AREA, _MAX_AREA_SHARE = 10, 0.7  # of an object that is not hidden: px, and share of the image
MASK_ALPHA = 128  # of 255: a pixel belongs to the object that gives at least half of its colour
MIN_VISIBLE_AREA, MIN_VISIBLE_SHARE = 8, 0.4  # px, and share of an object, that must be visible for a mask
_MAX_DRAWS = 10  # of a scene in which nothing is visible
_MAX_SCALE = 2  # of a crop; more looks blurred
_MAX_SILHOUETTE_SIDE = 400  # px; larger silhouettes are enlarged
_MIN_SIDE_WITH_PART = 16  # px of an object's shorter side; a smaller part would be a few pixels


@dataclass(frozen=True)
class Layer:
    """An object at its place in the image; (x, y) is the upper left pixel of the patch."""

    patch: NDArray[np.uint8]  # RGBA, (h, w, 4), premultiplied by alpha
    x: int
    y: int


class Compositions:
    """A `SceneSource` of 3 to 16 objects on a background with sides from 128 to 512 px.

    The mask of an object contains the pixels of which at least half (128/255) shows the object, after the objects in
    front of it. An object that is mostly hidden has no mask. Crops and backgrounds are decoded into the user's cache on
    first use, which takes minutes for ten thousand of them.

    Args:
        crop_folders: Folders of crops (see `objascale.scenes.things.load_crops`) and their shares of the crops.
        background_paths: Photographs and environment maps (see `objascale.scenes.backgrounds.load_backgrounds`).
        seed: Seed of the scenes.
        silhouettes: Fraction of objects that are random silhouettes with a background's texture. They teach that
            anything with an outline can be an object.
        exclusions: These objects, maps and photographs are left out.

    Raises:
        DatasetError: There are no crops or backgrounds, or they cannot be read.
    """

    def __init__(
        self,
        crop_folders: Mapping[Path, int],
        background_paths: Sequence[Path],
        seed: int,
        silhouettes: float = 0.25,
        exclusions: Exclusions = NO_EXCLUSIONS,
    ) -> None:
        if not crop_folders:
            raise DatasetError("a composition needs crops; objascale crops makes them")
        self.crops = [load_crops(folder, exclusions) for folder in crop_folders]
        self.backgrounds = load_backgrounds(background_paths, exclusions)
        self._origin = (tuple(crop_folders), tuple(background_paths), exclusions)
        self.shares = np.cumsum(list(crop_folders.values())) / sum(crop_folders.values())
        self.seed, self.silhouettes = seed, silhouettes

    def scene(self, position: int) -> Scene:
        """Compose the scene at a position. Raises SceneError if no object is visible in any of _MAX_DRAWS draws."""
        rng = np.random.default_rng((self.seed, position))
        name = f"composition {position} of seed {self.seed}"
        for _ in range(_MAX_DRAWS):
            background = self._background(rng)
            layers = [self._layer(background, rng) for _ in range(rng.integers(*_NUM_OBJECTS, endpoint=True))]
            image, masks = paste_layers(background, [layer for layer in layers if layer is not None])
            if masks:
                return Scene(add_camera_effects(image, rng), masks, name)
        raise SceneError(f"{name} has no visible object")

    def contents(self) -> Contents:
        """Return the objects and backgrounds."""
        folders, paths, exclusions = self._origin
        found = background_contents(paths, exclusions)
        for folder in folders:
            found |= crop_contents(folder, exclusions)
        return found

    def _background(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Draw a piece of a background with other colours; one in ten is out of focus."""
        low, high = _SIDE_RANGE
        longer = math.exp(rng.uniform(math.log(low * _MAX_ASPECT), math.log(high)))
        shorter = longer / rng.uniform(1, _MAX_ASPECT)
        width, height = (round(each) for each in ((longer, shorter) if rng.uniform() < 0.5 else (shorter, longer)))
        piece = self._piece(width, height, rng)
        gains = rng.uniform(0.7, 1.3) * rng.uniform(0.92, 1.08, 3)
        piece = np.asarray(cv2.transform(piece, np.diag(gains)), np.uint8)
        if rng.uniform() < 0.1:
            piece = np.asarray(cv2.GaussianBlur(piece, (0, 0), rng.uniform(1, 4)), np.uint8)
        return piece

    def _piece(self, width: int, height: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Draw a (height, width, 3) piece of a background at a random scale, mirrored or not."""
        image = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        max_factor = min(image.shape[0] / height, image.shape[1] / width)
        factor = min(math.exp(rng.uniform(math.log(0.5), math.log(2))), max_factor)
        rows, columns = max(int(height * factor), 1), max(int(width * factor), 1)
        y, x = (int(rng.integers(room + 1)) for room in (image.shape[0] - rows, image.shape[1] - columns))
        piece = image[y : y + rows, x : x + columns]
        interpolation = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
        resized = np.asarray(cv2.resize(piece, (width, height), interpolation=interpolation), np.uint8)
        return resized[:, ::-1] if rng.uniform() < 0.5 else resized

    def _layer(self, background: NDArray[np.uint8], rng: np.random.Generator) -> Layer | None:
        """Place a random object on a background; None if it is outside.

        One object in five has a part with another texture. Two in five have about the colour of their background.
        """
        height, width = background.shape[:2]
        area = math.exp(rng.uniform(math.log(_MIN_AREA), math.log(_MAX_AREA_SHARE * width * height)))
        is_silhouette = rng.uniform() < self.silhouettes
        source, scale = self._silhouette(area, rng) if is_silhouette else self._crop(area, rng)
        rows, columns = source.shape[:2]
        if min(rows, columns) >= _MIN_SIDE_WITH_PART and rng.uniform() < 0.2:
            source = add_part(source, self._piece(columns, rows, rng), rng)
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        colour = background[int(y), int(x)] / 255 if rng.uniform() < 0.4 else None
        turn = draw_turn(rng)
        stretch, shear = math.exp(rng.normal(0, 0.08)), rng.normal(0, 0.06)
        mirror = 1 if rng.uniform() < 0.5 else -1
        sine, cosine = math.sin(turn), math.cos(turn)
        matrix = scale * np.array(((cosine, -sine), (sine, cosine))) @ ((mirror * stretch, shear), (0, 1 / stretch))
        return place_layer(_recolour(source, colour, rng), matrix, x, y, width, height)

    def _crop(self, area: float, rng: np.random.Generator) -> tuple[NDArray[np.uint8], float]:
        """Draw a crop; return it with the scale at which it covers `area` px, at most _MAX_SCALE.

        One crop in three comes from a coarser pyramid level than needed, so it is soft.
        """
        folder = self.crops[int(np.searchsorted(self.shares, rng.uniform(), side="right"))]
        first = PYRAMID_LEVELS * int(rng.integers(len(folder) // PYRAMID_LEVELS))
        full_area = 16.0 * cv2.sumElems(folder[first + 2])[3] / 255  # level 2 has 1/16 of the pixels
        scale = min(math.sqrt(area / max(full_area, 1)), _MAX_SCALE)
        level = math.floor(-math.log2(scale)) + int(rng.choice((0, 1, 2), p=(0.67, 0.2, 0.13)))
        level = min(max(level, 0), PYRAMID_LEVELS - 1)
        return folder[first + level], scale * 2**level

    def _silhouette(self, area: float, rng: np.random.Generator) -> tuple[NDArray[np.uint8], float]:
        """Draw a silhouette; return it with the scale at which it covers `area` px."""
        # a silhouette covers about a third of its square
        side = min(max(round(1.7 * math.sqrt(area)), 16), _MAX_SILHOUETTE_SIDE)
        drawn = draw_silhouette(self._piece(side, side, rng), rng)
        return drawn, math.sqrt(area / max(cv2.sumElems(drawn)[3] / 255, 1))


def draw_turn(rng: np.random.Generator) -> float:
    """Draw an angle in radians. Most are nearly upright, as in photographs; 15 % have any orientation."""
    return rng.uniform(-math.pi, math.pi) if rng.uniform() < 0.15 else rng.normal(0, 0.15)


def place_layer(
    source: NDArray[np.uint8], matrix: NDArray[np.float64], x: float, y: float, width: int, height: int
) -> Layer | None:
    """Transform an object by a 2×2 matrix and centre it at (x, y) of a `width`×`height` image; None if it is outside.

    `source` is uint8, (h, w, channels) or (h, w); RGBA is premultiplied by alpha. Coordinates are px with pixel centres
    at +½.
    """
    rows, columns = source.shape[:2]
    reach = np.abs(matrix) @ ((columns + 1) / 2, (rows + 1) / 2)
    x0, y0 = max(math.floor(x - reach[0]), 0), max(math.floor(y - reach[1]), 0)
    x1, y1 = min(math.ceil(x + reach[0]), width), min(math.ceil(y + reach[1]), height)
    if x0 >= x1 or y0 >= y1:
        return None
    # in OpenCV, pixel centres are integers
    shift = np.array((x - x0, y - y0)) - 0.5 - matrix @ ((columns - 1) / 2, (rows - 1) / 2)
    patch = cv2.warpAffine(source, np.column_stack((matrix, shift)), (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    return Layer(np.asarray(patch, np.uint8), x0, y0)


def paste_layers(background: NDArray[np.uint8], layers: Sequence[Layer]) -> tuple[NDArray[np.uint8], list[RegionMask]]:
    """Paste layers on a background, the nearest first; return the image and the masks of visible layers."""
    height, width = background.shape[:2]
    light = np.zeros((height, width, 3), np.float32)  # sum of the layers so far
    transmittance = np.ones((height, width), np.float32)  # share that comes from behind them
    masks = []
    for layer in layers:
        visible = np.zeros(layer.patch.shape[:2], bool)
        area, visible_area = _add_layer(light, transmittance, layer.patch, layer.x, layer.y, visible)
        if visible_area >= max(MIN_VISIBLE_AREA, MIN_VISIBLE_SHARE * area):
            masks.append(RegionMask(layer.x, layer.y, visible, width, height).tight())
    image = np.empty_like(background)
    _add_background(light, transmittance, background, image)
    return image, masks


def _recolour(
    source: NDArray[np.uint8], colour: NDArray[np.float64] | None, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Change brightness, contrast, saturation and tint of an object; shift its mean towards `colour` (R, G, B in 0…1).

    The change is a linear map of premultiplied (R, G, B, alpha), so soft edges stay correct.
    """
    matrix = np.zeros((4, 4))
    matrix[:3] = draw_colours(rng)
    matrix[3, 3] = 1
    if colour is not None:
        matrix[:3, :3] *= rng.uniform(0.2, 1)
        *light, alpha = cv2.sumElems(source)
        mean = matrix[:3] @ (*np.array(light) / max(alpha, 1), 1)
        matrix[:3, 3] += rng.uniform(0.5, 1) * (colour - mean)
    return np.asarray(cv2.transform(source, matrix), np.uint8)


@njit(cache=True, nogil=True)
def _add_layer(
    light: NDArray[np.float32],
    transmittance: NDArray[np.float32],
    patch: NDArray[np.uint8],
    x: int,
    y: int,
    visible: NDArray[np.bool_],
) -> tuple[int, int]:
    """Add a layer behind the others; return its area and its visible area in px."""
    area = visible_area = 0
    for row in range(patch.shape[0]):
        for column in range(patch.shape[1]):
            alpha = patch[row, column, 3]
            if alpha == 0:
                continue
            share = transmittance[y + row, x + column]
            for channel in range(3):  # recolouring can make a premultiplied colour larger than its alpha
                light[y + row, x + column, channel] += share * min(patch[row, column, channel], alpha)
            transmittance[y + row, x + column] = share * (1 - alpha / np.float32(255))
            area += alpha >= MASK_ALPHA
            if share * alpha >= MASK_ALPHA:
                visible[row, column] = True
                visible_area += 1
    return area, visible_area


@njit(cache=True, nogil=True)
def _add_background(
    light: NDArray[np.float32],
    transmittance: NDArray[np.float32],
    background: NDArray[np.uint8],
    image: NDArray[np.uint8],
) -> None:
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            for channel in range(3):
                behind = transmittance[row, column] * background[row, column, channel]
                image[row, column, channel] = np.uint8(light[row, column, channel] + behind + np.float32(0.5))
