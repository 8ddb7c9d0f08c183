"""The field's standard measures on one data set: means over objects and over images, COCO's sizes, boundaries, tails.

docs/methods.md defines each measure in one line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from bench.statistics import INTERVAL_NOTE, SHARE, clustered_means, ratios, tail_values, too_few
from objascale.sizes import COCO_LABELS, coco_bin
from reports.formats import Cell, Column, Table
from reports.tables.cells import (
    failure_notes,
    fair,
    few,
    few_note,
    interval,
    left_out_note,
    marks,
    percent,
    seen_mark,
    seen_note,
    with_seen,
)
from reports.view import ResultsView

TAILS = {"worst 5 %": 0.05, "worst 1 %": 0.01}
_IOU, _SIZES, _BOUNDARY, _WORST = (
    "mean IoU, %",
    "mean IoU by COCO's sizes, %",
    "mean boundary IoU, %",
    "tails of IoU, %",
)
COLUMNS = [
    Column("over objects", _IOU),
    Column("over images", _IOU),
    *(Column(label, _SIZES) for label in COCO_LABELS),
    Column("2 % of image (standard)", _BOUNDARY),
    Column("2 % of object", _BOUNDARY),
    *(Column(label, _WORST) for label in TAILS),
]


def measures_data(view: ResultsView) -> pd.DataFrame:
    """Return one row per plain series and measure.

    Columns: series, group and measure (the headings of the table), mean, low, high (from 0 to 1), n (objects),
    clusters, seen_in_training (the worst), dataset. Errors count as 0. A measure that the results do not support has no
    row: the standard boundary IoU of older results, and a tail of less than one object.
    """
    rows = view.plain
    groups = ((series, part) for series, part in rows.groupby("series", sort=False))
    data = pd.concat([pd.DataFrame(_measures(part)).assign(series=series) for series, part in groups])
    data = with_seen(data.set_index("series"), rows, ["series"]).reset_index()
    return data.assign(dataset=view.dataset)


def _measures(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the measures of one series."""
    columns = iter(COLUMNS)
    yield _mean(next(columns), rows, rows["iou"])
    yield _over_images(next(columns), rows)
    bins = coco_bin(rows["area"].to_numpy())
    for index in range(len(COCO_LABELS)):
        column, chosen = next(columns), rows[bins == index]
        if len(chosen):
            yield _mean(column, chosen, chosen["iou"])
    for name in ("standard_boundary_iou", "boundary_iou"):
        column = next(columns)
        values = rows[name].where(rows["error"].isna(), 0.0) if name in rows else pd.Series(math.nan, rows.index)
        if values.notna().all():
            yield _mean(column, rows, values)
    for share in TAILS.values():
        column = next(columns)
        if share * len(rows) >= 1:
            tail = tail_values(rows["iou"].to_numpy(float), share)
            yield _mean(column, rows, pd.Series(tail, rows.index))


def _mean(column: Column, rows: pd.DataFrame, values: pd.Series) -> dict[str, Any]:
    (mean,) = clustered_means(rows.assign(value=values), ["series"], value="value").to_dict("records")
    return _row(column, mean)


def _over_images(column: Column, rows: pd.DataFrame) -> dict[str, Any]:
    """Return the mean over images of the mean over the image's objects."""
    shares = 1 / rows.groupby("image_id")["iou"].transform("size").to_numpy(float)
    cells = np.zeros(len(rows), np.int64)
    found = ratios(rows["iou"].to_numpy(float) * shares, shares, cells, pd.factorize(rows["cluster"])[0], SHARE)
    (low,), (high,) = found.interval()
    mean = {"mean": found.value[0], "low": low, "high": high, "n": len(rows), "clusters": found.clusters[0]}
    return _row(column, mean)


def _row(column: Column, mean: Mapping[Any, Any]) -> dict[str, Any]:
    names = ("mean", "low", "high", "n", "clusters")
    return {"group": column.group, "measure": column.title} | {name: mean[name] for name in names}


def measures_table(view: ResultsView) -> Table:
    """The measures in percent with their intervals, one row per plain series."""
    data = measures_data(view)
    lines = data.assign(few=too_few(data), fair=fair(data)).to_dict("records")
    found = {(line["series"], line["group"], line["measure"]): line for line in lines}
    every = list(dict.fromkeys(data["series"]))
    grid = [[Cell(series)] for series in every]
    for column in COLUMNS:
        here = [found.get((series, column.group, column.title)) for series in every]
        best = marks([math.nan if cell is None or cell["few"] or not cell["fair"] else cell["mean"] for cell in here])
        for line, cell, mark in zip(grid, here, best, strict=True):
            if cell is None:
                line.append(Cell("—"))
            else:
                text = percent(cell["mean"]) + few(cell["clusters"]) + seen_mark(cell["seen_in_training"])
                line.append(Cell(text, interval(cell["low"], cell["high"]), mark))
    notes = [
        INTERVAL_NOTE,
        "Boundary IoU: the width of the boundary is 2 % of the diagonal of the image (Cheng et al. 2021) or of the "
        "object's box. Tails: the mean of the 5 % and of the 1 % of objects with the lowest IoU; a tail needs at least "
        "one object.",
        *seen_note(data["seen_in_training"]),
        *failure_notes(view),
        *left_out_note(view),
        *few_note(data["clusters"]),
    ]
    columns = [Column("Model", left=True), *COLUMNS]
    return Table("measures", f"Standard measures on {view.dataset}", columns, grid, notes, data, stacked=True)
