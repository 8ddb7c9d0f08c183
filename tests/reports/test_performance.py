"""IoU against parameters and time: points, front, levels and labels."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from reports.figures.labels import Label, place_labels
from reports.figures.performance import draw_performance, pareto_front, performance, performances
from reports.results import read_results
from reports.style import assign_styles
from reports.view import NothingToShow, ResultsView


@pytest.fixture(scope="module")
def view(usual_results) -> ResultsView:
    results = read_results([usual_results])
    return ResultsView(results, "objascale", assign_styles(results.rows["series"]))


def lines(figure: Figure) -> dict[str, Any]:
    return {str(line.get_label()): line for line in figure.axes[0].lines}


def test_the_points_equal_pandas(view) -> None:
    table = performance(view).set_index("series")
    for series, rows in view.rows.groupby("series"):
        assert table.loc[series, "mean"] == pytest.approx(rows["iou"].mean())
        assert table.loc[series, "low"] < table.loc[series, "mean"] < table.loc[series, "high"]
    assert table["parameters"].dropna().to_dict() == {"flip-tiny": 513_788, "mobilesam-onnx": 10_130_092}
    assert sorted(table["ms"].dropna().index) == ["flip-tiny", "grabcut", "mobilesam-onnx"]
    rows = view.rows[view.rows["series"] == "grabcut"]
    stages = rows[["image_pre_ms", "image_model_ms", "image_post_ms", "pre_ms", "model_ms", "post_ms"]]
    assert table.loc["grabcut", "ms"] == pytest.approx(stages.sum(axis=1).median())


def test_errors_have_no_time_but_count_as_zero(make_results) -> None:
    folder = make_results(models=("grabcut",), objects=3)
    path = folder / "results.parquet"
    rows = pd.read_parquet(path).assign(
        image_pre_ms=0.0, image_model_ms=0.0, image_post_ms=0.0, pre_ms=0.0, post_ms=0.0
    )
    rows["model_ms"], rows["iou"], rows["error"] = [1.0, 3.0, 99.0], [0.6, 0.9, 0.0], [None, None, "ValueError: no"]
    rows.to_parquet(path)
    results = read_results([folder])
    (row,) = performance(ResultsView(results, "objascale", {})).to_dict("records")
    assert (row["ms"], row["times"]) == (2.0, "run")
    assert row["mean"] == pytest.approx(0.5)


def test_times_of_a_timing_are_preferred_and_noted(make_results, make_timing) -> None:
    results = read_results([make_results(models=("flip-tiny", "grabcut")), make_timing(flip_tiny=(1, 20, 3))])
    view = ResultsView(results, "objascale", assign_styles(results.rows["series"]))
    table = performance(view).set_index("series")
    assert table.loc["flip-tiny", "ms"] == pytest.approx(3 * 24)
    assert table["times"].to_dict() == {"flip-tiny": "timing", "grabcut": "run"}
    assert "beside other work (grabcut)" in performances(view)[1].caption


def test_the_figures_show_points_levels_and_front(view) -> None:
    parameters, time = performances(view)
    assert (parameters.name, time.name) == ("iou-by-parameters", "iou-by-time")
    table = performance(view).set_index("series")
    for drawn, x, scale in ((parameters, "parameters", 1e6), (time, "ms", 1)):
        axes, shown = drawn.figure.axes[0], lines(drawn.figure)
        assert (axes.get_xscale(), axes.get_ylabel()) == ("log", "Mean IoU")
        for series in table.index:
            if series in shown and shown[series].get_linestyle() == "None":
                assert shown[series].get_xdata() == [pytest.approx(table.loc[series, x] / scale)]
                assert shown[series].get_ydata() == [pytest.approx(table.loc[series, "mean"])]
                assert axes.get_xlim()[0] < table.loc[series, x] / scale < axes.get_xlim()[1]
            assert axes.get_ylim()[0] <= table.loc[series, "mean"] <= axes.get_ylim()[1]
        intervals = [line for line in axes.lines if line.get_label() == "_interval"]
        assert len(intervals) == table[x].notna().sum()
        assert {text.get_text() for text in axes.texts} == set(table.index)
    levels = [name for name, line in lines(parameters.figure).items() if line.get_linestyle() == "--"]
    assert sorted(levels) == ["box", "ellipse", "grabcut"]
    assert [n for n, line in lines(time.figure).items() if line.get_linestyle() == "--"] == ["box", "ellipse"]
    assert "n = 40 objects per model" in parameters.caption
    assert "no interval for fewer than 6 assets" in parameters.caption
    assert "beside other work" in time.caption
    assert "as a dashed line" in parameters.alt


def test_the_front_steps_up_to_the_right_edge_of_the_frame() -> None:
    table = pd.DataFrame(
        {"series": list("abc"), "clusters": [9, 9, 4], "mean": [0.5, 0.4, 0.7], "ms": [1.0, 5.0, 20.0]}
    )
    table["low"] = table["high"] = table["mean"]
    figure = draw_performance(table, "ms", "ms", table.iloc[:0], assign_styles("abc"))
    front = lines(figure)["_front"]
    assert front.get_drawstyle() == "steps-post"
    assert list(front.get_ydata()) == [0.5, 0.7, 0.7]
    assert list(front.get_xdata()) == [1.0, 20.0, pytest.approx(figure.axes[0].get_xlim()[1])]
    assert [lines(figure)[name].get_markerfacecolor() == "white" for name in "abc"] == [False, False, True]


def test_a_model_without_a_time_is_noted(make_results) -> None:
    folder = make_results(models=("flip-tiny", "grabcut"), objects=3)
    path = folder / "results.parquet"
    rows = pd.read_parquet(path)
    rows["error"] = rows["error"].astype(object).mask(rows["model"] == "grabcut", "RuntimeError: no")
    rows.to_parquet(path)
    results = read_results([folder])
    _, time = performances(ResultsView(results, "objascale", assign_styles(results.rows["series"])))
    assert "Not shown, without time: grabcut." in time.caption
    assert "Errors (3)" in time.caption


def test_prompt_baselines_alone_give_no_figure(make_results) -> None:
    results = read_results([make_results(models=("box", "ellipse"), objects=2)])
    with pytest.raises(NothingToShow, match="bench run --models flip-tiny"):
        performances(ResultsView(results, "objascale", assign_styles(results.rows["series"])))


points = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=12)


@given(points)
def test_the_front_has_exactly_the_points_that_no_other_beats(points: list[tuple[int, int]]) -> None:
    table = pd.DataFrame(points, columns=["x", "mean"]).astype(float)
    front = list(pareto_front(table, "x")[["x", "mean"]].itertuples(index=False, name=None))
    assert front == sorted(set(front))
    for x, mean in points:
        beaten = any((a <= x and b >= mean) and (a, b) != (x, mean) for a, b in points)
        assert ((x, mean) in front) == (not beaten)


def test_labels_do_not_overlap_each_other_or_the_points() -> None:
    rng = np.random.default_rng(3)
    figure = Figure(figsize=(3.4, 2.7), layout="constrained")
    axes = figure.subplots()
    x, y = rng.uniform(0, 1, (2, 10))
    for each in zip(x, y, strict=True):
        axes.plot(*each, marker="o", markersize=5)
    axes.axhline(0.5)
    axes.set(xlim=(-0.1, 1.1), ylim=(-0.1, 1.1))
    labels = [Label("a level", None, 0.5), *(Label(f"model-{i}", *at) for i, at in enumerate(zip(x, y, strict=True)))]
    written = place_labels(figure, axes, labels)
    assert [text.get_text() for text in written] == [label.text for label in labels]
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    boxes = [extent(text, renderer) for text in written]
    markers = [Bbox.from_extents(*at, *at).padded(2.5) for at in axes.transData.transform(np.stack([x, y], 1))]
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert not any(box.overlaps(marker) for box in boxes for marker in markers)
    frame = axes.get_window_extent(renderer)
    assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 <= box.y1 <= frame.y1 for box in boxes)


def extent(text: Annotation, renderer) -> Bbox:
    """Return the box of the text, without the line to its point."""
    text.update_positions(renderer)
    return Text.get_window_extent(text, renderer)
