"""IoU by category on one data set."""

from __future__ import annotations

import pandas as pd

from bench.statistics import clustered_means, too_few
from objascale.intervals import INTERVAL_NOTE
from reports.formats import Cell, Column, Table
from reports.tables.cells import (
    failure_notes,
    fair,
    few_note,
    interval,
    left_out_note,
    marks,
    percent,
    seen_mark,
    seen_note,
    with_seen,
)
from reports.view import NothingToShow, ResultsView


def category_data(view: ResultsView) -> pd.DataFrame:
    """Return one row per category and plain series. Categories with most objects come first.

    Columns: category, objects (of the category), series, mean, std, n, clusters, low, high, seen_in_training (the
    worst), dataset.

    Raises:
        NothingToShow: There is a single category.
    """
    rows = view.plain
    objects = rows.drop_duplicates("object")["category"].value_counts()
    if len(objects) < 2:
        raise NothingToShow(
            f"all objects of {view.dataset} have the same category; measure more categories with `bench run --select "
            "category=NAME,NAME`, or without --select"
        )
    order = sorted(objects.index, key=lambda name: (-objects[name], name))
    by = ["category", "series"]
    data = with_seen(clustered_means(rows, by), rows, by).reset_index()
    data = data.sort_values("category", key=lambda names: names.map(order.index), kind="stable", ignore_index=True)
    data.insert(1, "objects", data["category"].map(objects))
    return data.assign(dataset=view.dataset)


def category_table(view: ResultsView) -> Table:
    """Mean IoU in percent with its interval, one row per category and one column per model."""
    data = category_data(view)
    every = list(dict.fromkeys(view.plain["series"]))
    columns = [Column("Category", left=True), Column("n"), *(Column(series, "IoU, %") for series in every)]
    cells = []
    for name, group in data.groupby("category", sort=False):
        found = group.set_index("series").reindex(every)
        best = marks(found["mean"].where(~too_few(found) & fair(found)))
        few = "†" if too_few(group).any() else ""
        lowest, most = int(found["n"].fillna(0).min()), group["objects"].iloc[0]
        line = [
            Cell(str(name) or "(none)"),
            Cell(f"{f'{lowest}–' if lowest < most else ''}{most}{few}"),
        ]
        for cell, rank in zip(found.to_dict("records"), best, strict=True):
            text = percent(cell["mean"]) + seen_mark(cell["seen_in_training"])
            line.append(Cell(text, interval(cell["low"], cell["high"]), rank))
        cells.append(line)
    notes = [f"Mean IoU in percent. {INTERVAL_NOTE}", *seen_note(data["seen_in_training"])]
    notes += failure_notes(view) + left_out_note(view) + few_note(data["clusters"])
    return Table("iou-by-category", f"IoU by category on {view.dataset}", columns, cells, notes, data)
