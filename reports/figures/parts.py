"""Parts that several figures share: frames, legends and sentences of captions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.seen import unfair
from bench.statistics import too_few
from objascale.intervals import INTERVAL_NOTE, TOO_FEW
from reports.style import COLUMN_WIDTH, RC_PARAMS, Style

BAND_OPACITY = 0.14  # opacity of an interval behind its line
MAX_LETTERS_TWO_COLUMNS = 26  # longer names need the full width


def new_axes(height: float, legend: Iterable[str] = ()) -> tuple[Figure, Axes]:
    """Return a figure of a column's width with one axes. `height` is in inches without the legend of these entries."""
    with matplotlib.rc_context(RC_PARAMS):
        figure = Figure(figsize=(COLUMN_WIDTH, height + legend_height(legend)), layout="constrained")
        return figure, figure.subplots()


def new_panels(n: int, heights: tuple[float, float], legend: Iterable[str] = ()) -> tuple[Figure, list[Axes]]:
    """Return a figure of a column's width with n panels, two per row, that share both axes.

    `heights` are the inches of a row with one panel and with two panels.
    """
    across = min(2, n)
    down = math.ceil(n / across)
    with matplotlib.rc_context(RC_PARAMS):
        size = COLUMN_WIDTH, 0.9 + heights[across - 1] * down + legend_height(legend)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
    if n % across:
        grid[-1, -1].set_visible(False)
        grid[-2, -1].tick_params(labelbottom=True)
    return figure, list(grid.flat[:n])


def draw_line(axes: Axes, points: pd.DataFrame, x: str, label: str, style: Style, band: float = BAND_OPACITY) -> None:
    """Draw the means of `points` (columns `x`, mean, low, high, clusters) as a line with a 95 % band.

    Means with fewer than MIN_CLUSTERS clusters have a hollow marker and no band.
    """
    few = points[too_few(points)]
    axes.fill_between(points[x], points["low"], points["high"], color=style.colour, alpha=band, linewidth=0)
    look: dict[str, Any] = {"color": style.colour, "marker": style.marker, "markersize": 3.5, "linewidth": 1.3}
    axes.plot(points[x], points["mean"], linestyle=style.dash, label=label, **look)
    axes.plot(few[x], few["mean"], linestyle="", markerfacecolor="white", **look)


def add_legend(figure: Figure, *axes: Axes) -> None:
    """Add one legend above the figure, with each label of all `axes` once."""
    entries = {label: handle for each in axes for handle, label in zip(*each.get_legend_handles_labels(), strict=True)}
    columns = legend_columns(entries)
    figure.legend(
        entries.values(), entries.keys(), loc="outside upper center", ncols=columns, handlelength=2, columnspacing=1
    )


def legend_height(labels: Iterable[str]) -> float:
    """Return the height in inches of `add_legend` with these entries."""
    labels = list(labels)
    return 0.145 * math.ceil(len(labels) / legend_columns(labels))


def legend_columns(labels: Iterable[str]) -> int:
    """Return 2 if all names are short enough for two columns, else 1."""
    return 2 if max(map(len, labels), default=0) <= MAX_LETTERS_TWO_COLUMNS else 1


def interval_note(means: pd.DataFrame) -> str:
    """Explain the intervals, and hollow markers if there are any."""
    return INTERVAL_NOTE + (f" Hollow markers: {TOO_FEW}." if too_few(means).any() else "")


def error_note(rows: pd.DataFrame) -> str:
    """Count errors and empty masks, and name the series that have seen objects in training.

    The text starts with a space; it is empty if there is nothing to say.
    """
    errors = int(rows["error"].notna().sum())
    empty = int((rows["error"].isna() & (rows["predicted_area"].fillna(0) == 0)).sum())
    failed = f" Errors ({errors}) and empty masks ({empty}) count as IoU 0." if errors or empty else ""
    seen = ", ".join(dict.fromkeys(rows.loc[unfair(rows), "series"]))
    return failed + (f" Trained on some of these objects or on this data set: {seen}." if seen else "")


def object_counts(counts: pd.Series) -> str:
    """Return `n = 100`, or `n = 90 to 100` if models were scored on different numbers of objects."""
    low, high = int(counts.min()), int(counts.max())
    return f"n = {low:,}" if low == high else f"n = {low:,} to {high:,}"
