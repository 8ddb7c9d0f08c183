"""Search for a mask with few evaluations of the network.

The network gives a logit for any pixel, and the mask is where the logit is above 0. The logit is a smooth function of
the position. The search evaluates a coarse lattice of pixels first. Where the logit is far from 0, compared with its
change from one lattice point to the next, the sign between the points is certain. Elsewhere the search halves the
spacing of the lattice, down to single pixels. At the end it follows the outline.

The result has this property: each pixel that has a neighbour (above, below, left, right) with the other sign is itself
evaluated. So a connected region of the true mask or of its background is exact if at least one of its pixels is
evaluated. A region that contains a whole square of the first lattice always is. The only possible error is a smaller
region that is missed as a whole.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Pixels = tuple[NDArray[np.int64], NDArray[np.int64]]  # columns and rows, (n,) each

SIGN_MARGIN = 2  # a sign is certain if neighbours' logits differ by less than this many times the logit
PIXELS_PER_CALL = 1 << 17  # keeps the arrays of one step below 10 MB
LEVELS_PER_LOGIT = 8  # logits are stored as int8 in steps of 1/8, clipped to ±127 levels; 0 becomes ±1


class MaskSearch:
    """Search for the mask of a logit field. The caller evaluates the field.

        search = MaskSearch(width, height, step)
        while (pixels := search.ask()) is not None:
            search.tell(logits_at(*pixels))
        mask = search.mask()

    Memory is four bytes per pixel.

    Args:
        width: Width of the field in pixels.
        height: Height of the field in pixels.
        step: Spacing of the first lattice, a power of two; 1 evaluates every pixel.
        seeds: Columns and rows of pixels that are always evaluated, inside the field.

    Raises:
        ValueError: `step` is not a power of two.
    """

    def __init__(self, width: int, height: int, step: int, seeds: Pixels | None = None) -> None:
        if step < 1 or step & (step - 1):
            raise ValueError(f"step must be a power of two, not {step}")
        self._width, self._height, self._first_step, self._step = width, height, step, step
        self._seeds = seeds
        shape = (height + step - 2) // step + 1, (width + step - 2) // step + 1  # the last points may be outside
        self._values, self._known = np.empty(shape, np.int8), np.ones(shape, bool)
        self._round: NDArray[np.int64] | None = None  # flat indices of the lattice points to evaluate; None for all
        self._total, self._done = self._values.size, 0  # points of this round
        self._points = np.empty(0, np.int64), np.empty(0, np.int64)  # lattice rows and columns of the last `ask`
        self._reach = 1  # width in pixels of the band that is evaluated along the outline

    def ask(self) -> Pixels | None:
        """Return the columns and rows of the pixels to evaluate next, or None if the mask is complete.

        Pixels may lie up to `step` − 1 pixels to the right of the field or below it.
        """
        while self._done == self._total:
            if not self._start_round():
                return None
        start, self._done = self._done, min(self._done + PIXELS_PER_CALL, self._total)
        part = np.arange(start, self._done) if self._round is None else self._round[start : self._done]
        self._points = rows, columns = np.divmod(part, self._values.shape[1])
        return columns * self._step, rows * self._step

    def tell(self, logits: NDArray[np.float32]) -> None:
        """Take the logits (n,) of the pixels that `ask` returned. They must be finite."""
        levels = np.clip(np.abs(logits) * LEVELS_PER_LOGIT, 1, 127)
        self._values[self._points] = np.where(logits > 0, levels, -levels)

    def mask(self) -> NDArray[np.bool_]:
        """Return the mask, bool (height, width), after `ask` has returned None."""
        return self._values > 0

    def _start_round(self) -> bool:
        """Choose the lattice points to evaluate next. Return False if there are none left."""
        if self._step > 1:
            self._values, self._known, wanted = _halve(self._values, self._known)
            self._step //= 2
            if self._step == 1:
                frame = np.s_[: self._height, : self._width]
                self._values, self._known, wanted = self._values[frame], self._known[frame], wanted[frame]
        elif self._seeds is not None:
            wanted = np.zeros_like(self._known)
            wanted[self._seeds[1], self._seeds[0]] = True
            self._seeds = None
        else:
            wanted = _front(self._values, self._known, self._reach)
            if not wanted.any():
                return False
            self._reach = min(2 * self._reach, self._first_step)  # follows a long outline in few rounds
        wanted &= ~self._known
        self._known |= wanted
        self._round = np.flatnonzero(wanted)
        self._total, self._done = len(self._round), 0
        return True


@njit(cache=True)
def _halve(
    values: NDArray[np.int8], known: NDArray[np.bool_]
) -> tuple[NDArray[np.int8], NDArray[np.bool_], NDArray[np.bool_]]:
    """Halve the spacing: values, interpolated where unknown; whether they are known; whether to evaluate them."""
    h, w = values.shape
    finer = np.empty((2 * h - 1, 2 * w - 1), np.int8)
    finer_known = np.zeros(finer.shape, np.bool_)
    wanted = np.zeros(finer.shape, np.bool_)
    for i in range(2 * h - 1):
        for j in range(2 * w - 1):
            total = 0
            for y in (i // 2, (i + 1) // 2):
                for x in (j // 2, (j + 1) // 2):
                    total += int(values[y, x])
            mean = total // 4
            finer[i, j] = mean if mean != 0 else 1
    for i in range(h):
        for j in range(w):
            finer_known[2 * i, 2 * j] = known[i, j]
            change = 0
            for y in range(max(i - 1, 0), min(i + 2, h)):
                for x in range(max(j - 1, 0), min(j + 2, w)):
                    change = max(change, abs(int(values[y, x]) - int(values[i, j])))
            if change >= SIGN_MARGIN * abs(int(values[i, j])):
                wanted[max(2 * i - 1, 0) : 2 * i + 2, max(2 * j - 1, 0) : 2 * j + 2] = True
    return finer, finer_known, wanted


@njit(cache=True)
def _front(values: NDArray[np.int8], known: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Return the pixels less than `reach` away from two neighbours with different signs that are not both known."""
    h, w = values.shape
    wanted = np.zeros((h, w), np.bool_)
    for i in range(h):
        for j in range(w):
            for y, x in ((i + 1, j), (i, j + 1)):
                if y == h or x == w or (values[i, j] > 0) == (values[y, x] > 0) or (known[i, j] and known[y, x]):
                    continue
                wanted[max(i - reach + 1, 0) : y + reach, max(j - reach + 1, 0) : x + reach] = True
    return wanted
