"""Blur: the point spread of a lens, and the line that motion draws."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_GAUSSIAN_REACH = 3.0  # standard deviations; the Gaussian beyond has 0.3 % of the weight
_MIN_SIGMA, _MIN_LENGTH = 0.3, 1.0  # px; the standard deviation of a line is its length / √12
_POINTS_PER_PX = 8  # along a line; a choice


@dataclass(frozen=True)
class Spread:
    """A point spread: a Gaussian, followed by a uniform line through its centre.

    Attributes:
        sigma: Standard deviation of the Gaussian, px.
        length: Length of the line, px.
        angle: Direction of the line, radians.
    """

    sigma: float = 0.0
    length: float = 0.0
    angle: float = 0.0

    @classmethod
    def visible(cls, sigma: float, length: float, angle: float) -> Spread:
        """Return a spread without the parts that the pixel filter hides: σ below 0.3 px, and lines below 1 px."""
        return cls(sigma if sigma >= _MIN_SIGMA else 0.0, length if length >= _MIN_LENGTH else 0.0, angle)

    @property
    def reach(self) -> int:
        """Distance, px, beyond which a pixel has no influence."""
        return math.ceil(_GAUSSIAN_REACH * self.sigma) + math.ceil(self.length / 2)

    def apply(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Spread every pixel of an image, H×W or H×W×C. Pixels outside the image equal the nearest ones inside."""
        if self.sigma > 0:
            taps = 2 * math.ceil(_GAUSSIAN_REACH * self.sigma) + 1
            blurred = cv2.GaussianBlur(image, (taps, taps), self.sigma, borderType=cv2.BORDER_REPLICATE)
            image = np.asarray(blurred, np.float32)
        if self.length > 0:
            kernel = line_kernel(self.length, self.angle)
            image = np.asarray(cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)
        return image


def line_kernel(length: float, angle: float) -> NDArray[np.float32]:
    """Return the weights of a line through the centre of a square, bilinear between pixels. They sum to 1.

    Args:
        length: Length of the line, px.
        angle: Its direction, radians from the x axis towards the y axis.
    """
    reach = math.ceil(length / 2)
    count = max(2, math.ceil(length * _POINTS_PER_PX))
    along = ((np.arange(count) + 0.5) / count - 0.5) * length
    kernel = np.zeros((2 * reach + 3, 2 * reach + 3))
    x, y = reach + 1 + along * math.cos(angle), reach + 1 + along * math.sin(angle)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for dx in (0, 1):
        for dy in (0, 1):
            weight = np.abs(1 - dx - (x - left)) * np.abs(1 - dy - (y - top))
            np.add.at(kernel, (top + dy, left + dx), weight)
    return (kernel[1:-1, 1:-1] / kernel.sum()).astype(np.float32)
