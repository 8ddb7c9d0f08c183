"""Prompts: masks, boxes, points, ellipses and Gaussians, all of which become Gaussians."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flip.gaussian import Gaussian
from objascale.masks import RegionMask

PromptLike = RegionMask | Gaussian | NDArray[Any] | Sequence[float]
"""A mask (RegionMask or array H×W), a Gaussian, or a box (four numbers, xyxy pixel edges)."""


class PredictorError(ValueError):
    """An invalid argument of a predictor, or a call without an image."""


def one_prompt(
    mask: RegionMask | NDArray[Any] | None,
    box: ArrayLike | None,
    gaussian: Gaussian | None,
    point: ArrayLike | None,
    ellipse: ArrayLike | None,
) -> PromptLike:
    """Return the one prompt that is given; `FlipPredictor.predict` describes the arguments. Raises PredictorError."""
    given: list[PromptLike] = [] if gaussian is None else [gaussian]
    if mask is not None:
        given.append(_region(mask))
    if box is not None:
        given.append(_numbers("box", box, "x0, y0, x1, y1"))
    if point is not None:
        given.append(Gaussian.from_point(*_numbers("point", point, "x, y, scale")))
    if ellipse is not None:
        x, y, semi1, semi2, degrees = _numbers("ellipse", ellipse, "x, y, semi1, semi2, degrees")
        given.append(Gaussian.from_ellipse(x, y, semi1, semi2, degrees))
    if len(given) != 1:
        raise PredictorError("predict takes exactly one of mask, box, gaussian, point and ellipse")
    return given[0]


def as_gaussian(prompt: PromptLike, width: int, height: int) -> Gaussian:
    """Return a prompt as a Gaussian. A box that sticks out of the image is cut at its edges.

    Args:
        prompt: The prompt.
        width: Width of the image in pixels.
        height: Height of the image in pixels.

    Raises:
        PredictorError: A mask has another size than the image, or a box has not four numbers.
        GaussianError: A box has no area.
        MaskError: A mask is empty.
    """
    if isinstance(prompt, Gaussian):
        return prompt
    if isinstance(prompt, RegionMask) or np.ndim(prompt) > 1:
        mask = _region(prompt)
        if (mask.width, mask.height) != (width, height):
            raise PredictorError(
                f"mask must have the size of the image, {width}×{height}, not {mask.width}×{mask.height}"
            )
        return Gaussian.from_mask(mask)
    x0, y0, x1, y1 = box = _numbers("box", prompt, "x0, y0, x1, y1")
    whole = Gaussian.from_box(box)
    if max(x0, 0) >= min(x1, width) or max(y0, 0) >= min(y1, height):
        return whole  # outside the image, where no patch fits
    return Gaussian.from_box((max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)))


def _numbers(argument: str, value: ArrayLike, names: str) -> tuple[float, ...]:
    numbers = np.asarray(value, np.float64)
    if numbers.shape != (len(names.split(",")),):
        raise PredictorError(f"{argument} must be ({names}), not {value!r}")
    return tuple(numbers.tolist())


def _region(mask: RegionMask | ArrayLike) -> RegionMask:
    if isinstance(mask, RegionMask):
        return mask
    array = np.asarray(mask)
    if array.ndim != 2:
        raise PredictorError(f"mask must be an array H×W, not of shape {array.shape}")
    return RegionMask.from_full(array)
