"""The field's standard measures on one data set: means over objects and over images, COCO's sizes, boundaries, tails.

docs/methods.md defines each measure in one line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from bench.statistics import clustered_means, tail_values, too_few
from objascale.intervals import INTERVAL_NOTE, SHARE, ratios
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
OVER_IMAGES = Column("over images", _IOU)
COLUMNS = [
    Column("over objects", _IOU),
    OVER_IMAGES,
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
    parts = [
        rows.loc[values.index, ["series", "cluster"]].assign(group=column.group, measure=column.title, value=values)
        for column, values in _values(rows)
    ]
    means = clustered_means(pd.concat(parts), ["series", "group", "measure"], value="value").reset_index()
    data = pd.concat([means.drop(columns="std"), _over_images(rows)], ignore_index=True)
    places = {(column.group, column.title): place for place, column in enumerate(COLUMNS)}
    place = np.array([places[key] for key in zip(data["group"], data["measure"], strict=True)])
    series = np.asarray(pd.Categorical(data["series"], rows["series"].unique()).codes)
    data = data.take(np.lexsort((place, series)))
    data = data[["series", "group", "measure", "mean", "low", "high", "n", "clusters"]].set_index("series")
    return with_seen(data, rows, ["series"]).reset_index().assign(dataset=view.dataset)


def _values(rows: pd.DataFrame) -> Iterator[tuple[Column, pd.Series]]:
    """Yield each measure that is a mean over objects, with the values of the objects that count."""
    columns, by_series = (column for column in COLUMNS if column != OVER_IMAGES), rows["series"]
    yield next(columns), rows["iou"]
    bins = coco_bin(rows["area"].to_numpy())
    for index in range(len(COCO_LABELS)):
        yield next(columns), rows.loc[bins == index, "iou"]
    for name in ("standard_boundary_iou", "boundary_iou"):
        values = rows[name].where(rows["error"].isna(), 0.0) if name in rows else pd.Series(math.nan, rows.index)
        yield next(columns), values[values.notna().groupby(by_series).transform("all")]
    every = [values for _, values in rows["iou"].groupby(by_series, sort=False)]
    for share in TAILS.values():
        column, long = next(columns), [values for values in every if share * len(values) >= 1]
        tails = [pd.Series(tail_values(values.to_numpy(float), share), values.index) for values in long]
        if tails:
            yield column, pd.concat(tails)


def _over_images(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean over images of the mean over the image's objects, a row per series."""
    shares = 1 / rows.groupby(["series", "image_id"])["iou"].transform("size").to_numpy(float)
    cells, every = pd.factorize(rows["series"])
    found = ratios(rows["iou"].to_numpy(float) * shares, shares, cells, pd.factorize(rows["cluster"])[0], SHARE)
    low, high = found.interval()
    counts = {"n": np.bincount(cells), "clusters": found.clusters}
    about = {"series": every, "group": OVER_IMAGES.group, "measure": OVER_IMAGES.title}
    return pd.DataFrame(about | {"mean": found.value, "low": low, "high": high} | counts)


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
