"""From IoU to verdicts: estimates with clustered draws, and what those can tell of a claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.compare import Comparison
from bench.results import ResultsError
from bench.seen import unfair
from bench.statistics import FEW, LEVEL, clustered_draws
from reports.claims import Finding
from reports.significance import CLUSTERS, FLIPS, holm, sign_flip

REPLICATES = 4000  # of the bootstrap
ALIKE = 30  # with fewer clusters, that all are alike is no proof that others would be


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
    seen: int = 0

    @classmethod
    def mean(cls, about: str, objects: str, rows: pd.DataFrame, value: str) -> Sample:
        """The mean of a column of rows that have a `cluster`."""
        seen = rows["seen"] if "seen" in rows else unfair(rows)  # of pairs, of rows
        values = rows[value].to_numpy(float)
        return cls(about, objects, values, list(rows["cluster"]), np.ones(len(rows)), int(seen.sum()))


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap draws, of `n` objects; `why` goes before the reason.

    `sums` and `weights` are its parts by cluster: their totals' ratio is the value. The value is NaN where objects say
    nothing, and then `why` is all of the reason.
    """

    about: str
    objects: str
    value: float
    draws: NDArray[np.float64]
    n: int
    sums: pd.Series
    weights: pd.Series
    why: str = ""
    seen: int = 0


def difference(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The pairs of two models' rows (`bench.compare`), A − B in `difference`; no row if they share no object.

    Where a side has an object twice, the first row counts.
    """
    key = ["image_sha256", "object_id"]
    try:
        return Comparison.of(a.drop_duplicates(key), b.drop_duplicates(key)).pairs
    except ResultsError:
        return pd.DataFrame({"difference": [], "cluster": [], "fraction": [], "seen": []})


def estimate(samples: Sequence[Sample], seed: int) -> list[Estimate]:
    """The samples' estimates, all of the same draws of whole clusters; samples may share objects. Empty: NaN."""
    if not any(len(sample.values) for sample in samples):
        draws = np.full((1, len(samples)), np.nan)
    else:
        draws = clustered_draws(
            np.concatenate([sample.values for sample in samples]),
            np.concatenate([sample.weights for sample in samples]),
            np.repeat(np.arange(len(samples)), [len(sample.values) for sample in samples]),
            pd.factorize(np.concatenate([np.asarray(sample.clusters, object) for sample in samples]))[0],
            np.random.default_rng(seed),
            replicates=REPLICATES,
        )
    estimates = []
    for index, sample in enumerate(samples):
        parts = pd.DataFrame({"sums": sample.values, "weights": sample.weights}).groupby(list(sample.clusters)).sum()
        weight = parts["weights"].sum()
        value = float(parts["sums"].sum() / weight) if weight > 0 else float("nan")
        own = draws[:, index] if index < draws.shape[1] else np.full(len(draws), np.nan)
        counted = len(sample.values), parts["sums"], parts["weights"]
        estimates.append(Estimate(sample.about, sample.objects, value, own, *counted, seen=sample.seen))
    return estimates


def decide(estimates: Sequence[Estimate], seed: int, bound: float = 0.0, *, above: bool = True) -> list[Finding]:
    """A verdict on "the value lies above `bound`" (or below) for each estimate.

    It cannot be told from fewer than 5 objects, or objects of fewer than 6 assets, or of fewer than 30 that are all
    alike, so that the interval has no width; nor unless the interval leaves out `bound` and p is below 0.05, after Holm
    for as many comparisons as are made here. It is not judged where a model has seen an object in training.
    """
    enough = [
        not item.seen and item.n >= FEW and len(item.sums) >= CLUSTERS and bool(np.isfinite(item.value))
        for item in estimates
    ]
    tested = [item for item, told in zip(estimates, enough, strict=True) if told]
    adjusted = iter(holm(flipped(tested, bound, seed)))
    return [
        _finding(item, next(adjusted) if told else float("nan"), bound, above, len(tested))
        for item, told in zip(estimates, enough, strict=True)
    ]


def flipped(estimates: Sequence[Estimate], bound: float, seed: int) -> NDArray[np.float64]:
    """Two-sided p of "the value is `bound`" for each estimate, by flips of the signs of whole clusters.

    Is a cluster's part as likely above the bound as below it by as much, its sign says nothing. Six clusters are the
    least that can come below 0.05.
    """
    if not estimates:
        return np.empty(0)
    parts = pd.concat([item.sums - bound * item.weights for item in estimates], axis=1).fillna(0.0).to_numpy()
    return sign_flip(parts, np.random.default_rng(seed))


def _finding(item: Estimate, p: float, bound: float, above: bool, comparisons: int) -> Finding:
    clusters = len(item.sums)
    told = Finding(item.about, item.objects, "cannot be told", item.why, item.n, clusters, item.value)
    why = f"{item.why} " if item.why else ""
    if item.seen:
        return replace(told, verdict="not judged", reason=f"Seen in training: {item.seen} of {item.n} objects.")
    if item.n < FEW:
        return replace(told, reason=f"{why}{_count(item.n, 'object').capitalize()}; {FEW} are the least.")
    if clusters < CLUSTERS:
        of = _count(clusters, "asset or picture", "assets or pictures")
        return replace(told, reason=f"{why}All objects are of {of}; {CLUSTERS} are the least.")
    if np.isnan(item.value):
        return told
    low, high = np.nanquantile(item.draws, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    told = replace(told, low=float(low), high=float(high), p=p)
    if low <= bound <= high:
        return replace(told, reason=f"{why}The interval contains {bound:g}.")
    side = bool(low > bound)
    where = f"{why}The interval is {'above' if side else 'below'} {bound:g}"
    if low == high and clusters < ALIKE:
        return replace(told, reason=f"{why}All {clusters} assets are alike; that takes {ALIKE} to tell anything.")
    if p >= 1 - LEVEL and comparisons * _least_p(clusters) >= 1 - LEVEL:
        many = _count(comparisons, "comparison")
        return replace(told, reason=f"{where}, but {clusters} assets cannot tell with {many}.")
    if p >= 1 - LEVEL:
        return replace(told, reason=f"{where}, but p is {p:.2f} after Holm for {_count(comparisons, 'comparison')}.")
    return replace(told, verdict="holds" if side == above else "does not hold", reason=f"{where}.")


def _least_p(clusters: int) -> float:
    """The least that a two-sided test by flips of so many signs can give."""
    return max(2.0 ** (1 - clusters), 1 / (FLIPS + 1))


def _count(n: int, one: str, many: str = "") -> str:
    return f"{'no' if n == 0 else n} {one if n == 1 else many or one + 's'}"
