"""Scenes that are made: things pasted before a background, the nearest first, with exact masks."""

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
from objascale.scenes import Scene, SceneError
from objascale.scenes.backgrounds import backgrounds
from objascale.scenes.things import PYRAMID_LEVELS, crops, silhouette, add_part

_SIDES = 128, 512  # px
_LONGEST_ASPECT = 1.5
_THINGS = 3, 16
_SMALLEST, _LARGEST = 10, 0.7  # px, and share of the picture, that a thing would cover alone
_OPAQUE = 128  # of 255, the least share of a pixel that makes it the thing's
_LEAST_SEEN, _LEAST_SHARE = 8, 0.4  # px and share of its own that must be seen for a thing to have a mask
_DRAWS = 10
_ENLARGED = 2  # how many times a crop is, at the most
_WIDEST_SHAPE = 400  # px
_LEAST_WITH_PARTS = 16  # px of a thing's shorter side


@dataclass(frozen=True)
class Layer:
    """A thing where it stands: h×w×4 uint8, premultiply_alpha by alpha, its upper left pixel at (x, y) of the picture."""

    patch: NDArray[np.uint8]
    x: int
    y: int


class Compositions:
    """A SceneSource of scenes: 3 to 16 things before a background of 128 to 512 px a side.

    crop_folders: folders of crops (see `objascale.scenes.things.crops`), each with its share. background_paths:
    photographs and environment maps, see objascale.scenes.backgrounds. shapes: the share of things that are random
    silhouettes with backgrounds' textures instead of objects: whatever has an edge can be an object. A thing's mask are
    the pixels that show at least half (128/255) of it, once those before it have taken their share; one that is mostly
    hidden has none. The first time, crops and backgrounds are decoded into the user's cache, which takes minutes for
    ten thousand. Raises DatasetError.
    """

    def __init__(
        self, crop_folders: Mapping[Path, int], background_paths: Sequence[Path], seed: int, shapes: float = 0.25
    ) -> None:
        if not crop_folders:
            raise DatasetError("no crops were named; objascale crops makes them")
        self.crops, self.backgrounds = [crops(folder) for folder in crop_folders], backgrounds(background_paths)
        self.shares = np.cumsum(list(crop_folders.values())) / sum(crop_folders.values())
        self.seed, self.shapes = seed, shapes

    def scene(self, position: int) -> Scene:
        """The scene at a position. Raises SceneError if, against all odds, nothing is seen in it."""
        rng = np.random.default_rng((self.seed, position))
        name = f"composition {position} of seed {self.seed}"
        for _ in range(_DRAWS):
            background = self._background(rng)
            layers = [self._thing(background, rng) for _ in range(rng.integers(*_THINGS, endpoint=True))]
            image, masks = paste(background, [layer for layer in layers if layer is not None])
            if masks:
                return Scene(_photographed(image, rng), masks, name)
        raise SceneError(f"{name} shows nothing")

    def _background(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """A piece of a background, enlarged or shrunk, mirrored, with other colours; a tenth are out of focus."""
        low, high = _SIDES
        longer = math.exp(rng.uniform(math.log(low * _LONGEST_ASPECT), math.log(high)))
        shorter = longer / rng.uniform(1, _LONGEST_ASPECT)
        width, height = (round(each) for each in ((longer, shorter) if rng.uniform() < 0.5 else (shorter, longer)))
        piece = self._piece(width, height, rng)
        gains = rng.uniform(0.7, 1.3) * rng.uniform(0.92, 1.08, 3)
        piece = np.asarray(cv2.transform(piece, np.diag(gains)), np.uint8)
        if rng.uniform() < 0.1:
            piece = np.asarray(cv2.GaussianBlur(piece, (0, 0), rng.uniform(1, 4)), np.uint8)
        return piece

    def _piece(self, width: int, height: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """height×width×3 of a background at a random scale, mirrored or not."""
        picture = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        most = min(picture.shape[0] / height, picture.shape[1] / width)
        factor = min(math.exp(rng.uniform(math.log(0.5), math.log(2))), most)
        rows, columns = max(int(height * factor), 1), max(int(width * factor), 1)
        y, x = (int(rng.integers(room + 1)) for room in (picture.shape[0] - rows, picture.shape[1] - columns))
        piece = picture[y : y + rows, x : x + columns]
        how = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
        resized = np.asarray(cv2.resize(piece, (width, height), interpolation=how), np.uint8)
        return resized[:, ::-1] if rng.uniform() < 0.5 else resized

    def _thing(self, background: NDArray[np.uint8], rng: np.random.Generator) -> Layer | None:
        """A thing somewhere before a background, None if it is all outside.

        One in five has a part of another texture, and two in five are about as bright and coloured as what is behind.
        """
        height, width = background.shape[:2]
        area = math.exp(rng.uniform(math.log(_SMALLEST), math.log(_LARGEST * width * height)))
        source, scale = self._shape(area, rng) if rng.uniform() < self.shapes else self._crop(area, rng)
        rows, columns = source.shape[:2]
        if min(rows, columns) >= _LEAST_WITH_PARTS and rng.uniform() < 0.2:
            source = add_part(source, self._piece(columns, rows, rng), rng)
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        alike = background[int(y), int(x)] / 255 if rng.uniform() < 0.4 else None
        turn = rng.uniform(-math.pi, math.pi) if rng.uniform() < 0.15 else rng.normal(0, 0.15)
        stretch, shear = math.exp(rng.normal(0, 0.08)), rng.normal(0, 0.06)
        mirror = 1 if rng.uniform() < 0.5 else -1
        sine, cosine = math.sin(turn), math.cos(turn)
        matrix = scale * np.array(((cosine, -sine), (sine, cosine))) @ ((mirror * stretch, shear), (0, 1 / stretch))
        return place(_coloured(source, alike, rng), matrix, x, y, width, height)

    def _crop(self, area: float, rng: np.random.Generator) -> tuple[NDArray[np.uint8], float]:
        """A crop, and the scale at which it covers that area, or less if it would have to be enlarged too much for
        that. It is sharp, or one in three is soft."""
        folder = self.crops[int(np.searchsorted(self.shares, rng.uniform(), side="right"))]
        first = PYRAMID_LEVELS * int(rng.integers(len(folder) // PYRAMID_LEVELS))
        covered = 16.0 * cv2.sumElems(folder[first + 2])[3] / 255
        scale = min(math.sqrt(area / max(covered, 1)), _ENLARGED)
        level = math.floor(-math.log2(scale)) + int(rng.choice((0, 1, 2), p=(0.67, 0.2, 0.13)))
        level = min(max(level, 0), PYRAMID_LEVELS - 1)
        return folder[first + level], scale * 2**level

    def _shape(self, area: float, rng: np.random.Generator) -> tuple[NDArray[np.uint8], float]:
        """A silhouette, and the scale at which it covers that area."""
        side = min(max(round(1.7 * math.sqrt(area)), 16), _WIDEST_SHAPE)
        drawn = silhouette(self._piece(side, side, rng), rng)
        return drawn, math.sqrt(area / max(cv2.sumElems(drawn)[3] / 255, 1))


def place(
    source: NDArray[np.uint8], matrix: NDArray[np.float64], x: float, y: float, width: int, height: int
) -> Layer | None:
    """`source`, its middle at (x, y) of a width×height picture, through a 2×2 matrix; None if it is all outside."""
    rows, columns = source.shape[:2]
    reach = np.abs(matrix) @ ((columns + 1) / 2, (rows + 1) / 2)
    x0, y0 = max(math.floor(x - reach[0]), 0), max(math.floor(y - reach[1]), 0)
    x1, y1 = min(math.ceil(x + reach[0]), width), min(math.ceil(y + reach[1]), height)
    if x0 >= x1 or y0 >= y1:
        return None
    # OpenCV's pixels have their centres at whole numbers
    shift = np.array((x - x0, y - y0)) - 0.5 - matrix @ ((columns - 1) / 2, (rows - 1) / 2)
    patch = cv2.warpAffine(source, np.column_stack((matrix, shift)), (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    return Layer(np.asarray(patch, np.uint8), x0, y0)


def paste(background: NDArray[np.uint8], layers: Sequence[Layer]) -> tuple[NDArray[np.uint8], list[RegionMask]]:
    """Layers over a background (H×W×3), the nearest first; the picture, and the masks of those that show enough."""
    height, width = background.shape[:2]
    light = np.zeros((height, width, 3), np.float32)  # that has come from the layers so far
    through = np.ones((height, width), np.float32)  # the share that comes from behind them
    masks = []
    for layer in layers:
        visible = np.zeros(layer.patch.shape[:2], bool)
        own, seen = _add(light, through, layer.patch, layer.x, layer.y, visible)
        if seen >= max(_LEAST_SEEN, _LEAST_SHARE * own):
            masks.append(RegionMask(layer.x, layer.y, visible, width, height).tight())
    image = np.empty_like(background)
    _finish(light, through, background, image)
    return image, masks


def _coloured(
    source: NDArray[np.uint8], alike: NDArray[np.float64] | None, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """With other brightness, contrast, saturation and tint: a linear map of (R, G, B, alpha), so edges stay right.

    Where there is a colour (R, G, B of 0 to 1) to be `alike`, its mean comes near that.
    """
    saturation, contrast = rng.uniform(0.5, 1.3), rng.uniform(0.7, 1.3)
    gains = contrast * rng.uniform(0.75, 1.25) * rng.uniform(0.93, 1.07, 3)
    matrix = np.zeros((4, 4))
    matrix[:3, :3] = gains[:, None] * (saturation * np.eye(3) + (1 - saturation) / 3)
    matrix[:3, 3] = 0.5 * (1 - contrast) + rng.normal(0, 0.04)
    matrix[3, 3] = 1
    if alike is not None:
        matrix[:3, :3] *= rng.uniform(0.2, 1)
        *light, alpha = cv2.sumElems(source)
        mean = matrix[:3] @ (*np.array(light) / max(alpha, 1), 1)
        matrix[:3, 3] += rng.uniform(0.5, 1) * (alike - mean)
    return np.asarray(cv2.transform(source, matrix), np.uint8)


def _photographed(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """As a camera might have taken it: with other tones, dark, hazy, grey, a little soft, noisy, or compressed."""
    grey, soft, noisy, compressed = rng.uniform(size=4) < (0.1, 0.3, 0.3, 0.3)
    if grey:
        image = np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)
    gamma, contrast = math.exp(rng.normal(0, 0.3)), min(math.exp(rng.normal(-0.15, 0.4)), 1)
    tones = rng.uniform(0, 1 - contrast) + contrast * (np.arange(256) / 255) ** gamma
    image = np.asarray(cv2.LUT(image, np.rint(255 * tones).astype(np.uint8)), np.uint8)
    if soft:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), math.exp(rng.uniform(math.log(0.3), math.log(2)))), np.uint8)
    if noisy:
        _roughen(image, rng.integers(0, 256, image.size, dtype=np.uint8), math.exp(rng.uniform(0, math.log(16))))
    if compressed:
        _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 96))))
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return image


@njit(cache=True, nogil=True)
def _add(light, through, patch, x, y, visible):
    """Put a layer behind those before it. Returns the px that are its own, and those of them that are seen."""
    own = seen = 0
    for row in range(patch.shape[0]):
        for column in range(patch.shape[1]):
            alpha = patch[row, column, 3]
            if alpha == 0:
                continue
            share = through[y + row, x + column]
            for channel in range(3):  # a colour that is changed must not outshine its alpha
                light[y + row, x + column, channel] += share * min(patch[row, column, channel], alpha)
            through[y + row, x + column] = share * (1 - alpha / np.float32(255))
            own += alpha >= _OPAQUE
            if share * alpha >= _OPAQUE:
                visible[row, column] = True
                seen += 1
    return own, seen


@njit(cache=True, nogil=True)
def _finish(light, through, background, image):
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            for channel in range(3):
                behind = through[row, column] * background[row, column, channel]
                image[row, column, channel] = np.uint8(light[row, column, channel] + behind + np.float32(0.5))


@njit(cache=True, nogil=True)
def _roughen(image, noise, strength):
    """Add noise of about that deviation, from bytes."""
    flat = image.reshape(-1)
    for i in range(flat.size):
        value = flat[i] + (noise[i] - 127.5) * (strength / 74)
        flat[i] = np.uint8(min(max(value, 0), 255))
