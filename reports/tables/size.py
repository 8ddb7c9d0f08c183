"""IoU by relative mask size on one data set."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from bench.statistics import SIZE_LABELS, clustered_means, size_bin
from reports.formats import Cell, Column, Table
from reports.significance import too_few
from reports.tables.cells import failure_notes, interval, interval_note, left_out_note, marks, percent, too_few_note
from reports.view import View


def size_data(view: View) -> pd.DataFrame:
    """One row per plain series and occupied size bin.

    Columns: series, bin (0 to 4), size, mean, std, n, clusters, low, high, dataset, seed.
    """
    rows = view.plain
    rows = rows.assign(bin=size_bin(rows["fraction"].to_numpy(float)))
    data = clustered_means(rows, ["series", "bin"], np.random.default_rng(view.seed)).reset_index()
    data.insert(2, "size", [SIZE_LABELS[index] for index in data["bin"]])
    return data.assign(dataset=view.dataset, seed=view.seed)


def size_table(view: View) -> Table:
    """Mean IoU in percent with its interval, by mask area over image area. The last row counts the objects."""
    data = size_data(view)
    found = data.assign(few=too_few(data)).set_index(["series", "bin"])
    every = list(dict.fromkeys(data["series"]))
    columns = [Column("Model", left=True)] + [Column(label, "mask / picture") for label in SIZE_LABELS]
    grid: list[list[Cell]] = [[Cell(series)] for series in every]
    counts = [Cell("objects")]
    for index in range(len(SIZE_LABELS)):
        here = [found.loc[(series, index)] if (series, index) in found.index else None for series in every]
        best = marks([math.nan if cell is None or cell["few"] else cell["mean"] for cell in here])
        for line, cell, mark in zip(grid, here, best, strict=True):
            if cell is None:
                line.append(Cell("—"))
            else:
                text = percent(cell["mean"]) + ("†" if cell["few"] else "")
                line.append(Cell(text, interval(cell["low"], cell["high"]), mark))
        sizes = sorted({0 if cell is None else int(cell["n"]) for cell in here})
        counts.append(Cell(f"{sizes[0]}–{sizes[-1]}" if len(sizes) > 1 else str(sizes[0])))
    notes = [f"Mean IoU in percent. {interval_note(data['clusters'].max(), view.seed)}"]
    notes += failure_notes(view) + left_out_note(view) + too_few_note(data)
    caption = f"IoU by relative mask size on {view.dataset}"
    return Table("iou-by-size", caption, columns, [*grid, counts], notes, data)
