"""The Gaussian prompt: where an object is, its size, and its orientation.

All numbers are in pixels. Pixel (column c, row r) covers [c, c+1) × [r, r+1), so its centre is (c + ½, r + ½), and y
points down. Moments are taken in pixels. The Gaussian of an object does not depend on the size of the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from objascale.masks import RegionMask

RELEASED_UNIT = 128.0  # pixels per unit of the released networks' coordinates


class GaussianError(ValueError):
    """Numbers that do not describe a Gaussian."""


@dataclass(frozen=True)
class Gaussian:
    """A 2-D Gaussian prompt.

    Axis 1 is the minor axis and points along (a, −b). Axis 2 is the major axis and points along (b, a). The convention
    a² + b² = 1 and b ≥ 0 gives each orientation one description.

        >>> gaussian = Gaussian.from_box((40, 60, 180, 100))
        >>> gaussian
        Gaussian(x=110.0, y=80.0, sigma1=10.0, sigma2=35.0, a=0.0, b=1.0)
        >>> gaussian.covariance()
        array([[1225.,    0.],
               [   0.,  100.]])
        >>> mask = gaussian.ellipse_mask(320, 240)
        >>> mask.box
        (40, 60, 180, 100)
        >>> round(Gaussian.from_mask(mask).sigma2, 1)
        35.0

    Args:
        x: Mean, in pixels from the left edge of the image.
        y: Mean, in pixels from the upper edge.
        sigma1: Standard deviation along axis 1, in pixels.
        sigma2: Standard deviation along axis 2, in pixels, at least `sigma1`.
        a: Sine of the angle of axis 2, from the positive x axis towards the positive y axis.
        b: Cosine of that angle.

    Raises:
        GaussianError: A number is not finite, or breaks these rules.
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

    # ---- constructors

    @classmethod
    def from_moments(cls, mean: ArrayLike, covariance: ArrayLike) -> Gaussian:
        """Return the Gaussian with this mean and covariance.

        Args:
            mean: (2,), x and y in pixels.
            covariance: (2, 2), in pixels².

        Raises:
            GaussianError: The covariance is not positive definite.
        """
        x, y = (float(v) for v in np.asarray(mean, np.float64))
        (vxx, vxy), (_, vyy) = np.asarray(covariance, np.float64).tolist()
        middle, radius = (vxx + vyy) / 2, math.hypot((vxx - vyy) / 2, vxy)
        if not middle - radius > 0:
            raise GaussianError(f"the covariance [[{vxx}, {vxy}], [{vxy}, {vyy}]] px² is not positive definite")
        angle = 0.5 * math.atan2(2 * vxy, vxx - vyy)  # of the major axis; within ±90°, so its cosine b is ≥ 0
        return cls(x, y, math.sqrt(middle - radius), math.sqrt(middle + radius), math.sin(angle), math.cos(angle))

    @classmethod
    def from_axes(cls, mean: ArrayLike, axes: ArrayLike) -> Gaussian:
        """Return the Gaussian with the covariance `axes @ axes.T`.

        It is exact even for a Gaussian so thin that its covariance is singular in floating point.

        Args:
            mean: (2,), x and y in pixels.
            axes: (2, 2), in pixels. The columns need not be orthogonal.

        Raises:
            GaussianError: The columns are linearly dependent.
        """
        matrix = np.asarray(axes, np.float64)
        x, y = (float(v) for v in np.asarray(mean, np.float64))
        (vxx, vxy), (_, vyy) = (matrix @ matrix.T).tolist()
        (p, q), (r, s) = matrix.tolist()
        sigma2 = math.sqrt((vxx + vyy) / 2 + math.hypot((vxx - vyy) / 2, vxy))
        if sigma2 == 0:
            raise GaussianError("the axes of a Gaussian must have a length above 0")
        angle = 0.5 * math.atan2(2 * vxy, vxx - vyy)
        return cls(x, y, min(abs(p * s - q * r) / sigma2, sigma2), sigma2, math.sin(angle), math.cos(angle))

    @classmethod
    def from_mask(cls, mask: RegionMask) -> Gaussian:
        """Return the Gaussian with the mean and covariance of a mask (paper, section 3.1).

        A pixel counts as a unit square, so that even a single pixel has an extent.

        Raises:
            MaskError: The mask is empty.
        """
        return cls.from_moments(*mask.moments())

    @classmethod
    def from_box(cls, box: ArrayLike) -> Gaussian:
        """Return the Gaussian whose 2σ ellipse is inscribed in a box: σ is a quarter of each side.

        Args:
            box: (4,), x0, y0, x1, y1, pixel edges.

        Raises:
            GaussianError: These are not four numbers, or the box has no area.
        """
        edges = np.asarray(box, np.float64)
        if edges.shape != (4,):
            raise GaussianError(f"a box must be (x0, y0, x1, y1), not an array of shape {edges.shape}")
        x0, y0, x1, y1 = edges.tolist()
        if not (x1 > x0 and y1 > y0):
            raise GaussianError(
                f"the box ({x0:g}, {y0:g}, {x1:g}, {y1:g}) has no area; give x0, y0, x1, y1 with x0 < x1 and y0 < y1"
            )
        return cls.from_ellipse((x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2, (y1 - y0) / 2, 0.0)

    @classmethod
    def from_ellipse(cls, x: float, y: float, semi1: float, semi2: float, degrees: float) -> Gaussian:
        """Return the Gaussian of a filled ellipse: σ is half of a semi-axis.

        Args:
            x: Centre, in pixels.
            y: Centre, in pixels.
            semi1: Semi-axis along the angle, in pixels.
            semi2: Semi-axis at a right angle to it, in pixels. Either may be the longer one.
            degrees: Angle from the x axis, clockwise on the screen, as y points down.

        Raises:
            GaussianError: A semi-axis is not positive, or the angle is not finite.
        """
        if not math.isfinite(degrees):
            raise GaussianError(f"the angle of an ellipse must be finite, not {degrees}")
        if not (semi1 > 0 and semi2 > 0):
            raise GaussianError(f"an ellipse needs positive semi-axes, not {semi1} and {semi2}")
        angle = math.radians(degrees)
        turn = angle if semi1 >= semi2 else angle + math.pi / 2
        a, b = math.sin(turn), math.cos(turn)
        sign = -1.0 if b < 0 else 1.0
        return cls(float(x), float(y), min(semi1, semi2) / 2, max(semi1, semi2) / 2, sign * a, sign * b)

    @classmethod
    def from_point(cls, x: float, y: float, scale: float) -> Gaussian:
        """Return a round Gaussian, for an object of unknown shape.

        Args:
            x: Mean, in pixels.
            y: Mean, in pixels.
            scale: Standard deviation in pixels. A quarter of the object's size is a good value.

        Raises:
            GaussianError: `scale` is not positive.
        """
        if not scale > 0:
            raise GaussianError(f"a point needs a positive scale, a quarter of the object's size, not {scale:g}")
        return cls(float(x), float(y), float(scale), float(scale), 0.0, 1.0)

    @classmethod
    def from_released_moments(cls, moments: ArrayLike, width: int, height: int) -> Gaussian:
        """Return the Gaussian whose `released` numbers equal those of the authors' data loader.

        `released` must have `max_aspect=math.inf`. The evaluation repeats two errors of the authors' loader: a
        symmetric upright shape is turned by 90°, and a shape without extent along an axis gets a standard deviation of
        1e-8 there.

        Args:
            moments: (5,), the `positions` of the authors' HDF5 files: mean x, mean y, variance of x, variance of y and
                covariance. Units: the image is the square from −1 to 1, from the first pixel centre to the last.
            width: Width of the image in pixels.
            height: Height of the image in pixels.
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

    # ---- transforms

    def perturbed(self, rng: np.random.Generator) -> Gaussian:
        """Return a randomly shifted, rotated and stretched copy, as in training.

        The paper names the three perturbations (section 3.5). The amounts are those of the authors' loader. With
        φ = σ1/(18·σ2), the mean moves by N(0, σ/10) along each axis. The axes turn by up to 2π·φ, which is 20° for a
        round Gaussian. Each σ changes by N(0, σ/10), by at most 30 %. Then it goes 1 − e^−φ of the way to
        √(σ1² + σ2²), because a rotated object covers more.
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
        """Return the Gaussian in an image that is `factor` times smaller."""
        f = factor
        return Gaussian(self.x / f, self.y / f, self.sigma1 / f, self.sigma2 / f, self.a, self.b)

    # ---- other forms

    @property
    def mean(self) -> NDArray[np.float64]:
        """x and y in pixels, (2,)."""
        return np.array((self.x, self.y))

    def axes(self) -> NDArray[np.float64]:
        """Return axis 1 and axis 2 as columns, (2, 2), each as long as its standard deviation in pixels."""
        return np.array(((self.a, self.b), (-self.b, self.a))) * (self.sigma1, self.sigma2)

    def covariance(self) -> NDArray[np.float64]:
        """Return the covariance of x and y, (2, 2), in pixels²."""
        axes = np.array(((self.a, self.b), (-self.b, self.a)))
        return (axes * (self.sigma1**2, self.sigma2**2)) @ axes.T

    def released(self, width: int, height: int, max_aspect: float = 1.5) -> NDArray[np.float32]:
        """Return the input of the authors' released networks: x, y, σ1, σ2, a, b, float32 (6,), in units of 128 px.

        The origin is the centre of the image. The authors measure an object in an image that is squeezed to a square.
        Then they stretch axis 1 by half the width and axis 2 by half the height, for any orientation. In an image that
        is not square, σ therefore differs from its true length. The networks are trained with these numbers and need
        them: on 887 COCO objects, FLIP-Tiny has a mean IoU of 0.782 with them and 0.765 with true lengths. Patches have
        their true positions.

        In long images these numbers mislead the networks. For σ, an image longer than `max_aspect` counts as if it had
        that aspect ratio; docs/flip.md has the measurements.

        Args:
            width: Width of the image in pixels.
            height: Height of the image in pixels.
            max_aspect: Largest ratio of the longer to the shorter side. `math.inf` gives the authors' numbers.
        """
        size = np.array((width, height), np.float64)
        shape = np.minimum(size, max_aspect * size.min())
        mean = (self.mean - 0.5) * _square_scale(size) - 1
        squeezed = Gaussian.from_axes(mean, self.axes() * _square_scale(shape)[:, None])
        sigmas = np.array((squeezed.sigma1, squeezed.sigma2))
        lengths = np.concatenate((mean * size, sigmas * shape)) / (2 * RELEASED_UNIT)
        return np.array((*lengths, squeezed.a, squeezed.b), np.float32)

    def box(self, sigmas: float = 2.0) -> tuple[float, float, float, float]:
        """Return the tight box x0, y0, x1, y1 of the ellipse of `sigmas` standard deviations, in pixels.

        The box may leave the image.
        """
        (vxx, _), (_, vyy) = self.covariance().tolist()
        reach_x, reach_y = sigmas * math.sqrt(vxx), sigmas * math.sqrt(vyy)
        return self.x - reach_x, self.y - reach_y, self.x + reach_x, self.y + reach_y

    def ellipse_mask(self, width: int, height: int, sigmas: float = 2.0) -> RegionMask:
        """Return the pixels whose centres lie inside the ellipse of `sigmas` standard deviations.

        With 2 standard deviations, the Gaussian of a filled ellipse gives that ellipse again. If no pixel centre lies
        inside, the mask is the one pixel that contains the mean.

        Args:
            width: Width of the image in pixels.
            height: Height of the image in pixels. The ellipse is cut at the edges of the image.
            sigmas: Semi-axes of the ellipse in standard deviations.
        """
        (_, vxy), (_, vyy) = self.covariance().tolist()
        left, top, right, bottom = self.box(sigmas)
        x0, x1 = (int(np.clip(v, 0, width)) for v in (math.floor(left), math.ceil(right)))
        y0, y1 = (int(np.clip(v, 0, height)) for v in (math.floor(top), math.ceil(bottom)))
        dy = np.arange(y0, y1)[:, None] + 0.5 - self.y
        # The ellipse covers one interval of each row: the conditional mean of x given y, ± its conditional deviation.
        inside = sigmas**2 - dy**2 / vyy
        half = np.where(inside >= 0, np.sqrt(np.abs(inside)) * self.sigma1 * self.sigma2 / math.sqrt(vyy), -1.0)
        dx = np.arange(x0, x1)[None, :] + 0.5 - self.x
        middle = dy * (vxy / vyy)
        mask = RegionMask(x0, y0, (dx >= middle - half) & (dx <= middle + half), width, height).tight()
        if mask.area == 0 and 0 <= self.x < width and 0 <= self.y < height:
            return RegionMask(int(self.x), int(self.y), np.ones((1, 1), bool), width, height)
        return mask


def _square_scale(size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the width and height of a pixel, (2,), in an image of `size` that is squeezed to the square −1…1."""
    return 2 / np.maximum(size - 1, 1)
