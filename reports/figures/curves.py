"""IoU against relative mask size (the paper's Fig. 10) and against mask size in pixels, binned without smoothing."""

from __future__ import annotations

from typing import Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.statistics import clustered_means
from reports.figures import Drawn
from reports.figures.bins import bin_index, log_edges
from reports.figures.parts import BAND_OPACITY, add_legend, draw_line, error_note, interval_note, legend_height
from reports.formats import scientific
from reports.style import COLUMN_WIDTH, RC_PARAMS, Style
from reports.view import ResultsView

Size = Literal["fraction", "area"]
SIZE_AXIS_LABELS: dict[Size, str] = {"fraction": "Relative Mask Size (mask px / image px)", "area": "Mask Size (px)"}
MAX_SERIES_FULL_BAND = 5  # with more series, bands are paler so that lines stay visible


def curve_bins(n: int) -> int:
    """Return √n bins for n objects, from 4 to 30: 100 objects have about 10 per bin, 10,200 about 340."""
    return int(np.clip(round(np.sqrt(n)), 4, 30))


def size_curve(rows: pd.DataFrame, bins: int | None = None, size: Size = "fraction") -> pd.DataFrame:
    """Return the mean IoU per series and occupied size bin.

    Columns: series, bin, `size` (geometric mean of the objects), mean, std, n, clusters, low, high. Bins are equal in
    log10 over the range of `rows[size]` and shared by all series. `attrs["edges"]` holds the bin edges,
    `attrs["objects"]` the number of objects per bin, and `attrs["size"]` the name of the size.
    """
    objects = rows.drop_duplicates("object")
    edges = log_edges(objects[size].to_numpy(float), bins or curve_bins(len(objects)))
    rows = rows.assign(bin=bin_index(rows[size].to_numpy(float), edges), log=np.log10(rows[size]))
    curve = clustered_means(rows, ["series", "bin"])
    curve[size] = 10 ** rows.groupby(["series", "bin"], sort=False)["log"].mean()
    curve = curve.reset_index().sort_values(["series", "bin"], ignore_index=True)
    counts = np.bincount(bin_index(objects[size].to_numpy(float), edges), minlength=len(edges) - 1)
    curve.attrs = {"edges": edges.tolist(), "objects": counts.tolist(), "size": size}
    return curve


def draw_curve(curve: pd.DataFrame, styles: dict[str, Style]) -> Figure:
    """Draw the curves of `size_curve`, one line per series in the order of `styles`, and the objects per bin below.

    Bins with fewer than MIN_CLUSTERS clusters have a hollow marker and no band.
    """
    size: Size = curve.attrs["size"]
    shown = [series for series in styles if series in set(curve["series"])]
    with matplotlib.rc_context(RC_PARAMS):
        figure = Figure(figsize=(COLUMN_WIDTH, 2.9 + legend_height(shown)), layout="constrained")
        axes, strip = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
        for series in shown:
            points = curve[curve["series"] == series]
            draw_line(
                axes,
                points,
                size,
                series,
                styles[series],
                BAND_OPACITY if len(shown) <= MAX_SERIES_FULL_BAND else BAND_OPACITY / 2,
            )
        axes.set(xscale="log", ylim=(-0.02, 1.02), ylabel="Mean IoU")
        edges, counts = np.array(curve.attrs["edges"]), np.array(curve.attrs["objects"])
        strip.stairs(counts, edges, fill=True, color="#c4c9d1")
        if len(counts) <= 12:
            for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
                place = (np.sqrt(low * high), count)
                strip.annotate(str(count), place, (0, 1), textcoords="offset points", ha="center", size=7)
        strip.set(xlabel=SIZE_AXIS_LABELS[size], ylabel="Objects", ylim=(0, counts.max() * 1.5))
        strip.minorticks_off()
        strip.grid(axis="x", visible=False)
        strip.locator_params(axis="y", nbins=3, integer=True)
        add_legend(figure, axes)
    return figure


def relative_size_curves(view: ResultsView) -> list[Drawn]:
    """Draw the paper's Fig. 10 for one data set."""
    return [_curves(view, "fraction", "iou-by-size", "relative mask size")]


def pixel_size_curves(view: ResultsView) -> list[Drawn]:
    """Draw IoU against mask size in pixels."""
    return [_curves(view, "area", "iou-by-pixels", "mask size in pixels")]


def _curves(view: ResultsView, size: Size, name: str, words: str) -> Drawn:
    rows = view.plain
    curve = size_curve(rows, view.bins, size)
    spans = []
    for series in view.styles:
        means = curve.loc[curve["series"] == series, "mean"]
        if len(means):
            spans.append(
                f"{series} from {means.iloc[0]:.2f} for the smallest to {means.iloc[-1]:.2f} for the largest objects"
            )
    edges, objects = curve.attrs["edges"], curve.attrs["objects"]
    ends = [scientific(edge) if size == "fraction" else f"{edge:,.0f} px" for edge in (edges[0], edges[-1])]
    caption = (
        f"n = {sum(objects):,} objects in {len(objects)} bins of equal width in the logarithm, from {ends[0]} to "
        f"{ends[1]}. A point is the mean of its bin, without smoothing. "
        f"{interval_note(curve)}{error_note(rows)}"
    )
    alt = f"Mean IoU against {words}: {'; '.join(spans)}."
    return Drawn(name, f"IoU against {words}", caption, alt, draw_curve(curve, view.styles))
