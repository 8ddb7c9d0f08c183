"""The tables of one data set, compared with a computation in pandas."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from objascale.intervals import INTERVAL_NOTE, MIN_CLUSTERS
from objascale.sizes import PIXEL_LABELS
from reports.results import read_results
from reports.tables.category import category_data, category_table
from reports.tables.cells import marks
from reports.tables.iou import iou_data, iou_table
from reports.tables.registry import DATASET_TABLES
from reports.tables.size import IN_PIXELS, size_data, size_table
from reports.tables.table1 import table_1
from reports.view import NothingToShow, ResultsView


def view_of(*folders: Path) -> ResultsView:
    results = read_results(folders)
    return ResultsView(results, results.datasets[0], {})


def test_the_iou_table_equals_pandas(make_results) -> None:
    folder = make_results(objects=20)
    raw = pd.read_parquet(folder / "results.parquet")
    data = iou_data(view_of(folder)).set_index("series")
    for model, rows in raw.groupby("model"):
        line: Any = data.loc[model]
        assert line["mean"] == pytest.approx(rows["iou"].mean())
        assert line["std"] == pytest.approx(rows["iou"].std())
        assert (line["n"], line["clusters"]) == (20, rows["asset_id"].nunique())
        assert line["low"] < line["mean"] < line["high"]
        assert line["predict_model_ms"] == pytest.approx(rows["model_ms"].median())
        assert line["predict_total_ms"] == pytest.approx((rows["pre_ms"] + rows["model_ms"] + rows["post_ms"]).median())
        assert line["image_pre_ms"] == pytest.approx(rows["image_pre_ms"].median())
    assert data.loc["flip-tiny", "parameters"] == 513_788
    assert data["parameters"].isna()["box"]


def test_errors_and_empty_masks_are_counted_and_have_iou_zero(make_results) -> None:
    folder = make_results(models=("box", "grabcut"), objects=6)
    path = folder / "results.parquet"
    rows = pd.read_parquet(path)
    failed, empty = rows.index[:2], rows.index[2:3]
    rows.loc[failed, ["iou", "predicted_area", "pre_ms", "model_ms", "post_ms"]] = [0.0, 0, np.nan, np.nan, np.nan]
    rows["error"] = rows["error"].astype(object)
    rows.loc[failed, "error"] = "ValueError: broken"
    rows.loc[empty, ["iou", "predicted_area"]] = [0.0, 0]
    rows.to_parquet(path)
    view = view_of(folder)
    data = iou_data(view).set_index("series")
    assert list(data.loc[["box", "grabcut"], "errors"]) == [1, 1]
    assert list(data.loc[["box", "grabcut"], "no_detection"]) == [1, 0]
    assert list(data["n"]) == [6, 6]
    assert data.loc["box", "predict_model_ms"] == pytest.approx(
        rows.loc[(rows["model"] == "box") & rows["error"].isna(), "model_ms"].median()
    )
    assert "Errors (2) and empty masks (1) count as IoU 0." in iou_table(view).notes


def test_the_time_of_an_image_counts_once(make_results) -> None:
    folder = make_results(models=("box",), objects=3)
    path = folder / "results.parquet"
    rows = pd.read_parquet(path)
    rows["image_id"], rows["image_pre_ms"] = ["a", "a", "b"], [1.0, 1.0, 9.0]
    rows.to_parquet(path)
    assert iou_data(view_of(folder))["image_pre_ms"].item() == 5.0


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({}, "gaussian"),
        ({"prompt_source": "box"}, "gaussian from box"),
        ({"noise": 0.1}, "gaussian, noise 0.1"),
        ({"prompt": "box", "prompt_source": "box"}, "box"),
        ({"prompt": None}, "—"),
    ],
)
def test_the_table_names_the_prompt(make_results, columns: dict, told: str) -> None:
    view = view_of(make_results(models=("flip-tiny",), objects=2, **columns))
    assert iou_data(view)["prompt"].item() == told


def test_the_size_table_equals_pandas(make_results) -> None:
    folder = make_results(objects=30, side=700)
    raw = pd.read_parquet(folder / "results.parquet")
    data = size_data(view_of(folder))
    edges = [0, 1e-5, 1e-4, 1e-3, 1e-2, 1]
    expected = raw.groupby(["model", pd.cut(raw["fraction"], edges, labels=False)])["iou"].agg(["mean", "size"])
    assert len(data) == len(expected)
    row: Any
    for row in data.itertuples():
        assert (row.mean, row.n) == pytest.approx(tuple(expected.loc[(row.series, row.bin)]))


def test_the_size_table_in_pixels_equals_pandas(make_results) -> None:
    folder = make_results(objects=60, side=700)
    raw = pd.read_parquet(folder / "results.parquet")
    data = size_data(view_of(folder), IN_PIXELS)
    bins = pd.cut(raw["area"], [0, 30, 100, 1000, 10_000, 10**9], labels=False, right=False)
    expected = raw.groupby(["model", bins])["iou"].agg(["mean", "size"])
    assert len(data) == len(expected) > 5
    row: Any
    for row in data.itertuples():
        assert (row.mean, row.n) == pytest.approx(tuple(expected.loc[(row.series, row.bin)]))
    table = DATASET_TABLES["pixels"].make(view_of(folder))
    assert (table.name, [column.title for column in table.columns[1:]]) == ("iou-by-pixels", list(PIXEL_LABELS))


def test_bins_with_few_assets_are_marked_and_have_neither_interval_nor_rank(make_results) -> None:
    view = view_of(make_results(objects=30, side=700))
    data, table = size_data(view), size_table(view)
    order = [row[0].text for row in table.cells]
    assert data["clusters"].min() < MIN_CLUSTERS <= data["clusters"].max()
    row: Any
    for row in data.itertuples():
        cell = table.cells[order.index(row.series)][row.bin + 1]
        few = row.clusters < MIN_CLUSTERS
        assert cell.text.endswith("†") == np.isnan(row.low) == (cell.detail == "") == few
        assert not (few and cell.mark)
    assert "† fewer than 6 assets: no interval and no comparison." in table.notes
    assert INTERVAL_NOTE in table.notes[0]
    assert [cell.text for cell in table.cells[-1][1:]] == [
        str(data[(data["bin"] == i) & (data["series"] == "box")]["n"].sum()) for i in range(5)
    ]


def test_the_best_and_second_best_value_are_marked() -> None:
    assert marks([0.5, 0.9, 0.7, float("nan")]) == ["", "best", "second", ""]
    assert marks([0.9, 0.9, 0.1]) == ["best", "best", ""]
    assert marks([0.9, 0.5]) == ["best", ""]
    assert marks([0.9]) == [""]
    assert marks([5.0, 3.0, float("nan"), 4.0], least=True) == ["", "best", "", "second"]


def test_csv_has_unrounded_numbers(make_results) -> None:
    table = iou_table(view_of(make_results(objects=8)))
    back = pd.read_csv(io.StringIO(table.write_csv()))
    assert list(back["mean"]) == pytest.approx(list(table.data["mean"]), rel=1e-14)


def test_the_category_table_equals_pandas(make_results) -> None:
    folder = make_results(objects=20)
    raw = pd.read_parquet(folder / "results.parquet")
    data, table = category_data(view_of(folder)), category_table(view_of(folder))
    expected = raw.groupby(["category", "model"])["iou"].agg(["mean", "size"])
    assert len(data) == len(expected)
    row: Any
    for row in data.itertuples():
        assert (row.mean, row.n) == pytest.approx(tuple(expected.loc[(row.category, row.series)]))
    sizes = raw[raw["model"] == "box"]["category"].value_counts()
    assert [line[0].text for line in table.cells] == sorted(sizes.index, key=lambda name: (-sizes[name], name))
    assert [line[1].text for line in table.cells] == [f"{n}†" for n in sorted(sizes)[::-1]]  # with 1 or 2 assets
    assert all(not cell.mark for line in table.cells for cell in line if line[1].text.endswith("†"))


def test_a_category_that_a_model_lacks_is_noted(make_results) -> None:
    folder = make_results(models=("box", "ellipse"), objects=15)
    rows = pd.read_parquet(folder / "results.parquet")
    rows[(rows["category"] != "mug") | (rows["model"] != "box")].to_parquet(folder / "results.parquet")
    line = next(line for line in category_table(view_of(folder)).cells if line[0].text == "mug")
    assert [line[1].text, line[2].text] == ["0–3†", "—"]


def test_one_category_gives_no_table(make_results) -> None:
    with pytest.raises(NothingToShow, match="have the same category"):
        category_table(view_of(make_results(objects=3, category="apple")))


def test_noise_and_numbers_of_patches_are_in_the_iou_table_only(make_results) -> None:
    plain = make_results("plain", ("flip-tiny", "box"), 6)
    noisy = make_results("noisy", ("flip-tiny",), 6, noise=0.1, settings_hash="1" * 16)
    few = make_results("few", ("flip-tiny",), 6, tokens=64, settings_hash="2" * 16)
    for folder in (noisy, few):
        rows = pd.read_parquet(folder / "results.parquet")
        path = pd.read_parquet(plain / "results.parquet")["dataset_path"][0]
        rows.assign(dataset_path=path).to_parquet(folder / "results.parquet")
    view = view_of(plain, noisy, few)
    assert len(iou_table(view).cells) == 4
    for table in (size_table(view), category_table(view)):
        assert {"flip-tiny: noise 0, 512 tokens", "box"} == set(table.data["series"])
        told = "noise 0.1, 512 tokens; flip-tiny: noise 0, 64 tokens"
        assert any(told in note for note in table.notes)


def test_tables_note_the_number_of_objects_with_ignored_pixels(make_results) -> None:
    folder = make_results(models=("box", "ellipse"), objects=6)
    path = folder / "results.parquet"
    assert not [note for note in size_table(view_of(folder)).notes if "leaves out" in note]
    rows = pd.read_parquet(path)
    rows["ignored_rle"] = rows["truth_rle"].where(rows["object_id"].isin(rows["object_id"].unique()[:2]))
    rows.to_parquet(path)
    sentence = "On objascale: The IoU of 2 objects leaves out the pixels that the annotation marks as unknown."
    assert sentence in size_table(view_of(folder)).notes
    assert sentence in table_1(read_results([folder])).notes
