"""Mean IoU over relative × absolute mask size (the paper's Fig. 7), one panel per model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from reports.figures import Drawn
from reports.figures.bins import bin_index, log_edges
from reports.style import RC
from reports.view import View

COLUMNS = 3  # panels side by side


@dataclass(frozen=True)
class HeatMap:
    """Mean IoU per cell of one series: `mean` and `count` are (bins, bins), row = absolute size, column = relative."""

    series: str
    x_edges: NDArray[np.float64]  # mask px / image px
    y_edges: NDArray[np.float64]  # mask px
    mean: NDArray[np.float64]  # NaN where no object is
    count: NDArray[np.int64]


def heat_bins(n: int) -> int:
    """Bins in each direction for n objects: their root, from 6 to the paper's 50."""
    return int(np.clip(round(np.sqrt(n)), 6, 50))


def heat_maps(rows: pd.DataFrame, bins: int | None = None) -> list[HeatMap]:
    """One map per series, over the same cells: equal in log10 from the least to the greatest of all objects."""
    objects = rows.drop_duplicates("object")
    bins = bins or heat_bins(len(objects))
    x_edges = log_edges(objects["fraction"].to_numpy(float), bins)
    y_edges = log_edges(objects["area"].to_numpy(float), bins)
    maps = []
    for series, group in rows.groupby("series", sort=False):
        x, y = bin_index(group["fraction"].to_numpy(float), x_edges), bin_index(group["area"].to_numpy(float), y_edges)
        count = np.bincount(y * bins + x, minlength=bins * bins).reshape(bins, bins)
        total = np.bincount(y * bins + x, group["iou"].to_numpy(float), minlength=bins * bins).reshape(bins, bins)
        mean = np.divide(total, count, out=np.full((bins, bins), np.nan), where=count > 0)
        maps.append(HeatMap(str(series), x_edges, y_edges, mean, count))
    return maps


def draw_heat_maps(maps: list[HeatMap]) -> Figure:
    """The maps as panels with one colour bar (viridis, 0 to 1); empty cells stay white."""
    across = min(COLUMNS, len(maps))
    down = math.ceil(len(maps) / across)
    with matplotlib.rc_context(RC | {"axes.spines.top": True, "axes.spines.right": True}):
        figure = Figure(figsize=(1.1 + 2.0 * across, 0.55 + 2.05 * down), layout="constrained")
        panels = figure.subplots(down, across, sharex=True, sharey=True, squeeze=False)
        for panel, heat in zip(panels.flat, maps, strict=False):
            mesh = panel.pcolormesh(
                heat.x_edges, heat.y_edges, heat.mean, vmin=0, vmax=1, cmap="viridis", edgecolors="face", linewidth=0.1
            )
            panel.set(xscale="log", yscale="log")
            panel.minorticks_off()
            panel.set_title(f"{heat.series}  (n = {heat.count.sum()})")
        for panel in panels.flat[len(maps) :]:
            panel.set_visible(False)
            above = panels[down - 2, list(panels[down - 1]).index(panel)]
            above.tick_params(labelbottom=True)
        bins = len(maps[0].x_edges) - 1
        figure.supxlabel(f"Relative Mask Size (mask px / image px), {bins} × {bins} cells", size=9)
        figure.supylabel("Mask Size (px)", size=9)
        figure.colorbar(mesh, ax=panels, label="Mean IoU", ticks=np.arange(0, 1.01, 0.2), pad=0.02, aspect=30)
    return figure


def size_heat_maps(view: View) -> list[Drawn]:
    """The paper's Fig. 7 of one data set."""
    maps = heat_maps(view.plain, view.bins)
    bins, filled, n = len(maps[0].mean), int((maps[0].count > 0).sum()), int(maps[0].count.sum())
    caption = (
        f"Mean IoU per cell, {bins} × {bins} cells equal in the logarithm over the range of all objects; "
        f"{filled} of them hold the {n} objects, on average {n / filled:.1f} each. White cells are empty."
    )
    alt = f"Heat maps of mean IoU over relative and absolute mask size for {', '.join(heat.series for heat in maps)}."
    return [Drawn("heat-maps", "IoU by relative and absolute mask size", caption, alt, draw_heat_maps(maps))]
