"""Where the paper's model writes its mask: output patches that cover a Gaussian (section 3.4)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flip.gaussian import Gaussian

THRESHOLD = 0.01  # of G(x, y), whose peak is 1: "its 99 % confidence region", the ellipse at √(2·ln 100) = 3.03 σ
LARGEST = 16  # mask samples along a patch's side, at most


@dataclass(frozen=True)
class Cover:
    """`corners[p]` (n, 2): upper left x, y in pixels of patches with p×p mask samples; a sample has `unit`×`unit`."""

    corners: dict[int, NDArray[np.int64]]
    unit: int

    def __len__(self) -> int:
        return sum(len(corners) for corners in self.corners.values())

    def centres(self) -> dict[int, NDArray[np.float64]]:
        """Middles of the patches by size, (n, 2) each, x and y in pixels."""
        return {size: corners + size * self.unit / 2 for size, corners in self.corners.items()}


def cover(gaussian: Gaussian, width: int, height: int, count: int) -> Cover:
    """Cover the pixels of a `width`×`height` frame where G > 0.01 with `count` disjoint patches of two adjacent sizes.

    Patches lie on the picture's grid of their size; each holds at least one such pixel, and those at the frame's edges
    may reach beyond it. The coarse size is the smallest of which `count` suffice, and as many of its patches are split
    into their quarters as brings the number to `count`: whole ones from the middle outwards, then some at the rim that
    have only two or three quarters with such a pixel. Fewer than `count` come back where a region has fewer pixels, or
    no choice of splits gives that number (as for a Gaussian larger than the frame, which has hardly a rim). Where even
    patches of 16 px are too many, mask samples become 2, 4, … pixels wide. Raises ValueError for `count` below 4,
    as a region may lie on four patches of any size.
    """
    if count < 4:
        raise ValueError(f"a region is covered by at least 4 patches, not {count}")
    region = gaussian.ellipse_mask(width, height, math.sqrt(-2 * math.log(THRESHOLD)))
    coarse, x, y, side = region.data, region.x, region.y, 1
    if region.area <= count:
        return Cover({1: _corners(coarse, x, y, 1)}, 1)
    while np.count_nonzero(coarse) > count:
        fine = np.pad(coarse, [(start % 2, (start + n) % 2) for start, n in zip((y, x), coarse.shape, strict=True)])
        coarse = fine[::2, ::2] | fine[1::2, ::2] | fine[::2, 1::2] | fine[1::2, 1::2]
        x, y, side = x // 2, y // 2, side * 2
    rows, columns = np.nonzero(coarse)
    quarters = fine.reshape(len(coarse), 2, -1, 2).sum((1, 3))[rows, columns]
    offset = (np.stack((columns + x, rows + y), -1) + 0.5) * side - gaussian.mean
    distance = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(gaussian.covariance()), offset)
    split = np.zeros_like(coarse)
    split[rows, columns] = _choose(quarters - 1, distance, count - len(rows))
    size = min(side, LARGEST)
    small = _corners(fine & split.repeat(2, 0).repeat(2, 1), 2 * x, 2 * y, side // 2)
    return Cover({size // 2: small, size: _corners(coarse & ~split, x, y, side)}, side // size)


def _corners(cells: NDArray[np.bool_], x: int, y: int, side: int) -> NDArray[np.int64]:
    """Upper left corners in pixels of the cells of `side` px, the first of which is cell (x, y) of the picture."""
    rows, columns = np.nonzero(cells)
    return np.stack((columns + x, rows + y), -1) * side


def _choose(gains: NDArray[np.int64], distance: NDArray[np.float64], budget: int) -> NDArray[np.bool_]:
    """Which cells to split so that their gains (0 to 3) add up to `budget`, or as near below it as they can.

    As many of the gain 3 as possible, then of 2, then of 1, each nearest to the middle first; all of gain 0, as they
    cost nothing.
    """
    there = [int(np.count_nonzero(gains == gain)) for gain in range(4)]
    best = (0, 0, 0)
    for threes in range(min(there[3], budget // 3), -1, -1):
        twos = min(there[2], (budget - 3 * threes) // 2)
        ones = min(there[1], budget - 3 * threes - 2 * twos)
        if 3 * threes + 2 * twos + ones > best[0] + 2 * best[1] + 3 * best[2]:
            best = (ones, twos, threes)
        if 3 * threes + 2 * twos + ones == budget:
            break
    split = gains == 0
    nearest = np.argsort(distance, kind="stable")
    for gain, wanted in zip((1, 2, 3), best, strict=True):
        split[nearest[gains[nearest] == gain][:wanted]] = True
    return split
