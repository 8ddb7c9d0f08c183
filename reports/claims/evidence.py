"""Estimates with standard errors, and the verdicts that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.compare import PairedComparison
from bench.run_file import ResultsError
from bench.seen import unfair
from objascale.intervals import (
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
class EvidenceRows:
    """The rows behind one estimate, one entry per object.

    The estimate is the sum of `values` / the sum of `weights`; with weights of 1 it is a mean.

    Attributes:
        about: The model or pair.
        objects: The objects, by mask area / image area.
        values: Numerators, shape (n,).
        clusters: The cluster of each object.
        weights: Denominators, shape (n,).
        support: The range of the estimate.
        seen: The number of objects that a model has seen in training, or whose data set it has seen.
    """

    about: str
    objects: str
    values: NDArray[np.float64]
    clusters: NDArray[np.object_]
    weights: NDArray[np.float64]
    support: Support
    seen: int = 0

    @classmethod
    def mean(cls, about: str, objects: str, rows: pd.DataFrame, value: str) -> EvidenceRows:
        """Return the evidence for the mean of the column `iou` or `difference` of rows with a `cluster`."""
        support = {"iou": SHARE, "difference": DIFFERENCE}[value]
        seen = rows["seen"] if "seen" in rows else unfair(rows)  # pairs already have the column
        values, clusters = rows[value].to_numpy(float), rows["cluster"].to_numpy(object)
        return cls(about, objects, values, clusters, np.ones(len(rows)), support, int(seen.sum()))


@dataclass(frozen=True)
class Estimate:
    """An estimate from `n` objects.

    Attributes:
        about: The model or pair.
        objects: The objects, by mask area / image area.
        value: The estimate; NaN if the objects do not determine it, and then `why` is the reason.
        n: The number of objects.
        without: The estimate with each cluster left out, by cluster.
        weights: The weight of each cluster, by cluster.
        support: The range of the estimate.
        why: A sentence that goes before the reason of the verdict.
        seen: As in `EvidenceRows`.
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
        """Return the estimate with its standard error, as a single cell."""
        cells = np.zeros(len(self.weights), np.int64)
        value, without, weights = np.array([self.value]), self.without.to_numpy(float), self.weights.to_numpy(float)
        return jackknife(value, without, weights, cells, self.support)


def difference(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """Pair the rows of two models (`bench.compare`), with A − B in `difference`; empty if they share no object.

    If a side has several rows of an object, the first one counts.
    """
    key = ["image_sha256", "object_id"]
    try:
        return PairedComparison.of(a.drop_duplicates(key), b.drop_duplicates(key)).pairs
    except ResultsError:
        return pd.DataFrame({"difference": [], "cluster": [], "fraction": [], "seen": []})


def estimate(samples: Sequence[EvidenceRows]) -> list[Estimate]:
    """Return the estimate of each sample; NaN for an empty one."""
    estimates = []
    for sample in samples:
        parts = pd.DataFrame({"sums": sample.values, "weights": sample.weights}).groupby(sample.clusters).sum()
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
    """Test "the value lies above `bound`" (or below) for each estimate.

    The verdict is "cannot be told" with fewer than MIN_CLUSTERS assets, if the interval contains `bound`, or if p is
    0.05 or more after Holm's adjustment for all estimates. It is "not judged" if a model has seen an object in
    training.
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
    finding = Finding(item.about, item.objects, "cannot be told", item.why, item.n, clusters, item.value)
    why = f"{item.why} " if item.why else ""
    if item.seen:
        return replace(finding, verdict="not judged", reason=f"Seen in training: {item.seen} of {item.n} objects.")
    if not item.n:
        return replace(finding, reason=f"{why}No objects.")
    if clusters < MIN_CLUSTERS:
        of = _count(clusters, "asset or image", "assets or images")
        return replace(finding, reason=f"{why}The objects come from {of}; at least {MIN_CLUSTERS} are needed.")
    if np.isnan(item.value):
        return finding
    low, high = (float(end[0]) for end in found.interval())
    if np.isnan(p):
        return replace(finding, reason=f"{why}The values of all {clusters} assets are equal, so there is no interval.")
    finding = replace(finding, low=low, high=high, p=p)
    if low <= bound <= high:
        return replace(finding, reason=f"{why}The interval contains {bound:g}.")
    side = bool(low > bound)
    where = f"{why}The interval is {'above' if side else 'below'} {bound:g}"
    if p >= 1 - LEVEL:
        return replace(finding, reason=f"{where}, but p is {p:.2f} after Holm for {_count(comparisons, 'comparison')}.")
    return replace(finding, verdict="holds" if side == above else "does not hold", reason=f"{where}.")


def _count(n: int, one: str, many: str = "") -> str:
    return f"{'no' if n == 0 else n} {one if n == 1 else many or one + 's'}"
