"""The tables of the protocols on one data set: clicks, plausible prompts, and a detector's boxes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.protocols.average_precision import MEASURES, average_precision
from bench.protocols.clicks import GOALS, MAX_CLICKS, clicks_to, iou_after
from bench.protocols.detections import matched_box
from bench.statistics import clustered_means, too_few
from objascale.intervals import INTERVAL_NOTE, SHARE, Support, jackknife
from objascale.sizes import coco_bin
from reports.formats import Cell, Column, Table
from reports.tables.cells import (
    failed,
    failures,
    fair,
    few,
    few_note,
    interval,
    marks,
    percent,
    seen_mark,
    seen_note,
    unread_note,
    with_seen,
)
from reports.view import NothingToShow, ResultsView

MAX_GROUPS = 30
"""Groups of clusters for the jackknife of an AP. One AP for each cluster would take hours on a large data set."""

_CLICKS = "clicks"  # heading of the columns that are no percentages
_AFTER = (1, 3, 5)


def clicks_data(view: ResultsView) -> pd.DataFrame:
    """Return one row per series with `--prompt clicks` and measure.

    Columns: series, measure, mean, low, high (clicks, or from 0 to 1), n, clusters, seen_in_training, dataset. The IoU
    of an error is 0 after every click.

    Raises:
        NothingToShow: There is no such series.
    """
    rows = _rows(view, "clicks")
    ious = [_listed(each) for each in rows["ious"]]
    parts = [
        _means(rows, f"NoC@{100 * goal:.0f}", [clicks_to(goal, each) for each in ious], (1.0, MAX_CLICKS))
        for goal in GOALS
    ]
    parts += [
        _means(rows, f"failures@{100 * goal:.0f}", [max(each, default=0.0) < goal for each in ious]) for goal in GOALS
    ]
    parts += [_means(rows, f"mIoU@{clicks}", [iou_after(clicks, each) for each in ious]) for clicks in _AFTER]
    return _finished(view, rows, parts)


def clicks_table(view: ResultsView) -> Table:
    """Numbers of clicks to a mask of good IoU, and mean IoU after clicks."""
    data = clicks_data(view)
    columns = [Column(f"NoC@{100 * goal:.0f}", _CLICKS) for goal in GOALS]
    columns += [Column(f"failures@{100 * goal:.0f}", f"%, after {MAX_CLICKS} clicks") for goal in GOALS]
    columns += [Column(f"mIoU@{clicks}", "%, after clicks") for clicks in _AFTER]
    notes = [
        f"NoC@85 is the mean number of clicks until the IoU first reaches 85 %, and {MAX_CLICKS} for an object that "
        "never does (a failure). Each click is in the middle of the largest error (RITM, arXiv 2102.06583)."
    ]
    folders = set(_rows(view, "clicks")["folder"])
    runs = [run for run in view.results.runs if run["folder"] in folders]
    if left_out := sorted({str(name) for run in runs for name in run.get("left_out", ())}):
        notes.append(f"Left out, because they take no clicks: {', '.join(left_out)}.")
    smaller = {column.title for column in columns if column.title.startswith(("NoC", "failures"))}
    return _table(view, "clicks", "Clicks", data, columns, notes, smaller)


_SPREADS = {
    "mean": "%, of an object's IoU",
    "worst": "%, of an object's IoU",
    "std": "%, spread",
    "5–95 %": "%, spread",
}


def worst_data(view: ResultsView) -> pd.DataFrame:
    """Return one row per series with `--prompt worst`, kind of prompt and measure.

    Columns: series, kind, measure, mean, low, high (from 0 to 1), n, clusters, seen_in_training, dataset. The measures
    are the mean, the minimum, the standard deviation, and the 95th minus the 5th percentile of the IoU of an object's
    prompts, averaged over objects. An error has IoU 0 for every prompt.

    Raises:
        NothingToShow: There is no such series.
    """
    rows = _rows(view, "worst")
    spread = pd.DataFrame([each for row in rows.to_dict("records") for each in _spreads(row)])
    parts = [_means(spread, measure, spread[measure].to_list(), by=["series", "kind"]) for measure in _SPREADS]
    return _finished(view, rows, parts)


def _spreads(row: Mapping[Any, Any]) -> Iterator[dict[str, Any]]:
    """Yield the measures of an object's prompts, one kind after the other."""
    about = {name: row[name] for name in ("series", "cluster")}
    if not _listed(row["ious"]):
        yield {**about, "kind": row["prompt"], **dict.fromkeys(_SPREADS, 0.0)}
        return
    kinds = np.array([next(iter(prompt)) for prompt in json.loads(row["prompts"])])
    for kind in dict.fromkeys(kinds.tolist()):
        ious = np.asarray(row["ious"], float)[kinds == kind]
        low, high = np.percentile(ious, (5, 95))
        values = (ious.mean(), ious.min(), ious.std(), high - low)
        yield {**about, "kind": kind, **dict(zip(_SPREADS, values, strict=True))}


def worst_table(view: ResultsView) -> Table:
    """Mean, worst and spread of the IoU over plausible prompts of an object."""
    data = worst_data(view)
    columns = [Column("Prompts", left=True), *(Column(title, group) for title, group in _SPREADS.items())]
    notes = [
        "Each object has a fixed set of prompts: its own, displaced copies, and clicks on a grid inside the object. "
        "Mean, worst, standard deviation and the range from the 5th to the 95th percentile are those of one object's "
        "prompts, averaged over objects."
    ]
    return _table(view, "worst", "Plausible prompts", data, columns, notes, {"std", "5–95 %"})


def detector_data(view: ResultsView) -> pd.DataFrame:
    """Return one row per series with `--prompt detector:FILE` and measure.

    Columns: series, measure, mean, low, high (from 0 to 1), n, clusters, seen_in_training, dataset. The measures are
    the mean IoU of all objects, those without a box with IoU 0; the share of objects with a box; and mask AP.

    Raises:
        NothingToShow: There is no such series.
    """
    rows = _rows(view, "detector")
    found = [matched_box(text if isinstance(text, str) else None) is not None for text in rows["detections"]]
    parts = [_means(rows, "mIoU", rows["iou"].to_list()), _means(rows, "with a box", found)]
    parts += [_precision(part) for _, part in rows.groupby("series", sort=False)]
    return _finished(view, rows, parts)


def _precision(rows: pd.DataFrame) -> pd.DataFrame:
    """Return mask AP of one series with its intervals, as `_means`. Images of one cluster are left out together."""
    image = pd.factorize(rows["image_id"])[0]
    first = rows.groupby(image)["cluster"].first()
    group = pd.factorize(first)[0] % MAX_GROUPS
    groups: Sequence[NDArray[np.bool_]] = [group == number for number in range(group.max() + 1)]
    values = average_precision(rows.assign(image=image), groups)
    size = coco_bin(rows["area"].to_numpy())
    lines = []
    for index, measure in enumerate(MEASURES):
        counted = np.ones(len(rows), bool) if index < 3 else size == index - 3
        if math.isnan(values[0, index]):
            continue
        weights = np.bincount(group[image], counted, minlength=len(groups)).astype(float)
        value, without = values[:1, index], np.nan_to_num(values[1:, index], nan=values[0, index])
        estimate = jackknife(value, without, weights, np.zeros(len(groups), np.int64), SHARE)
        (low,), (high,) = estimate.interval()
        clusters = rows.loc[counted, "cluster"].nunique()
        about = {"series": rows["series"].iloc[0], "measure": measure, "n": int(counted.sum()), "clusters": clusters}
        lines.append({**about, "mean": value[0], "low": low, "high": high})
    return pd.DataFrame(lines)


def detector_table(view: ResultsView) -> Table:
    """Mean IoU and mask AP with the boxes of a detector."""
    columns = [Column("mIoU", "%, of objects"), Column("with a box", "%, of objects")]
    columns += [Column(measure, "%, mask AP") for measure in MEASURES]
    notes = [
        "A box belongs to a true object if their boxes overlap with an IoU of at least 0.5, from the highest score "
        "down. Objects without a box have IoU 0. AP is COCO's, computed by pycocotools from the masks of all boxes.",
        f"Intervals of AP leave out images of one cluster together, in at most {MAX_GROUPS} groups.",
    ]
    return _table(view, "detector", "A detector's boxes", detector_data(view), columns, notes, set())


def _rows(view: ResultsView, source: str) -> pd.DataFrame:
    """Return the plain rows of a protocol."""
    rows = view.plain[view.plain["prompt_source"] == source]
    if rows.empty or not {"ious", "prompts", "detections"} <= set(rows):
        option = "detector:FILE" if source == "detector" else source
        raise NothingToShow(f"no model was measured so; `bench run --prompt {option}` does it")
    return rows


def _listed(ious: Any) -> list[float]:
    """Return the `ious` of a row as a list, empty for an error: None, or NaN in joined tables."""
    return list(ious) if isinstance(ious, (list, np.ndarray)) else []


def _means(
    rows: pd.DataFrame, measure: str, values: Sequence[float], support: Support = SHARE, by: Sequence[str] = ("series",)
) -> pd.DataFrame:
    """Return the mean of values of `rows` with its interval, one row per group."""
    found = clustered_means(rows.assign(value=np.asarray(values, float)), by, value="value", support=support)
    return found.reset_index().assign(measure=measure)


def _finished(view: ResultsView, rows: pd.DataFrame, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the measures, and add what the models have seen in training."""
    data = pd.concat(parts, ignore_index=True).drop(columns="std", errors="ignore")
    data = with_seen(data.set_index("series"), rows, ["series"]).reset_index()
    kind = ["kind"] if "kind" in data else []
    names = ["series", *kind, "measure", "mean", "low", "high", "n", "clusters", "seen_in_training"]
    return data[names].assign(dataset=view.dataset)


def _table(
    view: ResultsView,
    name: str,
    caption: str,
    data: pd.DataFrame,
    columns: Sequence[Column],
    notes: Sequence[str],
    smaller: set[str],
) -> Table:
    """Return the table with one row per series, or per series and kind of prompt, and one column per measure."""
    keys = ["series", "kind"] if "kind" in data else ["series"]
    lines = data.assign(few=too_few(data), fair=fair(data)).to_dict("records")
    found = {(*(line[key] for key in keys), line["measure"]): line for line in lines}
    every = list(dict.fromkeys(key[:-1] for key in found))
    grid = [[Cell(str(word)) for word in key] for key in every]
    for column in columns:
        if not column.group:
            continue
        here = [found.get((*key, column.title)) for key in every]
        ranked = [math.nan if not line or line["few"] or not line["fair"] else line["mean"] for line in here]
        for cells, line, mark in zip(grid, here, marks(ranked, least=column.title in smaller), strict=True):
            if line is None:
                cells.append(Cell("—"))
                continue
            text, detail = _words(column, line)
            cells.append(Cell(text + few(line["clusters"]) + seen_mark(line["seen_in_training"]), detail, mark))
    shown = view.plain[view.plain["series"].isin(data["series"])]
    told = failures(failed(shown).reset_index())
    notes = [
        *notes,
        INTERVAL_NOTE,
        *seen_note(data["seen_in_training"]),
        f"Errors and empty masks count as IoU 0: {told or 'none'}.",
        *unread_note(view),
        *few_note(data["clusters"]),
    ]
    title = f"{caption} on {view.dataset}"
    return Table(name, title, [Column("Model", left=True), *columns], grid, notes, data, stacked=True)


def _words(column: Column, line: Mapping[Any, Any]) -> tuple[str, str]:
    """Return a mean and its interval as text, in the unit of the column."""
    if column.group != _CLICKS:
        return percent(line["mean"]), interval(line["low"], line["high"])
    bounds = "" if math.isnan(line["low"]) else f"[{line['low']:.2f}, {line['high']:.2f}]"
    return f"{line['mean']:.2f}", bounds
