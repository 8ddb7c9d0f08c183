"""Means of results tables, with the intervals of `objascale.intervals`."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from objascale.intervals import MIN_CLUSTERS, SHARE, Support, ratios

_ROUNDING = 1e-9


def clusters(rows: pd.DataFrame) -> pd.Series:
    """Return the cluster of each row of a results table: its asset, or its image where no asset is known."""
    return rows["asset_id"].replace("", None).fillna(rows["image_id"]).astype(str)


def clustered_means(
    rows: pd.DataFrame,
    by: Sequence[str],
    *,
    value: str = "iou",
    support: Support = SHARE,
    bound: float | None = None,
) -> pd.DataFrame:
    """Mean, spread and interval of one column, per group of rows.

    Args:
        rows: One row per object, with the columns `by`, `value` and `cluster`.
        by: The columns to group by. Rows without a value there are left out.
        value: The column to average.
        support: The range of `value`.
        bound: A value of the mean to test; None for no test.

    Returns:
        One row per group, in order of appearance and with the group as index: mean, std (with n - 1), n (objects),
        clusters, low and high (`Estimates.interval`), and with `bound` also p (`Estimates.p`).
    """
    rows = rows.dropna(subset=list(by))
    groups = rows.groupby(list(by), sort=False, observed=True)
    table = groups.agg(mean=(value, "mean"), std=(value, "std"), n=(value, "size"))
    values, cells = rows[value].to_numpy(float), groups.ngroup().to_numpy()
    found = ratios(values, np.ones_like(values), cells, pd.factorize(rows["cluster"])[0], support)
    low, high = found.interval()
    table = table.assign(clusters=found.clusters, low=low, high=high)
    return table if bound is None else table.assign(p=found.p(bound))


def too_few(means: pd.DataFrame) -> pd.Series:
    """Return which rows of `clustered_means` have fewer than MIN_CLUSTERS clusters."""
    return means["clusters"] < MIN_CLUSTERS


def tail_values(values: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return values whose mean is the mean of the lowest `share` of `values`, for `clustered_means`.

    Each is the share's quantile minus the value's shortfall below it / `share`. The derivative of the tail's mean with
    respect to the weight of an object is the same, so the intervals of the two means agree to first order. The object
    at the edge of the tail counts in part if `share` of the objects is no whole number.

    Source: the expected shortfall of Acerbi and Tasche (2002), Journal of Banking and Finance 26(7).

    Args:
        values: (n,), at least one.
        share: Above 0, at most 1.
    """
    position = max(math.ceil(share * len(values) - _ROUNDING), 1) - 1
    quantile = np.partition(values, position)[position]
    return quantile - np.maximum(quantile - values, 0) / share
