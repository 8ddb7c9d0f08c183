"""The prompt: a 2-D Gaussian that says where an object is, how large, and how it is turned.

All numbers are pixels of the image, pixel centres at +½, y pointing down. The moments are taken in pixels, so the
Gaussian of a shape does not depend on the shape of the picture around it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from objascale.masks import RegionMask

UNIT = 128.0  # pixels to one unit of the released networks' coordinates


class GaussianError(ValueError):
    """Numbers that describe no Gaussian."""


@dataclass(frozen=True)
class Gaussian:
    """Mean (x, y) and standard deviations `sigma1` ≤ `sigma2` in pixels along two axes at right angles.

    Axis 1 (minor) points along (a, −b), axis 2 (major) along (b, a); a² + b² = 1 and b ≥ 0, so that one shape has one
    description. Raises GaussianError if a number breaks these rules or is not finite.
    """

    x: float
    y: float
    sigma1: float
    sigma2: float
    a: float
    b: float

    def __post_init__(self) -> None:
        numbers = (self.x, self.y, self.sigma1, self.sigma2, self.a, self.b)
        if not all(map(math.isfinite, numbers)):
            raise GaussianError(f"a Gaussian needs finite numbers, not {numbers}")
        if not 0 < self.sigma1 <= self.sigma2:
            raise GaussianError(f"standard deviations must be 0 < sigma1 ≤ sigma2, not {self.sigma1}, {self.sigma2}")
        if self.b < 0 or abs(math.hypot(self.a, self.b) - 1) > 1e-6:
            raise GaussianError(f"the axis (a, b) must have length 1 and b ≥ 0, not ({self.a}, {self.b})")

    # ---- making one

    @classmethod
    def from_moments(cls, mean: ArrayLike, covariance: ArrayLike) -> Gaussian:
        """From mean (2,) in pixels and covariance (2, 2) in pixels². Raises GaussianError unless positive definite."""
        x, y = (float(v) for v in np.asarray(mean, np.float64))
        (vxx, vxy), (_, vyy) = np.asarray(covariance, np.float64).tolist()
        middle, radius = (vxx + vyy) / 2, math.hypot((vxx - vyy) / 2, vxy)
        if not middle - radius > 0:
            raise GaussianError(f"the covariance [[{vxx}, {vxy}], [{vxy}, {vyy}]] px² is not positive definite")
        angle = 0.5 * math.atan2(2 * vxy, vxx - vyy)  # of the major axis; within ±90°, so its cosine b is ≥ 0
        return cls(x, y, math.sqrt(middle - radius), math.sqrt(middle + radius), math.sin(angle), math.cos(angle))

    @classmethod
    def from_axes(cls, mean: ArrayLike, axes: ArrayLike) -> Gaussian:
        """From mean (2,) and a matrix (2, 2) whose product with its transpose is the covariance.

        Exact also for a Gaussian so thin that its covariance is singular in floating point. Raises GaussianError if
        the axes themselves are linearly dependent.
        """
        matrix = np.asarray(axes, np.float64)
        x, y = (float(v) for v in np.asarray(mean, np.float64))
        (vxx, vxy), (_, vyy) = (matrix @ matrix.T).tolist()
        (p, q), (r, s) = matrix.tolist()
        sigma2 = math.sqrt((vxx + vyy) / 2 + math.hypot((vxx - vyy) / 2, vxy))
        if sigma2 == 0:
            raise GaussianError("axes without length make no Gaussian")
        angle = 0.5 * math.atan2(2 * vxy, vxx - vyy)
        return cls(x, y, min(abs(p * s - q * r) / sigma2, sigma2), sigma2, math.sin(angle), math.cos(angle))

    @classmethod
    def from_mask(cls, mask: RegionMask) -> Gaussian:
        """The Gaussian of the mask's mean and covariance, pixels being unit squares (paper, section 3.1).

        Raises MaskError for an empty mask.
        """
        return cls.from_moments(*mask.moments())

    @classmethod
    def from_box(cls, box: tuple[float, float, float, float]) -> Gaussian:
        """What a box (xyxy pixel edges) tells: its inscribed ellipse as the 2σ ellipse, σ a quarter of each side.

        Raises GaussianError for a box without area.
        """
        x0, y0, x1, y1 = box
        if not (x1 > x0 and y1 > y0):
            raise GaussianError(f"the box {box} has no area; give x0, y0, x1, y1 with x0 < x1 and y0 < y1")
        return cls.from_ellipse((x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2, 0.0)

    @classmethod
    def from_ellipse(cls, x: float, y: float, semi1: float, semi2: float, angle: float) -> Gaussian:
        """The Gaussian of a filled ellipse: σ is half a semi-axis.

        `semi1` (pixels) lies along (cos angle, sin angle), `semi2` at a right angle to it; either may be the longer.
        `angle` is in radians and, as y points down, turns clockwise on the screen. Raises GaussianError for a
        semi-axis that is not positive.
        """
        if not math.isfinite(angle):
            raise GaussianError(f"an ellipse is turned by a finite angle, not by {angle}")
        if not (semi1 > 0 and semi2 > 0):
            raise GaussianError(f"an ellipse needs positive semi-axes, not {semi1} and {semi2}")
        turn = angle if semi1 >= semi2 else angle + math.pi / 2
        a, b = math.sin(turn), math.cos(turn)
        sign = -1.0 if b < 0 else 1.0
        return cls(float(x), float(y), min(semi1, semi2) / 2, max(semi1, semi2) / 2, sign * a, sign * b)

    @classmethod
    def from_point(cls, x: float, y: float, scale: float) -> Gaussian:
        """A round Gaussian of standard deviation `scale` pixels about a point, for an object of unknown shape.

        A quarter of the object's size is a good scale. Raises GaussianError for one that is not positive.
        """
        if not scale > 0:
            raise GaussianError(f"a point needs a positive scale, a quarter of the object's size, not {scale:g}")
        return cls(float(x), float(y), float(scale), float(scale), 0.0, 1.0)

    @classmethod
    def from_released_moments(cls, moments: ArrayLike, width: int, height: int) -> Gaussian:
        """The Gaussian whose `released` numbers are those of the authors' loader, from `released_moments` (5,).

        To the last digits, if `released` is told `math.inf`. It repeats their evaluation with its mistakes: a symmetric
        shape that stands upright is turned by 90°, and one without extent along an axis gets a deviation of 1e-8
        half-widths there.
        """
        x, y, vx, vy, vxy = np.asarray(moments, np.float32)
        half, tiny = np.float32(0.5), np.float32(1e-16)
        difference, slant = vx - vy, vxy + vxy
        t = np.sqrt(max(difference * difference + slant * slant, tiny))
        minor = np.sqrt(max((vx + vy) * half - t * half, tiny))
        major = np.sqrt(max((vx + vy) * half + t * half, tiny))
        a = float(slant / max(difference + t, tiny))
        length = math.hypot(a, 1)
        squeezed = cls(float(x), float(y), float(minor), float(major), a / length, 1 / length)
        scale = _square_scale(np.array((width, height), np.float64))
        return cls.from_axes((squeezed.mean + 1) / scale + 0.5, squeezed.axes() / scale[:, None])

    # ---- other forms

    def perturbed(self, rng: np.random.Generator) -> Gaussian:
        """A copy moved, turned and stretched at random, as prompts are in training (paper, section 4; amounts as in
        the authors' loader).

        With φ = σ1/(18·σ2): the mean moves by N(0, σ/10) along each axis, the axes turn by up to 2π·φ (20° for a round
        one), each deviation changes by a tenth of itself times a normal number, at most by 30 %, and then goes 1 − e^−φ
        of the way to √(σ1² + σ2²), as what is turned covers more. `rng` is advanced.
        """
        sigmas = np.array((self.sigma1, self.sigma2))
        shift = self.axes() @ (rng.standard_normal(2) / 10)
        phi = self.sigma1 / self.sigma2 / 18
        turn = rng.uniform(-1, 1) * 2 * math.pi * phi
        sigmas *= 1 + np.clip(rng.standard_normal(2) / 10, -0.3, 0.3)
        sigmas += (1 - math.exp(-phi)) * (math.hypot(*sigmas) - sigmas)
        c, s = math.cos(turn), math.sin(turn)
        directions = np.array(((c, -s), (s, c))) @ ((self.a, self.b), (-self.b, self.a))
        return Gaussian.from_axes(self.mean + shift, directions * sigmas)

    def shrunk(self, factor: float) -> Gaussian:
        """The same in an image that is `factor` times smaller."""
        f = factor
        return Gaussian(self.x / f, self.y / f, self.sigma1 / f, self.sigma2 / f, self.a, self.b)

    @property
    def mean(self) -> NDArray[np.float64]:
        """(x, y) in pixels, shape (2,)."""
        return np.array((self.x, self.y))

    def axes(self) -> NDArray[np.float64]:
        """Columns: axis 1 and axis 2, each as long as its standard deviation in pixels, shape (2, 2)."""
        return np.array(((self.a, self.b), (-self.b, self.a))) * (self.sigma1, self.sigma2)

    def covariance(self) -> NDArray[np.float64]:
        """2×2 covariance of x and y in pixels²."""
        axes = np.array(((self.a, self.b), (-self.b, self.a)))
        return (axes * (self.sigma1**2, self.sigma2**2)) @ axes.T

    def released(self, width: int, height: int, longest: float = 1.5) -> NDArray[np.float32]:
        """What the authors' released networks take: (x, y, σ1, σ2, a, b), shape (6,), one unit being 128 px.

        Their origin is the middle of the `width`×`height` image. They were trained on numbers found in a picture that
        is squeezed to the square −1…1, first pixel centre to last, and stretched again by half the width along axis 1
        and half the height along axis 2, wherever these point. An object that is wide within a picture that is not
        square so gets other deviations, and a mean gets up to one pixel more than where a patch at the same spot is
        said to be. The networks know nothing else: on 887 COCO objects FLIP-Tiny's mean IoU is 0.782 with these numbers
        and 0.765 with true positions and lengths. (Patches are drawn by the true ones, which makes no difference.)

        In long pictures these deviations lead the networks astray, so one more than `longest` times as long as it is
        wide counts as just so long where σ is concerned; docs/flip.md has the numbers. `math.inf` is what the authors
        do.
        """
        size = np.array((width, height), np.float64)
        shape = np.minimum(size, longest * size.min())
        mean = (self.mean - 0.5) * _square_scale(size) - 1
        squeezed = Gaussian.from_axes(mean, self.axes() * _square_scale(shape)[:, None])
        sigmas = np.array((squeezed.sigma1, squeezed.sigma2))
        lengths = np.concatenate((mean * size, sigmas * shape)) / (2 * UNIT)
        return np.array((*lengths, squeezed.a, squeezed.b), np.float32)

    def box(self, sigmas: float = 2.0) -> tuple[float, float, float, float]:
        """The tight box (xyxy pixel edges) of the ellipse of `sigmas` standard deviations; it may leave the frame."""
        (vxx, _), (_, vyy) = self.covariance().tolist()
        reach_x, reach_y = sigmas * math.sqrt(vxx), sigmas * math.sqrt(vyy)
        return self.x - reach_x, self.y - reach_y, self.x + reach_x, self.y + reach_y

    def ellipse_mask(self, width: int, height: int, sigmas: float = 2.0) -> RegionMask:
        """The pixels of a `width`×`height` frame whose centre lies within `sigmas` standard deviations of the mean.

        An ellipse too thin to hold a pixel centre becomes the one pixel that its own centre is in. What lies outside
        the frame is cut off. Twice the standard deviations of a filled ellipse give that ellipse back.
        """
        (_, vxy), (_, vyy) = self.covariance().tolist()
        left, top, right, bottom = self.box(sigmas)
        x0, x1 = (int(np.clip(v, 0, width)) for v in (math.floor(left), math.ceil(right)))
        y0, y1 = (int(np.clip(v, 0, height)) for v in (math.floor(top), math.ceil(bottom)))
        dy = np.arange(y0, y1)[:, None] + 0.5 - self.y
        # A row cuts the ellipse in one interval: the Gaussian's conditional mean and deviation of x given y.
        inside = sigmas**2 - dy**2 / vyy
        half = np.where(inside >= 0, np.sqrt(np.abs(inside)) * self.sigma1 * self.sigma2 / math.sqrt(vyy), -1.0)
        dx = np.arange(x0, x1)[None, :] + 0.5 - self.x
        middle = dy * (vxy / vyy)
        mask = RegionMask(x0, y0, (dx >= middle - half) & (dx <= middle + half), width, height).tight()
        if mask.area == 0 and 0 <= self.x < width and 0 <= self.y < height:
            return RegionMask(int(self.x), int(self.y), np.ones((1, 1), bool), width, height)
        return mask


def released_moments(mask: RegionMask) -> NDArray[np.float32]:
    """What the authors' data sets say of a mask: mean x, y, variances of x, y, covariance, shape (5,).

    In the picture squeezed to the square −1…1, first pixel centre to last, pixels being points. These are the
    `positions` of their HDF5 files. Raises MaskError for an empty mask.
    """
    mean, covariance = mask.moments()
    scale = _square_scale(np.array((mask.width, mask.height), np.float64))
    x, y = (mean - 0.5) * scale - 1
    (vx, vxy), (_, vy) = (covariance - np.eye(2) / 12) * np.outer(scale, scale)
    return np.array((x, y, vx, vy, vxy), np.float32)


def _square_scale(size: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a pixel is long and high in a picture of width and height `size` squeezed to −1…1, (2,)."""
    return 2 / np.maximum(size - 1, 1)
