"""Random changes of annotated pictures, so that a model does not learn a few pictures by heart.

All ranges are choices of this project, as those of `objascale.scenes.compositions`.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.masks import RegionMask
from objascale.scenes import Contents, ListedSource, Scene, SceneError
from objascale.scenes.camera import add_camera_effects, draw_colours
from objascale.scenes.compositions import MASK_ALPHA, MIN_VISIBLE_AREA, MIN_VISIBLE_SHARE, draw_turn, place_layer
from objascale.scenes.shrink import resize

_MIN_SCALE = 0.35  # of the picture's sides
_MAX_DRAWS = 4  # of a frame that shows no object


class AugmentedSource:
    """A `SceneSource` of another source's pictures, of which a share is changed at random.

    Args:
        source: The other source.
        share: Fraction of the scenes that `augment` changes.
        seed: Seed of the changes. Each epoch has others.
    """

    def __init__(self, source: ListedSource, share: float, seed: int) -> None:
        self.source, self.share, self.seed = source, share, seed

    def contents(self) -> Contents:
        """Return the contents of the source."""
        return self.source.contents()

    def scene(self, position: int) -> Scene:
        """Return the scene at a position. Raises SceneError if it cannot be used."""
        scene = self.source.scene(position)
        rng = np.random.default_rng((self.seed, 1, position))
        return augment(scene, rng) if rng.uniform() < self.share else scene


def augment(scene: Scene, rng: np.random.Generator) -> Scene:
    """Shrink, stretch, turn, mirror and recolour a scene, and add a camera's effects to half of the scenes.

    A turned picture is cropped to the largest rectangle without a gap. A pixel belongs to an object that covers at
    least half of it. An object is dropped if less than 40 % of it is inside, or fewer than 8 px. A picture that would
    lose all objects is not turned.
    """
    scene = _turned(_shrunk(scene, rng), rng)
    colours = draw_colours(rng)
    colours[:, 3] *= 255
    image = np.asarray(cv2.transform(scene.image, colours), np.uint8)
    if rng.uniform() < 0.5:
        image = add_camera_effects(image, rng)
    return Scene(image, scene.masks, scene.name)


def _shrunk(scene: Scene, rng: np.random.Generator) -> Scene:
    """Resize half of the scenes by up to _MIN_SCALE, and stretch all of them a little."""
    height, width = scene.image.shape[:2]
    scale = math.exp(rng.uniform(math.log(_MIN_SCALE), 0)) if rng.uniform() < 0.5 else 1.0
    stretch = math.exp(rng.normal(0, 0.08))
    across, down = (min(scale * factor, 1) for factor in (stretch, 1 / stretch))
    try:
        return resize(scene, max(round(width * across), 1), max(round(height * down), 1))
    except SceneError:  # all objects are too small for it
        return scene


def _turned(scene: Scene, rng: np.random.Generator) -> Scene:
    """Turn and mirror a scene."""
    height, width = scene.image.shape[:2]
    for _ in range(_MAX_DRAWS):
        turn = draw_turn(rng)
        mirror = 1 if rng.uniform() < 0.5 else -1
        columns, rows = inscribed_rectangle(width, height, turn)
        sine, cosine = math.sin(turn), math.cos(turn)
        matrix = np.array(((cosine, -sine), (sine, cosine))) @ np.diag((mirror, 1))
        masks = [_placed(mask, matrix, columns, rows) for mask in scene.masks]
        kept = [
            mask
            for before, mask in zip(scene.masks, masks, strict=True)
            if mask.area >= max(MIN_VISIBLE_AREA, MIN_VISIBLE_SHARE * before.area)
        ]
        if kept and (placed := place_layer(scene.image, matrix, columns / 2, rows / 2, columns, rows)):
            return Scene(placed.patch, kept, scene.name)
    return scene


def _placed(mask: RegionMask, matrix: NDArray[np.float64], width: int, height: int) -> RegionMask:
    """Transform a mask about the centre of its frame, which becomes the centre of a `width`×`height` frame."""
    rows, columns = mask.data.shape
    offset = np.array((mask.x + (columns - mask.width) / 2, mask.y + (rows - mask.height) / 2))
    x, y = (matrix @ offset + (width / 2, height / 2)).tolist()
    layer = place_layer(np.where(mask.data, np.uint8(255), np.uint8(0)), matrix, x, y, width, height)
    if layer is None:
        return RegionMask.empty(width, height)
    return RegionMask(layer.x, layer.y, layer.patch >= MASK_ALPHA, width, height).tight()


def inscribed_rectangle(width: int, height: int, turn: float) -> tuple[int, int]:
    """Return width and height in px of the largest upright rectangle in a `width`×`height` one that is turned.

    Args:
        width: Width in px.
        height: Height in px.
        turn: Angle in radians.
    """
    sine, cosine = abs(math.sin(turn)), abs(math.cos(turn))
    longer, shorter = max(width, height), min(width, height)
    if shorter <= 2 * sine * cosine * longer or math.isclose(sine, cosine):
        half = shorter / 2  # two corners touch the longer sides
        sides = (half / sine, half / cosine) if width >= height else (half / cosine, half / sine)
    else:  # four corners touch the sides
        double = cosine**2 - sine**2
        sides = ((width * cosine - height * sine) / double, (height * cosine - width * sine) / double)
    return max(int(sides[0]), 1), max(int(sides[1]), 1)
