"""The first sentence of the page: the highest and the lowest model on small objects, and the prompt alone.

All numbers of a sentence are means over the same objects. Models that have seen one of them, or the data set, in
training, untrained models, and models that were scored on fewer objects are left out, and named.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from bench.choices import PROTOCOLS
from bench.seen import unfair
from bench.statistics import clustered_means
from objascale.intervals import DIFFERENCE, INTERVAL_NOTE, LEVEL, MIN_CLUSTERS, Estimates, ratios
from reports.claims.paper import SMALL_FRACTION
from reports.figures.parts import error_note
from reports.tables.cells import seen_mark, seen_note, with_seen
from reports.tables.paired import bare_prompt
from reports.view import BARE_PROMPT_MODELS, ResultsView

SMALL = "below 1/1000 of the picture"
Word = tuple[Literal["text", "model", "value", "interval"], str]
"""A part of a sentence with its kind."""


@dataclass(frozen=True)
class Answer:
    """A sentence and what stands behind it.

    Attributes:
        words: The sentence.
        details: Sentences on the objects, the difference, and the models that are left out.
        small_objects: The number of objects below `SMALL_FRACTION`.
    """

    words: list[Word]
    details: list[str]
    small_objects: int

    @property
    def sentence(self) -> str:
        """The sentence as plain text."""
        return "".join(text for _, text in self.words)


def answer_of(view: ResultsView) -> Answer:
    """Return the answer of a data set. With too little evidence, the sentence says so."""
    rows = _alike(view)
    objects = rows.drop_duplicates("object")
    small = objects[objects["fraction"] < SMALL_FRACTION]
    where, part = f"B{SMALL[1:]}, ", rows[rows["object"].isin(small["object"])]
    if small["cluster"].nunique() < MIN_CLUSTERS:
        lack = f"Only {_count(small)} {'is' if len(small) == 1 else 'are'}" if len(small) else "No object here is"
        where, part = f"{lack} {SMALL}; over all sizes, ", rows
    if part["cluster"].nunique() < MIN_CLUSTERS:
        few = f"{view.dataset} has {_count(objects)}, too few to compare models: at least {MIN_CLUSTERS} are needed."
        return Answer([("text", few)], [], len(small))
    models, left_out = _models(part)
    if not models:
        why = "no model can be compared" if left_out else "only the prompts alone were scored"
        return Answer([("text", f"{where}{why}.")], left_out, len(small))
    iou = part.pivot(index="object", columns="series", values="iou")
    shared = part[part["object"].isin(iou[models].dropna().index)]
    if shared["cluster"].nunique() < MIN_CLUSTERS:
        few = f"{where}the models have {_count(shared.drop_duplicates('object'))} in common, too few to compare them."
        return Answer([("text", few)], left_out, len(small))
    return _sentence(where, shared, models, left_out, len(small))


def _alike(view: ResultsView) -> pd.DataFrame:
    """Return the plain rows with one source of prompts and the lowest noise, one per series and object.

    Prompts are `matched` if there are any, else from the first source.
    """
    plain = view.plain.drop_duplicates(["series", "object"])
    sources = sorted(plain["prompt_source"].unique(), key=lambda source: (source != "matched", source in PROTOCOLS))
    rows = plain[plain["prompt_source"] == sources[0]]
    return rows[rows["noise"] == rows["noise"].min()]


def _models(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Return the series to compare, and a sentence that names the others; no sentence if there are none."""
    rows = rows[~rows["model"].isin(BARE_PROMPT_MODELS.values())]
    reasons: dict[str, str] = {}
    for series, part in rows.groupby("series", sort=False):
        if part["untrained"].any():
            reasons[str(series)] = ""  # the name of the series says it
        elif unfair(part).any():
            reasons[str(series)] = "trained on some of these objects or on this data set"
    fair = rows.loc[~rows["series"].isin(reasons), "series"].value_counts(sort=False)
    reasons |= {str(series): "scored on fewer objects" for series in fair.index[fair < fair.max()]}
    models = [str(series) for series in fair.index if series not in reasons]
    listed = "; ".join(f"{series} ({reason})" if reason else series for series, reason in reasons.items())
    return models, [f"Not compared: {listed}."] if listed else []


def _sentence(where: str, rows: pd.DataFrame, models: list[str], left_out: list[str], small: int) -> Answer:
    """Compare the models with the highest and the lowest mean."""
    means = with_seen(clustered_means(rows, ["series"]), rows, ["series"]).to_dict("index")
    ordered = sorted(models, key=lambda series: -means[series]["mean"])
    shown = list(dict.fromkeys([ordered[0], ordered[-1]]))
    count = _count(rows.drop_duplicates("object"))
    details = [f"{count[0].upper()}{count[1:]}, the same for every number. {INTERVAL_NOTE}"]
    first, last = _mean(means[shown[0]]), _mean(means[shown[-1]])
    words: list[Word] = [("text", where), ("model", shown[0])]
    if len(shown) == 1:
        words += [("text", " keeps an IoU of "), *first]
        details.append("No second model can be compared with it.")
    else:
        p, difference = _difference(rows, shown, len(models))
        details.append(difference)
        if p < 1 - LEVEL:
            words += [("text", " keeps an IoU of "), *first, ("text", " where "), ("model", shown[1])]
            words += [("text", " has "), *last]
        else:
            words += [("text", " with an IoU of "), *first, ("text", " and "), ("model", shown[1])]
            words += [("text", " with "), *last, ("text", " cannot be told apart")]
    details += [*left_out, *seen_note(means[series]["seen_in_training"] for series in shown)]
    details += filter(None, [error_note(rows[rows["series"].isin(models)]).strip()])
    return Answer([*words, *_prompts(rows, means, shown)], details, small)


def _difference(rows: pd.DataFrame, pair: list[str], models: int) -> tuple[float, str]:
    """Return the p-value of no difference between two series, adjusted for all pairs of `models`, and a sentence."""
    sides = (rows[rows["series"] == series].set_index("object") for series in pair)
    high, low = sides
    differences = (high["iou"] - low["iou"].reindex(high.index)).to_numpy(float)
    one, cluster = np.zeros(len(differences), np.int64), pd.factorize(high["cluster"])[0]
    found: Estimates = ratios(differences, np.ones_like(differences), one, cluster, DIFFERENCE)
    pairs = models * (models - 1) // 2
    p, ends = float(found.p(0.0)[0]) * pairs, [float(end[0]) for end in found.interval()]
    if np.isnan(p):
        return 1.0, f"{pair[0]} and {pair[1]} have the same IoU on every object."
    adjusted = f" after Bonferroni's adjustment for the {pairs} pairs of {models} models" if pairs > 1 else ""
    chosen = f"{pair[0]} has the highest and {pair[1]} the lowest mean of {models} models. " if models > 2 else ""
    size = "p < 0.001" if p < 0.001 else f"p = {min(p, 1):.3f}"
    return p, (
        f"{chosen}Paired by object, they differ by {found.value[0]:.3f} [{ends[0]:.3f}, {ends[1]:.3f}], "
        f"{size}{adjusted}."
    )


def _prompts(rows: pd.DataFrame, means: dict[Hashable, dict[Hashable, Any]], shown: list[str]) -> list[Word]:
    """Return the end of the sentence, on the prompts alone. One that was not scored on every object is missing."""
    n = rows["object"].nunique()
    alone: dict[str, list[str]] = {}  # the models of each bare prompt
    for series in shown:
        bare = bare_prompt(rows, rows[rows["series"] == series])
        known = bare is not None and means[bare]["n"] == n
        alone.setdefault(str(bare) if known else "", []).append(series)
    missing = alone.pop("", [])
    if not alone:
        return [("text", "; the prompt alone was not measured.")]
    words: list[Word] = []
    for prompt, models in alone.items():
        begins = "; the prompts alone give " if len(alone) > 1 else "; the prompt alone gives "
        words.append(("text", " and " if words else begins))
        words += [*_mean(means[prompt]), ("text", f" ({prompt}{f' of {models[0]}' if missing else ''})")]
    return [*words, ("text", f", that of {missing[0]} was not measured." if missing else ".")]


def _mean(row: dict[Hashable, Any]) -> list[Word]:
    """Return a mean with the mark of what the model has seen in training, and its interval."""
    mark = seen_mark(row["seen_in_training"])
    return [("value", f"{row['mean']:.2f}{mark}"), ("interval", f" [{row['low']:.2f}, {row['high']:.2f}]")]


def _count(objects: pd.DataFrame) -> str:
    """Return "58 objects of 53 assets"; pictures where no asset is known."""
    n, clusters = len(objects), objects["cluster"].nunique()
    if n == 0:
        return "no object"
    of = "picture" if (objects["asset_id"].fillna("") == "").all() else "asset"
    return f"{n:,} object{'s' * (n != 1)} of {clusters:,} {of}{'s' * (clusters != 1)}"
