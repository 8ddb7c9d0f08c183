"""Bins that are equal in logarithms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def log_edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """`bins` + 1 edges, equal in log10, from the least to the greatest of `values` (all positive).

    Where all values are one, the range is widened by a tenth of a decade on either side.
    """
    low, high = np.log10(np.min(values)), np.log10(np.max(values))
    if low == high:
        low, high = low - 0.1, high + 0.1
    return np.logspace(low, high, bins + 1)


def bin_index(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each value, from 0 to `len(edges)` - 2; values beyond the outer edges are in the outer bins."""
    return np.searchsorted(edges[1:-1], values, side="right")
