"""What the camera sees of an environment map, in scene-linear light, a band of rows at a time.

A pixel is the map, interpolated bilinearly and projected, under Cycles' pixel filter. The filter is the product of two
windows, along x and along y, and has hardly any response above 4/3 cycles a pixel: so the sum over a regular grid of
lookups, two a texel and at least two a pixel, weighted by the window, all but equals the integral.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

from objascale.camera import Camera

FILTER_WIDTH = 3.0
"""Diameter in px of Cycles' Blackman-Harris pixel filter at its default setting (1.5, which is the radius)."""

_SPAN = 256  # px, the longest stretch of a row whose map coordinates are interpolated
_TOLERANCE = 0.002  # texels, of interpolated map coordinates


def filter_weights(lookups: int) -> NDArray[np.float32]:
    """The Blackman-Harris window at every multiple of 1/lookups px inside it; their sum is 1, their number odd."""
    reach = (3 * lookups - 1) // 2
    t = np.arange(-reach, reach + 1) / (lookups * FILTER_WIDTH) + 0.5
    window = (
        0.35875 - 0.48829 * np.cos(2 * np.pi * t) + 0.14128 * np.cos(4 * np.pi * t) - 0.01168 * np.cos(6 * np.pi * t)
    )
    return (window / window.sum()).astype(np.float32)


def lookups_per_pixel(camera: Camera, map_width: int) -> int:
    """Lookups a pixel along x, and as many along y: 1 where a texel spans many pixels, more the finer the map is."""
    texels_per_pixel = map_width / (2 * np.pi) / camera.focal
    return 1 if texels_per_pixel < 1 / 16 else max(2, math.ceil(2 * texels_per_pixel + 1))


def render_rows(texels: NDArray[np.float16], camera: Camera, first: int, last: int) -> NDArray[np.float32]:
    """Rows `first` to `last` (exclusive) of the picture, as scene-linear (rows, width, 3) float32.

    texels: an equirectangular map, H×W×3, zenith first, nowhere negative, everywhere finite.
    """
    out = np.zeros((last - first, camera.width * 3), np.float32)
    lookups = lookups_per_pixel(camera, texels.shape[1])
    weights = filter_weights(lookups)
    _fill(
        texels.view(np.uint16),
        camera.axes,
        camera.focal,
        camera.width / 2,
        camera.height / 2,
        first,
        lookups,
        weights,
        span_limit(camera, texels.shape[1]) * lookups,
        out,
    )
    return out.reshape(last - first, camera.width, 3)


def span_limit(camera: Camera, map_width: int) -> float:
    """Pixels of a row, as far from a pole as the horizon is, whose map coordinates a parabola gives to _TOLERANCE.

    The azimuth along a line that passes a pole at the angle ρ has a third derivative of at most 2/ρ³; a parabola
    through three points, a span s apart from first to last, then errs by at most 2/ρ³ · (s/2)³ / 9√3.
    """
    tolerance = _TOLERANCE * 2 * math.pi / map_width
    return 2 * camera.focal * (tolerance * 9 * math.sqrt(3) / 2) ** (1 / 3)


@numba.njit(cache=True, nogil=True)
def _map_point(
    axes: NDArray[np.float64], focal: float, right: float, up: float, map_width: int, map_height: int
) -> tuple[float, float, float]:
    """Texel coordinates of a picture point, relative to the middle of the picture; and the cosine of its latitude."""
    x = axes[0, 0] * right + axes[0, 1] * up - axes[0, 2] * focal
    y = axes[1, 0] * right + axes[1, 1] * up - axes[1, 2] * focal
    z = axes[2, 0] * right + axes[2, 1] * up - axes[2, 2] * focal
    level = math.sqrt(x * x + y * y)
    s = (0.5 - math.atan2(y, x) / (2 * math.pi)) * map_width - 0.5
    t = math.atan2(level, z) / math.pi * map_height - 0.5
    return s, t, level / math.sqrt(level * level + z * z)


@numba.njit(inline="always")
def _float(bits: np.uint16) -> np.float32:
    """A half float that is neither negative nor infinite: its bits in a float's place, but for the exponent's bias."""
    return np.uint32(np.uint32(bits) << np.uint32(13)).view(np.float32) * np.float32(2.0**112)


@numba.njit(cache=True, nogil=True)
def _look_up(
    texels: NDArray[np.uint16],
    axes: NDArray[np.float64],
    focal: float,
    right: float,
    up: float,
    step: float,
    limit: float,
    line: NDArray[np.float32],
) -> None:
    """Look along a row of the picture: at `right`, `up` (px from its middle), and every `step` px further right.

    line: (lookups, positions, 3); one lookup after the other goes to the next of the first axis, then of the second.
    """
    map_height, map_width = texels.shape[:2]
    lookups = line.shape[0]
    count = lookups * line.shape[1]
    cell_s = cell_t = -(2**30)
    p, q, u, v = np.zeros(3, np.float32), np.zeros(3, np.float32), np.zeros(3, np.float32), np.zeros(3, np.float32)
    begin = phase = position = 0
    while begin < count:
        s, t, clear = _map_point(axes, focal, right + begin * step, up, map_width, map_height)
        span = min(max(int(limit * clear), 1), count - begin)
        s_half, t_half, _ = _map_point(axes, focal, right + (begin + span / 2) * step, up, map_width, map_height)
        s_end, t_end, _ = _map_point(axes, focal, right + (begin + span) * step, up, map_width, map_height)
        s_half -= map_width * round((s_half - s) / map_width)
        s_end -= map_width * round((s_end - s) / map_width)
        s1, s2 = (4 * s_half - 3 * s - s_end) / span, 2 * (s + s_end - 2 * s_half) / span**2
        t1, t2 = (4 * t_half - 3 * t - t_end) / span, 2 * (t + t_end - 2 * t_half) / span**2
        for i in range(span):
            s_here, t_here = s + i * (s1 + i * s2), t + i * (t1 + i * t2)
            s_floor, t_floor = math.floor(s_here), math.floor(t_here)
            if s_floor != cell_s or t_floor != cell_t:
                cell_s, cell_t = s_floor, t_floor
                i0 = int(s_floor) % map_width
                i1 = i0 + 1 if i0 + 1 < map_width else 0
                j0 = max(int(t_floor), 0)
                j1 = min(int(t_floor) + 1, map_height - 1)
                for c in range(3):
                    p[c] = _float(texels[j0, i0, c])
                    q[c] = _float(texels[j0, i1, c]) - p[c]
                    u[c] = _float(texels[j1, i0, c]) - p[c]
                    v[c] = _float(texels[j1, i1, c]) - p[c] - q[c] - u[c]
            fs, ft = np.float32(s_here - s_floor), np.float32(t_here - t_floor)
            for c in range(3):
                line[phase, position, c] = p[c] + fs * q[c] + ft * (u[c] + fs * v[c])
            phase += 1
            if phase == lookups:
                phase = 0
                position += 1
        begin += span


@numba.njit(cache=True, nogil=True)
def _fill(
    texels: NDArray[np.uint16],
    axes: NDArray[np.float64],
    focal: float,
    centre_x: float,
    centre_y: float,
    first: int,
    lookups: int,
    weights: NDArray[np.float32],
    limit: float,
    out: NDArray[np.float32],
) -> None:
    """Add to the rows of `out`, (rows, 3·width), every line of lookups in their reach, filtered along x."""
    rows, samples = out.shape
    reach = len(weights) // 2
    step = 1 / lookups
    width = samples // 3
    line = np.empty((lookups, width + 2 * reach // lookups + 1, 3), np.float32)
    filtered = np.empty(samples, np.float32)
    for i in range(first * lookups - reach, (first + rows - 1) * lookups + reach + 1):
        up = centre_y - (0.5 + i * step)
        _look_up(texels, axes, focal, 0.5 - reach * step - centre_x, up, step, limit, line)
        filtered[:] = 0
        for tap in range(len(weights)):
            shifted = line[tap % lookups].reshape(-1)[tap // lookups * 3 :]
            weight = weights[tap]
            for x in range(samples):
                filtered[x] += weight * shifted[x]
        for row in range(max(-((reach - i) // lookups), first), min((i + reach) // lookups, first + rows - 1) + 1):
            weight = weights[i - row * lookups + reach]
            target = out[row - first]
            for x in range(samples):
                target[x] += weight * filtered[x]
