"""Whether a paired difference can be chance: a randomisation test over whole assets, and Holm's adjustment."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.statistics import FEW

FLIPS = 9999
CLUSTERS = 6  # with fewer, no test by flips of signs has p below 0.05
TOO_FEW = f"fewer than {FEW} objects or {CLUSTERS} assets"
_CHUNK = 250  # sign vectors at once: 250 × 10,200 clusters is 20 MB


def too_few(means: pd.DataFrame) -> pd.Series:
    """Which of the means (`bench.statistics.clustered_means`) rest on too little to be compared: `TOO_FEW`."""
    return (means["n"] < FEW) | (means["clusters"] < CLUSTERS)


def sign_flip(sums: NDArray[np.float64], rng: np.random.Generator, flips: int = FLIPS) -> NDArray[np.float64]:
    """Two-sided p of each column's mean being 0, by the paired randomisation test (Fisher's, Pitman's), (cells,).

    `sums` (clusters, cells): the differences in a cell, added up by cluster. If two models were alike, those of a whole
    cluster would as well have the other sign. p is the share of random signs, one a cluster, under which the total is
    as far from 0 as it is; the signs that are there count as one draw, so that p is never below 1 / (`flips` + 1).
    """
    bound = np.abs(sums.sum(0)) * (1 - 1e-9)  # the same sum, added in another order, is as far
    beyond = np.ones(sums.shape[1])
    for start in range(0, flips, _CHUNK):
        signs = rng.integers(2, size=(min(_CHUNK, flips - start), len(sums)), dtype=np.int8) * 2.0 - 1
        beyond += (np.abs(signs @ sums) >= bound).sum(0)
    return beyond / (flips + 1)


def sums_by_cluster(
    values: NDArray[np.float64], cells: NDArray[np.integer], clusters: NDArray[np.integer]
) -> NDArray[np.float64]:
    """What `sign_flip` takes, (clusters, cells), from arrays with an entry a pair; cells and clusters count from 0."""
    n_cells, n_clusters = int(cells.max()) + 1, int(clusters.max()) + 1
    sums = np.bincount(clusters * n_cells + cells, values, minlength=n_clusters * n_cells)
    return sums.reshape(n_clusters, n_cells).astype(float)


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """p-values adjusted so that the chance of any false claim among them is at most the level each is held against."""
    order = np.argsort(p)
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(stepped)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
