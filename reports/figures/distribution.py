"""How IoU is distributed: for each model the share of objects that do not exceed a value."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.statistics import MIN_CLUSTERS, TOO_FEW
from reports.figures import Drawn
from reports.figures.parts import add_legend, error_note, new_axes, objects_told
from reports.style import RC, Style
from reports.view import View


def draw_distribution(rows: pd.DataFrame, styles: dict[str, Style]) -> Figure:
    """A step line per series from (0, 0) to (1, 1): the fraction of its objects with IoU ≤ x. Markers are medians.

    The legend gives the median; a hollow marker has fewer than MIN_CLUSTERS clusters.
    """
    groups = dict(iter(rows.groupby("series", sort=False)["iou"]))
    clusters = rows.groupby("series")["cluster"].nunique()
    figure, axes = new_axes(2.4, [f"{series} (0.00)" for series in groups])
    with matplotlib.rc_context(RC):
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


def distributions(view: View) -> list[Drawn]:
    """The distribution of IoU on one data set."""
    rows = view.plain
    by_series = rows.groupby("series", sort=False)["iou"]
    medians, missed, n = by_series.median(), (rows["iou"] == 0).groupby(rows["series"]).mean(), by_series.size()
    shown = [series for series in view.styles if series in n.index]
    few = rows.groupby("series")["cluster"].nunique() < MIN_CLUSTERS
    caption = (
        f"{objects_told(n)} objects a model, each counted once, without bins or smoothing; a marker is the median, "
        "which the legend gives. A line that starts above 0 on the left has that share of objects with IoU 0."
        + error_note(rows)
        + (f" Hollow markers: {TOO_FEW}." if few.any() else "")
    )
    told = (f"{series} {medians[series]:.2f}, {missed[series]:.0%} at 0" for series in shown)
    alt = (
        f"Cumulative distribution of IoU; the median of each model, and the share of objects missed: {'; '.join(told)}."
    )
    figure = draw_distribution(rows, view.styles)
    return [Drawn("iou-distribution", "Cumulative distribution of IoU", caption, alt, figure)]
