"""Baselines without the image: fill the prompted box, or the prompted Gaussian's 2σ ellipse."""

from __future__ import annotations

import math

import numpy as np

from baselines.model import Model
from baselines.segmenter import ModelCard, Prompt, PromptKind
from flip.images import ImageLike, as_rgb
from flip.stopwatch import Stopwatch
from flip.training_data import NOTHING
from objascale.masks import Box, RegionMask

BOX = Model(
    name="box",
    family="prompt alone",
    parameters=None,
    prompts=("box",),
    licence="GPL-3.0-or-later",
    load=lambda files, options: BoxFill(),
    training=NOTHING,
)

ELLIPSE = Model(
    name="ellipse",
    family="prompt alone",
    parameters=None,
    prompts=("gaussian",),
    licence="GPL-3.0-or-later",
    load=lambda files, options: EllipseFill(),
    training=NOTHING,
)


class PromptOutside(ValueError):
    """A box has no area inside the image."""


def box_pixels(box: tuple[float, float, float, float], width: int, height: int) -> Box:
    """Round a box to whole pixels.

    Args:
        box: xyxy pixel edges.
        width: The image's width in pixels.
        height: The image's height in pixels.

    Returns:
        The xyxy edges of the pixels whose centres lie in the box. A box between two pixel centres becomes the pixel
        that holds the box's centre.

    Raises:
        PromptOutside: The box has no area inside the image.
    """
    x0, y0, x1, y1 = box
    if not (x0 < x1 and y0 < y1 and x0 < width and y0 < height and x1 > 0 and y1 > 0):
        raise PromptOutside(f"the box {box} has no area inside the {width}×{height} image; prompts are xyxy pixels")
    left, right = _span(x0, x1, width)
    top, bottom = _span(y0, y1, height)
    return left, top, right, bottom


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    low, high = max(low, 0.0), min(high, float(size))
    first, end = math.ceil(low - 0.5), math.ceil(high - 0.5)
    if first < end:
        return first, end
    middle = min(int((low + high) / 2), size - 1)
    return middle, middle + 1


class _PromptFill:
    """A segmenter that needs only the image's size."""

    def __init__(self) -> None:
        self.stopwatch = Stopwatch()
        self._size = (0, 0)

    def set_image(self, image: ImageLike) -> None:
        """Keep the size of an image, which `flip.images.as_rgb` converts."""
        image = as_rgb(image)
        self._size = (image.shape[1], image.shape[0])


class BoxFill(_PromptFill):
    """Fills the prompted box."""

    accepts: tuple[PromptKind, ...] = ("box",)

    def predict(self, prompt: Prompt) -> RegionMask:
        """Return the filled box. Raises PromptOutside for a box outside the image."""
        assert prompt.box is not None
        with self.stopwatch("post"):
            x0, y0, x1, y1 = box_pixels(prompt.box, *self._size)
            return RegionMask(x0, y0, np.ones((y1 - y0, x1 - x0), bool), *self._size)

    def describe(self) -> ModelCard:
        """Return the model card."""
        return ModelCard("box", "prompt alone", None)


class EllipseFill(_PromptFill):
    """Fills the 2σ ellipse of the prompted Gaussian. The prompt of a filled ellipse gives that ellipse back."""

    accepts: tuple[PromptKind, ...] = ("gaussian",)
    sigmas = 2.0

    def predict(self, prompt: Prompt) -> RegionMask:
        """Return the filled ellipse, at least the pixel that holds its centre."""
        assert prompt.gaussian is not None
        with self.stopwatch("post"):
            return prompt.gaussian.ellipse_mask(*self._size, sigmas=self.sigmas)

    def describe(self) -> ModelCard:
        """Return the model card."""
        return ModelCard("ellipse", "prompt alone", None, settings={"sigmas": self.sigmas})
