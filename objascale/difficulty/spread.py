"""Blur: the point spread of a lens, and the line that motion draws."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

_GAUSSIAN_REACH = 3.0  # standard deviations; the Gaussian beyond has 0.3 % of the weight
_MIN_SIGMA, _MIN_LENGTH = 0.3, 1.0  # px; the standard deviation of a line is its length / √12
_POINTS_PER_PX = 8  # along a line; a choice
_MIN_COARSE_SIGMA = 3.0  # px; a step differs by 1.2 % at most
_COARSE_VARIANCE = 1.0  # px²; the mean of four pixels has 1/4, bilinear interpolation between such means 3/4
_MAX_DIRECT_SIDE = 11  # px; OpenCV convolves larger kernels by Fourier transforms, which is slow for lines
_SAMPLES_PER_BLOCK = 2048  # of a row; they stay in the processor's cache


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
        """Distance, px, beyond which a pixel has no influence. It is even, see `apply`."""
        if self.sigma >= _MIN_COARSE_SIGMA:
            gaussian = 2 * _taps(self._coarse_sigma) + 2
        else:
            gaussian = _taps(self.sigma)
        reach = gaussian + math.ceil(self.length / 2)
        return reach + reach % 2

    def apply(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Spread every pixel of an image, H×W or H×W×C. Pixels outside the image equal the nearest ones inside.

        A wide Gaussian is applied to an image of half the size. Parts of a picture therefore join without a seam if
        they begin at even rows.
        """
        if self.sigma >= _MIN_COARSE_SIGMA:
            image = self._blur_coarsely(image)
        elif self.sigma > 0:
            image = _blur(image, self.sigma)
        if self.length > 0:
            image = _convolve(image, line_kernel(self.length, self.angle))
        return image

    @property
    def _coarse_sigma(self) -> float:
        return math.sqrt(self.sigma**2 - _COARSE_VARIANCE) / 2

    def _blur_coarsely(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        h, w = image.shape[:2]
        even = cv2.copyMakeBorder(image, 0, h % 2, 0, w % 2, cv2.BORDER_REPLICATE)
        half = cv2.resize(even, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        half = _blur(np.asarray(half, np.float32), self._coarse_sigma)
        whole = cv2.resize(half, (w + w % 2, h + h % 2), interpolation=cv2.INTER_LINEAR)
        return np.asarray(whole[:h, :w], np.float32)


def _taps(sigma: float) -> int:
    """Return the number of pixels on either side that a Gaussian covers."""
    return math.ceil(_GAUSSIAN_REACH * sigma)


def _blur(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    size = 2 * _taps(sigma) + 1
    return np.asarray(cv2.GaussianBlur(image, (size, size), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def _convolve(image: NDArray[np.float32], kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convolve with a square kernel, most of which is 0."""
    if len(kernel) <= _MAX_DIRECT_SIDE:
        return np.asarray(cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)
    reach = len(kernel) // 2
    padded = np.asarray(cv2.copyMakeBorder(image, reach, reach, reach, reach, cv2.BORDER_REPLICATE), np.float32)
    down, right = np.nonzero(kernel)
    channels = math.prod(image.shape[2:])
    out = np.zeros((len(image), image.shape[1] * channels), np.float32)
    _add_taps(padded.reshape(len(padded), -1), down, right * channels, kernel[down, right], out)
    return out.reshape(image.shape)


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _add_taps(
    padded: NDArray[np.float32],
    down: NDArray[np.int64],
    right: NDArray[np.int64],
    weights: NDArray[np.float32],
    out: NDArray[np.float32],
) -> None:
    for y in range(out.shape[0]):
        for begin in range(0, out.shape[1], _SAMPLES_PER_BLOCK):
            block = out[y, begin : begin + _SAMPLES_PER_BLOCK]
            for tap in range(len(weights)):
                source = padded[y + down[tap], begin + right[tap] : begin + right[tap] + len(block)]
                weight = weights[tap]
                for x in range(len(block)):
                    block[x] += weight * source[x]


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
