"""Difference maps, and the cells of heat maps compared with those decoded from the paper."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from reports.figures.differences import colour_limit, draw_differences, paired_differences, size_differences
from reports.figures.heatmaps import HeatMap, heat_maps
from reports.results import read_results
from reports.style import assign_styles
from reports.view import NothingToShow, ResultsView


def view_of(*folders, bins: int | None = None) -> ResultsView:
    results = read_results(list(folders))
    return ResultsView(results, results.datasets[0], assign_styles(results.rows["series"]), bins=bins)


def test_differences_are_paired_by_object(usual_results) -> None:
    view = view_of(usual_results)
    pairs = paired_differences(view)
    assert set(pairs["series"]) == {"flip-tiny − mobilesam-onnx"}
    iou = view.rows.pivot(index="object", columns="model", values="iou")
    expected = iou["flip-tiny"] - iou["mobilesam-onnx"]
    assert pairs.set_index("object")["difference"].to_dict() == pytest.approx(expected.to_dict())


def test_an_object_that_one_side_lacks_is_in_no_pair(make_results) -> None:
    folder = make_results(models=("flip-tiny", "mobilesam-onnx"), objects=6)
    path = folder / "results.parquet"
    rows = pd.read_parquet(path)
    rows[(rows["model"] != "mobilesam-onnx") | (rows["object_id"] != "3")].to_parquet(path)
    assert len(paired_differences(view_of(folder))) == 5


def test_the_best_flip_is_compared_with_at_most_four_networks(make_results) -> None:
    rivals = ("sam-b", "sam-l", "sam-h", "fastsam-s", "fastsam-x")
    folder = make_results(models=("flip-tiny", "flip-large", *rivals, "box"), objects=4)
    path = folder / "results.parquet"
    rows = pd.read_parquet(path)
    better = {"flip-tiny": 0.6, "flip-large": 0.9, **{name: 0.8 - 0.1 * i for i, name in enumerate(rivals)}, "box": 0.5}
    rows.assign(iou=rows["model"].map(better)).to_parquet(path)
    names = paired_differences(view_of(folder))["series"].unique()
    assert list(names) == [f"flip-large − {rival}" for rival in rivals[:4]]


def test_only_networks_with_the_same_prompts_are_compared(make_results) -> None:
    matched = make_results("matched", models=("flip-tiny",), objects=3)
    box = make_results("box", models=("mobilesam-onnx",), objects=3, prompt_source="box")
    with pytest.raises(NothingToShow, match="with the same prompts"):
        paired_differences(view_of(matched, box))


@pytest.mark.parametrize("models", [("flip-tiny", "box"), ("mobilesam-onnx",)])
def test_without_another_network_there_is_a_message(make_results, models) -> None:
    with pytest.raises(NothingToShow, match="bench run --models"):
        size_differences(view_of(make_results(models=models, objects=2)))


def test_the_figure_is_symmetric_and_empty_cells_are_not_zero(usual_results) -> None:
    view = view_of(usual_results, bins=6)
    maps = heat_maps(paired_differences(view), 6, "difference")
    panel = draw_differences(maps).axes[0]
    cells, _ = panel.collections
    assert cells.get_clim() == (-colour_limit(maps), colour_limit(maps))
    assert np.asarray(cells.get_array()) == pytest.approx(maps[0].mean[maps[0].count > 0])
    zero = cells.get_cmap()(0.5)
    assert max(zero[:3]) - min(zero[:3]) < 0.02
    assert zero[0] > 0.95
    assert panel.patch.get_hatch()
    drawn = size_differences(view)[0]
    assert f"ahead in {(maps[0].mean > 0).sum()} and behind in {(maps[0].mean < 0).sum()} cells" in drawn.alt
    assert "Hatched: no object." in drawn.caption


def test_the_ends_of_the_scale_differ_for_the_colour_blind() -> None:
    """Simulated deuteranopia (Machado et al. 2009, severity 1)."""
    from reports.figures.differences import DIVERGING

    seen = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])
    shown = [(seen @ np.array(DIVERGING(x)[:3]) ** 2.2).clip(0) ** (1 / 2.2) for x in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert min(np.abs(a - b).max() for a, b in itertools.combinations(shown, 2)) > 0.15


def heat(means: list[float], clusters: list[int]) -> HeatMap:
    edges = np.array([1.0, 10.0, 100.0])
    counts = np.array(clusters).reshape(2, 2)
    return HeatMap("a − b", edges, edges, np.array(means).reshape(2, 2), 10 * counts, counts)


def test_cells_with_few_assets_do_not_set_the_limit() -> None:
    nan = float("nan")
    assert colour_limit([heat([0.13, -0.9, nan, 0.02], [9, 5, 0, 6])]) == pytest.approx(0.2)
    assert colour_limit([heat([0.1, -0.9, nan, nan], [1, 1, 0, 0])]) == pytest.approx(0.9)
    assert colour_limit([heat([0.0, nan, nan, nan], [1, 0, 0, 0])]) == pytest.approx(0.1)
    assert colour_limit([heat([-0.3, nan, nan, nan], [6, 0, 0, 0])]) == pytest.approx(0.3)


def test_fifty_bins_are_the_papers_cells(shared) -> None:
    """The extremes give all 51 edges, and every decoded cell lies on them, up to the digits of the table."""
    cells = pd.read_csv(shared / "paper" / "heatmap_cells.csv")
    cells = cells[cells["model"] == "FLIP-Large"]
    lows = 10 ** cells[["log10_rel_lo", "log10_px_lo"]].min().to_numpy()
    highs = 10 ** cells[["log10_rel_hi", "log10_px_hi"]].max().to_numpy()
    ends = pd.DataFrame({"series": "a", "object": ["0", "1"], "cluster": ["0", "1"], "iou": 0.5})
    ends[["fraction", "area"]] = [lows, highs]
    (map_,) = heat_maps(ends, bins=50)
    for edges, name in ((map_.x_edges, "rel"), (map_.y_edges, "px")):
        for side in ("lo", "hi"):
            theirs = cells[f"log10_{name}_{side}"].to_numpy()
            assert np.abs(np.log10(edges) - theirs[:, None]).min(axis=1).max() < 2e-3
