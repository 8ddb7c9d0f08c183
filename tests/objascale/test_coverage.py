"""Coverage of the intervals of `objascale.intervals`, and false positive rate of its tests.

`python -m pytest tests/objascale/test_coverage.py -m slow -s` prints the tables of docs/methods.md. The simulated IoUs
are skewed, bounded by 1, zero for missed objects, and correlated within clusters of unequal size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pytest
from numpy.typing import NDArray

from objascale.intervals import DIFFERENCE, LEVEL, SHARE, Estimates, ratios

DRAWS = {6: 10_000, 8: 10_000, 12: 10_000, 30: 4000, 100: 2000}  # simulated data sets by number of clusters
COVERED = 0.92
FALSE = 0.06
ALIKE = 0.6  # its square is the correlation of the qualities of two models over assets

Interval = tuple[NDArray[np.float64], NDArray[np.float64]]
Case = tuple[tuple[str, ...], str, int]
"""One model, or two for a difference; the sizes of clusters; the number of clusters."""


@dataclass(frozen=True)
class Model:
    """IoUs of a model: Beta with a logit-normal mean per cluster, and 0 for missed objects.

    `level` and `between` are mean and standard deviation of the logits, `precision` is that of the Beta, and `missed`
    is the fraction of missed objects, Beta-distributed over clusters. `of_size` is subtracted from the logit per
    unit of the logarithm of the cluster size, because crowded images are harder.
    """

    level: float
    between: float
    precision: float
    missed: float
    of_size: float = 0.1

    def ious(self, quality: NDArray[np.float64], sizes: NDArray[np.int64], rng: np.random.Generator) -> NDArray:
        """Return an IoU for each object of clusters with the given sizes and standard normal qualities."""
        logits = self.level + self.between * quality - self.of_size * np.log(sizes)
        mean = np.repeat(1 / (1 + np.exp(-logits)), sizes)
        hit = rng.beta(mean * self.precision, (1 - mean) * self.precision)
        missed = np.repeat(rng.beta(2 * self.missed, 2 - 2 * self.missed, len(sizes)), sizes)
        return np.where(rng.random(len(hit)) < missed, 0.0, hit)


MODELS = {  # comments: mean and standard deviation over objects in clusters of four, fraction of zeros
    "precise": Model(2.75, 0.75, 14, 0.004),  # 0.91, 0.11, 0 %
    "good": Model(2.05, 0.65, 14, 0.01),  # 0.85, 0.15, 1 %
    "fair": Model(1.45, 0.5, 8, 0.005),  # 0.77, 0.17, 0 %
    "even": Model(0.87, 0.5, 8, 0.001),  # 0.67, 0.19, 0 %
    "lumpy": Model(1.3, 0.7, 8, 0.1),  # 0.67, 0.29, 10 %
    "half": Model(0.8, 0.7, 6, 0.5),  # 0.32, 0.36, 50 %
    "lost": Model(0.5, 0.7, 6, 0.85),  # 0.09, 0.23, 85 %
}
SIZES: dict[str, Callable[[np.random.Generator, int], NDArray[np.int64]]] = {
    "1": lambda rng, n: np.ones(n, np.int64),
    "1 to 5": lambda rng, n: rng.integers(1, 6, n),
    "1 to 40": lambda rng, n: np.clip(np.ceil(rng.lognormal(1.6, 0.9, n)), 1, 40).astype(np.int64),
}
MEANS = [("precise",), ("good",), ("fair",), ("lumpy",), ("half",), ("lost",)]
DIFFERENCES = [("good", "good"), ("lumpy", "lumpy"), ("precise", "lumpy"), ("good", "half"), ("precise", "lost")]
EQUALS = [("good", "good"), ("lumpy", "lumpy"), ("lost", "lost"), ("even", "lumpy")]


@dataclass(frozen=True)
class Draws:
    """Objects of several simulated data sets. Each has a data set (cell) and a cluster, unique over all data sets."""

    values: NDArray[np.float64]
    cells: NDArray[np.int64]
    clusters: NDArray[np.int64]

    def estimates(self) -> Estimates:
        support = DIFFERENCE if self.values.min() < 0 else SHARE
        return ratios(self.values, np.ones_like(self.values), self.cells, self.clusters, support)


def simulate(case: Case, draws: int, seed: int) -> Draws:
    """Simulate `draws` data sets of one model, or of the difference of two models on the same objects."""
    (models, sizes, clusters), rng = case, np.random.default_rng(seed)
    n = SIZES[sizes](rng, draws * clusters)
    shared = rng.normal(size=len(n))
    ious = [
        MODELS[name].ious(ALIKE * shared + np.sqrt(1 - ALIKE**2) * rng.normal(size=len(n)), n, rng) for name in models
    ]
    cluster = np.repeat(np.arange(len(n)), n)
    return Draws(ious[0] if len(ious) == 1 else ious[0] - ious[1], cluster // clusters, cluster)


@lru_cache
def truth(models: tuple[str, ...], sizes: str) -> float:
    """Return the mean over enough clusters for a negligible error; it is 0 for equal models."""
    if len(models) == 2 and models[0] == models[1]:
        return 0.0
    return float(simulate((models, sizes, 1), 300_000, seed=1).values.mean())


def coverage(interval: Callable[[Draws], Interval], case: Case, draws: int) -> float:
    """Return the fraction of intervals that cover the true mean, of the data sets that have an interval."""
    low, high = interval(simulate(case, draws, seed=case[2]))
    true, printed = truth(*case[:2]), ~np.isnan(low)
    return ((low <= true) & (true <= high))[printed].mean()


def ours(draws: Draws) -> Interval:
    return draws.estimates().interval()


def percentile_bootstrap(draws: Draws) -> Interval:
    """Return the percentile interval of the mean over clusters drawn with replacement."""
    rng, sums, sizes = np.random.default_rng(0), np.bincount(draws.clusters, draws.values), np.bincount(draws.clusters)
    cells = int(draws.cells.max()) + 1
    sums, sizes = sums.reshape(cells, -1), sizes.reshape(cells, -1)
    taken = rng.integers(sums.shape[1], size=(400, sums.shape[1]))
    means = sums[:, taken].sum(2) / sizes[:, taken].sum(2)
    low, high = np.quantile(means, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=1)
    return low, high


def table(title: str, models: list[tuple[str, ...]], share: Callable[[Case], float]) -> NDArray:
    """Print and return the fractions by model and cluster size (rows) and by number of clusters (columns)."""
    rows = [(each, sizes) for each in models for sizes in SIZES]
    shares = np.array([[share((each, sizes, clusters)) for clusters in DRAWS] for each, sizes in rows])
    print(f"\n{title}, by number of clusters\n")
    print(f"| models | objects per cluster | {' | '.join(map(str, DRAWS))} |\n|---|---|{'---:|' * len(DRAWS)}")
    names = [(" − ".join(each), sizes) for each, sizes in rows] + [("lowest", ""), ("highest", "")]
    for (name, sizes), line in zip(names, [*shares, shares.min(0), shares.max(0)], strict=True):
        print(f"| {name} | {sizes} | {' | '.join(f'{each:.3f}' for each in line)} |")
    return shares


@pytest.mark.slow
@pytest.mark.parametrize(("of", "models"), [("means", MEANS), ("paired differences", DIFFERENCES)])
def test_intervals_cover_the_true_mean(of: str, models: list[tuple[str, ...]]) -> None:
    shares = table(f"Coverage of the 95 % intervals of {of}", models, lambda case: coverage(ours, case, DRAWS[case[2]]))
    assert shares.min() >= COVERED


@pytest.mark.slow
def test_tests_have_the_nominal_false_positive_rate() -> None:
    def found(case: Case) -> float:
        estimates = simulate(case, DRAWS[case[2]], seed=case[2]).estimates()
        return (estimates.p(truth(*case[:2])) < 1 - LEVEL).mean()

    assert table("Share of p < 0.05 between models of equal mean", EQUALS, found).max() <= FALSE


QUICK: list[Case] = [(("good",), "1 to 5", 6), (("lumpy",), "1 to 40", 6), (("precise", "lumpy"), "1 to 5", 8)]


@pytest.mark.parametrize("case", QUICK, ids=str)
def test_intervals_cover_the_true_mean_in_a_few_hundred_draws(case: Case) -> None:
    assert coverage(ours, case, 500) >= COVERED


@pytest.mark.parametrize("case", QUICK, ids=str)
def test_a_few_hundred_draws_reveal_a_method_with_low_coverage(case: Case) -> None:
    assert coverage(percentile_bootstrap, case, 500) < COVERED - 0.02
