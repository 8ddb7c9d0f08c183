"""Any model that encodes a picture at a fixed size, shown a square around the prompt in place of the whole picture.

What SAM loses on small objects in large pictures, it loses where the picture is shrunk to its input. Here the model
sees the object large. The price is one encoding a prompt instead of one a picture.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from baselines.segmenter import ModelCard, Prompt, PromptKind, Segmenter
from baselines.trivial import box_pixels
from flip.finite import NotFinite
from flip.prompts import check_image
from flip.stopwatch import Stopwatch
from objascale.masks import Box, RegionMask, as_region_mask

CROP = 2.0


class NoExtent(ValueError):
    """A prompt that does not say how large its object is."""


class Cropped:
    """`segmenter` on a square around the prompt, `crop` times as long as the longest side of the prompt's box."""

    def __init__(self, segmenter: Segmenter, crop: float = CROP) -> None:
        """Points are no longer accepted, as they have no size."""
        self.segmenter, self.crop = segmenter, crop
        self.accepts: tuple[PromptKind, ...] = tuple(kind for kind in segmenter.accepts if kind != "point")
        self._image: NDArray[np.uint8] = np.zeros((0, 0, 3), np.uint8)

    @property
    def stopwatch(self) -> Stopwatch:
        """The inner model's; in `predict` it counts the cutting and the encoding as well."""
        return self.segmenter.stopwatch

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Remember `image` (H×W×3 RGB); it is not copied."""
        check_image(image)
        self._image = image

    def predict(self, prompt: Prompt) -> RegionMask:
        """The inner model's mask, at its place in the whole frame.

        Raises NoExtent for a point, PromptOutside for one that misses the image, and what the inner model raises.
        """
        height, width = self._image.shape[:2]
        with self.stopwatch("pre"):
            x0, y0, x1, y1 = square(prompt_box(prompt), self.crop, width, height)
            cut = np.ascontiguousarray(self._image[y0:y1, x0:x1])
            moved = _moved(prompt, -x0, -y0)
        try:
            self.segmenter.set_image(cut)
            predicted = self.segmenter.predict(moved)
        except NotFinite:  # its sentence has the inner model's name, and numbers within the square
            raise NotFinite(self.describe().name, prompt) from None
        mask = as_region_mask(predicted, x1 - x0, y1 - y0, f"{type(self.segmenter).__name__}.predict")
        return RegionMask(mask.x + x0, mask.y + y0, mask.data, width, height)

    def describe(self) -> ModelCard:
        """The inner model's card, with the crop among the settings."""
        card = self.segmenter.describe()
        return replace(card, name=f"{card.name}{suffix(self.crop)}", settings={**card.settings, "crop": self.crop})


def suffix(crop: float) -> str:
    """What a model's name gets: @crop, or @crop=3."""
    return "@crop" if crop == CROP else f"@crop={crop:g}"


def prompt_box(prompt: Prompt) -> tuple[float, float, float, float]:
    """A box (xyxy pixel edges) as it is, or the box of a Gaussian's 2σ ellipse. Raises NoExtent for a point."""
    if prompt.box is not None:
        return prompt.box
    if prompt.gaussian is None:
        raise NoExtent("a point does not tell how large its object is, so nothing can be cut out around it")
    return prompt.gaussian.box()


def square(box: tuple[float, float, float, float], crop: float, width: int, height: int) -> Box:
    """A square of whole pixels about the middle of `box`, `crop` (at least 1) times its longest side long.

    Where it leaves the frame it is shifted back; along an axis that is too short for it, it is the whole axis. Raises
    PromptOutside if the box has no area in the frame.
    """
    x0, y0, x1, y1 = box_pixels(box, width, height)
    side = math.ceil(crop * max(x1 - x0, y1 - y0))
    left, right = _span((x0 + x1) / 2, side, width)
    top, bottom = _span((y0 + y1) / 2, side, height)
    return left, top, right, bottom


def _span(middle: float, side: int, size: int) -> tuple[int, int]:
    side = min(side, size)
    first = min(max(math.floor(middle - side / 2 + 0.5), 0), size - side)
    return first, first + side


def _moved(prompt: Prompt, x: int, y: int) -> Prompt:
    if prompt.box is not None:
        x0, y0, x1, y1 = prompt.box
        return replace(prompt, box=(x0 + x, y0 + y, x1 + x, y1 + y))
    assert prompt.gaussian is not None
    return replace(prompt, gaussian=replace(prompt.gaussian, x=prompt.gaussian.x + x, y=prompt.gaussian.y + y))
