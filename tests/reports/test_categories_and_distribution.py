"""IoU by category, and the cumulative distribution of IoU."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from reports.figures.categories import ROW_HEIGHT, categories, category_means, draw_categories
from reports.figures.distribution import distributions, draw_distribution
from reports.results import read_results
from reports.style import COLUMN_WIDTH, assign_styles, save_figure
from reports.view import NothingToShow, ResultsView


@pytest.fixture(scope="module")
def view(usual_results) -> ResultsView:
    results = read_results([usual_results])
    return ResultsView(results, "objascale", assign_styles(results.rows["series"]))


def test_categories_go_from_worst_to_best_with_the_means_of_pandas(view) -> None:
    means = category_means(view.rows)
    expected = view.rows.groupby(["category", "series"])["iou"].agg(["mean", "size"])
    row: Any
    for row in means.itertuples():
        assert (row.mean, row.n) == pytest.approx(tuple(expected.loc[(row.category, row.series)]))
    across = expected["mean"].groupby("category").mean().sort_values()
    assert list(means["category"].cat.categories) == list(across.index)


def test_the_category_figure_shows_the_means(view) -> None:
    means = category_means(view.rows)
    (drawn,) = categories(view)
    (axes,) = drawn.figure.axes
    order = list(means["category"].cat.categories)
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert [label.split(" (")[0] for label in labels] == [name.replace("_", " ") for name in order]
    assert sum(int(label.split("(")[1][:-1]) for label in labels) == 40
    dots: dict[str, Any] = {str(line.get_label()): line for line in axes.lines}
    for series in means["series"].unique():
        points = means[means["series"] == series]
        assert dots[series].get_xdata() == pytest.approx(points["mean"].to_numpy())
        rows = np.rint(dots[series].get_ydata()).astype(int)
        assert list(rows) == list(points["category"].cat.codes)
    assert order[-1] in drawn.alt
    assert "n = 40 objects of 5 categories" in drawn.caption


def test_only_the_five_best_models_are_shown_and_the_caption_notes_it(make_results) -> None:
    models = ("flip-tiny", "mobilesam-onnx", "grabcut", "box", "ellipse", "sam-h")
    folder = make_results(models=models, objects=9)
    path = folder / "results.parquet"
    rows = pd.read_parquet(path)
    rows.assign(iou=rows["model"].map({name: 0.9 - 0.1 * i for i, name in enumerate(models)})).to_parquet(path)
    results = read_results([folder])
    (drawn,) = categories(ResultsView(results, "objascale", assign_styles(results.rows["series"])))
    shown = {str(line.get_label()) for line in drawn.figure.axes[0].lines}
    assert set(models[:5]) <= shown
    assert "sam-h" not in shown
    assert "the 5 of 6 with the best mean IoU" in drawn.caption


def test_sixty_eight_categories_keep_their_letters_apart() -> None:
    """Rows are farther apart than the height of 7-point letters, and the figure fits a page."""
    rows = [{"series": "box", "category": f"thing {i:02}", "iou": i / 68, "cluster": str(i)} for i in range(68)]
    figure = draw_categories(category_means(pd.DataFrame(rows)), assign_styles(["box"]))
    assert ROW_HEIGHT * 72 > 7
    assert figure.get_figwidth() == COLUMN_WIDTH
    assert figure.get_figheight() < 9.5
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].get_yticklabels()]
    assert len(boxes) == 68
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))


def test_many_long_and_unusual_categories_fit(make_results, tmp_path) -> None:
    folder = make_results(models=("box",), objects=100, side=32)
    path = folder / "results.parquet"
    rows = pd.read_parquet(path)
    names = [r"$\frac{$", "a $b$ c", "word " * 40, "\u00e9t\u00e9"] + [f"thing {i}" for i in range(90)]
    rows["category"] = (names + names[:6])[:100]
    rows.to_parquet(path)
    results = read_results([folder])
    (drawn,) = categories(ResultsView(results, "objascale", assign_styles(["box"])))
    save_figure(drawn.figure, tmp_path / "many")
    labels = [text.get_text() for text in drawn.figure.axes[0].get_yticklabels()]
    assert len(labels) == 70
    assert max(map(len, labels)) < 40
    assert "76 objects of 70 categories (the largest of 94)" in drawn.caption


@pytest.mark.parametrize("category", ["apple", "", None])
def test_one_category_or_none_gives_a_message(make_results, category) -> None:
    results = read_results([make_results(objects=2, category=category)])
    with pytest.raises(NothingToShow, match="fewer than two categories"):
        categories(ResultsView(results, "objascale", {}))


def test_the_distribution_is_the_share_of_objects_up_to_a_value(view) -> None:
    figure = draw_distribution(view.rows, view.styles)
    (axes,) = figure.axes
    assert axes.get_ylabel() == "Share of objects with IoU ≤ x"
    steps = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert len(steps) == len(view.styles)
    for line, series in zip(steps, view.styles, strict=True):
        iou = view.rows.loc[view.rows["series"] == series, "iou"].to_numpy()
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        for at in (0.0, 0.3, 0.77, 0.9, 1.0):
            assert y[np.searchsorted(x, at, side="right") - 1] == pytest.approx((iou <= at).mean())
    medians = {str(line.get_label()).split(" (")[0]: line for line in axes.lines if " (" in str(line.get_label())}
    for series, iou in view.rows.groupby("series")["iou"]:
        marker: Any = medians[str(series)]
        assert (marker.get_xdata(), marker.get_ydata()) == ([pytest.approx(iou.median())], [0.5])
        assert f"({iou.median():.2f})" in marker.get_label()


def test_the_distribution_lists_n_errors_and_misses(make_results) -> None:
    folder = make_results(models=("grabcut",), objects=4)
    path = folder / "results.parquet"
    rows = pd.read_parquet(path).assign(iou=[0.0, 0.2, 0.6, 0.8])
    rows["error"] = ["ValueError: no", None, None, None]
    rows.to_parquet(path)
    results = read_results([folder])
    (drawn,) = distributions(ResultsView(results, "objascale", assign_styles(results.rows["series"])))
    assert "n = 4 objects per model" in drawn.caption
    assert "Errors (1) and empty masks (0) count as IoU 0." in drawn.caption
    assert "Hollow markers: fewer than 6 assets" in drawn.caption
    assert "grabcut 0.40, 25% at 0" in drawn.alt
