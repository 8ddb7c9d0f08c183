"""IoU, times by stage and failures of every series on one data set."""

from __future__ import annotations

import pandas as pd

from bench.statistics import clustered_means, too_few
from objascale.intervals import INTERVAL_NOTE
from reports.formats import Cell, Column, Table
from reports.results import ResultsTable
from reports.tables.cells import (
    count,
    failed,
    fair,
    few,
    few_note,
    interval,
    marks,
    ms,
    percent,
    seen_mark,
    seen_note,
    unread_note,
    with_seen,
)
from reports.view import ResultsView

_STAGES = ("pre", "model", "post")


def iou_data(view: ResultsView) -> pd.DataFrame:
    """Return one row per series of a data set, in order of appearance.

    Columns: series, model, prompt, parameters; mean, std, low, high (IoU from 0 to 1; errors count as 0), n, clusters;
    predict_{pre,model,post,total}_ms (medians over objects without an error), image_..._ms (medians over images);
    errors, no_detection (empty masks without an error), seen_in_training (the worst of the rows), dataset.
    """
    return view.results.once(_iou_data, view.dataset).copy()


def _iou_data(results: ResultsTable, dataset: str) -> pd.DataFrame:
    rows = results.of(dataset)
    table = clustered_means(rows, ["series"])
    by_series = rows.groupby("series", sort=False)
    first = by_series.first()
    table.insert(0, "model", first["model"])
    table.insert(1, "prompt", by_series[["prompt", "prompt_source", "noise"]].apply(_prompt))
    table.insert(2, "parameters", [results.card(model).get("parameters") for model in first["model"]])
    scored = rows[rows["error"].isna()]
    images = scored.drop_duplicates(["series", "image_id"])
    table = table.join(_medians(scored, "", "predict")).join(_medians(images, "image_", "image"))
    table = with_seen(table.join(failed(rows)), rows, ["series"])
    return table.astype({"parameters": float}).assign(dataset=dataset).reset_index()


def _prompt(rows: pd.DataFrame) -> str:
    """Describe the prompts of these rows: "box", "gaussian from box, noise 0.1", ..."""
    listed = []
    for prompt, source, noise in rows.dropna(subset="prompt").drop_duplicates().itertuples(index=False):
        origin = "" if source in ("matched", prompt) else f" from {source}"
        listed.append(f"{prompt}{origin}" + (f", noise {noise:g}" if noise else ""))
    return " and ".join(listed) or "—"


def _medians(rows: pd.DataFrame, prefix: str, name: str) -> pd.DataFrame:
    """Return the median ms per series of each stage and of their sum (not the sum of the medians)."""
    stages = rows[[f"{prefix}{stage}_ms" for stage in _STAGES]]
    stages = stages.set_axis([f"{name}_{stage}_ms" for stage in _STAGES], axis=1)
    return stages.assign(**{f"{name}_total_ms": stages.sum(axis=1, skipna=False)}).groupby(rows["series"]).median()


def iou_table(view: ResultsView) -> Table:
    """IoU in percent, milliseconds, and failures."""
    data = iou_data(view)
    columns = [Column("Model", left=True), Column("Prompt", left=True), Column("Parameters")]
    columns += [Column("n"), Column("mean ± std", "IoU, %"), Column("95 % CI", "IoU, %")]
    columns += [Column(stage, "predict, ms") for stage in (*_STAGES, "total")]
    columns += [Column(stage, "set_image, ms") for stage in (*_STAGES, "total")]
    columns += [Column("Errors"), Column("No mask")]
    comparable = data["mean"].where(~too_few(data) & fair(data))
    cells = [
        [
            Cell(row["series"]),
            Cell(row["prompt"]),
            Cell(count(row["parameters"])),
            Cell(f"{row['n']}{few(row['clusters'])}"),
            Cell(f"{percent(row['mean'])} ± {percent(row['std'])}{seen_mark(row['seen_in_training'])}", mark=mark),
            Cell(interval(row["low"], row["high"]) or "—"),
            *(Cell(ms(row[f"{part}_{s}_ms"])) for part in ("predict", "image") for s in (*_STAGES, "total")),
            Cell(str(row["errors"])),
            Cell(str(row["no_detection"])),
        ]
        for row, mark in zip(data.to_dict("records"), marks(comparable), strict=True)
    ]
    notes = [
        INTERVAL_NOTE,
        "Times are medians of this run: predict over objects, set_image over images. A total is the median of the "
        "sums. Other work may have run beside the models, and objects of one batch share its time. Times of "
        "`bench run --timing` are in table 1.",
        f"Errors ({data['errors'].sum()}) and empty masks ({data['no_detection'].sum()}) count as IoU 0.",
        *seen_note(data["seen_in_training"]),
        *unread_note(view),
    ]
    return Table("iou", f"IoU and time on {view.dataset}", columns, cells, notes + few_note(data["clusters"]), data)
