"""IoU against relative mask size (the paper's Fig. 10), with 95 % bands, smoothed by nothing but its bins."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.statistics import FEW, clustered_means
from reports.figures import Drawn
from reports.figures.bins import bin_index, log_edges
from reports.formats import scientific
from reports.style import RC, WIDTH, Style
from reports.view import View


def curve_bins(n: int) -> int:
    """Bins for n objects: their root, from 4 to 30, so that 100 objects have about 10 a bin and 10,200 about 340."""
    return int(np.clip(round(np.sqrt(n)), 4, 30))


def size_curve(rows: pd.DataFrame, seed: int, bins: int | None = None) -> pd.DataFrame:
    """Per series and occupied bin: series, bin, fraction (geometric mean of its objects), mean, std, n, low, high.

    The bins are equal in log10 over the range of `rows["fraction"]` and the same for all series; `attrs["edges"]`
    holds their edges and `attrs["objects"]` the number of objects in each.
    """
    objects = rows.drop_duplicates("object")
    edges = log_edges(objects["fraction"].to_numpy(float), bins or curve_bins(len(objects)))
    rows = rows.assign(bin=bin_index(rows["fraction"].to_numpy(float), edges), log=np.log10(rows["fraction"]))
    curve = clustered_means(rows, ["series", "bin"], np.random.default_rng(seed))
    curve["fraction"] = 10 ** rows.groupby(["series", "bin"], sort=False)["log"].mean()
    curve = curve.reset_index().sort_values(["series", "bin"], ignore_index=True)
    counts = np.bincount(bin_index(objects["fraction"].to_numpy(float), edges), minlength=len(edges) - 1)
    curve.attrs = {"edges": edges.tolist(), "objects": counts.tolist()}
    return curve


def draw_curve(curve: pd.DataFrame, styles: dict[str, Style]) -> Figure:
    """The curves of `size_curve`, one line per series in the order of `styles`, and below them the objects per bin.

    A hollow marker is a bin with fewer than 5 objects. Bins whose objects are all of one asset have no band.
    """
    with matplotlib.rc_context(RC):
        figure = Figure(figsize=(WIDTH, 3.9), layout="constrained")
        axes, strip = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
        for series, style in styles.items():
            points = curve[curve["series"] == series]
            if points.empty:
                continue
            x, few = points["fraction"], points[points["n"] < FEW]
            axes.fill_between(x, points["low"], points["high"], color=style.colour, alpha=0.14, linewidth=0)
            look = {"color": style.colour, "marker": style.marker, "markersize": 4.5, "linewidth": 1.6}
            axes.plot(x, points["mean"], linestyle=style.dash, label=series, **look)
            axes.plot(few["fraction"], few["mean"], linestyle="", markerfacecolor="white", **look)
        axes.set(xscale="log", ylim=(-0.02, 1.02), ylabel="Mean IoU")
        edges, counts = np.array(curve.attrs["edges"]), np.array(curve.attrs["objects"])
        strip.stairs(counts, edges, fill=True, color="#c4c9d1")
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
            if len(counts) <= 15:
                strip.annotate(
                    str(count), (np.sqrt(low * high), count), (0, 1), textcoords="offset points", ha="center", size=6.5
                )
        strip.set(xlabel="Relative Mask Size (mask px / image px)", ylabel="Objects", ylim=(0, counts.max() * 1.35))
        strip.minorticks_off()
        strip.grid(axis="x", visible=False)
        strip.locator_params(axis="y", nbins=3, integer=True)
        figure.legend(loc="outside upper center", ncols=3, handlelength=2.4, columnspacing=1.4)
    return figure


def size_curves(view: View) -> list[Drawn]:
    """The paper's Fig. 10 of one data set."""
    curve = size_curve(view.plain, view.seed, view.bins)
    styles = {series: style for series, style in view.styles.items() if series in set(curve["series"])}
    spans = []
    for series in styles:
        means = curve.loc[curve["series"] == series, "mean"]
        spans.append(
            f"{series} from {means.iloc[0]:.2f} at the smallest to {means.iloc[-1]:.2f} at the largest objects"
        )
    edges, objects = curve.attrs["edges"], curve.attrs["objects"]
    caption = (
        f"{sum(objects)} objects in {len(objects)} bins, equal in the logarithm, "
        f"from {scientific(edges[0])} to {scientific(edges[-1])}; "
        "a point is the mean of its bin, a band its 95 % interval (bootstrap over assets), and nothing is smoothed. "
        f"Hollow points have fewer than {FEW} objects."
    )
    alt = f"Mean IoU against relative mask size: {'; '.join(spans)}."
    return [Drawn("iou-by-size", "IoU against relative mask size", caption, alt, draw_curve(curve, styles))]
