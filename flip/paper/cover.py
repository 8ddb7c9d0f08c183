"""Output region of the paper's model: patches that cover a Gaussian (section 3.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flip.gaussian import Gaussian
from objascale.masks import RegionMask

THRESHOLD = 0.01  # of G(x, y) (section 3.4)
MAX_PATCH_SIZE = 16  # samples per side of an output patch, as of the input patches


@dataclass(frozen=True)
class Cover:
    """Output patches.

    Args:
        corners: By patch size p, upper left corners x, y in pixels, (n, 2). A patch has p×p samples.
        unit: Side of one sample in pixels.
    """

    corners: dict[int, NDArray[np.int64]]
    unit: int

    def __len__(self) -> int:
        return sum(len(corners) for corners in self.corners.values())

    def centres(self) -> dict[int, NDArray[np.float64]]:
        """Return the centres of the patches by size, (n, 2), x and y in pixels."""
        return {size: corners + size * self.unit / 2 for size, corners in self.corners.items()}

    def place(self, patches: Mapping[int, NDArray[np.bool_]], width: int, height: int) -> RegionMask:
        """Return the mask of patches in a `width`×`height` frame; it is background outside the patches.

        Args:
            patches: By patch size p, bool (n, p, p).
            width: Width of the frame in pixels.
            height: Height of the frame in pixels.
        """
        unit = self.unit
        edges = np.concatenate([np.hstack((c, c + p * unit)) for p, c in self.corners.items()])
        (x0, y0), (x1, y1) = edges[:, :2].min(0).tolist(), edges[:, 2:].max(0).tolist()
        mask = np.zeros((y1 - y0, x1 - x0), bool)
        for size, samples in patches.items():
            pixels = samples.repeat(unit, 1).repeat(unit, 2)
            for (x, y), patch in zip(self.corners[size] - (x0, y0), pixels, strict=True):
                mask[y : y + size * unit, x : x + size * unit] = patch
        return RegionMask(x0, y0, mask[: height - y0, : width - x0], width, height).tight()


def cover(gaussian: Gaussian, width: int, height: int, count: int) -> Cover:
    """Cover the pixels where G(x, y) > 0.01 with `count` disjoint patches of two adjacent sizes.

    Patches lie on the image's grid of their size, and each contains at least one such pixel. Patches at the edge may
    reach outside of the image. There are fewer than `count` if the region has fewer pixels, or if no choice of patches
    gives this number, as for a Gaussian larger than the image.

    Args:
        gaussian: The Gaussian.
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        count: N_out, at least 4: a region may touch four patches of any size.

    Raises:
        ValueError: `count` is below 4.
    """
    if count < 4:
        raise ValueError(f"count must be at least 4, as a region may touch 4 patches of any size, not {count}")
    # G(x, y) = exp(−½·[(x_rot/σ_x)² + (y_rot/σ_y)²]) > 0.01 is the ellipse of √(−2·ln 0.01) = 3.03 σ
    region = gaussian.ellipse_mask(width, height, math.sqrt(-2 * math.log(THRESHOLD)))
    coarse, x, y, side = region.data, region.x, region.y, 1
    if region.area <= count:
        return Cover({1: _corners(coarse, x, y, 1)}, 1)
    # Not in the paper: which two resolutions. The coarse one is the smallest of which `count` patches cover the region,
    # so the mask is as fine as `count` allows.
    while np.count_nonzero(coarse) > count:
        fine = np.pad(coarse, [(start % 2, (start + n) % 2) for start, n in zip((y, x), coarse.shape, strict=True)])
        coarse = fine[::2, ::2] | fine[1::2, ::2] | fine[::2, 1::2] | fine[1::2, 1::2]
        x, y, side = x // 2, y // 2, side * 2
    # Not in the paper: which patches are split into quarters. Whole ones near the mean are, as in a fovea, then some at
    # the rim, where only two or three quarters touch the region, so that the number is exactly `count`.
    rows, columns = np.nonzero(coarse)
    quarters = fine.reshape(len(coarse), 2, -1, 2).sum((1, 3))[rows, columns]
    offset = (np.stack((columns + x, rows + y), -1) + 0.5) * side - gaussian.mean
    distance = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(gaussian.covariance()), offset)
    split = np.zeros_like(coarse)
    split[rows, columns] = _choose(quarters - 1, distance, count - len(rows))
    # Not in the paper: samples of more than one pixel, where patches of 16×16 pixels are too small to cover the region.
    size = min(side, MAX_PATCH_SIZE)
    small = _corners(fine & split.repeat(2, 0).repeat(2, 1), 2 * x, 2 * y, side // 2)
    return Cover({size // 2: small, size: _corners(coarse & ~split, x, y, side)}, side // size)


def _corners(cells: NDArray[np.bool_], x: int, y: int, side: int) -> NDArray[np.int64]:
    """Return the upper left corners, in pixels, of cells of `side` px; the first is cell (x, y) of the image."""
    rows, columns = np.nonzero(cells)
    return np.stack((columns + x, rows + y), -1) * side


def _choose(gains: NDArray[np.int64], distance: NDArray[np.float64], budget: int) -> NDArray[np.bool_]:
    """Choose cells to split, so that their gains (0 to 3) sum to `budget`, or to the largest possible sum below it.

    Gains of 3 come first, then of 2, then of 1, each in order of distance. All gains of 0 are split, at no cost.
    """
    available = [int(np.count_nonzero(gains == gain)) for gain in range(4)]
    best = (0, 0, 0)
    for threes in range(min(available[3], budget // 3), -1, -1):
        twos = min(available[2], (budget - 3 * threes) // 2)
        ones = min(available[1], budget - 3 * threes - 2 * twos)
        if 3 * threes + 2 * twos + ones > best[0] + 2 * best[1] + 3 * best[2]:
            best = (ones, twos, threes)
        if 3 * threes + 2 * twos + ones == budget:
            break
    split = gains == 0
    nearest = np.argsort(distance, kind="stable")
    for gain, wanted in zip((1, 2, 3), best, strict=True):
        split[nearest[gains[nearest] == gain][:wanted]] = True
    return split
