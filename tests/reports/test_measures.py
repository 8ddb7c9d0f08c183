"""The table of standard measures, compared with a computation in pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.statistics import tail_values
from reports.results import read_results
from reports.tables.measures import measures_data, measures_table
from reports.view import ResultsView


def view_of(folder) -> ResultsView:
    results = read_results([folder])
    return ResultsView(results, results.datasets[0], {})


@pytest.fixture(scope="module")
def of_two_objects(results_maker):
    """Results of 120 objects, with up to two objects in an image, and the standard boundary IoU."""
    folder = results_maker("measures", models=("box", "grabcut"), objects=120, side=300)
    rows = pd.read_parquet(folder / "results.parquet")
    rows["image_id"] = (rows["object_id"].astype(int) * 2 // 3).astype(str)
    rows.assign(standard_boundary_iou=rows["iou"] / 2).to_parquet(folder / "results.parquet")
    return folder


def test_the_measures_equal_pandas(of_two_objects):
    view = view_of(of_two_objects)
    data = measures_data(view).set_index(["series", "measure"])
    for model, rows in view.plain.groupby("model"):
        assert rows["image_id"].nunique() == 80
        iou = rows["iou"].sort_values()
        expected = {
            "over objects": iou.mean(),
            "over images": rows.groupby("image_id")["iou"].mean().mean(),
            "S: under 32² px": iou[rows["area"] < 1024].mean(),
            "M: 32² to 96² px": iou[rows["area"].between(1024, 9215)].mean(),
            "L: 96² px and more": iou[rows["area"] >= 9216].mean(),
            "2 % of image (standard)": iou.mean() / 2,
            "2 % of object": rows["boundary_iou"].mean(),
            "worst 5 %": iou[:6].mean(),
            "worst 1 %": (iou.iloc[0] + 0.2 * iou.iloc[1]) / 1.2,
        }
        found = data.loc[model]
        assert found["mean"].to_dict() == pytest.approx(expected)
        known = found.dropna(subset="low")
        assert len(known) >= 8
        assert (known["low"] <= known["mean"]).all()
        assert (known["mean"] <= known["high"]).all()


def test_a_measure_without_data_is_a_dash(make_results):
    table = measures_table(view_of(make_results(models=("box",), objects=12)))
    ((_, *cells),) = table.cells
    shown = dict(zip((column.title for column in table.columns[1:]), (cell.text for cell in cells), strict=True))
    assert [title for title, text in shown.items() if text == "—"] == [
        *(title for title in ("L: 96² px and more",) if shown[title] == "—"),
        "2 % of image (standard)",
        "worst 5 %",
        "worst 1 %",
    ]


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.37, 1.0])
def test_the_tail_is_the_mean_of_the_lowest_values(share):
    values = np.random.default_rng(0).random(200)
    lowest, count = np.sort(values), share * 200
    assert tail_values(values, share).mean() == pytest.approx(lowest[: round(count)].mean())
    assert tail_values(values[:3], share).mean() >= values[:3].min()
