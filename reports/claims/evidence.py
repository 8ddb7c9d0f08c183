"""From IoU to verdicts: estimates with clustered draws, and what those can tell of a claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.compare import Comparison
from bench.results import ResultsError
from bench.statistics import FEW, LEVEL, clustered_draws
from reports.claims import Finding

REPLICATES = 4000  # more than an interval needs: the least p is 2 / 4001, which leaves room for 100 comparisons


@dataclass(frozen=True)
class Sample:
    """One entry an object: the estimate is the sum of `values` over the sum of `weights`. All weights 1: a mean."""

    about: str
    objects: str
    values: NDArray[np.float64]
    clusters: Sequence[str]
    weights: NDArray[np.float64]

    @classmethod
    def mean(cls, about: str, objects: str, rows: pd.DataFrame, value: str) -> Sample:
        """The mean of a column of rows that have a `cluster`."""
        return cls(about, objects, rows[value].to_numpy(float), list(rows["cluster"]), np.ones(len(rows)))


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap draws, of so many objects in so many clusters; `why` goes before the reason.

    The number is NaN where objects say nothing, and then `why` is all of the reason.
    """

    about: str
    objects: str
    value: float
    draws: NDArray[np.float64]
    n: int
    clusters: int
    why: str = ""


def difference(a: pd.DataFrame, b: pd.DataFrame) -> pd.DataFrame:
    """The pairs of two models' rows (`bench.compare`), A − B in `difference`; no row if they share no object.

    Where a side has an object twice, the first row counts.
    """
    key = ["image_sha256", "object_id"]
    try:
        return Comparison.of(a.drop_duplicates(key), b.drop_duplicates(key)).pairs
    except ResultsError:
        return pd.DataFrame({"difference": [], "cluster": [], "fraction": []})


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
        weight = sample.weights.sum()
        value = float(sample.values.sum() / weight) if weight > 0 else float("nan")
        own = draws[:, index] if index < draws.shape[1] else np.full(len(draws), np.nan)
        estimates.append(
            Estimate(sample.about, sample.objects, value, own, len(sample.values), len(set(sample.clusters)))
        )
    return estimates


def decide(estimates: Sequence[Estimate], bound: float = 0.0, *, above: bool = True) -> list[Finding]:
    """A verdict on "the value lies above `bound`" (or below) for each estimate.

    It cannot be told from fewer than 5 objects, or objects of fewer than 5 assets, or where p is 0.05 or more. p is
    two-sided, from the share of draws beyond `bound`, and after Holm for as many comparisons as are made here.
    """
    enough = [item.n >= FEW and item.clusters >= FEW and bool(np.isfinite(item.value)) for item in estimates]
    single = [_p(item.draws, bound) if told else float("nan") for item, told in zip(estimates, enough, strict=True)]
    return [
        _finding(item, own, adjusted, bound, above, sum(enough))
        for item, own, adjusted in zip(estimates, single, holm(single), strict=True)
    ]


def holm(values: Sequence[float]) -> list[float]:
    """p after Holm (1979), step down; NaN stays NaN and does not count."""
    order = sorted((p, index) for index, p in enumerate(values) if not np.isnan(p))
    adjusted, least = [float("nan")] * len(values), 0.0
    for rank, (p, index) in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * p))
        adjusted[index] = least
    return adjusted


def _p(draws: NDArray[np.float64], bound: float) -> float:
    known = draws[~np.isnan(draws)]
    beyond = min((known <= bound).sum(), (known >= bound).sum())
    return min(1.0, 2 * (beyond + 1) / (len(known) + 1))


def _finding(item: Estimate, single: float, p: float, bound: float, above: bool, comparisons: int) -> Finding:
    told = Finding(item.about, item.objects, "cannot be told", "", item.n, item.clusters, item.value)
    why = f"{item.why} " if item.why else ""
    if item.n < FEW:
        return replace(told, reason=f"{why}{_count(item.n, 'object').capitalize()}; {FEW} are the least.")
    if item.clusters < FEW:
        reason = f"{why}All objects are of {_count(item.clusters, 'asset or picture', 'assets or pictures')}"
        return replace(told, reason=f"{reason}; {FEW} are the least.")
    if np.isnan(item.value):
        return replace(told, reason=item.why)
    low, high = np.nanquantile(item.draws, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    told = replace(told, low=float(low), high=float(high), p=p)
    if p < 1 - LEVEL:
        side = item.value > bound
        where = "above" if side else "below"
        reason = f"{why}The interval is {where} {bound:g}."
        return replace(told, verdict="holds" if side == above else "does not hold", reason=reason)
    if single < 1 - LEVEL:
        return replace(
            told, reason=f"{why}The interval leaves out {bound:g}, but not after Holm for {comparisons} comparisons."
        )
    return replace(told, reason=f"{why}The interval holds {bound:g}.")


def _count(n: int, one: str, many: str = "") -> str:
    return f"{'no' if n == 0 else n} {one if n == 1 else many or one + 's'}"
