"""The numbers of Table 1: IoU on every data set, parameters and times, and the paper's IoU on the same images."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from reports.published import paper_data_set, published_model, same_images
from reports.results import ResultsTable
from reports.tables.iou import iou_data
from reports.times import TIMES, timed, times_of
from reports.view import ResultsView

COSTS = ["parameters", *TIMES]
_COUNTS = ["n", "clusters", "errors", "no_detection"]
_OF_DATA_SET = ["series", "prompt", "dataset", "mean", "std", "low", "high", *_COUNTS, "seen_in_training"]
_PUBLISHED = ["published_mean", "published_std", "difference"]


def table_1_data(results: ResultsTable) -> pd.DataFrame:
    """Return one row per plain series and data set, and one per model that was only timed.

    Columns: series, model, tokens, family; parameters, pre_post_ms, model_ms, total_ms (image and object together);
    times ("timing" as in `timed`, or "run" as in `ordinary`); prompt, dataset, mean, std, low, high (IoU from 0 to 1;
    errors count as 0), n, clusters, errors, no_detection, seen_in_training (the worst of the rows), published_mean,
    published_std, difference (ours − paper).
    The published columns are set only on the paper's own images (`same_images`), with the paper's kind of prompt,
    without noise and with trained weights. Unknown values are missing.
    """
    views = [ResultsView(results, dataset, {}) for dataset in results.datasets]
    plain = pd.concat([view.plain for view in views]) if views else results.rows
    measured = pd.concat([_measured(view) for view in views]) if views else pd.DataFrame(columns=["series"])
    data = _costs(results, plain).merge(measured.reindex(columns=[*_OF_DATA_SET, *_PUBLISHED]), on="series", how="left")
    return data.astype(dict.fromkeys(_COUNTS, "Int64"))


def _measured(view: ResultsView) -> pd.DataFrame:
    """Return `iou_data` of the plain series of a data set, and the paper's IoU on the same images."""
    first = view.plain.groupby("series", sort=False).first()
    data = iou_data(view).query("series in @first.index")
    rows = zip(first.loc[data["series"]].to_dict("records"), data["n"], strict=True)
    published = np.array([_paper_iou(row, view, int(n)) for row, n in rows]) / 100
    return data.assign(
        published_mean=published[:, 0], published_std=published[:, 1], difference=data["mean"] - published[:, 0]
    )


def _paper_iou(row: dict[Hashable, Any], view: ResultsView, n: int) -> tuple[float, float]:
    """Return the paper's mean and standard deviation in percent for the same model, prompts and images, or NaN."""
    paper, title = published_model(row["model"]), paper_data_set(view.dataset)
    if paper is None or title is None or row["untrained"] or row["noise"] or row["prompt"] != paper.prompt:
        return math.nan, math.nan
    same_source = row["prompt_source"] in ("matched", paper.prompt)
    same = same_source and same_images(view.dataset, n, view.results.masks(view.dataset))
    return paper.iou[title] if same else (math.nan, math.nan)


def _costs(results: ResultsTable, plain: pd.DataFrame) -> pd.DataFrame:
    """Return one row per series, and per model that was only timed: parameters and times."""
    table = times_of(results.timings, plain).reset_index()
    table = pd.concat([table, _only_timed(timed(results.timings), table)], ignore_index=True)
    cards = [results.card(model) for model in table["model"]]
    table.insert(2, "family", [card.get("family", "") for card in cards])
    table.insert(3, "parameters", [card.get("parameters") for card in cards])
    return table.astype(dict.fromkeys(COSTS, float))


def _only_timed(clocked: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `timed` without a measured series. Names include the patches where needed."""
    known = set(zip(measured["model"], measured["tokens"].fillna(0), strict=True))
    keys = zip(clocked["model"], clocked["tokens"].fillna(0), strict=True)
    rest = clocked[np.array([key not in known for key in keys], bool)]
    again = rest["model"].duplicated(keep=False) | rest["model"].isin(measured["model"])
    with_tokens = [f"{row['model']}: {row['tokens']:.0f} tokens" for row in rest.to_dict("records")]
    series = rest["model"].where(~again | rest["tokens"].isna(), with_tokens)
    return rest[["model", "tokens", *TIMES]].assign(series=series, times="timing")
