"""IoU by mask size, relative or in pixels, on one data set."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from bench.statistics import clustered_means, too_few
from objascale.intervals import INTERVAL_NOTE
from objascale.sizes import PIXEL_LABELS, SIZE_LABELS, pixel_bin, size_bin
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
from reports.view import ResultsView


@dataclass(frozen=True)
class Sizes:
    """How objects are binned: a column of the results, the labels of the bins, and the function that returns bins."""

    table: str
    column: str
    labels: tuple[str, ...]
    bin: Callable[[Any], Any]
    heading: str
    about: str


RELATIVE = Sizes("iou-by-size", "fraction", SIZE_LABELS, size_bin, "mask / image", "relative mask size")
IN_PIXELS = Sizes("iou-by-pixels", "area", PIXEL_LABELS, pixel_bin, "mask", "mask size in pixels")


def size_data(view: ResultsView, sizes: Sizes = RELATIVE) -> pd.DataFrame:
    """Return one row per plain series and occupied size bin.

    Columns: series, bin (0 to 4), size, mean, std, n, clusters, low, high, seen_in_training (the worst), dataset.
    """
    rows = view.plain
    rows = rows.assign(bin=sizes.bin(rows[sizes.column].to_numpy(float)))
    data = clustered_means(rows, ["series", "bin"])
    data = with_seen(data, rows, ["series", "bin"]).reset_index()
    data.insert(2, "size", [sizes.labels[index] for index in data["bin"]])
    return data.assign(dataset=view.dataset)


def size_table(view: ResultsView, sizes: Sizes = RELATIVE) -> Table:
    """Mean IoU in percent with its interval, by mask size. The last row counts the objects."""
    data = size_data(view, sizes)
    found = data.assign(few=too_few(data), fair=fair(data)).set_index(["series", "bin"])
    every = list(dict.fromkeys(data["series"]))
    columns = [Column("Model", left=True)] + [Column(label, sizes.heading) for label in sizes.labels]
    grid: list[list[Cell]] = [[Cell(series)] for series in every]
    counts = [Cell("objects")]
    for index in range(len(sizes.labels)):
        here = [found.loc[(series, index)] if (series, index) in found.index else None for series in every]
        best = marks([math.nan if cell is None or cell["few"] or not cell["fair"] else cell["mean"] for cell in here])
        for line, cell, mark in zip(grid, here, best, strict=True):
            if cell is None:
                line.append(Cell("—"))
            else:
                text = percent(cell["mean"]) + ("†" if cell["few"] else "") + seen_mark(cell["seen_in_training"])
                line.append(Cell(text, interval(cell["low"], cell["high"]), mark))
        numbers = sorted({0 if cell is None else int(cell["n"]) for cell in here})
        counts.append(Cell(f"{numbers[0]}–{numbers[-1]}" if len(numbers) > 1 else str(numbers[0])))
    notes = [f"Mean IoU in percent. {INTERVAL_NOTE}", *seen_note(data["seen_in_training"])]
    notes += failure_notes(view) + left_out_note(view) + few_note(data["clusters"])
    caption = f"IoU by {sizes.about} on {view.dataset}"
    return Table(sizes.table, caption, columns, [*grid, counts], notes, data)
