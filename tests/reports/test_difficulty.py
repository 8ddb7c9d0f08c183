"""How IoU depends on the dials: slopes, ranks and figures, on results with a known dependence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import stdtrit

from objascale.sizes import SIZE_LABELS, size_bin
from reports.difficulty import adjusted_iou, ranks, slopes, strengths
from reports.figures.difficulty import dial_curve, size_and_difficulty
from reports.figures.registry import draw
from reports.results import read_results
from reports.tables.difficulty import difficulty_table, ranks_table
from reports.view import NothingToShow, ResultsView

EFFECT = {"box": 0.0, "grabcut": -0.12, "flip-tiny": -0.03}
"""Change of IoU per unit of noise. Other dials have no effect."""


def view_of(folder: Path) -> ResultsView:
    from reports.style import assign_styles

    results = read_results([folder])
    return ResultsView(results, results.datasets[0], assign_styles(results.rows["series"]))


@pytest.fixture(scope="module")
def graded(results_maker) -> Path:
    """Results of 240 objects in which noise costs EFFECT, size helps, and larger objects have more noise."""
    folder = results_maker("graded", models=tuple(EFFECT), objects=240, side=300)
    rows = pd.read_parquet(folder / "results.parquet")
    rng = np.random.default_rng(5)
    objects = rows["object_id"].unique()
    size = rows.drop_duplicates("object_id").set_index("object_id")["fraction"].map(lambda each: size_bin(each))
    noise = pd.Series(rng.uniform(0, 4, len(objects)), objects) + size.loc[objects] / 4
    blur = pd.Series(rng.uniform(0, 5, len(objects)), objects)
    start = {"box": 0.20, "grabcut": 0.80, "flip-tiny": 0.65}
    values = [
        start[row["model"]] + EFFECT[row["model"]] * noise[row["object_id"]] + 0.04 * size[row["object_id"]]
        for row in rows.to_dict("records")
    ]
    texts = [json.dumps({"noise": noise[name], "sharpness": blur[name], "motion": 0.0}) for name in rows["object_id"]]
    rows.assign(iou=np.clip(values, 0, 1), difficulty=texts).to_parquet(folder / "results.parquet")
    return folder


def test_slopes_find_the_effect_of_each_dial_and_not_that_of_size(graded: Path) -> None:
    rows = strengths(view_of(graded).plain)
    assert rows.attrs["dials"] == ["sharpness", "noise"]
    found = slopes(rows).set_index(["series", "dial"])["slope"]
    for series, effect in EFFECT.items():
        assert found[series, "noise"] == pytest.approx(effect, abs=0.004)
        assert found[series, "sharpness"] == pytest.approx(0, abs=0.004)


def test_intervals_are_those_of_leaving_out_each_cluster(graded: Path) -> None:
    rows = strengths(view_of(graded).plain)
    part = rows[rows["series"] == "grabcut"].assign(iou=lambda each: each["iou"] + np.sin(each.index) / 20)
    part.attrs = rows.attrs

    def fit(chosen: pd.DataFrame) -> np.ndarray:
        sizes = np.eye(len(SIZE_LABELS))[size_bin(chosen["fraction"].to_numpy())]
        design = np.hstack([chosen[part.attrs["dials"]].to_numpy(), sizes[:, sizes.any(0)]])
        return np.linalg.lstsq(design, chosen["iou"].to_numpy(), rcond=None)[0][:2]

    found = slopes(part)
    whole, left_out = fit(part), np.array([fit(part[part["cluster"] != name]) for name in part["cluster"].unique()])
    assert found["slope"].to_numpy() == pytest.approx(whole)
    error = np.sqrt(((left_out - whole) ** 2).sum(0))
    sizes = part.groupby("cluster").size()
    freedom = sizes.sum() ** 2 / (sizes**2).sum() - 1
    width = -stdtrit(freedom, 0.025) * np.hypot(error, whole / (len(sizes) + 1))
    assert found["low"].to_numpy() == pytest.approx(whole - width)
    assert found["high"].to_numpy() == pytest.approx(whole + width)


def test_adjusted_iou_keeps_the_mean_and_has_none_of_size(graded: Path) -> None:
    rows = strengths(view_of(graded).plain)
    adjusted = adjusted_iou(rows)
    assert adjusted.groupby(rows["series"]).mean().to_dict() == pytest.approx(
        rows.groupby("series")["iou"].mean().to_dict()
    )
    of_size = adjusted.groupby([rows["series"], size_bin(rows["fraction"].to_numpy())]).mean().unstack()
    assert np.nanmax(of_size.max(axis=1) - of_size.min(axis=1)) < 1e-9


def test_a_model_that_noise_hurts_loses_its_rank(graded: Path) -> None:
    found = ranks(strengths(view_of(graded).plain)).set_index(["series", "dial"])
    assert found.loc[("grabcut", "noise"), ["easy_rank", "hard_rank"]].tolist() == [1, 2]
    assert found.loc[("flip-tiny", "noise"), ["easy_rank", "hard_rank"]].tolist() == [2, 1]
    cells = {row[0].text: [cell.text for cell in row[1:]] for row in ranks_table(view_of(graded)).cells}
    assert cells["grabcut"][1] == "1 → 2"
    assert cells["box"][1] == "3"


def test_tables_and_figures_show_the_dials_that_vary(graded: Path) -> None:
    view = view_of(graded)
    assert [column.title for column in difficulty_table(view).columns] == ["Model", "sharpness", "noise"]
    curves, maps = draw("difficulty", view)
    assert curves.name == "iou-by-difficulty"
    assert "grabcut: noise" in curves.alt
    assert "flip-tiny" in maps.alt


def test_the_points_of_a_figure_are_means_of_bins(graded: Path) -> None:
    rows = strengths(view_of(graded).plain)
    curve = dial_curve(rows, "noise")
    first = rows[(rows["series"] == "box") & (rows["noise"] < 1)]
    point = curve[(curve["series"] == "box") & (curve["bin"] == 0)].iloc[0]
    assert point["n"] == len(first)
    assert point["strength"] == pytest.approx(first["noise"].mean())
    means = size_and_difficulty(rows)
    assert means.groupby("series")["n"].sum().eq(240).all()
    assert means[means["series"] == "box"].groupby("difficulty")["n"].sum().tolist() == [60, 60, 60, 60]


def test_results_without_difficulty_have_no_table(usual_results: Path) -> None:
    with pytest.raises(NothingToShow, match="preset photo"):
        difficulty_table(view_of(usual_results))


def test_one_strength_for_all_is_no_dial(graded: Path, tmp_path: Path) -> None:
    rows = view_of(graded).plain
    with pytest.raises(NothingToShow, match="no dial has two strengths"):
        strengths(rows.assign(difficulty=json.dumps({"noise": 3.0})))
