"""The tables: IoU and time per model, IoU by relative size, and the paper's own, from result rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from bench.statistics import FEW, REPLICATES, SIZE_LABELS, clustered_means, size_bin
from reports.formats import Cell, Column, Mark, Table
from reports.published import DATASETS, SOURCE, TABLE_1
from reports.results import Results

_STAGES = ("pre", "model", "post")


def iou_data(results: Results, dataset: str, seed: int) -> pd.DataFrame:
    """One row per series of a data set, in order of appearance.

    Columns: series, model, prompt, parameters; mean, std, low, high (IoU, 0 to 1; errors count as 0), n, clusters;
    predict_{pre,model,post,total}_ms (medians over objects without an error), image_…_ms (over images);
    errors, no_detection (objects without an error whose mask is empty), seed.
    """
    rows = results.of(dataset)
    table = clustered_means(rows, ["series"], np.random.default_rng(seed))
    by_series = rows.groupby("series", sort=False)
    failed = rows["error"].notna()
    first = by_series.first()
    table.insert(0, "model", first["model"])
    table.insert(1, "prompt", by_series[["prompt", "prompt_source", "noise"]].apply(_prompt))
    table.insert(2, "parameters", [results.card(model).get("parameters") for model in first["model"]])
    scored = rows[~failed]
    images = scored.drop_duplicates(["series", "image_id"])
    table = table.join(_medians(scored, "", "predict")).join(_medians(images, "image_", "image"))
    table["errors"] = failed.groupby(rows["series"]).sum()
    table["no_detection"] = (~failed & (rows["predicted_area"].fillna(0) == 0)).groupby(rows["series"]).sum()
    return table.assign(dataset=dataset, seed=seed).reset_index()


def _prompt(rows: pd.DataFrame) -> str:
    """What the models of these rows were told: "box", "gaussian from box, noise 0.1", …"""
    told = []
    for prompt, source, noise in rows.dropna(subset="prompt").drop_duplicates().itertuples(index=False):
        origin = "" if source in ("matched", prompt) else f" from {source}"
        told.append(f"{prompt}{origin}" + (f", noise {noise:g}" if noise else ""))
    return " and ".join(told) or "—"


def _medians(rows: pd.DataFrame, prefix: str, name: str) -> pd.DataFrame:
    """Median milliseconds per series of each stage, and of their sum (which is not the sum of the medians)."""
    stages = rows[[f"{prefix}{stage}_ms" for stage in _STAGES]]
    stages = stages.set_axis([f"{name}_{stage}_ms" for stage in _STAGES], axis=1)
    return stages.assign(**{f"{name}_total_ms": stages.sum(axis=1, skipna=False)}).groupby(rows["series"]).median()


def iou_table(results: Results, dataset: str, seed: int) -> Table:
    """The main table of one data set: IoU in percent, milliseconds, and what went wrong."""
    data = iou_data(results, dataset, seed)
    marks = _marks(data["mean"])
    columns = [Column("Model", left=True), Column("Prompt", left=True), Column("Parameters")]
    columns += [Column("n"), Column("mean ± std", "IoU, %"), Column("95 % CI", "IoU, %")]
    columns += [Column(stage, "predict, ms") for stage in (*_STAGES, "total")]
    columns += [Column(stage, "set_image, ms") for stage in (*_STAGES, "total")]
    columns += [Column("Errors"), Column("No mask")]
    cells = []
    for (_, row), mark in zip(data.iterrows(), marks, strict=True):
        cells.append(
            [
                Cell(row["series"]),
                Cell(row["prompt"]),
                Cell(_count(row["parameters"])),
                Cell(f"{row['n']}{_few(row['n'])}"),
                Cell(f"{_percent(row['mean'])} ± {_percent(row['std'])}", mark=mark),
                Cell(_interval(row) or "—"),
                *(Cell(_ms(row[f"{part}_{s}_ms"])) for part in ("predict", "image") for s in (*_STAGES, "total")),
                Cell(str(row["errors"])),
                Cell(str(row["no_detection"])),
            ]
        )
    notes = [
        _statistics_note(data, seed),
        "Times are medians, of predict over objects and of set_image over pictures; a total is the median of the sums.",
        f"Errors ({data['errors'].sum()}) and empty masks ({data['no_detection'].sum()}) count as IoU 0.",
    ]
    return Table("iou", f"IoU and time on {dataset}", columns, cells, notes + _few_note(data["n"]), data)


def size_data(results: Results, dataset: str, seed: int) -> pd.DataFrame:
    """One row per series and occupied size bin: series, bin (0 to 4), size, mean, std, n, clusters, low, high, seed."""
    rows = results.of(dataset)
    rows = rows.assign(bin=size_bin(rows["fraction"].to_numpy(float)))
    data = clustered_means(rows, ["series", "bin"], np.random.default_rng(seed)).reset_index()
    data.insert(2, "size", [SIZE_LABELS[index] for index in data["bin"]])
    return data.assign(dataset=dataset, seed=seed)


def size_table(results: Results, dataset: str, seed: int) -> Table:
    """Mean IoU in percent with its interval, by mask area over image area. The last row counts the objects."""
    data = size_data(results, dataset, seed)
    found = data.set_index(["series", "bin"])
    every = list(dict.fromkeys(data["series"]))
    columns = [Column("Model", left=True)] + [Column(label, "mask / picture") for label in SIZE_LABELS]
    grid: list[list[Cell]] = [[Cell(series)] for series in every]
    counts = [Cell("objects")]
    for index in range(len(SIZE_LABELS)):
        here = [found.loc[(series, index)] if (series, index) in found.index else None for series in every]
        marks = _marks([math.nan if cell is None or cell["n"] < FEW else cell["mean"] for cell in here])
        for line, cell, mark in zip(grid, here, marks, strict=True):
            if cell is None:
                line.append(Cell("—"))
            else:
                line.append(Cell(_percent(cell["mean"]) + _few(cell["n"]), _interval(cell), mark))
        sizes = sorted({0 if cell is None else int(cell["n"]) for cell in here})
        counts.append(Cell(f"{sizes[0]}–{sizes[-1]}" if len(sizes) > 1 else str(sizes[0])))
    notes = ["Mean IoU in percent, 95 % confidence interval in brackets. " + _statistics_note(data, seed)]
    caption = f"IoU by relative mask size on {dataset}"
    return Table("iou-by-size", caption, columns, [*grid, counts], notes + _few_note(data["n"]), data)


def published_table() -> Table:
    """The paper's Table 1, as printed."""
    columns = [Column("Model", left=True), Column("Parameters")]
    columns += [Column(title, "ms") for title in ("pre and post", "model", "total")]
    columns += [Column(dataset, "IoU, %") for dataset in DATASETS]
    marks = {name: _marks([row.iou[name][0] for row in TABLE_1]) for name in DATASETS}
    cells = [
        [
            Cell(row.model),
            Cell(f"{row.parameters_millions:.1f} M"),
            *(Cell(f"{ms:.2f}") for ms in (row.pre_post_ms, row.model_ms, row.total_ms)),
            *(Cell("{:.2f} ± {:.2f}".format(*row.iou[name]), mark=marks[name][i]) for name in DATASETS),
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
    notes = [f"Source: {SOURCE}. The pictures, hardware and FLIP weights are the authors', not those of this report."]
    return Table("published", "Published: mean ± std IoU of the paper", columns, cells, notes, data)


def _marks(means: Iterable[float]) -> list[Mark]:
    """Best and second best by value (ties share a mark); one value alone is not called best, nor the last of two."""
    values = list(means)
    known = sorted({v for v in values if not math.isnan(v)}, reverse=True)
    best = known[0] if len(known) > 1 else None
    second = known[1] if len(known) > 2 else None
    return ["best" if v == best else "second" if v == second else "" for v in values]


def _statistics_note(data: pd.DataFrame, seed: int) -> str:
    return (
        f"Confidence intervals: percentile bootstrap of the mean, {REPLICATES} draws of whole assets "
        f"(up to {data['clusters'].max()} in a cell), seed {seed}; none where all objects are of one asset."
    )


def _few_note(counts: Sequence[int] | pd.Series) -> list[str]:
    return [f"† fewer than {FEW} objects: no basis for a comparison."] if min(counts) < FEW else []


def _few(n: int) -> str:
    return "†" if n < FEW else ""


def _percent(value: float) -> str:
    return "—" if math.isnan(value) else f"{100 * value:.1f}"


def _interval(row: pd.Series) -> str:
    return "" if math.isnan(row["low"]) else f"[{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def _count(parameters: float | None) -> str:
    if parameters is None or math.isnan(parameters):
        return "—"
    return f"{parameters / 1e6:.2f} M" if parameters < 1e7 else f"{parameters / 1e6:.1f} M"


def _ms(value: float) -> str:
    """Three digits that matter, at most two of them behind the point."""
    return "—" if math.isnan(value) else f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"
