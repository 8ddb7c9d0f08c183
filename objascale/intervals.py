"""Means and intervals over objects that are not independent.

The renders of one asset share its shape and texture, and the objects of one photograph share its camera and light. Such
objects form a cluster. Standard errors come from the cluster jackknife, which repeats an estimate with each cluster
left out (CV3 in MacKinnon, Nielsen and Webb 2023, here without its factor (G - 1) / G). The matching t distribution
counts clusters of unequal size as fewer: its degrees of freedom are Kish's effective number - 1. Two additions make the
intervals cover with few clusters and skewed values:

- A mean of IoUs has the interval of Korn and Graubard (1998), that of a binomial share with the same standard error. It
  stays between 0 and 1 and is asymmetric near either end.
- A difference has the t interval, widened as if one more cluster of average size showed no difference (after Agresti
  and Caffo 2000). This matters if the difference is large and few clusters show how often it is absent.

Everything is in closed form. `tests/objascale/test_coverage.py` measures the coverage of the intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtri, stdtrit

LEVEL = 0.95
MIN_CLUSTERS = 6  # with fewer, the spread of the clusters is too uncertain
TOO_FEW = f"fewer than {MIN_CLUSTERS} assets"
INTERVAL_NOTE = (
    f"95 % intervals by the cluster jackknife over assets (images where no asset is known); no interval for {TOO_FEW}."
)

Support = tuple[float, float]
SHARE: Support = (0.0, 1.0)  # the range of an IoU
DIFFERENCE: Support = (-1.0, 1.0)  # the range of a difference of two IoUs
UNBOUNDED: Support = (-np.inf, np.inf)

_ALIKE = 1e-9  # a smaller spread is rounding
_HALVINGS = 60  # bisection steps for a p-value: more than the digits of a float


@dataclass(frozen=True)
class Estimates:
    """Estimates of several cells, all arrays of shape (cells,).

    Attributes:
        value: The estimates.
        error: Their standard errors.
        freedom: Degrees of freedom of the standard errors.
        clusters: Number of clusters behind each.
        support: The range of what is estimated.
    """

    value: NDArray[np.float64]
    error: NDArray[np.float64]
    freedom: NDArray[np.float64]
    clusters: NDArray[np.int64]
    support: Support

    def interval(self, alpha: ArrayLike = 1 - LEVEL) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper bounds of the interval that misses the truth with probability `alpha`, per cell.

        The interval of a share (support 0 to 1) is that of as many yes-or-no trials as have this standard error, and of
        one trial per cluster where all clusters are alike. Other intervals are clipped to their support. The bounds are
        NaN for fewer than MIN_CLUSTERS clusters, and for differences that are all 0: they show no spread.
        """
        tail = np.asarray(alpha) / 2
        t = -stdtrit(self.freedom, tail)
        if self.support == SHARE:
            low, high = self._share(t, tail)
        else:
            spread = np.hypot(self.error, self.value / (self.clusters + 1))
            width = np.where(spread > _ALIKE, t * spread, np.nan)
            low, high = (np.clip(self.value + side, *self.support) for side in (-width, width))
        known = self.clusters >= MIN_CLUSTERS
        return np.where(known, low, np.nan), np.where(known, high, np.nan)

    def _share(
        self, t: NDArray[np.float64], tail: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The binomial interval of Clopper and Pearson for the effective number of trials."""
        share = np.clip(self.value, 0, 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            trials = share * (1 - share) / self.error**2 * (ndtri(tail) / t) ** 2
        trials = np.where(self.error > _ALIKE, trials, self.clusters)
        hits, misses = trials * share, trials * (1 - share)
        low = np.where(hits > 0, betaincinv(hits, misses + 1, tail), 0.0)
        high = np.where(misses > 0, 1 - betaincinv(misses, hits + 1, tail), 1.0)
        return low, high

    def p(self, bound: float) -> NDArray[np.float64]:
        """Two-sided p-values of "the truth is `bound`": the `alpha` at which the interval ends there.

        So p is below 1 - LEVEL exactly where the interval leaves out the bound. NaN where there is no interval.
        """
        low, high = np.zeros_like(self.value), np.ones_like(self.value)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            bounds = self.interval(middle)
            outside = (bound < bounds[0]) | (bound > bounds[1])
            low, high = np.where(outside, low, middle), np.where(outside, middle, high)
        return np.where(np.isnan(self.interval()[0]), np.nan, high)


def ratios(
    numerators: NDArray[np.float64],
    denominators: NDArray[np.float64],
    cells: NDArray[np.integer[Any]],
    clusters: NDArray[np.integer[Any]],
    support: Support,
) -> Estimates:
    """Return each cell's sum of `numerators` / its sum of `denominators`; with denominators of 1 this is a mean.

    All arrays have one entry per object; `cells` and `clusters` count from 0. Every cell has an object.
    """
    pairs, pair = np.unique(cells.astype(np.int64) * (int(clusters.max()) + 1) + clusters, return_inverse=True)
    cell = pairs // (int(clusters.max()) + 1)
    sums, weights = (np.bincount(pair, parts).astype(float) for parts in (numerators, denominators))
    value, without = leave_one_out(sums, weights, cell)
    return jackknife(value, without, weights, cell, support)


def leave_one_out(
    sums: NDArray[np.float64], weights: NDArray[np.float64], cells: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each cell's ratio of the totals of `sums` and `weights`, and for each cluster the ratio without it.

    Both arrays have one entry per cluster of a cell. A ratio with zero weight is NaN.
    """
    above, below = np.bincount(cells, sums), np.bincount(cells, weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        return above / below, (above[cells] - sums) / (below[cells] - weights)


def jackknife(
    value: NDArray[np.float64],
    without: NDArray[np.float64],
    weights: NDArray[np.float64],
    cells: NDArray[np.integer[Any]],
    support: Support,
) -> Estimates:
    """Return the standard errors of `value` (cells,) from the values `without` each cluster.

    `without`, `weights` and `cells` have one entry per cluster of a cell. Clusters with zero weight do not count.
    """
    squares, totals, of_squares, counts = (
        np.bincount(cells, each, minlength=len(value))
        for each in ((without - value[cells]) ** 2, weights, weights**2, weights > 0)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = totals**2 / of_squares - 1
    return Estimates(value, np.sqrt(squares), freedom, counts.astype(np.int64), support)


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return p-values after Holm's adjustment, which bounds the probability of any false finding among them.

    NaN stands for a test that was not made: it stays NaN and does not count.
    """
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]
    stepped = np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1))
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted
