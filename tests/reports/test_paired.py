"""Paired differences compared with `bench compare` and with a calculation by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.compare import PairedComparison, rows_of
from reports.results import read_results
from reports.tables.paired import paired_data, paired_table
from reports.view import NothingToShow, ResultsView


def view_of(*folders: Path) -> ResultsView:
    results = read_results(folders)
    return ResultsView(results, results.datasets[0], {})


def test_differences_equal_bench_compare(make_results) -> None:
    folder = make_results(objects=20)
    data = paired_data(view_of(folder))
    assert len(data)
    for row in data.to_dict("records"):
        table = PairedComparison.of(rows_of(folder, row["series"]), rows_of(folder, row["other"])).table()
        theirs = table.iloc[-1]
        pairs = {"mean": "mean_a", "other_mean": "mean_b", "won": "win", "equal": "tie", "lost": "loss"}
        for ours, name in {**pairs, "difference": "difference", "n": "n", "clusters": "clusters"}.items():
            assert row[ours] == pytest.approx(theirs[name])
        assert (row["low"], row["high"]) == pytest.approx((theirs["low"], theirs["high"]))


def test_each_model_is_compared_with_the_best_and_with_its_prompt(make_results) -> None:
    folder = make_results(objects=8)
    rows = pd.read_parquet(folder / "results.parquet")
    rows["iou"] = rows["model"].map(
        {"flip-tiny": 0.9, "mobilesam-onnx": 0.5, "grabcut": 0.4, "box": 0.45, "ellipse": 0.7}
    )
    rows.to_parquet(folder / "results.parquet")
    data = paired_data(view_of(folder))
    assert list(data[["series", "other", "against"]].itertuples(index=False, name=None)) == [
        ("flip-tiny", "ellipse", "own prompt"),
        ("mobilesam-onnx", "flip-tiny", "best"),
        ("mobilesam-onnx", "box", "own prompt"),
        ("grabcut", "flip-tiny", "best"),
        ("grabcut", "box", "own prompt"),
        ("box", "flip-tiny", "best"),
        ("ellipse", "flip-tiny", "best"),
    ]
    assert data["difference"].tolist() == pytest.approx([0.2, -0.4, 0.05, -0.5, -0.05, -0.45, -0.2])
    assert data["won"].tolist() == [1, 0, 1, 0, 0, 0, 0]
    assert set(data["verdict"]) == {"cannot be told"}  # three assets are too few
    assert data[["low", "high", "p", "p_holm"]].isna().all(axis=None)
    assert {line[-2].text for line in paired_table(view_of(folder)).cells} == {"—"}


def test_a_pair_in_both_orders_is_one_test(make_results) -> None:
    folder = make_results(models=("flip-tiny", "ellipse"), objects=60)
    rows = pd.read_parquet(folder / "results.parquet")
    rows.assign(iou=np.where(rows["model"] == "ellipse", 0.5, 0.6)).to_parquet(folder / "results.parquet")
    table = paired_table(view_of(folder))
    assert table.data["p_holm"].tolist() == table.data["p"].tolist() == [table.data["p"][0]] * 2
    assert "for the 1 pairs tested in this table" in " ".join(table.notes)


def test_verdicts_follow_interval_and_p(make_results) -> None:
    folder = make_results(models=("grabcut", "box"), objects=60)
    path = folder / "results.parquet"
    rows, rng = pd.read_parquet(path), np.random.default_rng(0)
    noise = rng.normal(0, 0.01, len(rows))
    for lead, verdict in ((0.05, "better"), (0.0, "cannot be told"), (-0.05, "worse")):
        rows.assign(iou=0.5 + noise + lead * (rows["model"] == "grabcut")).to_parquet(path)
        data = paired_data(view_of(folder))
        row = data[data["series"] == "grabcut"].iloc[0]
        assert row["verdict"] == verdict


def test_an_information_matched_box_is_the_prompt_of_all_models(make_results) -> None:
    matched = make_results("matched", ("flip-tiny", "ellipse", "box"), 6)
    path = pd.read_parquet(matched / "results.parquet")["dataset_path"][0]
    told = make_results("told", ("flip-tiny", "ellipse"), 6, prompt_source="box", dataset_path=path)
    data = paired_data(view_of(matched, told))
    own = data[data["against"].str.contains("own prompt")].set_index("series")["other"]
    assert own["flip-tiny: box prompts"] == "ellipse: box prompts"
    assert own["flip-tiny: matched prompts"] == "ellipse: matched prompts"


def test_models_that_cannot_be_compared_are_noted(make_results) -> None:
    folder = make_results(models=("flip-tiny", "grabcut", "box"), objects=6)
    rows = pd.read_parquet(folder / "results.parquet")
    rows[(rows["model"] != "box") | (rows["object_id"] != "3")].to_parquet(folder / "results.parquet")
    notes = " ".join(paired_table(view_of(folder)).notes)
    assert "Not compared with the bare prompt, which has no rows: flip-tiny." in notes
    assert "box 1" not in notes.split("Objects of only one side")[0]
    assert "grabcut 1, box 0" in notes


def test_errors_have_iou_zero_and_are_counted(make_results) -> None:
    folder = make_results(models=("grabcut", "box"), objects=4)
    rows = pd.read_parquet(folder / "results.parquet")
    rows["error"] = rows["error"].astype(object)
    rows.loc[rows["model"] == "grabcut", ["error", "iou"]] = ["ValueError: x", 0.0]
    rows.to_parquet(folder / "results.parquet")
    table = paired_table(view_of(folder))
    assert table.data["errors"].sum() + table.data["other_errors"].sum() == 4 * len(table.data)
    assert "Errors count as IoU 0 (4 in all comparisons)" in table.notes[0]
    assert table.cells[0][3].text == "4†"


@pytest.mark.parametrize("shape", [{"models": ("box",), "objects": 3}, {"models": ("grabcut",), "objects": 1}])
def test_one_model_gives_no_comparison(make_results, shape: dict) -> None:
    with pytest.raises(NothingToShow, match="no two models"):
        paired_table(view_of(make_results(**shape)))


def test_models_without_a_common_object_give_no_comparison(make_results) -> None:
    folder = make_results(models=("grabcut", "box"), objects=4)
    rows = pd.read_parquet(folder / "results.parquet")
    rows[(rows["model"] == "box") == (rows["object_id"] < "2")].to_parquet(folder / "results.parquet")
    with pytest.raises(NothingToShow):
        paired_table(view_of(folder))
