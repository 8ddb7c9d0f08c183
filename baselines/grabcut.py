"""GrabCut (Rother, Kolmogorov, Blake, SIGGRAPH 2004) by OpenCV: colour models and graph cuts, without training.

It runs on a crop around the box, so a 30 px object costs the same in an 8192² image as in a small one. A crop longer
than `working_side` is shrunk to it first, and the mask is enlarged to the image's resolution.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from baselines.model import Model
from baselines.segmenter import ModelCard, Prompt, PromptKind
from baselines.trivial import box_pixels
from flip.images import ImageLike, as_rgb
from flip.stopwatch import Stopwatch
from flip.training_data import NOTHING
from objascale.masks import RegionMask

GRABCUT = Model(
    name="grabcut",
    family="GrabCut",
    parameters=None,
    prompts=("box",),
    licence="Apache-2.0 (OpenCV)",
    load=lambda files, options: GrabCut(),
    training=NOTHING,
)


class GrabCut:
    """GrabCut behind the `Segmenter` protocol. Pixels of the crop outside the box are known background.

    The crop is the box, extended on each side by `margin` times the box's side plus `padding`.

    Args:
        iterations: Iterations of GrabCut. 5 is the value of OpenCV's tutorial.
        margin: Fraction of the box's side.
        padding: Pixels; a small box still gets enough background.
        working_side: Longest side of the crop in pixels. It bounds the time per prompt.
    """

    accepts: tuple[PromptKind, ...] = ("box",)

    def __init__(self, *, iterations: int = 5, margin: float = 0.25, padding: int = 10, working_side: int = 512):
        self.iterations, self.margin, self.padding, self.working_side = iterations, margin, padding, working_side
        self.stopwatch = Stopwatch()
        self._image: NDArray[np.uint8] = np.zeros((0, 0, 3), np.uint8)

    def set_image(self, image: ImageLike) -> None:
        """Set the image, which `flip.images.as_rgb` converts."""
        self._image = as_rgb(image)

    def predict(self, prompt: Prompt) -> RegionMask:
        """Return the mask for a box; it lies inside the box. Raises PromptOutside for a box outside the image."""
        assert prompt.box is not None
        height, width = self._image.shape[:2]
        with self.stopwatch("pre"):
            x0, y0, x1, y1 = box_pixels(prompt.box, width, height)
            grow_x, grow_y = (math.ceil(side * self.margin) + self.padding for side in (x1 - x0, y1 - y0))
            left, top = max(x0 - grow_x, 0), max(y0 - grow_y, 0)
            crop = self._image[top : min(y1 + grow_y, height), left : min(x1 + grow_x, width)]
            native = (crop.shape[1], crop.shape[0])
            shrink = min(1.0, self.working_side / max(native))
            size = tuple(max(round(side * shrink), 1) for side in native)
            small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA) if shrink < 1 else np.ascontiguousarray(crop)
            scale_x, scale_y = size[0] / native[0], size[1] / native[1]
            bx0, bx1 = _shrunk(x0 - left, x1 - left, scale_x)
            by0, by1 = _shrunk(y0 - top, y1 - top, scale_y)
        with self.stopwatch("model"):
            labels = np.full(small.shape[:2], cv2.GC_BGD, np.uint8)
            labels[by0:by1, bx0:bx1] = cv2.GC_PR_FGD
            if (labels == cv2.GC_BGD).any():  # a box of the whole image leaves no background
                cv2.setRNGSeed(0)  # k-means starts the colour models from random centres
                models = np.zeros((1, 65)), np.zeros((1, 65))
                cv2.grabCut(small, labels, (0, 0, 0, 0), *models, self.iterations, cv2.GC_INIT_WITH_MASK)
        with self.stopwatch("post"):
            foreground = 255 * (labels & 1)  # GC_FGD and GC_PR_FGD are the odd labels
            large = cv2.resize(foreground, native, interpolation=cv2.INTER_LINEAR) if shrink < 1 else foreground
            inside = large[y0 - top : y1 - top, x0 - left : x1 - left] > 127
            return RegionMask(x0, y0, inside, width, height)

    def describe(self) -> ModelCard:
        """Return the model card."""
        names = ("iterations", "margin", "padding", "working_side")
        settings = {name: getattr(self, name) for name in names}
        return ModelCard("grabcut", "GrabCut", None, settings={**settings, "opencv": cv2.__version__})


def _shrunk(low: int, high: int, scale: float) -> tuple[int, int]:
    """Return an interval of pixels after shrinking, at least one pixel long."""
    first = math.floor(low * scale)
    return first, max(math.ceil(high * scale), first + 1)
