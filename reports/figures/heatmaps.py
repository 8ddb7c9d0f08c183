"""Mean IoU over relative × absolute mask size (the paper's Fig. 7), one panel per model."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.statistics import MIN_CLUSTERS, TOO_FEW
from reports.figures import Drawn
from reports.figures.bins import bin_index, log_edges
from reports.figures.parts import error_note, new_panels
from reports.style import RC
from reports.view import View

LONG = 22  # letters of a panel's title before it is broken


@dataclass(frozen=True)
class HeatMap:
    """A mean per cell of one series.

    `mean`, `count` (objects) and `clusters` are (bins, bins), row = absolute size, column = relative.
    """

    series: str
    x_edges: NDArray[np.float64]  # mask px / image px
    y_edges: NDArray[np.float64]  # mask px
    mean: NDArray[np.float64]  # NaN where no object is
    count: NDArray[np.int64]
    clusters: NDArray[np.int64]


def heat_bins(n: int) -> int:
    """Bins in each direction for n objects: their root, from 6 to the paper's 50."""
    return int(np.clip(round(np.sqrt(n)), 6, 50))


def heat_maps(rows: pd.DataFrame, bins: int | None = None, value: str = "iou") -> list[HeatMap]:
    """One map of `value` per series, over the same cells: equal in log10 from the least to the greatest object."""
    objects = rows.drop_duplicates("object")
    bins = bins or heat_bins(len(objects))
    x_edges = log_edges(objects["fraction"].to_numpy(float), bins)
    y_edges = log_edges(objects["area"].to_numpy(float), bins)
    maps = []
    for series, group in rows.groupby("series", sort=False):
        x, y = bin_index(group["fraction"].to_numpy(float), x_edges), bin_index(group["area"].to_numpy(float), y_edges)
        cell, shape = y * bins + x, (bins, bins)
        count = np.bincount(cell, minlength=bins * bins).reshape(shape)
        total = np.bincount(cell, group[value].to_numpy(float), minlength=bins * bins).reshape(shape)
        mean = np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)
        once = ~pd.DataFrame({"cell": cell, "cluster": group["cluster"].to_numpy()}).duplicated().to_numpy()
        clusters = np.bincount(cell[once], minlength=bins * bins).reshape(shape)
        maps.append(HeatMap(str(series), x_edges, y_edges, mean, count, clusters))
    return maps


def draw_heat_maps(maps: list[HeatMap]) -> Figure:
    """The maps as panels with one colour bar (viridis, 0 to 1); empty cells stay white."""
    figure, panels = panel_grid(maps)
    with matplotlib.rc_context(RC):
        for panel, heat in zip(panels, maps, strict=True):
            cells = draw_cells(panel, heat, "viridis", (0, 1))
        add_bar(figure, panels, cells, "Mean IoU", ticks=np.arange(0, 1.01, 0.2))
    return figure


def panel_grid(maps: list[HeatMap]) -> tuple[Figure, list[Axes]]:
    """A figure of a column's width with an empty panel per map, two side by side, on shared logarithmic axes."""
    figure, panels = new_panels(len(maps), (2.6, 1.65))
    with matplotlib.rc_context(RC):
        for panel, heat in zip(panels, maps, strict=True):
            panel.set(xscale="log", yscale="log")
            panel.minorticks_off()
            panel.spines[["top", "right"]].set_visible(True)
            words = textwrap.wrap(heat.series, LONG, break_on_hyphens=False)
            panel.set_title("\n".join([*words, f"n = {heat.count.sum():,}"]))
        figure.supxlabel("Relative Mask Size (mask px / image px)", size=8)
        figure.supylabel("Mask Size (px)", size=8)
    return figure, panels


def draw_cells(panel: Axes, heat: HeatMap, colours: str | Colormap, limits: tuple[float, float]) -> PolyCollection:
    """The cells that hold an object, coloured by their mean; a dot marks fewer than MIN_CLUSTERS clusters."""
    rows, columns = np.nonzero(heat.count)
    left, right = heat.x_edges[columns], heat.x_edges[columns + 1]
    low, high = heat.y_edges[rows], heat.y_edges[rows + 1]
    corners = np.stack([(left, low), (right, low), (right, high), (left, high)]).transpose(2, 0, 1)
    cells = PolyCollection(corners, cmap=colours, edgecolors="face", linewidths=0.1)  # edges: no seams between cells
    cells.set_array(heat.mean[rows, columns])
    cells.set_clim(*limits)
    panel.add_collection(cells)
    few = heat.clusters[rows, columns] < MIN_CLUSTERS
    size = (14 / len(heat.count)) ** 2
    panel.scatter(np.sqrt(left * right)[few], np.sqrt(low * high)[few], size, "#00000080", linewidth=0)
    panel.set(xlim=heat.x_edges[[0, -1]], ylim=heat.y_edges[[0, -1]])
    return cells


def add_bar(figure: Figure, panels: list[Axes], cells: PolyCollection, label: str, **options: Any) -> None:
    """One colour bar for all panels, above them."""
    inch = 1 / figure.get_figheight()
    bar: dict[str, Any] = {"location": "top", "fraction": 0.15 * inch, "pad": 0.06 * inch, "aspect": 40}
    figure.colorbar(cells, ax=panels, label=label, **bar, **options)


def cells_told(maps: list[HeatMap]) -> str:
    """How many cells there are, how many objects they hold, and which are marked."""
    counts = np.concatenate([heat.count[heat.count > 0] for heat in maps])
    few = np.concatenate([heat.clusters[heat.count > 0] for heat in maps]) < MIN_CLUSTERS
    bins, filled = len(maps[0].count), len(counts) / len(maps)
    dots = f" Dots: {TOO_FEW} ({few.mean():.0%} of the cells)." if few.any() else ""
    return (
        f"{bins} × {bins} cells, equal in the logarithm over the range of all objects; {filled:.0f} of them hold "
        f"{counts.min()} to {counts.max()} objects, on average {counts.mean():.1f}.{dots}"
    )


def size_heat_maps(view: View) -> list[Drawn]:
    """The paper's Fig. 7 of one data set."""
    maps = heat_maps(view.plain, view.bins)
    caption = f"Mean IoU per cell, without intervals: {cells_told(maps)} White cells are empty.{error_note(view.plain)}"
    told = []
    for heat in maps:
        filled = heat.mean[heat.count > 0]
        told.append(f"{heat.series}, {(filled >= 0.5).mean():.0%} of the cells with 0.5 or more")
    alt = f"Heat maps of mean IoU over relative and absolute mask size: {'; '.join(told)}."
    return [Drawn("heat-maps", "IoU by relative and absolute mask size", caption, alt, draw_heat_maps(maps))]
