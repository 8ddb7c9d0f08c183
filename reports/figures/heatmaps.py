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

from objascale.intervals import MIN_CLUSTERS, TOO_FEW
from reports.figures import Drawn
from reports.figures.bins import bin_index, log_edges
from reports.figures.parts import error_note, new_panels
from reports.style import RC_PARAMS
from reports.view import ResultsView

TITLE_LETTERS = 22  # longer panel titles are wrapped


@dataclass(frozen=True)
class HeatMap:
    """The mean of each cell of one series.

    `mean`, `count` (objects) and `clusters` have shape (bins, bins): row = absolute size, column = relative size.
    """

    series: str
    x_edges: NDArray[np.float64]  # mask px / image px
    y_edges: NDArray[np.float64]  # mask px
    mean: NDArray[np.float64]  # NaN without objects
    count: NDArray[np.int64]
    clusters: NDArray[np.int64]


def heat_bins(n: int) -> int:
    """Return the number of bins per direction for n objects: √n, from 6 to the paper's 50."""
    return int(np.clip(round(np.sqrt(n)), 6, 50))


def heat_maps(rows: pd.DataFrame, bins: int | None = None, value: str = "iou") -> list[HeatMap]:
    """Return one map of `value` per series over common cells, equal in log10 over the range of all objects."""
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
    """Draw the maps as panels with one colour bar (viridis, 0 to 1). Empty cells stay white."""
    figure, panels = panel_grid(maps)
    with matplotlib.rc_context(RC_PARAMS):
        for panel, heat in zip(panels, maps, strict=True):
            cells = draw_cells(panel, heat, "viridis", (0, 1))
        add_bar(figure, panels, cells, "Mean IoU", ticks=np.arange(0, 1.01, 0.2))
    return figure


def panel_grid(maps: list[HeatMap]) -> tuple[Figure, list[Axes]]:
    """Return a figure with an empty panel per map, two per row, on shared logarithmic axes."""
    figure, panels = new_panels(len(maps), (2.6, 1.65))
    with matplotlib.rc_context(RC_PARAMS):
        for panel, heat in zip(panels, maps, strict=True):
            panel.set(xscale="log", yscale="log")
            panel.minorticks_off()
            panel.spines[["top", "right"]].set_visible(True)
            words = textwrap.wrap(heat.series, TITLE_LETTERS, break_on_hyphens=False)
            panel.set_title("\n".join([*words, f"n = {heat.count.sum():,}"]))
        figure.supxlabel("Relative Mask Size (mask px / image px)", size=8)
        figure.supylabel("Mask Size (px)", size=8)
    return figure, panels


def draw_cells(panel: Axes, heat: HeatMap, colours: str | Colormap, limits: tuple[float, float]) -> PolyCollection:
    """Draw the occupied cells, coloured by their mean. A dot marks cells with fewer than MIN_CLUSTERS clusters."""
    rows, columns = np.nonzero(heat.count)
    left, right = heat.x_edges[columns], heat.x_edges[columns + 1]
    low, high = heat.y_edges[rows], heat.y_edges[rows + 1]
    corners = np.stack([(left, low), (right, low), (right, high), (left, high)]).transpose(2, 0, 1)
    cells = PolyCollection(corners, cmap=colours, edgecolors="face", linewidths=0.1)  # edges hide seams between cells
    cells.set_array(heat.mean[rows, columns])
    cells.set_clim(*limits)
    panel.add_collection(cells)
    few = heat.clusters[rows, columns] < MIN_CLUSTERS
    size = (14 / len(heat.count)) ** 2
    panel.scatter(np.sqrt(left * right)[few], np.sqrt(low * high)[few], size, "#00000080", linewidth=0)
    panel.set(xlim=heat.x_edges[[0, -1]], ylim=heat.y_edges[[0, -1]])
    return cells


def add_bar(figure: Figure, panels: list[Axes], cells: PolyCollection, label: str, **options: Any) -> None:
    """Add one colour bar above all panels."""
    inch = 1 / figure.get_figheight()
    bar: dict[str, Any] = {"location": "top", "fraction": 0.15 * inch, "pad": 0.06 * inch, "aspect": 40}
    figure.colorbar(cells, ax=panels, label=label, **bar, **options)


def cell_counts(maps: list[HeatMap]) -> str:
    """Describe the number of cells, their objects and the marked cells."""
    counts = np.concatenate([heat.count[heat.count > 0] for heat in maps])
    few = np.concatenate([heat.clusters[heat.count > 0] for heat in maps]) < MIN_CLUSTERS
    bins, filled = len(maps[0].count), len(counts) / len(maps)
    dots = f" Dots: {TOO_FEW} ({few.mean():.0%} of the cells)." if few.any() else ""
    return (
        f"{bins} × {bins} cells of equal size in the logarithm over the range of all objects. {filled:.0f} cells hold "
        f"{counts.min()} to {counts.max()} objects, {counts.mean():.1f} on average.{dots}"
    )


def size_heat_maps(view: ResultsView) -> list[Drawn]:
    """Draw the paper's Fig. 7 for one data set."""
    maps = heat_maps(view.plain, view.bins)
    caption = (
        f"Mean IoU per cell, without intervals. {cell_counts(maps)} White cells are empty.{error_note(view.plain)}"
    )
    listed = []
    for heat in maps:
        filled = heat.mean[heat.count > 0]
        listed.append(f"{heat.series}, {(filled >= 0.5).mean():.0%} of the cells with 0.5 or more")
    alt = f"Heat maps of mean IoU over relative and absolute mask size: {'; '.join(listed)}."
    return [Drawn("heat-maps", "IoU by relative and absolute mask size", caption, alt, draw_heat_maps(maps))]
