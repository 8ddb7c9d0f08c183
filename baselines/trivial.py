"""What the prompt alone is worth: its box filled, or its Gaussian's 2σ ellipse filled. Nothing looks at the image."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from baselines.segmenter import ModelCard, Prompt, PromptKind
from flip.prompts import check_image
from flip.stopwatch import Stopwatch
from objascale.masks import Box, RegionMask


class PromptOutside(ValueError):
    """A box that has no area inside the image."""


def box_pixels(box: tuple[float, float, float, float], width: int, height: int) -> Box:
    """The pixels of a `width`×`height` frame whose centres lie in `box` (xyxy pixel edges), as xyxy edges again.

    A box between two pixel centres becomes the one pixel that its own centre is in. Raises PromptOutside if the box
    has no area or lies outside the frame.
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


class BoxFill:
    """Every pixel of the prompted box."""

    accepts: tuple[PromptKind, ...] = ("box",)

    def __init__(self) -> None:
        self.stopwatch = Stopwatch()
        self._size = (0, 0)

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Remember the size of `image` (H×W×3)."""
        check_image(image)
        self._size = (image.shape[1], image.shape[0])

    def predict(self, prompt: Prompt) -> RegionMask:
        """The box, filled. Raises PromptOutside if it misses the image."""
        assert prompt.box is not None
        with self.stopwatch("post"):
            x0, y0, x1, y1 = box_pixels(prompt.box, *self._size)
            return RegionMask(x0, y0, np.ones((y1 - y0, x1 - x0), bool), *self._size)

    def describe(self) -> ModelCard:
        """A method without parameters."""
        return ModelCard("box", "prompt alone", None)


class EllipseFill:
    """Every pixel inside the prompted Gaussian's 2σ ellipse, which gives a filled ellipse back exactly."""

    accepts: tuple[PromptKind, ...] = ("gaussian",)
    sigmas = 2.0

    def __init__(self) -> None:
        self.stopwatch = Stopwatch()
        self._size = (0, 0)

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Remember the size of `image` (H×W×3)."""
        check_image(image)
        self._size = (image.shape[1], image.shape[0])

    def predict(self, prompt: Prompt) -> RegionMask:
        """The ellipse, filled; at least the pixel that its centre is in."""
        assert prompt.gaussian is not None
        with self.stopwatch("post"):
            return prompt.gaussian.ellipse_mask(*self._size, sigmas=self.sigmas)

    def describe(self) -> ModelCard:
        """A method without parameters."""
        return ModelCard("ellipse", "prompt alone", None, settings={"sigmas": self.sigmas})
