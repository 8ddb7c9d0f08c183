"""Binary masks with 64 pixels per word, for metrics that read every pixel of a large mask several times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.masks import RegionMask

BITS = 64  # of a word
WORDS_PER_BAND = 2**14  # 128 KiB: the arrays of a band fit in a core's cache


@dataclass(frozen=True, eq=False)
class BitMask:
    """A binary mask. Everything outside `words` is background.

    Attributes:
        x: Frame column of the first bit, a multiple of 64, so that the words of all masks begin at the same columns.
        y: Frame row of the first word.
        words: The pixels, (h, n) uint64. The lowest bit of a word is its leftmost pixel. The last bit of a row is 0.
    """

    x: int
    y: int
    words: NDArray[np.uint64]

    @classmethod
    def of(cls, mask: RegionMask) -> BitMask:
        """Pack a mask."""
        left = mask.x % BITS
        height, width = mask.data.shape
        packed = np.packbits(mask.data, 1, "little")
        rows = np.zeros((height, (left + width) // BITS + 1), "<u8")
        rows.view(np.uint8)[:, : packed.shape[1]] = packed
        return cls(mask.x - left, mask.y, _delayed(rows.reshape(-1), left, rows.size).reshape(rows.shape))

    @cached_property
    def area(self) -> int:
        """Number of object pixels."""
        return _count(self.words)

    def intersection(self, other: BitMask) -> int:
        """Return the number of pixels in both masks."""
        (h, n), (other_h, other_n) = self.words.shape, other.words.shape
        left, other_left = self.x // BITS, other.x // BITS
        x0, x1 = max(left, other_left), min(left + n, other_left + other_n)
        y0, y1 = max(self.y, other.y), min(self.y + h, other.y + other_h)
        if x0 >= x1 or y0 >= y1:
            return 0
        ours = self.words[y0 - self.y : y1 - self.y, x0 - left : x1 - left]
        return _count(ours & other.words[y0 - other.y : y1 - other.y, x0 - other_left : x1 - other_left])

    def without(self, part: BitMask) -> BitMask:
        """Return the pixels outside `part`, which is a part of this mask with `words` of the same shape."""
        return replace(self, words=self.words ^ part.words)

    def eroded(self, radius: int) -> BitMask:
        """Erode by a square of 2·radius + 1 px. `words` of the result have the same shape.

        The time grows with the logarithm of `radius`.
        """
        n = self.words.shape[1]
        side, words = 2 * radius + 1, np.zeros_like(self.words)
        columns = _runs(self.words.reshape(-1), n * BITS, side).reshape(-1, n)
        rows_per_band = max(WORDS_PER_BAND // n, 1)
        for start in range(0, len(columns), rows_per_band):
            band = columns[start : start + rows_per_band]
            squares = _delayed(_runs(band.reshape(-1), 1, side), radius, band.size)
            words[radius + start : radius + start + len(band)] = squares.reshape(band.shape)
        return replace(self, words=words)


def _count(words: NDArray[np.uint64]) -> int:
    """Return the number of bits that are 1."""
    return int(cv2.norm(words.view(np.uint8), cv2.NORM_HAMMING)) if words.size else 0


def _runs(bits: NDArray[np.uint64], distance: int, length: int) -> NDArray[np.uint64]:
    """Return the first bits of the runs of `length` ones that are `distance` apart in a sequence of bits.

    The pixels of a row are 1 apart, and those of a column are as far apart as the rows. A run cannot continue in the
    next row, because the last bit of each row is 0. Each conjunction of the sequence with an advanced one extends the
    runs, by their length at most.
    """
    reached = 1
    while reached < length:
        step = min(reached, length - reached)
        advanced = _advanced(bits, step * distance)
        bits = np.bitwise_and(bits[: len(advanced)], advanced, out=advanced)
        reached += step
    return bits


def _advanced(bits: NDArray[np.uint64], distance: int) -> NDArray[np.uint64]:
    """Return the sequence of bits from `distance` on, as a new array."""
    first, offset = divmod(distance, BITS)
    words = bits[first:]
    moved = words >> np.uint64(offset)
    if offset:
        moved[:-1] |= words[1:] << np.uint64(BITS - offset)
    return moved


def _delayed(bits: NDArray[np.uint64], distance: int, length: int) -> NDArray[np.uint64]:
    """Return `length` words: `distance` zeros, the sequence of bits, and zeros. No bit of 1 may be lost at the end."""
    first, offset = divmod(distance, BITS)
    moved = np.zeros(length, np.uint64)
    end = min(first + len(bits), length)
    moved[first:end] = bits[: end - first] << np.uint64(offset)
    if offset:
        moved[first + 1 : end + 1] |= bits[: len(moved[first + 1 : end + 1])] >> np.uint64(BITS - offset)
    return moved
