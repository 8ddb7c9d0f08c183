"""What several figures have in common: their frame, their legend, and the sentences under them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.seen import unfair
from bench.statistics import INTERVAL_NOTE, TOO_FEW, too_few
from reports.style import RC, WIDTH, Style

BAND = 0.14  # opacity of an interval behind a line
LONG = 26  # letters of a name, above which a column holds one legend entry a line


def new_axes(height: float, legend: Iterable[str] = ()) -> tuple[Figure, Axes]:
    """A figure as wide as a column, `height` inches high without its legend of these entries, and its axes."""
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(WIDTH, height + legend_height(legend)), layout="constrained")
        return figure, figure.subplots()


def new_panels(n: int, heights: tuple[float, float], legend: Iterable[str] = ()) -> tuple[Figure, list[Axes]]:
    """A figure as wide as a column with n panels, two side by side, that share both axes.

    `heights` are inches of a row, where one panel stands alone and where two stand side by side.
    """
    across = min(2, n)
    down = math.ceil(n / across)
    with matplotlib.rc_context(RC):
        size = WIDTH, 0.9 + heights[across - 1] * down + legend_height(legend)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    if n % across:
        grid[-1, -1].set_visible(False)
        grid[-2, -1].tick_params(labelbottom=True)
    return figure, list(grid.flat[:n])


def draw_line(axes: Axes, points: pd.DataFrame, x: str, label: str, style: Style, band: float = BAND) -> None:
    """The means of `points` (columns `x`, mean, low, high, clusters) as a line with its 95 % band.

    Markers are hollow, and the band is missing, where fewer than MIN_CLUSTERS clusters are behind a mean.
    """
    few = points[too_few(points)]
    axes.fill_between(points[x], points["low"], points["high"], color=style.colour, alpha=band, linewidth=0)
    look: dict[str, Any] = {"color": style.colour, "marker": style.marker, "markersize": 3.5, "linewidth": 1.3}
    axes.plot(points[x], points["mean"], linestyle=style.dash, label=label, **look)
    axes.plot(few[x], few["mean"], linestyle="", markerfacecolor="white", **look)


def add_legend(figure: Figure, *axes: Axes) -> None:
    """The labels of all `axes`, each once, above the figure."""
    entries = {label: handle for each in axes for handle, label in zip(*each.get_legend_handles_labels(), strict=True)}
    columns = legend_columns(entries)
    figure.legend(
        entries.values(), entries.keys(), loc="outside upper center", ncols=columns, handlelength=2, columnspacing=1
    )


def legend_height(labels: Iterable[str]) -> float:
    """Inches of `add_legend` with these entries."""
    labels = list(labels)
    return 0.145 * math.ceil(len(labels) / legend_columns(labels))


def legend_columns(labels: Iterable[str]) -> int:
    """Two if names are short enough."""
    return 2 if max(map(len, labels), default=0) <= LONG else 1


def interval_note(means: pd.DataFrame) -> str:
    """How the intervals of these means are made, and what a hollow marker means if there is any."""
    return INTERVAL_NOTE + (f" Hollow markers: {TOO_FEW}." if too_few(means).any() else "")


def error_note(rows: pd.DataFrame) -> str:
    """How many of the rows shown are errors or empty masks, and which series have seen them in training, if any.

    With a space before.
    """
    errors = int(rows["error"].notna().sum())
    empty = int((rows["error"].isna() & (rows["predicted_area"].fillna(0) == 0)).sum())
    told = f" Errors ({errors}) and empty masks ({empty}) count as IoU 0." if errors or empty else ""
    seen = ", ".join(dict.fromkeys(rows.loc[unfair(rows), "series"]))
    return told + (f" Measured on objects or on a data set that they have seen in training: {seen}." if seen else "")


def objects_told(counts: pd.Series) -> str:
    """`n = 100`, or `n = 90 to 100` where models were scored on different numbers of objects."""
    low, high = int(counts.min()), int(counts.max())
    return f"n = {low:,}" if low == high else f"n = {low:,} to {high:,}"
