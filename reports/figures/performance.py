"""IoU against parameters and against time (the paper's Fig. 1), with the Pareto front of each."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from bench.statistics import clustered_means
from objascale.intervals import MIN_CLUSTERS
from reports.figures import Drawn
from reports.figures.labels import Label, place_labels
from reports.figures.parts import error_note, interval_note, new_axes, object_counts
from reports.style import RC_PARAMS, Style
from reports.times import times_of
from reports.view import BARE_PROMPT_MODELS, NothingToShow, ResultsView


def pareto_front(points: pd.DataFrame, x: str) -> pd.DataFrame:
    """Return the points that no other point dominates: higher `mean` than all points with at most the same `x`, sorted
    by `x`.
    """
    ordered = points.sort_values([x, "mean"], ascending=[True, False], ignore_index=True)
    return ordered[ordered["mean"] > ordered["mean"].cummax().shift(fill_value=-np.inf)]


def performance(view: ResultsView) -> pd.DataFrame:
    """Return the performance of each series of `view.plain`.

    Columns: series, model, mean, std, n, clusters, low, high, parameters, ms (NaN if unknown), times (as in
    `times_of`).
    """
    rows = view.plain
    table = clustered_means(rows, ["series"])
    table["model"] = rows.groupby("series", sort=False)["model"].first()
    cards = [view.results.card(str(model)) for model in table["model"]]
    table["parameters"] = pd.array([card.get("parameters") or np.nan for card in cards], float)
    times = times_of(view.results.timings, rows)
    table["ms"], table["times"] = times["total_ms"], times["times"]
    table.loc[table["model"].isin(BARE_PROMPT_MODELS.values()) | (table["ms"] <= 0), "ms"] = np.nan
    return table.reset_index()


def draw_performance(
    table: pd.DataFrame, x: str, xlabel: str, levels: pd.DataFrame, styles: dict[str, Style]
) -> Figure:
    """Draw a point with its 95 % interval for each row of `table`, and a dashed line for each row of `levels`.

    Both are rows of `performance`. The Pareto front is a grey step line. Points with fewer than MIN_CLUSTERS clusters
    are hollow.
    """
    figure, axes = new_axes(2.7)
    with matplotlib.rc_context(RC_PARAMS):
        for row in levels.to_dict("records"):
            axes.axhline(
                row["mean"], color=styles[row["series"]].colour, linestyle="--", linewidth=1, label=row["series"]
            )
        for row in table.to_dict("records"):
            style = styles[row["series"]]
            inside = "white" if row["clusters"] < MIN_CLUSTERS else style.colour
            axes.plot([row[x]] * 2, [row["low"], row["high"]], color=style.colour, linewidth=1, label="_interval")
            look: dict[str, Any] = {
                "marker": style.marker,
                "markersize": 5,
                "color": style.colour,
                "markerfacecolor": inside,
            }
            axes.plot([row[x]], [row["mean"]], linestyle="", label=row["series"], **look)
        means = pd.concat([table, levels])[["low", "mean", "high"]].to_numpy(float)
        room = max(0.12 * float(np.nanmax(means) - np.nanmin(means)), 0.02)
        at = np.log10(table[x].to_numpy(float))
        beside = max(0.12 * float(np.ptp(at)), 0.3)
        left, right = 10 ** (at.min() - beside), 10 ** (at.max() + beside)
        axes.set(xscale="log", xlabel=xlabel, ylabel="Mean IoU", xlim=(left, right))
        axes.set_ylim(float(np.nanmin(means)) - room, float(np.nanmax(means)) + room)
        front = pareto_front(table, x)
        steps = [*front[x], right], [*front["mean"], front["mean"].iloc[-1]]
        axes.plot(*steps, drawstyle="steps-post", color="#8a8a8a", linewidth=0.9, zorder=1, label="_front")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        labels = [Label(row["series"], None, row["mean"]) for row in levels.to_dict("records")]
        labels += [Label(row["series"], row[x], row["mean"]) for row in table.to_dict("records")]
        place_labels(figure, axes, labels)
    return figure


def performances(view: ResultsView) -> list[Drawn]:
    """Draw the paper's Fig. 1 for one data set: against parameters, and against time."""
    table = performance(view)
    sized, timed = table[table["parameters"].notna()], table[table["ms"].notna()]
    if sized.empty and timed.empty:
        raise NothingToShow("no model has parameters or times; measure one with `bench run --models flip-tiny`")
    drawn = []
    if not sized.empty:
        sized = sized.assign(parameters=sized["parameters"] / 1e6)
        rest = table[table["parameters"].isna()]
        xlabel = "Parameters (millions)"
        drawn.append(_drawn("parameters", "M", sized, rest, xlabel, "Dashed: models without parameters.", view))
    if not timed.empty:
        rest = table[table["model"].isin(BARE_PROMPT_MODELS.values())]
        ordinary = timed.loc[timed["times"] == "run", "series"]
        conditions = (
            "each model timed alone"
            if ordinary.empty
            else f"measured during the run, beside other work ({', '.join(ordinary)})"
        )
        about = (
            f"Time is the median over objects of set_image plus predict, {conditions}. "
            "Dashed: the bare prompt, whose time is negligible."
        )
        drawn.append(_drawn("ms", "ms", timed, rest, "Time per object (ms)", about, view))
    return drawn


def _drawn(
    x: str, unit: str, points: pd.DataFrame, levels: pd.DataFrame, xlabel: str, about: str, view: ResultsView
) -> Drawn:
    against = {"parameters": "parameters", "ms": "time"}[x]
    front = pareto_front(points, x)["series"]
    left_out = sorted(set(view.plain["series"]) - set(points["series"]) - set(levels["series"]))
    caption = (
        f"{object_counts(points['n'])} objects per model. {about} The grey line is the Pareto front. "
        f"{interval_note(points)}{error_note(view.plain)}"
        + (f" Not shown, without {against}: {', '.join(left_out)}." if left_out else "")
    )
    listed = [f"{row['series']} {row['mean']:.2f} at {row[x]:.3g} {unit}" for row in points.to_dict("records")]
    listed += [f"{row['series']} {row['mean']:.2f} as a dashed line" for row in levels.to_dict("records")]
    alt = f"Mean IoU against {against}: {'; '.join(listed)}. On the Pareto front: {', '.join(front)}."
    figure = draw_performance(points, x, xlabel, levels, view.styles)
    return Drawn(f"iou-by-{against}", f"IoU against {against}", caption, alt, figure)
