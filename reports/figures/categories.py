"""Mean IoU by category: one row of dots per category."""

from __future__ import annotations

import textwrap
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from bench.statistics import clustered_means, too_few
from reports.figures import Drawn
from reports.figures.parts import add_legend, error_note, interval_note, new_axes
from reports.style import RC_PARAMS, Style
from reports.view import NothingToShow, ResultsView

MAX_MODELS = 5  # one above the other in the height of a row
MAX_CATEGORIES = 70  # as many rows as fit on a page
MAX_NAME_LETTERS = 30  # longer names are shortened to leave room for the dots
ROW_HEIGHT = 0.125  # inches: 68 rows with letters of 7 points are 8.5 inches high


def category_means(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean IoU per series and category.

    Columns: series, category, mean, std, n, clusters, low, high. Only the `MAX_MODELS` series with the best mean IoU
    and the `MAX_CATEGORIES` categories with most objects are kept. Categories are sorted by the mean of those series,
    worst first.
    """
    rows = rows[rows["category"].fillna("") != ""]
    rows = rows[rows["category"].isin(rows["category"].value_counts().nlargest(MAX_CATEGORIES).index)]
    best = rows.groupby("series", sort=False)["iou"].mean().nlargest(MAX_MODELS).index
    rows = rows[rows["series"].isin(best)]
    means = clustered_means(rows, ["series", "category"]).reset_index()
    order = means.groupby("category")["mean"].mean().sort_values(kind="stable").index
    means["category"] = pd.Categorical(means["category"], order)
    return means.sort_values(["category", "series"], ignore_index=True)


def draw_categories(means: pd.DataFrame, styles: dict[str, Style]) -> Figure:
    """Draw a dot with its 95 % interval per series in the row of each category, the best category on top.

    The number in brackets is the number of objects of a category. Hollow dots are `too_few`.
    """
    categories = list(means["category"].cat.categories)
    shown = [series for series in styles if series in set(means["series"])]
    figure, axes = new_axes(0.55 + ROW_HEIGHT * max(len(categories), 4), shown)
    with matplotlib.rc_context(RC_PARAMS):
        for index, series in enumerate(shown):
            style, points = styles[series], means[means["series"] == series]
            y = points["category"].cat.codes + 0.7 * ((len(shown) - 1) / 2 - index) / len(shown)
            axes.hlines(y, points["low"], points["high"], color=style.colour, linewidth=0.6)
            look: dict[str, Any] = {
                "marker": style.marker,
                "markersize": 2.8,
                "color": style.colour,
                "markeredgewidth": 0.6,
            }
            axes.plot(points["mean"], y, linestyle="", label=series, **look)
            few = too_few(points)
            axes.plot(points["mean"][few], y[few], linestyle="", markerfacecolor="white", **look)
        counts = means.groupby("category", observed=True)["n"].max()
        axes.set_yticks(range(len(categories)), [f"{_plain(name)} ({counts[name]})" for name in categories])
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.6, len(categories) - 0.4), xlabel="Mean IoU")
        axes.tick_params(axis="y", length=0)
        for row in range(0, len(categories), 2):
            axes.axhspan(row - 0.5, row + 0.5, color="#f2f3f5", linewidth=0, zorder=0)
        axes.grid(axis="y", visible=False)
        add_legend(figure, axes)
    return figure


def categories(view: ResultsView) -> list[Drawn]:
    """Draw IoU by category on one data set."""
    rows = view.plain
    every_category = rows.loc[rows["category"].fillna("") != "", "category"].nunique()
    if every_category < 2:
        raise NothingToShow(
            "the objects have fewer than two categories; measure more with `bench run` without --select category"
        )
    means = category_means(rows)
    n = means.groupby("category", observed=True)["n"].max().sum()
    across = means.groupby("category", observed=True)["mean"].mean()
    chosen, every = means["series"].nunique(), rows["series"].nunique()
    caption = (
        f"n = {n:,} objects of {len(across)} categories"
        + (f" (the largest of {every_category})" if len(across) < every_category else "")
        + ", with the number per category in brackets, sorted by the mean over the models shown"
        + (f" (the {chosen} of {every} with the best mean IoU)" if chosen < every else "")
        + f". {interval_note(means)}"
        + error_note(rows[rows["series"].isin(means["series"])])
    )
    alt = (
        f"Mean IoU of {chosen} models in {len(across)} categories. Best on average: {across.index[-1]} "
        f"({across.iloc[-1]:.2f}). Worst: {across.index[0]} ({across.iloc[0]:.2f})."
    )
    return [Drawn("iou-by-category", "IoU by category", caption, alt, draw_categories(means, view.styles))]


def _plain(category: str) -> str:
    """Shorten a category's name and escape formula characters."""
    return textwrap.shorten(category.replace("_", " "), MAX_NAME_LETTERS, placeholder=" …").replace("$", r"\$")
