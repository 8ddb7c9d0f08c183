"""The fovea: patches of five sizes drawn around a Gaussian, small ones in its middle, large ones about it.

`Recipe()` is the one of the authors' released models (CognitiveModeling/FLIP, `flip_position`), `PAPER` the one that
section 3.1 of the paper tells, `SHRUNK` the one of the weights in this package. Time and memory depend on the number of
patches, never on the image's size.
All coordinates are pixels with pixel centres at +½.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

from flip.gaussian import Gaussian

Array = TypeVar("Array")
Result = TypeVar("Result")

TOUCHING = 1e-6  # px; patches that share less than this in x or y do not overlap
DRAWS = 10  # at most so many draws for each wanted patch
MARGIN = 0.5  # px; patches keep this far from the image's edge, so no sample needs a pixel outside
ACROSS = 16  # pixels along the side of a sample that are looked at, at most
NARROWEST = 4  # px; shrinking leaves so much of an image's shorter side, and of a prompt's shorter axis (±2σ)


class NoPatches(ValueError):
    """Not one patch fits into the image around the prompt."""


@dataclass(frozen=True)
class Recipe:
    """How patches are laid out. The defaults are the authors' evaluation settings, but for `least` and `most`,
    which are ours.

    `sizes`: side lengths in pixels, ascending. `overlap` (τ): a patch is refused if the patches placed before it cover
    it more than τ times its own area, where each is counted once per grid cell that both touch (so real overlaps stay
    far below τ; 0 means disjoint). `coverage` (κ): how many times the patches of one size may cover the area
    4π·σ1·σ2. `spread`: deviations of the Gaussian that patches are drawn from, in the prompt's. `least`: the area
    4π·σ1·σ2 in pixels that a prompt counts for where its own is smaller; 0 for the authors' way, by which a single
    pixel gets one patch. `most`: the area in pixels beyond which a prompt is looked at in an image that is shrunk, see
    `unit`.
    """

    sizes: tuple[int, ...] = (1, 2, 4, 8, 16)
    overlap: float = 2.67
    coverage: float = 1.44
    spread: float = math.sqrt(2)
    least: float = 16.0
    most: float = math.inf

    def counts(self, gaussian: Gaussian, tokens: int, room: float = math.inf) -> NDArray[np.int64]:
        """How many patches of each size are wanted, (len(sizes),); together at most `tokens`.

        The coarsest size smaller than `room` pixels takes as many as cover the Gaussian κ times, the next finer the
        same of what remains, and so on; a small object therefore gets fewer than `tokens`.
        """
        area = max(4 * math.pi * gaussian.sigma1 * gaussian.sigma2, self.least) * self.coverage
        wanted, remaining = [], tokens
        for size in reversed(self.sizes):
            wanted.append(min(remaining, int(min(area / size**2, remaining))) if size < room else 0)
            remaining -= wanted[-1]
        return np.array(wanted[::-1], np.int64)

    def unit(self, gaussian: Gaussian, width: int, height: int) -> int:
        """Pixels of a `width`×`height` image along the side of one sample of the prompt's patches.

        The least whole number by which the image has to be shrunk for the prompt's area to be at most `most`, but no
        more than leaves NARROWEST pixels across the prompt and across the image.
        """
        room = min(4 * gaussian.sigma1, width, height) // NARROWEST
        wanted = math.sqrt(4 * math.pi / self.most) * math.sqrt(gaussian.sigma1) * math.sqrt(gaussian.sigma2)
        return max(1, math.ceil(min(wanted, room)))

    def deviations(self, gaussian: Gaussian) -> tuple[float, float]:
        """Of the Gaussian that patches are drawn from, along the prompt's two axes, in pixels.

        A prompt smaller than `least` is made as large: rounder first, and then round.
        """
        sigma = math.sqrt(self.least / (4 * math.pi))  # of a round Gaussian as large as that
        sigma2 = max(gaussian.sigma2, sigma)
        sigma1 = max(gaussian.sigma1, sigma**2 / sigma2)
        return self.spread * sigma1, self.spread * sigma2


# Section 3.1: the inner 99 % of a Gaussian is an ellipse of area 2π·ln 100·σ1·σ2; draws from N(μ, Σ); no overlap.
PAPER = Recipe(overlap=0.0, coverage=math.log(100) / 2, spread=1.0, least=0.0)
SHRUNK = Recipe(most=250.0)
RECIPES = {"paper": PAPER, "released": Recipe(), "shrunk": SHRUNK}


@dataclass(frozen=True)
class Patches(Generic[Array]):
    """Patches by side length p: `pixels[p]` is uint8 (n, p, p, 3), `centres[p]` float64 (n, 2) as x, y in pixels.

    A sample is the mean of `unit`×`unit` pixels of the image, or of ACROSS×ACROSS spread over them. `pixels` are NumPy
    arrays here, and tensors on the image's device in `flip.sampler_torch`.
    """

    pixels: dict[int, Array]
    centres: dict[int, NDArray[np.float64]]
    unit: int = 1

    def __len__(self) -> int:
        return sum(len(centres) for centres in self.centres.values())

    def boxes(self) -> dict[int, NDArray[np.float64]]:
        """What each patch covers in the image, by side length: (n, 4), xyxy edges in pixels."""
        half = self.unit / 2
        return {p: np.hstack((middle - p * half, middle + p * half)) for p, middle in self.centres.items()}


def generator(gaussian: Gaussian, seed: int) -> np.random.Generator:
    """What draws a prompt's patches in a prediction: made from `seed` and the prompt's numbers, and nothing else."""
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
    """Draw at most `tokens` patches of `image` (uint8 H×W×3) around `gaussian`.

    `rng` is a NumPy generator, which is advanced, or a seed for a new one; same state or seed, same patches.
    Raises NoPatches if not a single patch could be placed.
    """
    height, width = image.shape[:2]
    unit, centres = _placed(width, height, gaussian, tokens, rng, recipe)
    corner, part = _shrunk(image, centres, unit)
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
    """`sample` for several prompts, each with its own of `rngs`, on several threads: the number changes no patch."""

    def one(gaussian: Gaussian, rng: np.random.Generator | int) -> Patches[NDArray[np.uint8]]:
        return sample(image, gaussian, tokens, rng, recipe)

    return _on_threads(threads, one, gaussians, rngs)


def place(
    width: int,
    height: int,
    gaussian: Gaussian,
    tokens: int,
    rng: np.random.Generator | int,
    recipe: Recipe = Recipe(),
) -> dict[int, NDArray[np.float64]]:
    """Patch centres by size, float64 (n, 2) in pixels, for an image of `width`×`height`; the rest as in `sample`.

    Sizes are filled from fine to coarse with draws from the Gaussian, `spread` times as wide. A draw is refused if its
    patch would leave the image or lie too much on earlier ones; what a size fails to place is not given to others,
    unless no patch of that size has room anywhere in the image.
    """
    unit, centres = _placed(width, height, gaussian, tokens, rng, recipe)
    return {size: unit * where for size, where in centres.items()}


def place_many(
    width: int,
    height: int,
    gaussians: Sequence[Gaussian],
    tokens: int,
    rngs: Sequence[np.random.Generator | int],
    recipe: Recipe = Recipe(),
    threads: int = 1,
) -> list[dict[int, NDArray[np.float64]]]:
    """`place` for several prompts, as `sample_many` is `sample` for several."""

    def one(gaussian: Gaussian, rng: np.random.Generator | int) -> dict[int, NDArray[np.float64]]:
        return place(width, height, gaussian, tokens, rng, recipe)

    return _on_threads(threads, one, gaussians, rngs)


def extract(image: NDArray[np.uint8], centres: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Cut patches of `size`×`size` pixels out of `image` (uint8 H×W×3) about `centres` ((n, 2), x and y in pixels).

    Returns uint8 (n, size, size, 3), bilinear and rounded half up. Raises ValueError if a patch leaves the image.
    """
    height, width = image.shape[:2]
    reach = (size - 1) / 2 + MARGIN  # the outermost sample still has a pixel centre on its far side
    if len(centres) and (centres.min() < reach or (centres.max(0) > (width - reach, height - reach)).any()):
        raise ValueError(f"a {size}×{size} patch leaves the {width}×{height} image")
    return _extract(image, centres, size)


def _placed(
    width: int, height: int, gaussian: Gaussian, tokens: int, rng: np.random.Generator | int, recipe: Recipe
) -> tuple[int, dict[int, NDArray[np.float64]]]:
    """By how much a `width`×`height` image is shrunk for a prompt, and `place`'s centres in what that makes of it."""
    unit = recipe.unit(gaussian, width, height)
    columns, rows, g = width // unit, height // unit, gaussian.shrunk(unit)
    wanted = recipe.counts(g, tokens, min(columns, rows) - 2 * MARGIN)
    sizes = np.array(recipe.sizes, np.int64)
    cell = sizes[wanted.argmax()] / 2
    deviations, axis = recipe.deviations(g), (g.a, g.b)
    frame = (MARGIN, MARGIN, columns - MARGIN, rows - MARGIN)
    centres, placed = _place(
        np.random.default_rng(rng), sizes, wanted, (g.x, g.y), deviations, axis, frame, recipe.overlap, cell
    )
    if not placed.any():
        raise NoPatches(
            f"no patch fits into the {width}×{height} image around the prompt at ({gaussian.x:.6g}, {gaussian.y:.6g}) "
            f"with σ {gaussian.sigma1:.3g} and {gaussian.sigma2:.3g} px; check that the prompt lies in the image, "
            "and that this is at least 3 px high and wide"
        )
    return unit, dict(zip(recipe.sizes, np.split(centres, placed.cumsum()[:-1]), strict=True))


def _shrunk(
    image: NDArray[np.uint8], centres: dict[int, NDArray[np.float64]], unit: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """What the patches about `centres` show of the image that is shrunk by `unit`, and where its upper left is there.

    Only that much is shrunk. What is left over at the right and lower edge of the image belongs to no sample.
    """
    if unit == 1:
        return np.zeros(2), image
    reach = max(centres) / 2 + 1
    whole = np.array((image.shape[1], image.shape[0])) // unit
    every = np.concatenate(list(centres.values()))
    first = np.maximum(np.floor(every.min(0) - reach), 0).astype(int)
    end = np.minimum(np.ceil(every.max(0) + reach), whole).astype(int)
    (x0, y0), (width, height) = first.tolist(), (end - first).tolist()
    return first.astype(float), _means(image, x0, y0, width, height, unit, min(unit, ACROSS))


def _on_threads(threads: int, one: Callable[..., Result], *arguments: Sequence[Any]) -> list[Result]:
    if threads == 1 or len(arguments[0]) == 1:
        return list(map(one, *arguments))
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, *arguments))


@njit(cache=True, nogil=True, error_model="numpy")
def _place(rng, sizes, wanted, mean, deviations, axis, frame, overlap, cell):
    """Place patches; returns centres (n, 2) in order of size and the number placed of each size.

    What is placed is kept in a hash table by the square of the present size that its centre is in. As no earlier patch
    is larger, only those in a draw's own square and the eight about it can touch the draw.
    """
    room = wanted.sum()
    centres = np.empty((room, 2))
    x0s, y0s, x1s, y1s = np.empty(room), np.empty(room), np.empty(room), np.empty(room)  # edges of what is placed
    u0s, v0s, u1s, v1s = np.empty(room), np.empty(room), np.empty(room), np.empty(room)  # first and last cell touched
    columns, rows = np.empty(room, np.int64), np.empty(room, np.int64)  # of the squares
    slots = 1
    while slots < 2 * room:
        slots *= 2
    newest, older = np.empty(slots, np.int64), np.empty(room, np.int64)  # patches of one slot are a linked list
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
        for _ in range(DRAWS * wanted[k]):
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
                    if columns[i] == c and rows[i] == r and w > TOUCHING and h > TOUCHING:
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
def _slot(column, row, slots):
    """Where a square is looked up in a table of so many slots, a power of two."""
    return (column * 73856093 ^ row * 19349663) & (slots - 1)


@njit(cache=True, nogil=True)
def _extract(image, centres, size):
    """Bilinear patches; all samples of one patch share their two fractions, as they lie one pixel apart."""
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
def _means(image, x0, y0, width, height, unit, across):
    """height×width samples, of which the first is (x0, y0), each of unit×unit pixels; rounded half up.

    Of the pixels across×across are added up, evenly spread.
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
