"""Prompts from true masks.

The source `matched` gives each model its own kind of prompt, as the paper does: the mask's tight box or its Gaussian. A
Gaussian holds more information than a box. Every other source gives all models the same information, converted to the
kind that the model accepts:

box       The mask's tight box. For a Gaussian, the ellipse inscribed in the box.
gaussian  The mask's mean and covariance. For a box, the box of the 2σ ellipse.
point     A point in the object and the object's area. For a Gaussian, the disc of that area around the point; for a
          box, the disc's box. Models that accept only points do not get the area.

Noise translates and scales the plane around the object along x and y. All kinds of prompts move with it, so they have
the same error.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from baselines.segmenter import Click, Prompt, PromptKind
from bench.choices import PromptSource
from flip.gaussian import Gaussian
from objascale.masks import RegionMask


class PromptError(ValueError):
    """The mask gives no prompt: it is empty, or the model does not accept the kind."""


@dataclass(frozen=True)
class PromptSettings:
    """Source and noise of prompts.

    Attributes:
        source: See the module. The protocol "clicks" starts with a click in the object, and "worst" with the matched
            prompt.
        noise: Standard deviation of the displacement of a box edge, as a fraction of the side of the box.
        seed: Seed of the noise. The same seed gives an object the same displacement for every model. Another noise
            level scales this displacement.
        detections: The file of boxes of the source "detector".
        detections_sha256: SHA-256 of that file.
    """

    source: PromptSource = "matched"
    noise: float = 0.0
    seed: int = 0
    detections: Path | None = None
    detections_sha256: str = ""

    def describe(self) -> dict[str, Any]:
        """Return the content of run.json: everything but the noise and the path."""
        about = {"source": self.source, "seed": self.seed}
        return about | ({"detections_sha256": self.detections_sha256} if self.detections_sha256 else {})


def settings_hash(model: dict[str, Any], prompt: PromptSettings) -> str:
    """Return a hash of 12 hexadecimal digits of the settings that a predicted mask depends on.

    Args:
        model: Settings of the model, `ModelCard.settings`.
        prompt: Settings of the prompt.
    """
    settings = {"noise": prompt.noise, **prompt.describe()}
    text = json.dumps({"model": model, "prompt": settings}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def make_prompt(truth: RegionMask, accepts: tuple[PromptKind, ...], settings: PromptSettings, object_id: str) -> Prompt:
    """Make the prompt for one object.

    Args:
        truth: The true mask.
        accepts: Kinds of prompts that the model accepts. The first is used.
        settings: Source and noise.
        object_id: Id of the object, which determines the noise together with the seed.

    Returns:
        A prompt in pixel coordinates: x to the right, y down, the top left corner of the image at (0, 0), so pixel
        (column, row) covers [column, column + 1) × [row, row + 1).

    Raises:
        PromptError: The mask is empty, or the source is "clicks" and the model does not accept clicks.

    Example:
        >>> truth = RegionMask(x=2, y=3, data=np.ones((4, 6), bool), width=10, height=10)
        >>> make_prompt(truth, ("box",), PromptSettings(), object_id="7").box
        (2.0, 3.0, 8.0, 7.0)
    """
    if truth.box is None:
        raise PromptError("the true mask is empty, so no prompt can be made")
    if settings.source == "clicks":
        if "clicks" not in accepts:
            raise PromptError(f"the model accepts prompts of the kinds {', '.join(accepts)}, and no clicks")
        return Prompt("clicks", clicks=(Click(*inner_point(truth)),))
    kind = accepts[0]
    size = truth.width, truth.height
    moved = _Displacement.of(truth, settings, object_id)
    source = settings.source if settings.source not in ("matched", "worst") else kind
    if source == "box":
        box = moved.box(truth.box)
        return prompt_of_box(box, accepts, size)
    if source == "gaussian":
        mean, covariance = truth.moments()
        return prompt_of_gaussian(Gaussian.from_moments(moved.point(mean), moved.covariance(covariance)), (kind,), size)
    x, y = moved.point(np.array(inner_point(truth)))
    radius = math.sqrt(truth.area / math.pi) * moved.growth
    return prompt_of_gaussian(Gaussian.from_ellipse(x, y, radius, radius, 0.0), (kind,), size)


def prompt_of_box(
    box: tuple[float, float, float, float], accepts: tuple[PromptKind, ...], size: tuple[int, int]
) -> Prompt:
    """Convert a box to a prompt of the first kind in `accepts`.

    Args:
        box: Edges x0, y0, x1, y1 in px. What leaves the image is cut off.
        accepts: Kinds of prompts that the model accepts.
        size: Width and height of the image.
    """
    box = _within(box, *size)
    return Prompt("box", box=box) if accepts[0] == "box" else prompt_of_gaussian(Gaussian.from_box(box), accepts, size)


def prompt_of_gaussian(gaussian: Gaussian, accepts: tuple[PromptKind, ...], size: tuple[int, int]) -> Prompt:
    """Convert a Gaussian to a prompt of the first kind in `accepts`.

    Args:
        gaussian: The Gaussian. Its box is that of the 2σ ellipse, cut at the edges of the image.
        accepts: Kinds of prompts that the model accepts.
        size: Width and height of the image.
    """
    kind = accepts[0]
    if kind == "gaussian":
        return Prompt("gaussian", gaussian=gaussian)
    if kind == "point":
        return Prompt("point", point=(gaussian.x, gaussian.y))
    return Prompt("box", box=_within(gaussian.box(), *size))


def inner_point(mask: RegionMask) -> tuple[float, float]:
    """Return the centre (x, y) of the pixel of the mask that is farthest from any pixel outside it.

    Interactive segmentation simulates clicks there. Pixels outside the frame are outside the mask. Of several such
    pixels, the first in row order is taken.
    """
    distance = distance_inside(mask.data)
    row, column = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(mask.x + column) + 0.5, float(mask.y + row) + 0.5


def distance_inside(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return each pixel's distance to the nearest pixel outside the mask, px. Outside the array is outside the mask."""
    padded = np.pad(mask, 1).view(np.uint8)
    distance: NDArray[np.float32] = np.asarray(
        cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE), np.float32
    )
    return distance[1:-1, 1:-1]


@dataclass(frozen=True)
class _Displacement:
    """The map x ↦ middle + shift + scale · (x − middle) along each axis."""

    middle: NDArray[np.float64]
    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    frame: tuple[int, int]

    @classmethod
    def of(cls, truth: RegionMask, settings: PromptSettings, object_id: str) -> _Displacement:
        x0, y0, x1, y1 = truth.box or (0, 0, 0, 0)
        words = np.frombuffer(hashlib.sha256(object_id.encode()).digest(), np.uint32)
        shift, stretch = np.random.default_rng((settings.seed, *words.tolist())).standard_normal((2, 2))
        # If each edge moves independently by ν, the middle moves by ν/√2 and the length changes by √2·ν.
        return cls(
            np.array((x0 + x1, y0 + y1)) / 2,
            shift * settings.noise / math.sqrt(2) * (x1 - x0, y1 - y0),
            np.exp(stretch * settings.noise * math.sqrt(2)),
            (truth.width, truth.height),
        )

    @property
    def growth(self) -> float:
        """Geometric mean of the scales."""
        return float(np.sqrt(self.scale.prod()))

    def point(self, point: NDArray[np.float64]) -> NDArray[np.float64]:
        return point + (self.shift + (self.scale - 1) * (point - self.middle))  # exact without noise

    def box(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        (x0, y0), (x1, y1) = self.point(np.array(box[:2])), self.point(np.array(box[2:]))
        return _within((float(x0), float(y0), float(x1), float(y1)), *self.frame)

    def covariance(self, covariance: NDArray[np.float64]) -> NDArray[np.float64]:
        return covariance * np.outer(self.scale, self.scale)


def _within(box: tuple[float, float, float, float], width: int, height: int) -> tuple[float, float, float, float]:
    """Clip to the frame; a box fully outside is returned unchanged."""
    x0, y0, x1, y1 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else box
