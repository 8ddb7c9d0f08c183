"""The `@crop` variants: a model that encodes images at a fixed size gets a square crop around each prompt.

SAM loses small objects of large images when it shrinks the image to its input. In a crop the object is large. The cost
is one encoding per prompt instead of one per image.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from baselines.segmenter import ModelCard, Prompt, PromptKind, Segmenter
from baselines.trivial import box_pixels
from flip.finite import NotFinite
from flip.images import ImageLike, as_rgb
from flip.stopwatch import Stopwatch
from objascale.masks import Box, RegionMask, as_region_mask

DEFAULT_CROP = 2.0
"""Side of the crop in longest sides of the box: the object is large, and half of the crop's width is context."""


KINDS_WITH_EXTENT: tuple[PromptKind, ...] = ("box", "gaussian")


class NoExtent(ValueError):
    """A prompt has no extent, so there is no crop around it."""


class Cropped:
    """A segmenter on a square crop around each prompt. It accepts no points and clicks, which have no extent.

    Args:
        segmenter: The model that gets the crop as its image.
        crop: Side of the crop in longest sides of the prompt's box, at least 1.
    """

    def __init__(self, segmenter: Segmenter, crop: float = DEFAULT_CROP) -> None:
        self.segmenter, self.crop = segmenter, crop
        self.accepts: tuple[PromptKind, ...] = tuple(kind for kind in segmenter.accepts if kind in KINDS_WITH_EXTENT)
        self._image: NDArray[np.uint8] = np.zeros((0, 0, 3), np.uint8)

    @property
    def stopwatch(self) -> Stopwatch:
        """The inner model's stopwatch. In `predict` it also measures cropping and encoding."""
        return self.segmenter.stopwatch

    @property
    def fallbacks(self) -> list[bool]:
        """The inner model's, see `baselines.hf.segmenter.HfSam`; empty for most models."""
        return getattr(self.segmenter, "fallbacks", [])

    def set_image(self, image: ImageLike) -> None:
        """Set the image, which `flip.images.as_rgb` converts."""
        self._image = as_rgb(image)

    def predict(self, prompt: Prompt) -> RegionMask:
        """Return the inner model's mask in the frame of the whole image.

        Raises:
            NoExtent: The prompt is a point or clicks.
            PromptOutside: The prompt's box has no area inside the image.
        """
        height, width = self._image.shape[:2]
        with self.stopwatch("pre"):
            x0, y0, x1, y1 = crop_square(prompt_box(prompt), self.crop, width, height)
            cut = np.ascontiguousarray(self._image[y0:y1, x0:x1])
            moved = _moved(prompt, -x0, -y0)
        try:
            self.segmenter.set_image(cut)
            predicted = self.segmenter.predict(moved)
        except NotFinite:  # this message has the inner model's name, and coordinates of the crop
            raise NotFinite(self.describe().name, prompt) from None
        mask = as_region_mask(predicted, x1 - x0, y1 - y0, f"{type(self.segmenter).__name__}.predict")
        return RegionMask(mask.x + x0, mask.y + y0, mask.data, width, height)

    def describe(self) -> ModelCard:
        """Return the inner model's card with the crop in its name and settings."""
        card = self.segmenter.describe()
        return replace(card, name=f"{card.name}{crop_suffix(self.crop)}", settings={**card.settings, "crop": self.crop})


def crop_suffix(crop: float) -> str:
    """Return the suffix of a model's name: @crop, or @crop=3."""
    return "@crop" if crop == DEFAULT_CROP else f"@crop={crop:g}"


def prompt_box(prompt: Prompt) -> tuple[float, float, float, float]:
    """Return the box of a prompt (xyxy pixel edges). A Gaussian's is that of its 2σ ellipse. Raises NoExtent."""
    if prompt.box is not None:
        return prompt.box
    if prompt.gaussian is None:
        raise NoExtent(
            "points and clicks have no extent, so no crop can be cut out around them; prompt with a box or a gaussian"
        )
    return prompt.gaussian.box()


def crop_square(box: tuple[float, float, float, float], crop: float, width: int, height: int) -> Box:
    """Return the square of whole pixels around a box.

    A square that leaves the image is shifted back. Along an axis that is too short it covers the whole axis.

    Args:
        box: xyxy pixel edges.
        crop: Side of the square in longest sides of the box, at least 1.
        width: The image's width in pixels.
        height: The image's height in pixels.

    Raises:
        PromptOutside: The box has no area inside the image.
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
