"""Ground truth → prompts that are fair to every model.

`matched` gives each model its own kind, as the paper does: a box or the mask's Gaussian. A Gaussian tells more than a
box, so any other source lets every model know the same, in whatever form the model takes:

box       the mask's tight box. A Gaussian is its inscribed ellipse's.
gaussian  the mask's mean and covariance. A box is that of the 2σ ellipse.
point     a point in the object and the object's area. A Gaussian is the disc's of that area about the point, a box the
          disc's. Only a model that takes nothing but points is not told the area.

Noise moves and stretches the plane about the object, along x and y, and takes mask, box and point with it, so that
every kind of prompt is wrong by the same.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from baselines.segmenter import Prompt, PromptKind
from flip.gaussian import Gaussian
from objascale.masks import RegionMask

PromptSource = Literal["matched", "box", "gaussian", "point"]
SOURCES: tuple[PromptSource, ...] = get_args(PromptSource)


class PromptError(ValueError):
    """A mask from which no prompt can be made."""


@dataclass(frozen=True)
class PromptSettings:
    """Where prompts come from and how wrong they are.

    `noise` ν: the box's edges are displaced by about ν times the box's side (standard deviation). The same `seed` gives
    an object the same displacement for every model, and at another ν the same in another size.
    """

    source: PromptSource = "matched"
    noise: float = 0.0
    seed: int = 0


def settings_hash(model: dict[str, Any], prompt: PromptSettings) -> str:
    """Twelve hex digits over what decides a mask besides weights and image: the model's and the prompt's settings."""
    told = {"source": prompt.source, "noise": prompt.noise, "seed": prompt.seed}
    text = json.dumps({"model": model, "prompt": told}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def make_prompt(truth: RegionMask, accepts: tuple[PromptKind, ...], settings: PromptSettings, object_id: str) -> Prompt:
    """The prompt for one object, of the model's first kind in `accepts`. Raises PromptError for an empty mask."""
    if truth.box is None:
        raise PromptError("the ground-truth mask is empty, so there is nothing to prompt for")
    kind = accepts[0]
    moved = _Displacement.of(truth, settings, object_id)
    source = settings.source if settings.source != "matched" else kind
    if source == "box":
        box = moved.box(truth.box)
        return Prompt("box", box=box) if kind == "box" else _of_gaussian(kind, Gaussian.from_box(box), truth)
    if source == "gaussian":
        mean, covariance = truth.moments()
        return _of_gaussian(kind, Gaussian.from_moments(moved.point(mean), moved.covariance(covariance)), truth)
    x, y = moved.point(np.array(inner_point(truth)))
    radius = math.sqrt(truth.area / math.pi) * moved.growth
    return _of_gaussian(kind, Gaussian.from_ellipse(x, y, radius, radius, 0.0), truth)


def inner_point(mask: RegionMask) -> tuple[float, float]:
    """The middle of the pixel of `mask` that is farthest from everything that is not mask (x, y), the first of several.

    Interactive segmentation clicks there. Outside the frame counts as not mask.
    """
    distance = cv2.distanceTransform(np.pad(mask.data, 1).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    row, column = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(mask.x + column - 1) + 0.5, float(mask.y + row - 1) + 0.5


def _of_gaussian(kind: PromptKind, gaussian: Gaussian, truth: RegionMask) -> Prompt:
    """A Gaussian as a prompt of this kind."""
    if kind == "gaussian":
        return Prompt("gaussian", gaussian=gaussian)
    if kind == "point":
        return Prompt("point", point=(gaussian.x, gaussian.y))
    return Prompt("box", box=_within(gaussian.box(), truth.width, truth.height))


@dataclass(frozen=True)
class _Displacement:
    """x ↦ middle + shift + scale · (x − middle), along each axis."""

    middle: NDArray[np.float64]
    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    frame: tuple[int, int]

    @classmethod
    def of(cls, truth: RegionMask, settings: PromptSettings, object_id: str) -> _Displacement:
        x0, y0, x1, y1 = truth.box or (0, 0, 0, 0)
        words = np.frombuffer(hashlib.sha256(object_id.encode()).digest(), np.uint32)
        shift, stretch = np.random.default_rng((settings.seed, *words.tolist())).standard_normal((2, 2))
        # Edges displaced independently by ν move the middle by ν/√2 and change the length by √2·ν.
        return cls(
            np.array((x0 + x1, y0 + y1)) / 2,
            shift * settings.noise / math.sqrt(2) * (x1 - x0, y1 - y0),
            np.exp(stretch * settings.noise * math.sqrt(2)),
            (truth.width, truth.height),
        )

    @property
    def growth(self) -> float:
        """By how much lengths grow, both axes taken together."""
        return float(np.sqrt(self.scale.prod()))

    def point(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        return point + (self.shift + (self.scale - 1) * (point - self.middle))  # without noise, the very same number

    def box(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        (x0, y0), (x1, y1) = self.point(np.array(box[:2])), self.point(np.array(box[2:]))
        return _within((float(x0), float(y0), float(x1), float(y1)), *self.frame)

    def covariance(self, covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        return covariance * np.outer(self.scale, self.scale)


def _within(box: tuple[float, float, float, float], width: int, height: int) -> tuple[float, float, float, float]:
    """What of a box lies in the frame, all of it if nothing does: that no model finds anything there is its answer."""
    x0, y0, x1, y1 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else box
