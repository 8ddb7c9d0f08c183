"""Foveal patching: patches of five sizes around a Gaussian, small ones near its mean and large ones further out.

`Recipe()` is the layout of the authors' released models (CognitiveModeling/FLIP, `flip_position`), `PAPER` that of
section 3.1 of the paper, and `SHRUNK` that of the weights in this package. Time and memory depend on the number of
patches and not on the size of the image. All coordinates are in pixels, with pixel centres at +½.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from flip.gaussian import Gaussian

Array = TypeVar("Array")

OVERLAP_EPS = 1e-6  # px; patches that touch within rounding do not overlap
DRAWS_PER_PATCH = 10  # at most, as in the authors' code
EDGE_MARGIN = 0.5  # px; bilinear samples closer to the edge would need a pixel outside of the image
MAX_SAMPLES_PER_SIDE = 16  # the mean of 16×16 pixels is within 1/16 of the noise of one pixel
MIN_SIDE = 4  # px; a shrunk image and a shrunk prompt (±2σ1) keep this width, in which a shape is still visible


class NoPatches(ValueError):
    """No patch fits into the image around the prompt."""


@dataclass(frozen=True)
class Recipe:
    """How to lay out patches. The defaults are the authors' settings at evaluation, except for `min_area`.

    Args:
        sizes: Side lengths of the patches in samples, ascending.
        overlap: τ. A draw is rejected if earlier patches cover it by more than τ times its area. A covered area counts
            once for each cell of a grid that both patches touch, as in the authors' code, so true overlaps are far
            below τ. 0 means disjoint patches.
        coverage: κ. The patches of one size cover at most κ times the area 4π·σ1·σ2.
        spread: Patches are drawn from the prompt's Gaussian with its σ multiplied by this.
        min_area: A prompt with an area 4π·σ1·σ2 below this many px² is treated as if it had this area. The authors use
            0, which gives a single pixel a single patch.
        max_area: For a prompt with an area above this many px², the patches come from a shrunk image; see `unit`.
    """

    sizes: tuple[int, ...] = (1, 2, 4, 8, 16)
    overlap: float = 2.67
    coverage: float = 1.44
    spread: float = math.sqrt(2)
    min_area: float = 16.0
    max_area: float = math.inf

    def counts(self, gaussian: Gaussian, tokens: int, room: float = math.inf) -> NDArray[np.int64]:
        """Return the number of patches of each size, (len(sizes),); their sum is at most `tokens`.

        The largest size smaller than `room` gets as many patches as cover the Gaussian κ times. The next smaller size
        gets as many of the remaining ones, and so on. A small object therefore gets fewer than `tokens` patches.

        Args:
            gaussian: The prompt.
            tokens: Maximum number of patches.
            room: Only sizes smaller than this, in pixels, get patches.
        """
        # Section 3.1: N_i = min(N̂_i, N − Σ_{j>i} N_j), N̂_i = area / p_i²
        area = max(4 * math.pi * gaussian.sigma1 * gaussian.sigma2, self.min_area) * self.coverage
        wanted, remaining = [], tokens
        for size in reversed(self.sizes):
            wanted.append(min(remaining, int(min(area / size**2, remaining))) if size < room else 0)
            remaining -= wanted[-1]
        return np.array(wanted[::-1], np.int64)

    def unit(self, gaussian: Gaussian, width: int, height: int) -> int:
        """Return the factor by which the image is shrunk: the side in pixels of one sample of the patches.

        It is the smallest whole number for which the prompt's area is at most `max_area` in the shrunk image. It is
        limited so that the prompt and the image keep MIN_SIDE pixels across.
        """
        room = min(4 * gaussian.sigma1, width, height) // MIN_SIDE
        wanted = math.sqrt(4 * math.pi / self.max_area) * math.sqrt(gaussian.sigma1) * math.sqrt(gaussian.sigma2)
        return max(1, math.ceil(min(wanted, room)))

    def deviations(self, gaussian: Gaussian) -> tuple[float, float]:
        """Return the standard deviations, in pixels, of the Gaussian that patches are drawn from.

        They belong to the prompt's axes 1 and 2. A prompt smaller than `min_area` grows to that area: first along axis
        1 until it is round, then along both axes.
        """
        sigma = math.sqrt(self.min_area / (4 * math.pi))  # of a round Gaussian with this area
        sigma2 = max(gaussian.sigma2, sigma)
        sigma1 = max(gaussian.sigma1, sigma**2 / sigma2)
        return self.spread * sigma1, self.spread * sigma2


# Section 3.1: the ellipse with 99 % of the Gaussian's mass has the area 2π·ln 100·σ1·σ2. Patches are drawn from
# N(μ, Σ) and do not overlap.
PAPER = Recipe(overlap=0.0, coverage=math.log(100) / 2, spread=1.0, min_area=0.0)
SHRUNK = Recipe(max_area=250.0)
RECIPES = {"paper": PAPER, "released": Recipe(), "shrunk": SHRUNK}


@dataclass(frozen=True)
class Patches(Generic[Array]):
    """Patches of an image, by size p.

    Args:
        pixels: For each p, the samples, uint8 (n, p, p, 3).
        centres: For each p, the centres x, y in pixels of the image, float64 (n, 2).
        unit: Side of one sample in pixels. A sample is the mean of the pixels in it, or of 16×16 of them.
    """

    pixels: dict[int, Array]
    centres: dict[int, NDArray[np.float64]]
    unit: int = 1

    def __len__(self) -> int:
        return sum(len(centres) for centres in self.centres.values())

    def boxes(self) -> dict[int, NDArray[np.float64]]:
        """Return the box of each patch in the image, by size: (n, 4), xyxy pixel edges."""
        half = self.unit / 2
        return {p: np.hstack((middle - p * half, middle + p * half)) for p, middle in self.centres.items()}


def generator(gaussian: Gaussian, seed: int) -> np.random.Generator:
    """Return the random generator of a prompt. It depends on `seed` and on the prompt's numbers only."""
    g = gaussian
    words = struct.unpack("12I", struct.pack("6d", g.x, g.y, g.sigma1, g.sigma2, g.a, g.b))
    return np.random.default_rng((seed, *words))


def sample(
    image: NDArray[np.uint8],
    gaussian: Gaussian,
    tokens: int,
    rng: np.random.Generator | int,
    recipe: Recipe = Recipe(),
) -> Patches[NDArray[np.uint8]]:
    """Sample patches of an image around a Gaussian.

    Args:
        image: uint8 RGB, (H, W, 3).
        gaussian: The prompt.
        tokens: Maximum number of patches.
        rng: A generator, which is advanced, or the seed of a new one. The same state gives the same patches.
        recipe: The layout of the patches.

    Raises:
        NoPatches: No patch fits into the image.
    """
    height, width = image.shape[:2]
    unit, centres = _place_shrunk(width, height, gaussian, tokens, rng, recipe)
    corner, part = _shrink(image, centres, unit)
    pixels = {size: extract(part, where - corner, size) for size, where in centres.items()}
    return Patches(pixels, {size: unit * where for size, where in centres.items()}, unit)


def sample_many(
    image: NDArray[np.uint8],
    gaussians: Sequence[Gaussian],
    tokens: int,
    rngs: Sequence[np.random.Generator | int],
    recipe: Recipe = Recipe(),
    threads: int = 1,
) -> list[Patches[NDArray[np.uint8]]]:
    """Sample patches for several prompts, each with its own generator, as `sample` does.

    The result does not depend on the number of threads.
    """

    def one(gaussian: Gaussian, rng: np.random.Generator | int) -> Patches[NDArray[np.uint8]]:
        return sample(image, gaussian, tokens, rng, recipe)

    if threads == 1 or len(gaussians) == 1:
        return list(map(one, gaussians, rngs))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, gaussians, rngs))


def place(
    width: int,
    height: int,
    gaussian: Gaussian,
    tokens: int,
    rng: np.random.Generator | int,
    recipe: Recipe = Recipe(),
) -> dict[int, NDArray[np.float64]]:
    """Return the patch centres that `sample` uses, by size: float64 (n, 2), x and y in pixels.

    Sizes are filled from small to large. Each draw comes from the Gaussian, with its σ multiplied by `recipe.spread`.
    A draw is rejected if its patch leaves the image or overlaps earlier patches too much. If a size cannot place all of
    its patches, other sizes do not get them. If a size is too large for the image, smaller sizes do.
    """
    unit, centres = _place_shrunk(width, height, gaussian, tokens, rng, recipe)
    return {size: unit * where for size, where in centres.items()}


def extract(image: NDArray[np.uint8], centres: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Cut patches out of an image, with bilinear interpolation, rounded half up.

    Args:
        image: uint8 RGB, (H, W, 3).
        centres: (n, 2), x and y in pixels.
        size: Side of the patches in pixels.

    Returns:
        uint8 (n, size, size, 3).

    Raises:
        ValueError: A patch leaves the image.
    """
    height, width = image.shape[:2]
    reach = (size - 1) / 2 + EDGE_MARGIN  # the outermost sample still has a pixel centre on its far side
    if len(centres) and (centres.min() < reach or (centres.max(0) > (width - reach, height - reach)).any()):
        raise ValueError(f"a {size}×{size} patch leaves the {width}×{height} image")
    return _extract(image, centres, size)


def _place_shrunk(
    width: int, height: int, gaussian: Gaussian, tokens: int, rng: np.random.Generator | int, recipe: Recipe
) -> tuple[int, dict[int, NDArray[np.float64]]]:
    """Return the factor by which the image is shrunk, and the patch centres in the shrunk image."""
    unit = recipe.unit(gaussian, width, height)
    columns, rows, g = width // unit, height // unit, gaussian.shrunk(unit)
    wanted = recipe.counts(g, tokens, min(columns, rows) - 2 * EDGE_MARGIN)
    sizes = np.array(recipe.sizes, np.int64)
    cell = sizes[wanted.argmax()] / 2
    deviations, axis = recipe.deviations(g), (g.a, g.b)
    frame = (EDGE_MARGIN, EDGE_MARGIN, columns - EDGE_MARGIN, rows - EDGE_MARGIN)
    centres, placed = _place(
        np.random.default_rng(rng), sizes, wanted, (g.x, g.y), deviations, axis, frame, recipe.overlap, cell
    )
    if not placed.any():
        raise NoPatches(
            f"no patch fits into the {width}×{height} image around the prompt at ({gaussian.x:.6g}, {gaussian.y:.6g}) "
            f"with σ {gaussian.sigma1:.3g} and {gaussian.sigma2:.3g} px; check that the prompt lies in the image, "
            "and that the image is at least 3 px wide and high"
        )
    return unit, dict(zip(recipe.sizes, np.split(centres, placed.cumsum()[:-1]), strict=True))


def _shrink(
    image: NDArray[np.uint8], centres: dict[int, NDArray[np.float64]], unit: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Shrink the part of an image that holds the patches at `centres`.

    Returns:
        x and y of the part's upper left corner in the shrunk image, (2,), and the part.
    """
    if unit == 1:
        return np.zeros(2), image
    reach = max(centres) / 2 + 1
    whole = np.array((image.shape[1], image.shape[0])) // unit  # pixels left over at the right and bottom are cut off
    every = np.concatenate(list(centres.values()))
    first = np.maximum(np.floor(every.min(0) - reach), 0).astype(int)
    end = np.minimum(np.ceil(every.max(0) + reach), whole).astype(int)
    (x0, y0), (width, height) = first.tolist(), (end - first).tolist()
    return first.astype(float), _means(image, x0, y0, width, height, unit, min(unit, MAX_SAMPLES_PER_SIDE))


@njit(cache=True, nogil=True, error_model="numpy")
def _place(
    rng: np.random.Generator,
    sizes: NDArray[np.int64],
    wanted: NDArray[np.int64],
    mean: tuple[float, float],
    deviations: tuple[float, float],
    axis: tuple[float, float],
    frame: tuple[float, float, float, float],
    overlap: float,
    cell: float,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Place patches; return their centres (n, 2) in order of size, and the number of each size.

    A hash table holds the placed patches by the grid square that contains their centre. The squares have the side of
    the current size. No earlier patch is larger, so only patches in the same or the eight neighbouring squares can
    overlap a draw.
    """
    room = wanted.sum()
    centres = np.empty((room, 2))
    x0s, y0s, x1s, y1s = np.empty(room), np.empty(room), np.empty(room), np.empty(room)  # edges of the placed patches
    u0s, v0s, u1s, v1s = (
        np.empty(room),
        np.empty(room),
        np.empty(room),
        np.empty(room),
    )  # first and last grid cells
    columns, rows = np.empty(room, np.int64), np.empty(room, np.int64)  # of their squares
    slots = 1
    while slots < 2 * room:
        slots *= 2
    newest, older = np.empty(slots, np.int64), np.empty(room, np.int64)  # each slot is a linked list
    placed = np.zeros_like(wanted)
    n = 0
    a, b = axis
    for k in range(len(sizes)):
        size = sizes[k]
        half, limit = size / 2, overlap * size**2
        newest[:] = -1
        for i in range(n):
            columns[i], rows[i] = int(centres[i, 0] / size), int(centres[i, 1] / size)
            slot = _slot(columns[i], rows[i], slots)
            newest[slot], older[i] = i, newest[slot]
        for _ in range(DRAWS_PER_PATCH * wanted[k]):
            if placed[k] == wanted[k]:
                break
            d1 = deviations[0] * rng.standard_normal()
            d2 = deviations[1] * rng.standard_normal()
            x = mean[0] + d1 * a + d2 * b
            y = mean[1] - d1 * b + d2 * a
            x0, y0, x1, y1 = x - half, y - half, x + half, y + half
            if x0 < frame[0] or y0 < frame[1] or x1 >= frame[2] or y1 >= frame[3]:
                continue
            u0, v0, u1, v1 = np.floor(x0 / cell), np.floor(y0 / cell), np.floor(x1 / cell), np.floor(y1 / cell)
            column, row = int(x / size), int(y / size)
            covered = 0.0
            for square in range(9):
                c, r = column - 1 + square // 3, row - 1 + square % 3
                i = newest[_slot(c, r, slots)]
                while i >= 0 and covered <= limit:
                    w = min(x1, x1s[i]) - max(x0, x0s[i])
                    h = min(y1, y1s[i]) - max(y0, y0s[i])
                    if columns[i] == c and rows[i] == r and w > OVERLAP_EPS and h > OVERLAP_EPS:
                        wide = min(u1, u1s[i]) - max(u0, u0s[i]) + 1
                        covered += w * h * wide * (min(v1, v1s[i]) - max(v0, v0s[i]) + 1)
                    i = older[i]
            if covered > limit:
                continue
            centres[n, 0], centres[n, 1] = x, y
            x0s[n], y0s[n], x1s[n], y1s[n] = x0, y0, x1, y1
            u0s[n], v0s[n], u1s[n], v1s[n] = u0, v0, u1, v1
            columns[n], rows[n] = column, row
            slot = _slot(column, row, slots)
            newest[slot], older[n] = n, newest[slot]
            placed[k] += 1
            n += 1
    return centres[:n].copy(), placed


@njit(cache=True, nogil=True, inline="always")
def _slot(column: int, row: int, slots: int) -> int:
    """Return the slot of a square in a table of `slots` slots, a power of two."""
    return (column * 73856093 ^ row * 19349663) & (slots - 1)


@njit(cache=True, nogil=True)
def _extract(image: NDArray[np.uint8], centres: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Interpolate patches. Samples are one pixel apart, so all samples of a patch share the fractions fx, fy."""
    out = np.empty((len(centres), size, size, 3), np.uint8)
    last_row, last_column = image.shape[0] - 1, image.shape[1] - 1
    for n in range(len(centres)):
        left, top = centres[n, 0] - size / 2, centres[n, 1] - size / 2
        column, row = int(np.floor(left)), int(np.floor(top))
        fx, fy = left - column, top - row
        for i in range(size):
            r0 = row + i
            r1 = min(r0 + 1, last_row)
            for j in range(size):
                c0 = column + j
                c1 = min(c0 + 1, last_column)
                for channel in range(3):
                    upper = image[r0, c0, channel] * (1 - fx) + image[r0, c1, channel] * fx
                    lower = image[r1, c0, channel] * (1 - fx) + image[r1, c1, channel] * fx
                    out[n, i, j, channel] = int(upper * (1 - fy) + lower * fy + 0.5)
    return out


@njit(cache=True, nogil=True)
def _means(
    image: NDArray[np.uint8], x0: int, y0: int, width: int, height: int, unit: int, across: int
) -> NDArray[np.uint8]:
    """Return height×width samples from sample (x0, y0) on, each the mean of unit×unit pixels, rounded half up.

    The mean is over across×across of the pixels, evenly spread.
    """
    out = np.empty((height, width, 3), np.uint8)
    many = across * across
    for row in range(height):
        for column in range(width):
            red = green = blue = 0
            for i in range(across):
                y = (y0 + row) * unit + (2 * i + 1) * unit // (2 * across)
                for j in range(across):
                    x = (x0 + column) * unit + (2 * j + 1) * unit // (2 * across)
                    red += image[y, x, 0]
                    green += image[y, x, 1]
                    blue += image[y, x, 2]
            for channel, total in enumerate((red, green, blue)):
                out[row, column, channel] = (2 * total + many) // (2 * many)
    return out
