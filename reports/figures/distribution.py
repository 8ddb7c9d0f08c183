"""Cumulative distribution of IoU per model."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from objascale.intervals import MIN_CLUSTERS, TOO_FEW
from reports.figures import Drawn
from reports.figures.parts import add_legend, error_note, new_axes, object_counts
from reports.style import RC_PARAMS, Style
from reports.view import ResultsView


def draw_distribution(rows: pd.DataFrame, styles: dict[str, Style]) -> Figure:
    """Draw a step line per series from (0, 0) to (1, 1): the share of its objects with IoU ≤ x. Markers are medians.

    The legend gives the medians. Series with fewer than MIN_CLUSTERS clusters have a hollow marker.
    """
    groups = dict(iter(rows.groupby("series", sort=False)["iou"]))
    clusters = rows.groupby("series")["cluster"].nunique()
    figure, axes = new_axes(2.4, [f"{series} (0.00)" for series in groups])
    with matplotlib.rc_context(RC_PARAMS):
        axes.axhline(0.5, color="#999999", linewidth=0.7, label="_half")
        for series, style in styles.items():
            if series not in groups:
                continue
            iou = np.sort(groups[series].to_numpy(float))
            share = np.arange(1, len(iou) + 1) / len(iou)
            x, y = np.concatenate(([0.0], iou, [1.0])), np.concatenate(([0.0], share, [1.0]))
            axes.plot(x, y, drawstyle="steps-post", color=style.colour, linestyle=style.dash, linewidth=1.2)
            median, inside = float(np.median(iou)), "white" if clusters[series] < MIN_CLUSTERS else style.colour
            look: dict[str, Any] = {
                "marker": style.marker,
                "color": style.colour,
                "linestyle": style.dash,
                "linewidth": 1.2,
            }
            label = f"{series} ({median:.2f})"
            axes.plot([median], [0.5], markersize=4.5, markerfacecolor=inside, label=label, **look)
        axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel="IoU", ylabel="Share of objects with IoU ≤ x")
        add_legend(figure, axes)
    return figure


def distributions(view: ResultsView) -> list[Drawn]:
    """Draw the distribution of IoU on one data set."""
    rows = view.plain
    by_series = rows.groupby("series", sort=False)["iou"]
    medians, missed, n = by_series.median(), (rows["iou"] == 0).groupby(rows["series"]).mean(), by_series.size()
    shown = [series for series in view.styles if series in n.index]
    few = rows.groupby("series")["cluster"].nunique() < MIN_CLUSTERS
    caption = (
        f"{object_counts(n)} objects per model, without bins or smoothing. Markers and the legend give the median. "
        "The height at which a line starts on the left is the share of objects with IoU 0."
        + error_note(rows)
        + (f" Hollow markers: {TOO_FEW}." if few.any() else "")
    )
    listed = (f"{series} {medians[series]:.2f}, {missed[series]:.0%} at 0" for series in shown)
    alt = f"Cumulative distribution of IoU. Median of each model and share of objects with IoU 0: {'; '.join(listed)}."
    figure = draw_distribution(rows, view.styles)
    return [Drawn("iou-distribution", "Cumulative distribution of IoU", caption, alt, figure)]
