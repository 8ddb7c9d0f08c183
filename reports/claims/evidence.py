"""From IoU to verdicts: estimates with their standard errors, and what those can tell of a claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.compare import Comparison
from bench.results import ResultsError
from bench.seen import unfair
from bench.statistics import (
    DIFFERENCE,
    LEVEL,
    MIN_CLUSTERS,
    SHARE,
    Estimates,
    Support,
    holm,
    jackknife,
    leave_one_out,
)
from reports.claims import Finding


@dataclass(frozen=True)
class Sample:
    """One entry an object: the estimate is the sum of `values` over the sum of `weights`. All weights 1: a mean.

    `seen` counts the objects that a model has seen in training, itself or its data set.
    """

    about: str
    objects: str
    values: NDArray[np.float64]
    clusters: Sequence[str]
    weights: NDArray[np.float64]
    support: Support
    seen: int = 0

    @classmethod
    def mean(cls, about: str, objects: str, rows: pd.DataFrame, value: str) -> Sample:
        """The mean of the column `iou` or `difference` of rows that have a `cluster`."""
        support = {"iou": SHARE, "difference": DIFFERENCE}[value]
        seen = rows["seen"] if "seen" in rows else unfair(rows)  # of pairs, of rows
        values = rows[value].to_numpy(float)
        return cls(about, objects, values, list(rows["cluster"]), np.ones(len(rows)), support, int(seen.sum()))


@dataclass(frozen=True)
class Estimate:
    """A number estimated from `n` objects; `why` goes before the reason.

    `without` holds the number with each cluster left out, and `weights` each cluster's weight, both by cluster. The
    value is NaN where objects say nothing, and then `why` is all of the reason.
    """

    about: str
    objects: str
    value: float
    n: int
    without: pd.Series
    weights: pd.Series
    support: Support
    why: str = ""
    seen: int = 0

    def measured(self) -> Estimates:
        """The number with its standard error, as the only cell."""
        cells = np.zeros(len(self.weights), np.int64)
        value, without, weights = np.array([self.value]), self.without.to_numpy(float), self.weights.to_numpy(float)
        return jackknife(value, without, weights, cells, self.support)


def difference(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The pairs of two models' rows (`bench.compare`), A − B in `difference`; no row if they share no object.

    Where a side has an object twice, the first row counts.
    """
    key = ["image_sha256", "object_id"]
    try:
        return Comparison.of(a.drop_duplicates(key), b.drop_duplicates(key)).pairs
    except ResultsError:
        return pd.DataFrame({"difference": [], "cluster": [], "fraction": [], "seen": []})


def estimate(samples: Sequence[Sample]) -> list[Estimate]:
    """The estimate of each sample. Of an empty one it is NaN."""
    estimates = []
    for sample in samples:
        parts = pd.DataFrame({"sums": sample.values, "weights": sample.weights}).groupby(list(sample.clusters)).sum()
        sums, weights = (parts[name].to_numpy(float) for name in ("sums", "weights"))
        value, without = leave_one_out(sums, weights, np.zeros(len(parts), np.int64))
        estimates.append(
            Estimate(
                sample.about,
                sample.objects,
                float(value[0]) if len(value) else float("nan"),
                len(sample.values),
                pd.Series(without, parts.index),
                parts["weights"],
                sample.support,
                seen=sample.seen,
            )
        )
    return estimates


def decide(estimates: Sequence[Estimate], bound: float = 0.0, *, above: bool = True) -> list[Finding]:
    """A verdict on "the value lies above `bound`" (or below) for each estimate.

    It cannot be told from fewer than MIN_CLUSTERS assets, nor unless the interval leaves out `bound` and p is below
    0.05 after Holm's adjustment for as many comparisons as are made here. It is not judged where a model has seen an
    object in training.
    """
    measured = [item.measured() for item in estimates]
    p = [np.nan if item.seen else found.p(bound)[0] for item, found in zip(estimates, measured, strict=True)]
    adjusted = holm(np.array(p))
    comparisons = int(np.count_nonzero(~np.isnan(adjusted)))
    return [
        _finding(item, found, float(each), bound, above, comparisons)
        for item, found, each in zip(estimates, measured, adjusted, strict=True)
    ]


def _finding(item: Estimate, found: Estimates, p: float, bound: float, above: bool, comparisons: int) -> Finding:
    clusters = len(item.weights)
    told = Finding(item.about, item.objects, "cannot be told", item.why, item.n, clusters, item.value)
    why = f"{item.why} " if item.why else ""
    if item.seen:
        return replace(told, verdict="not judged", reason=f"Seen in training: {item.seen} of {item.n} objects.")
    if not item.n:
        return replace(told, reason=f"{why}No objects.")
    if clusters < MIN_CLUSTERS:
        of = _count(clusters, "asset or picture", "assets or pictures")
        return replace(told, reason=f"{why}All objects are of {of}; {MIN_CLUSTERS} are the least.")
    if np.isnan(item.value):
        return told
    low, high = (float(end[0]) for end in found.interval())
    if np.isnan(p):
        return replace(told, reason=f"{why}The {clusters} assets show no spread to judge by.")
    told = replace(told, low=low, high=high, p=p)
    if low <= bound <= high:
        return replace(told, reason=f"{why}The interval contains {bound:g}.")
    side = bool(low > bound)
    where = f"{why}The interval is {'above' if side else 'below'} {bound:g}"
    if p >= 1 - LEVEL:
        return replace(told, reason=f"{where}, but p is {p:.2f} after Holm for {_count(comparisons, 'comparison')}.")
    return replace(told, verdict="holds" if side == above else "does not hold", reason=f"{where}.")


def _count(n: int, one: str, many: str = "") -> str:
    return f"{'no' if n == 0 else n} {one if n == 1 else many or one + 's'}"
