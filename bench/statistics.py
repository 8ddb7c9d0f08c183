"""Means with honest intervals, by size.

The renders of one asset share its shape and texture, so they are not independent: intervals come from a bootstrap that
draws whole assets (clusters), never single objects. Every mean of one table or figure is taken over the same draws.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

REPLICATES = 1000
LEVEL = 0.95
FEW = 5  # a bin with fewer objects than this is marked wherever it is shown
_CHUNK = 50  # replicates drawn at once: 50 × 10,200 clusters is 4 MB


def clusters(rows: pd.DataFrame) -> pd.Series:
    """What each row of a results table is not independent of: its asset; its picture where no asset is known."""
    return rows["asset_id"].replace("", None).fillna(rows["image_id"]).astype(str)


def clustered_means(
    rows: pd.DataFrame,
    by: Sequence[str],
    rng: np.random.Generator,
    *,
    value: str = "iou",
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> pd.DataFrame:
    """Per group of `rows` (columns `by`, `value` and `cluster`): mean, std (n - 1), n, clusters, low, high.

    `low` and `high` bound the percentile interval of the mean (`clustered_interval`). The index holds the groups.
    """
    groups = rows.groupby(list(by), sort=False, observed=True)
    table = groups.agg(mean=(value, "mean"), std=(value, "std"), n=(value, "size"), clusters=("cluster", "nunique"))
    cells = groups.ngroup().to_numpy()
    low, high = clustered_interval(
        rows[value].to_numpy(float), cells, pd.factorize(rows["cluster"])[0], rng, replicates=replicates, level=level
    )
    return table.assign(low=low, high=high)


def clustered_interval(
    values: NDArray[np.float64],
    cells: NDArray[np.integer],
    clusters: NDArray[np.integer],
    rng: np.random.Generator,
    *,
    replicates: int = REPLICATES,
    level: float = LEVEL,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap interval of the mean of each cell, resampling clusters with replacement.

    All three arrays have one entry per object; `cells` and `clusters` count from 0. Gives the lower and the upper
    bounds, one per cell. A cell with objects of one cluster only has no interval (NaN): nothing in it says how much
    another cluster would differ. A draw that leaves a cell empty is left out of that cell's percentiles.
    """
    means = clustered_draws(values, np.ones_like(values), cells, clusters, rng, replicates=replicates)
    n_cells = means.shape[1]
    within = pd.Series(clusters).groupby(cells).nunique().reindex(range(n_cells), fill_value=0).to_numpy()
    bounds, enough = np.full((2, n_cells), np.nan), within > 1
    if enough.any():
        tail = (1 - level) / 2
        bounds[:, enough] = np.nanquantile(means[:, enough], (tail, 1 - tail), axis=0)
    return bounds[0], bounds[1]


def clustered_draws(
    numerators: NDArray[np.float64],
    denominators: NDArray[np.float64],
    cells: NDArray[np.integer],
    clusters: NDArray[np.integer],
    rng: np.random.Generator,
    *,
    replicates: int = REPLICATES,
) -> NDArray[np.float64]:
    """Bootstrap draws of each cell's sum of `numerators` over its sum of `denominators`, (replicates, cells).

    All four arrays have one entry per object; `cells` and `clusters` count from 0. A draw takes as many clusters as
    there are, with replacement, for all cells alike; NaN where it leaves a cell without a denominator. With
    denominators of 1 these are means.
    """
    n_cells, n_clusters = int(cells.max()) + 1, int(clusters.max()) + 1
    flat, shape = clusters * n_cells + cells, (n_clusters, n_cells)
    above, below = (
        np.bincount(flat, parts, minlength=n_clusters * n_cells).reshape(shape) for parts in (numerators, denominators)
    )
    draws = np.empty((replicates, n_cells))
    for start in range(0, replicates, _CHUNK):
        size = min(_CHUNK, replicates - start)
        drawn = rng.integers(n_clusters, size=(size, n_clusters)) + n_clusters * np.arange(size)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=size * n_clusters).reshape(size, n_clusters).astype(float)
        drawn_below = weights @ below
        draws[start : start + size] = np.divide(
            weights @ above, drawn_below, out=np.full((size, n_cells), np.nan), where=drawn_below > 0
        )
    return draws
