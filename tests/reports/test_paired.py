"""Paired differences against `bench compare` and by hand; the test behind the verdicts against full enumeration."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.compare import Comparison, rows_of
from reports.results import read_results
from reports.significance import holm, sign_flip, sums_by_cluster
from reports.tables.paired import paired_data, paired_table
from reports.view import NothingToShow, View


def view_of(*folders: Path) -> View:
    results = read_results(folders)
    return View(results, results.datasets[0], {}, 5)


def test_differences_are_those_of_bench_compare(make_results) -> None:
    folder = make_results(objects=20)
    data = paired_data(view_of(folder))
    assert len(data)
    for row in data.to_dict("records"):
        table = Comparison.of(rows_of(folder, row["series"]), rows_of(folder, row["other"])).table(seed=5)
        theirs = table.iloc[-1]
        pairs = {"mean": "mean_a", "other_mean": "mean_b", "won": "win", "equal": "tie", "lost": "loss"}
        for ours, name in {**pairs, "difference": "difference", "n": "n", "clusters": "clusters"}.items():
            assert row[ours] == pytest.approx(theirs[name])
        assert (row["low"], row["high"]) == pytest.approx((theirs["low"], theirs["high"]), abs=0.02)


def test_each_model_meets_the_best_and_its_own_prompt(make_results) -> None:
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
    assert set(data["verdict"]) == {"cannot be told"}  # three assets can hardly tell anything


def test_a_pair_named_both_ways_is_one_test(make_results) -> None:
    folder = make_results(models=("flip-tiny", "ellipse"), objects=60)
    rows = pd.read_parquet(folder / "results.parquet")
    rows.assign(iou=np.where(rows["model"] == "ellipse", 0.5, 0.6)).to_parquet(folder / "results.parquet")
    table = paired_table(view_of(folder))
    assert table.data["p_holm"].tolist() == table.data["p"].tolist() == [table.data["p"][0]] * 2
    assert "for the 1 pairs of this table" in " ".join(table.notes)


def test_verdicts(make_results) -> None:
    folder = make_results(models=("grabcut", "box"), objects=60)
    path = folder / "results.parquet"
    rows, rng = pd.read_parquet(path), np.random.default_rng(0)
    noise = rng.normal(0, 0.01, len(rows))
    for lead, verdict in ((0.05, "better"), (0.0, "cannot be told"), (-0.05, "worse")):
        rows.assign(iou=0.5 + noise + lead * (rows["model"] == "grabcut")).to_parquet(path)
        data = paired_data(view_of(folder))
        row = data[data["series"] == "grabcut"].iloc[0]
        assert row["verdict"] == verdict


def test_a_box_that_was_told_to_all_is_the_prompt_of_all(make_results) -> None:
    matched = make_results("matched", ("flip-tiny", "ellipse", "box"), 6)
    path = pd.read_parquet(matched / "results.parquet")["dataset_path"][0]
    told = make_results("told", ("flip-tiny", "ellipse"), 6, prompt_source="box", dataset_path=path)
    data = paired_data(view_of(matched, told))
    own = data[data["against"].str.contains("own prompt")].set_index("series")["other"]
    assert own["flip-tiny: box prompts"] == "ellipse: box prompts"
    assert own["flip-tiny: matched prompts"] == "ellipse: matched prompts"


def test_what_cannot_be_compared_is_told(make_results) -> None:
    folder = make_results(models=("flip-tiny", "grabcut", "box"), objects=6)
    rows = pd.read_parquet(folder / "results.parquet")
    rows[(rows["model"] != "box") | (rows["object_id"] != "3")].to_parquet(folder / "results.parquet")
    notes = " ".join(paired_table(view_of(folder)).notes)
    assert "Not compared with the prompt alone, of which there are no rows: flip-tiny;" in notes
    assert "box 1" not in notes.split("Objects of one side only")[0]
    assert "grabcut 1, box 0" in notes


def test_errors_count_as_nothing_and_are_counted(make_results) -> None:
    folder = make_results(models=("grabcut", "box"), objects=4)
    rows = pd.read_parquet(folder / "results.parquet")
    rows["error"] = rows["error"].astype(object)
    rows.loc[rows["model"] == "grabcut", ["error", "iou"]] = ["ValueError: x", 0.0]
    rows.to_parquet(folder / "results.parquet")
    table = paired_table(view_of(folder))
    assert table.data["errors"].sum() + table.data["other_errors"].sum() == 4 * len(table.data)
    assert "errors count as IoU 0 (4 in all comparisons)" in table.notes[0]
    assert table.cells[0][3].text == "4†"


@pytest.mark.parametrize("shape", [{"models": ("box",), "objects": 3}, {"models": ("grabcut",), "objects": 1}])
def test_one_model_is_no_comparison(make_results, shape: dict) -> None:
    with pytest.raises(NothingToShow, match="no two models"):
        paired_table(view_of(make_results(**shape)))


def test_models_without_a_common_object_are_no_comparison(make_results) -> None:
    folder = make_results(models=("grabcut", "box"), objects=4)
    rows = pd.read_parquet(folder / "results.parquet")
    rows[(rows["model"] == "box") == (rows["object_id"] < "2")].to_parquet(folder / "results.parquet")
    with pytest.raises(NothingToShow):
        paired_table(view_of(folder))


def test_the_test_is_the_enumeration_of_all_signs() -> None:
    rng = np.random.default_rng(1)
    differences, clusters = rng.normal(0.3, 1, 12), np.repeat(np.arange(6), 2)
    sums = differences.reshape(6, 2).sum(1)
    every = [abs(sums @ signs) >= abs(sums.sum()) - 1e-12 for signs in itertools.product((-1, 1), repeat=6)]
    p = sign_flip(sums_by_cluster(differences, np.zeros(12, int), clusters), np.random.default_rng(0))
    assert p[0] == pytest.approx(np.mean(every), abs=0.02)


def test_p_is_uniform_where_nothing_differs() -> None:
    rng = np.random.default_rng(2)
    differences = rng.normal(0, 1, (400, 40))
    cells, clusters = np.repeat(np.arange(400), 40), np.tile(np.arange(40), 400)
    p = sign_flip(sums_by_cluster(differences.ravel(), cells, clusters), np.random.default_rng(0), flips=499)
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.03)
    assert p.mean() == pytest.approx(0.5, abs=0.05)


def test_one_cluster_or_no_difference_tells_nothing() -> None:
    sums = sums_by_cluster(np.array([1.0, 1.0, 0.0, 0.0]), np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]))
    p = sign_flip(sums, np.random.default_rng(0), 99)
    assert p.tolist() == [1, 1]


def test_holm_by_hand() -> None:
    assert holm(np.array([0.04, 0.01, 0.03])).tolist() == pytest.approx([0.06, 0.03, 0.06])
    assert holm(np.array([0.9, 0.8])).tolist() == [1, 1]


@settings(max_examples=50)
@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=12))
def test_holm_is_between_p_and_bonferroni_and_keeps_the_order(values: list[float]) -> None:
    p = np.array(values)
    adjusted = holm(p)
    assert (adjusted >= p - 1e-12).all()
    assert (adjusted <= np.minimum(1, p * len(p)) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= -1e-12).all()
