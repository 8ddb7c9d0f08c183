"""What the camera sees of an environment map, in scene-linear light, a band of rows at a time.

A path tracer estimates a pixel as the mean of lookups at points drawn from its pixel filter. Here the points are fixed:
k × k quantiles of the same filter, more of them the finer the map is against the picture, so that a coarse map costs
one lookup a pixel and a fine one is antialiased.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from objascale.camera import Camera

FILTER_WIDTH = 3.0
"""Diameter in px of Cycles' Blackman-Harris pixel filter at its default setting (1.5, which is the radius)."""

_QUANTILES_PER_TEXEL = 12
_MAX_QUANTILES = 24


class EnvironmentMapError(ValueError):
    """An environment map that cannot be read or used."""


@dataclass(frozen=True)
class EnvironmentMap:
    """An equirectangular map: scene-linear H×W×3 float32, zenith first, nowhere negative.

    `repaired` if the file held negative light, as resampling leaves around suns and lamps; whoever renders with the
    file itself must render with these pixels instead.
    """

    pixels: NDArray[np.float32]
    repaired: bool


@lru_cache(maxsize=2)
def load_map(path: Path) -> EnvironmentMap:
    """Read an .exr or .hdr file. Raises EnvironmentMapError if it is no such map."""
    try:
        pixels = _read_exr(path) if path.suffix.lower() == ".exr" else _read_hdr(path)
    except EnvironmentMapError:
        raise
    except Exception as error:  # the readers raise whatever they like on a broken file
        raise EnvironmentMapError(
            f"{path} cannot be read as an environment map ({str(error).strip().splitlines()[-1][:120]})"
        ) from error
    height, width = pixels.shape[:2]
    if width < 4 or height < 2 or not np.isfinite(pixels).all():
        raise EnvironmentMapError(f"{path} is no usable environment map: {width}×{height} px or not finite")
    repaired = bool(pixels.min() < 0)
    return EnvironmentMap(np.maximum(np.ascontiguousarray(pixels, np.float32), 0), repaired)


def _read_exr(path: Path) -> NDArray:
    import OpenEXR

    with OpenEXR.File(str(path)) as file:
        channels = file.channels()
        if "RGB" in channels:
            return channels["RGB"].pixels
        if "RGBA" in channels:
            return channels["RGBA"].pixels[..., :3]
        raise EnvironmentMapError(f"{path} has no RGB channels, only {', '.join(sorted(channels))}")


def _read_hdr(path: Path) -> NDArray:
    import cv2

    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.dtype != np.float32:
        raise EnvironmentMapError(f"{path} is no Radiance HDR picture; environment maps are .hdr or .exr files")
    return pixels[..., ::-1]


def filter_quantiles(count: int) -> NDArray[np.float32]:
    """`count` offsets from the pixel's centre, px, that stand for the 1-D Blackman-Harris filter.

    They are its midpoint quantiles, spread so that their variance is the filter's.
    """
    t = np.linspace(0, 1, 4097)
    weight = (
        0.35875 - 0.48829 * np.cos(2 * np.pi * t) + 0.14128 * np.cos(4 * np.pi * t) - 0.01168 * np.cos(6 * np.pi * t)
    )
    cumulative = np.concatenate(([0.0], np.cumsum((weight[1:] + weight[:-1]) / 2)))
    offsets = np.interp((np.arange(count) + 0.5) / count, cumulative / cumulative[-1], t) - 0.5
    if count > 1:
        offsets *= math.sqrt(np.average((t - 0.5) ** 2, weights=weight) / np.mean(offsets**2))
    return (FILTER_WIDTH * offsets).astype(np.float32)


def quantiles_per_side(camera: Camera, map_width: int) -> int:
    """k of the k × k lookups a pixel needs: 1 where a texel spans many pixels, more where the map is finer."""
    texels_per_pixel = map_width / (2 * np.pi) / camera.focal
    if texels_per_pixel < 1 / 16:
        return 1
    return min(_MAX_QUANTILES, 1 + math.ceil(_QUANTILES_PER_TEXEL * texels_per_pixel))


def render_rows(environment: NDArray[np.float32], camera: Camera, first: int, last: int) -> NDArray[np.float32]:
    """Rows `first` to `last` (exclusive) of the picture, as scene-linear (rows, width, 3) float32."""
    out = np.empty((last - first, camera.width, 3), np.float32)
    offsets = filter_quantiles(quantiles_per_side(camera, environment.shape[1]))
    block = block_side(camera, environment.shape[1])
    _fill(environment, camera.axes, camera.focal, camera.width / 2, camera.height / 2, first, offsets, block, out)
    return out


def block_side(camera: Camera, map_width: int) -> int:
    """Side in px of the blocks of pixels inside which map coordinates may be interpolated: a power of two, 1 for none.

    The arc that a straight line of so many pixels spans departs from its chord by less than 0.004 texels.
    """
    side = camera.focal * math.sqrt(0.004 * 2 * math.pi / map_width)
    return 2 ** min(6, int(math.log2(side))) if side >= 4 else 1


@numba.njit(cache=True, fastmath=True, nogil=True)
def _map_point(axes, focal, right, up, map_width, map_height):
    """Texel coordinates of a picture point, relative to the middle of the picture; and the cosine of its latitude."""
    x = axes[0, 0] * right + axes[0, 1] * up - axes[0, 2] * focal
    y = axes[1, 0] * right + axes[1, 1] * up - axes[1, 2] * focal
    z = axes[2, 0] * right + axes[2, 1] * up - axes[2, 2] * focal
    level = math.sqrt(x * x + y * y)
    s = (0.5 - math.atan2(y, x) / (2 * math.pi)) * map_width - 0.5
    t = math.atan2(level, z) / math.pi * map_height - 0.5
    return s, t, level / math.sqrt(level * level + z * z)


@numba.njit(cache=True, fastmath=True, nogil=True)
def _fill(environment, axes, focal, centre_x, centre_y, first, offsets, block, out):
    """Every pixel of the band, block by block; blocks lie on the picture's grid, wherever the band begins."""
    map_height, map_width = environment.shape[:2]
    rows, columns = out.shape[:2]
    weight = 1.0 / (len(offsets) * len(offsets))
    s_corner, t_corner, clear = np.empty(4), np.empty(4), np.empty(4)
    for top in range(first // block * block, first + rows, block):
        for left in range(0, columns, block):
            for corner in range(4):
                right, up = left + block * (corner % 2) - centre_x, centre_y - top - block * (corner // 2)
                s_corner[corner], t_corner[corner], clear[corner] = _map_point(
                    axes, focal, right, up, map_width, map_height
                )
                s_corner[corner] -= map_width * round((s_corner[corner] - s_corner[0]) / map_width)
            smooth = block > 1 and clear.min() > 0.35
            for row in range(max(top, first), min(top + block, first + rows)):
                for column in range(left, min(left + block, columns)):
                    red = green = blue = 0.0
                    for oy in offsets:
                        y = row + 0.5 + oy
                        fy = (y - top) / block
                        for ox in offsets:
                            x = column + 0.5 + ox
                            if smooth:
                                fx = (x - left) / block
                                a, b, c, d = (1 - fy) * (1 - fx), (1 - fy) * fx, fy * (1 - fx), fy * fx
                                s = a * s_corner[0] + b * s_corner[1] + c * s_corner[2] + d * s_corner[3]
                                t = a * t_corner[0] + b * t_corner[1] + c * t_corner[2] + d * t_corner[3]
                            else:
                                s, t, _ = _map_point(axes, focal, x - centre_x, centre_y - y, map_width, map_height)
                            s0, t0 = math.floor(s), math.floor(t)
                            fs, ft = s - s0, t - t0
                            i0 = int(s0) % map_width
                            i1 = i0 + 1 if i0 + 1 < map_width else 0
                            j0 = max(int(t0), 0)
                            j1 = min(int(t0) + 1, map_height - 1)
                            a, b, c, d = (1 - ft) * (1 - fs), (1 - ft) * fs, ft * (1 - fs), ft * fs
                            p, q = environment[j0, i0], environment[j0, i1]
                            u, v = environment[j1, i0], environment[j1, i1]
                            red += a * p[0] + b * q[0] + c * u[0] + d * v[0]
                            green += a * p[1] + b * q[1] + c * u[1] + d * v[1]
                            blue += a * p[2] + b * q[2] + c * u[2] + d * v[2]
                    out[row - first, column, 0] = red * weight
                    out[row - first, column, 1] = green * weight
                    out[row - first, column, 2] = blue * weight
