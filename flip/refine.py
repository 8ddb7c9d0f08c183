"""A mask from few questions: ask a coarse lattice of pixels first, then only where the answer is not yet certain.

The network's logit is a smooth field over the picture, and only its sign counts. Where it is far from zero compared
with how much it changes from one lattice point to the next, the sign between the points is not in doubt. Elsewhere the
lattice is halved, and halved again, down to single pixels. At last the outline itself is followed, wherever it leads.

Every pixel that has a neighbour (above, below, left, right) of the other kind has then been asked. It follows that a
connected region of the true mask, or of its background, is found to the pixel if as much as one of its pixels was
asked; any region that holds a whole square of the first lattice is. The only possible error is a smaller region that is
missed as a whole.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numba import njit
from numpy.typing import NDArray

Pixels = tuple[NDArray[np.int64], NDArray[np.int64]]  # columns and rows, (n,) each
Search = Generator[Pixels, NDArray[np.float32], NDArray[np.bool_]]  # asks for logits, ends with the mask

DOUBT = 2  # a lattice point is in doubt if a neighbour's logit differs from its own by so many times its own, or more
BLOCK = 1 << 17  # pixels in one question, at most
STEPS_PER_UNIT = 8  # logits are kept as whole eighths, −127…127 and never 0: one byte each


def refine(width: int, height: int, step: int, seeds: Pixels | None = None) -> Search:
    """Find the mask (`height`, `width`) of a field of logits, by asking for the field at some pixels.

    A coroutine: it yields columns and rows of pixels, wants to be sent their logits (n,), and returns the mask, true
    where the logit is above 0. The logits must be finite. The first lattice has one point in every `step` pixels, a
    power of two; 1 asks for every pixel. The lattice may end up to `step` − 1 pixels to the right of the frame and
    below it. `seeds`, columns and rows within the frame, are asked in any case, before the outline is followed. Memory
    is four bytes a pixel. Raises ValueError for another `step`.
    """
    if step < 1 or step & (step - 1):
        raise ValueError(f"the first lattice's spacing must be a power of two, not {step}")
    first = step
    values = np.empty(((height + step - 2) // step + 1, (width + step - 2) // step + 1), np.int8)
    yield from _ask(values, None, step)
    known = np.ones(values.shape, bool)
    while step > 1:
        values, known, asked = _halve(values, known)
        step //= 2
        yield from _ask_new(values, known, asked, step)
    values, known = values[:height, :width], known[:height, :width]
    if seeds is not None:
        asked = np.zeros_like(known)
        asked[seeds[1], seeds[0]] = True
        yield from _ask_new(values, known, asked, 1)
    reach = 1
    while (asked := _front(values, known, reach)).any():
        yield from _ask_new(values, known, asked, 1)
        reach = min(2 * reach, first)  # what must be followed far is followed in few questions
    return values > 0


def _ask_new(
    values: NDArray[np.int8], known: NDArray[np.bool_], asked: NDArray[np.bool_], step: int
) -> Generator[Pixels, NDArray[np.float32], None]:
    """Ask for the lattice points that are `asked` but not `known` yet; all of them are known then."""
    np.greater(asked, known, out=asked)
    yield from _ask(values, np.flatnonzero(asked), step)
    known |= asked


def _ask(
    values: NDArray[np.int8], where: NDArray[np.int64] | None, step: int
) -> Generator[Pixels, NDArray[np.float32], None]:
    """Ask for the lattice points `where` (flat indices, all if None) and write the answers into `values`."""
    total = values.size if where is None else len(where)
    for start in range(0, total, BLOCK):
        end = min(start + BLOCK, total)
        rows, columns = np.divmod(np.arange(start, end) if where is None else where[start:end], values.shape[1])
        logits = yield columns * step, rows * step
        size = np.clip(np.abs(logits) * STEPS_PER_UNIT, 1, 127)
        values[rows, columns] = np.where(logits > 0, size, -size)


@njit(cache=True)
def _halve(values, known):
    """The lattice at half the spacing: values, interpolated where not known; what is known; what is in doubt."""
    h, w = values.shape
    finer = np.empty((2 * h - 1, 2 * w - 1), np.int8)
    finer_known = np.zeros(finer.shape, np.bool_)
    asked = np.zeros(finer.shape, np.bool_)
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
            if change >= DOUBT * abs(int(values[i, j])):
                asked[max(2 * i - 1, 0) : 2 * i + 2, max(2 * j - 1, 0) : 2 * j + 2] = True
    return finer, finer_known, asked


@njit(cache=True)
def _front(values, known, reach):
    """Pixels less than `reach` away from two neighbours that differ in sign and are not both known."""
    h, w = values.shape
    asked = np.zeros((h, w), np.bool_)
    for i in range(h):
        for j in range(w):
            for y, x in ((i + 1, j), (i, j + 1)):
                if y == h or x == w or (values[i, j] > 0) == (values[y, x] > 0) or (known[i, j] and known[y, x]):
                    continue
                asked[max(i - reach + 1, 0) : y + reach, max(j - reach + 1, 0) : x + reach] = True
    return asked
