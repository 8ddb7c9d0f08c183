"""Bins of equal width in logarithms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def log_edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Return `bins` + 1 edges, equally spaced in log10 from the smallest to the largest of `values` (all positive).

    If all values are equal, the range extends by a tenth of a decade on either side.
    """
    low, high = np.log10(np.min(values)), np.log10(np.max(values))
    if low == high:
        low, high = low - 0.1, high + 0.1
    return np.logspace(low, high, bins + 1)


def bin_index(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the bin of each value, from 0 to `len(edges)` - 2. Values beyond the outer edges go to the outer bins."""
    return np.searchsorted(edges[1:-1], values, side="right")
