"""The numbers of both versions of the paper as printed, separate from all measured numbers."""

from __future__ import annotations

import pandas as pd

from reports.formats import Cell, Column, Table
from reports.published import DATASETS, LATER_DATASETS, LATER_SOURCE, SIX_SETS, SOURCE, TABLE_1
from reports.tables.cells import marks


def published_tables() -> list[Table]:
    """The first version's Table 1, and the means over six data sets of the later version."""
    return [_table_1(), _six_sets()]


def _six_sets() -> Table:
    columns = [Column("Model", left=True), Column("Parameters"), Column("ms"), Column("IoU, %, mean of six data sets")]
    best = marks([iou for _, _, iou, _ in SIX_SETS])
    cells = [
        [Cell(model), Cell(f"{size:g} M"), Cell(f"{ms:.2f}"), Cell(f"{iou:.2f}", mark=mark)]
        for (model, size, iou, ms), mark in zip(SIX_SETS, best, strict=True)
    ]
    data = pd.DataFrame(SIX_SETS, columns=["model", "parameters_millions", "mean_percent", "total_ms"])
    notes = [
        f"Source: {LATER_SOURCE}. The data sets are {', '.join(LATER_DATASETS)}. None of these numbers were measured "
        "by this suite. FLIP-Tiny to FLIP-Large are later models than the first version's FLIP-S, -M and -L."
    ]
    return Table("published-later", "Published in the later version of the paper", columns, cells, notes, data)


def _table_1() -> Table:
    """The first version's Table 1."""
    columns = [Column("Model", left=True), Column("Parameters")]
    columns += [Column(title, "ms") for title in ("pre and post", "model", "total")]
    columns += [Column(dataset, "IoU, %") for dataset in DATASETS]
    best = {name: marks([row.iou[name][0] for row in TABLE_1]) for name in DATASETS}
    cells = [
        [
            Cell(row.model),
            Cell(f"{row.parameters_millions:.1f} M"),
            *(Cell(f"{ms:.2f}") for ms in (row.pre_post_ms, row.model_ms, row.total_ms)),
            *(Cell("{:.2f} ± {:.2f}".format(*row.iou[name]), mark=best[name][i]) for name in DATASETS),
        ]
        for i, row in enumerate(TABLE_1)
    ]
    data = pd.DataFrame(
        [
            {"model": row.model, "parameters_millions": row.parameters_millions, "total_ms": row.total_ms, "dataset": d}
            | {"mean_percent": row.iou[d][0], "std_percent": row.iou[d][1]}
            for row in TABLE_1
            for d in DATASETS
        ]
    )
    notes = [
        f"Source: {SOURCE}: mean ± standard deviation over masks. SAM and FastSAM were prompted with ground-truth "
        "boxes, FLIP with ground-truth Gaussians. None of these numbers were measured by this suite: the images, the "
        "hardware and the FLIP weights are the authors'.",
        "Table 1 of this report shows the paper's IoU beside a measured one only if the model was measured on every "
        "mask of one of the authors' HDF5 files. It never compares times.",
    ]
    return Table("published", "Published: other images, other hardware", columns, cells, notes, data)
