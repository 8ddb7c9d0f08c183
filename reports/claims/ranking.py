"""Whether renders rank models as photographs do.

The order of the models by mean IoU on one data set is compared with that on another by Kendall's τ-b: 1 for equal
orders, −1 for opposite ones. Intervals are percentiles over a bootstrap that draws whole clusters (assets, or images
where no asset is known) of each data set with replacement, for all models together. The box and the ellipse are
prompts, not models, and do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.seen import unfair
from objascale.datasets import RENDERED
from objascale.intervals import LEVEL, holm
from reports.claims import Finding
from reports.claims.models import prompted_rows
from reports.difficulty import CLEAN, PHOTO, preset_of
from reports.view import BARE_PROMPT_MODELS, ResultsView

MIN_MODELS = 4  # a choice: six pairs of models
MIN_RESAMPLED_CLUSTERS = 20  # a choice: percentiles over fewer clusters are too close together
REPLICATES = 2000
_SYNTHETIC = (RENDERED, "hypersim")  # beginnings of the names of data sets without photographs

Means = NDArray[np.float64]
"""Mean IoU per model along the last axis."""


def kendall(a: Means, b: Means) -> NDArray[np.float64]:
    """Return Kendall's τ-b of two arrays along their last axis; NaN where all values of one are equal."""
    first, second = np.triu_indices(a.shape[-1], 1)
    x, y = (np.sign(values[..., first] - values[..., second]) for values in (a, b))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(-1) / np.sqrt((x**2).sum(-1) * (y**2).sum(-1))


@dataclass(frozen=True)
class Scores:
    """The IoU of several models on the objects of a data set that all of them have rows of.

    Attributes:
        dataset: The name of the data set.
        models: Names of the series.
        sums: Sum of the IoU over the objects of each cluster, shape (clusters, models).
        counts: Number of objects of each cluster, shape (clusters,).
    """

    dataset: str
    models: tuple[str, ...]
    sums: NDArray[np.float64]
    counts: NDArray[np.float64]

    @classmethod
    def of(cls, dataset: str, rows: pd.DataFrame, models: Sequence[str]) -> Scores:
        """Return the scores of the rows of a data set, which have `series`, `object`, `cluster` and `iou`."""
        table = rows.pivot_table(index=["cluster", "object"], columns="series", values="iou", aggfunc="first")
        groups = table.reindex(columns=list(models)).dropna().groupby("cluster")
        return cls(dataset, tuple(models), groups.sum().to_numpy(float), groups.size().to_numpy().astype(float))

    def means(self) -> Means:
        """Return the mean IoU of each model, shape (models,)."""
        return self.sums.sum(0) / self.counts.sum()

    def resampled(self, rng: np.random.Generator) -> Means:
        """Return the means of `REPLICATES` bootstrap samples of clusters, shape (REPLICATES, models)."""
        clusters = len(self.counts)
        times = rng.multinomial(clusters, np.full(clusters, 1 / clusters), REPLICATES)
        return (times @ self.sums) / (times @ self.counts)[:, None]

    def order(self) -> str:
        """Return the models from the highest to the lowest mean IoU."""
        means = self.means()
        return " > ".join(f"{self.models[i]} {means[i]:.3f}" for i in np.argsort(-means, kind="stable"))


def clean_agrees(view: ResultsView) -> list[Finding]:
    """τ of each data set of clean renders and these photographs."""
    return _judged(view, [CLEAN], lambda photographs, clean: kendall(clean, photographs))


def difficulty_agrees_better(view: ResultsView) -> list[Finding]:
    """τ of renders of `photo` and these photographs − τ of clean renders and these photographs."""
    return _judged(
        view,
        [CLEAN, PHOTO],
        lambda photographs, clean, photo: kendall(photo, photographs) - kendall(clean, photographs),
    )


def _judged(view: ResultsView, kinds: Sequence[str], statistic: Callable[..., NDArray[np.float64]]) -> list[Finding]:
    """Judge every choice of one data set of renders per kind."""
    if view.dataset.startswith(_SYNTHETIC):
        return [_not_measured(view.dataset, "the claim is about photographs. Give results on some beside these.")]
    renders = [name for name in view.results.datasets if name.startswith(RENDERED)]
    chosen: list[list[str]] = [[]]
    for kind in kinds:
        found = [name for name in renders if preset_of(view.results.of(name)) == kind]
        if not found:
            command = f"`objascale render --preset {'paper' if kind == CLEAN else kind}` and `bench run`"
            return [_not_measured(view.dataset, f"the results have no {kind} renders. Measure some with {command}.")]
        chosen = [[*names, name] for names in chosen for name in found]
    findings = [_finding(view, names, statistic) for names in chosen]
    adjusted = holm(np.array([found.p for found in findings]))
    return [_decided(found, float(p)) for found, p in zip(findings, adjusted, strict=True)]


def _finding(view: ResultsView, renders: list[str], statistic: Callable[..., NDArray[np.float64]]) -> Finding:
    """Return the statistic, its interval and its p-value, without a verdict."""
    about = f"{' and '.join(renders)} with {view.dataset}"
    rows = {name: _ranked_rows(replace(view, dataset=name)) for name in (view.dataset, *renders)}
    common = set.intersection(*(set(part["series"]) for part in rows.values()))
    models = sorted(common)
    if len(models) < MIN_MODELS:
        return _not_measured(
            about,
            f"{len(models)} models have rows of all of them and have seen none in training; {MIN_MODELS} are needed.",
        )
    scores = [Scores.of(name, part, models) for name, part in rows.items()]
    for each in scores:
        if len(each.counts) < MIN_RESAMPLED_CLUSTERS:
            return _not_measured(
                about,
                f"{each.dataset} has {len(each.counts)} assets or images with rows of all {len(models)} models; "
                f"{MIN_RESAMPLED_CLUSTERS} are needed.",
            )
    rng = np.random.default_rng(0)
    value = float(statistic(*(each.means() for each in scores)))
    replicates = statistic(*(each.resampled(rng) for each in scores))
    low, high = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    tail = min(np.count_nonzero(replicates <= 0), np.count_nonzero(replicates >= 0))
    return Finding(
        about,
        "all",
        "cannot be told",
        "; ".join(f"{each.dataset}: {each.order()}" for each in scores) + ".",
        int(scores[0].counts.sum()),
        len(scores[0].counts),
        value,
        float(low),
        float(high),
        min(2 * (tail + 1) / (REPLICATES + 1), 1.0),
    )


def _ranked_rows(view: ResultsView) -> pd.DataFrame:
    """Return the plain rows of the models that have not seen the data set, without those of bare prompts."""
    rows = prompted_rows(view)
    seen = rows.loc[unfair(rows), "series"].unique()
    return rows[~rows["series"].isin(seen) & ~rows["model"].isin(BARE_PROMPT_MODELS.values())]


def _decided(found: Finding, p: float) -> Finding:
    if not p < 1 - LEVEL or found.low <= 0 <= found.high:
        return replace(found, p=p)
    return replace(found, p=p, verdict="holds" if found.value > 0 else "does not hold")


def _not_measured(about: str, why: str) -> Finding:
    return Finding(about, "all", "cannot be told", f"Not measured: {why}")
