"""IoU against the dials of the difficulty, with the size of objects held, and against size and difficulty together."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from bench.statistics import clustered_means
from objascale.sizes import SIZE_LABELS, size_bin
from reports.difficulty import STRENGTH_BINS, adjusted_iou, slopes, strengths
from reports.figures import Drawn
from reports.figures.parts import (
    BAND_OPACITY,
    add_legend,
    draw_line,
    error_note,
    interval_note,
    new_panels,
    object_counts,
)
from reports.style import COLUMN_WIDTH, RC_PARAMS, Style
from reports.view import ResultsView

_CLASSES = 4  # of summed strength in the heat map; a choice: quarters of the objects
MAX_MAPS = 6


def dial_curve(rows: pd.DataFrame, dial: str) -> pd.DataFrame:
    """Return the mean adjusted IoU per series and bin of strength.

    Columns: series, strength (mean of the bin's rows), mean, std, n, clusters, low, high.

    Args:
        rows: Rows of `strengths`.
        dial: One of its dials.
    """
    bins = np.clip(np.digitize(rows[dial], STRENGTH_BINS) - 1, 0, len(STRENGTH_BINS) - 2)
    rows = rows.assign(bin=bins, adjusted=adjusted_iou(rows))
    curve = clustered_means(rows, ["series", "bin"], value="adjusted")
    curve["strength"] = rows.groupby(["series", "bin"], sort=False)[dial].mean()
    return curve.reset_index().sort_values(["series", "bin"], ignore_index=True)


def draw_dials(curves: dict[str, pd.DataFrame], styles: dict[str, Style]) -> Figure:
    """Draw a panel per dial with a line per series."""
    names = [name for name in styles if any(name in set(curve["series"]) for curve in curves.values())]
    figure, axes = new_panels(len(curves), (2.0, 1.4), names)
    with matplotlib.rc_context(RC_PARAMS):
        for panel, (dial, curve) in zip(axes, curves.items(), strict=True):
            for name in names:
                points = curve[curve["series"] == name]
                if len(points):
                    draw_line(panel, points, "strength", name, styles[name], BAND_OPACITY / 2)
            panel.set_title(dial)
            panel.set(xlim=(-0.2, 5.2), xticks=range(6), ylim=(-0.02, 1.02))
        figure.supxlabel("Strength", size=8)
        figure.supylabel("Mean IoU, size held", size=8)
        add_legend(figure, *axes)
    return figure


def size_and_difficulty(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the mean IoU per series, bin of relative size and quarter of the summed strength of all dials.

    Columns: series, size (index into SIZE_LABELS), difficulty (0 is the easiest quarter), mean, n, clusters, low, high.
    `attrs["edges"]` holds the edges of the summed strength.

    Args:
        rows: Rows of `strengths`.
    """
    total = rows[rows.attrs["dials"]].sum(axis=1)
    edges = np.quantile(total[~rows["object"].duplicated()], np.linspace(0, 1, _CLASSES + 1))
    quarter = np.clip(np.searchsorted(edges, total, side="right") - 1, 0, _CLASSES - 1)
    rows = rows.assign(size=size_bin(rows["fraction"].to_numpy(float)), difficulty=quarter)
    means = clustered_means(rows, ["series", "size", "difficulty"]).reset_index()
    means.attrs = {"edges": edges.tolist()}
    return means


def draw_maps(means: pd.DataFrame, names: list[str]) -> Figure:
    """Draw a heat map per series: bins of size from left to right, quarters of the difficulty upwards."""
    figure, axes = new_panels(len(names), (2.0, 1.6), ())
    sizes = sorted(means["size"].unique().tolist())
    with matplotlib.rc_context(RC_PARAMS):
        for panel, name in zip(axes, names, strict=True):
            part = means[means["series"] == name]
            grid = part.pivot_table(index="difficulty", columns="size", values="mean")
            grid = grid.reindex(index=range(_CLASSES), columns=sizes)
            image = panel.imshow(grid, origin="lower", aspect="auto", vmin=0, vmax=1, cmap="viridis")
            for (row, column), value in np.ndenumerate(grid.to_numpy(float)):
                if np.isfinite(value):
                    colour = "black" if value > 0.6 else "white"
                    panel.text(column, row, f"{value:.2f}", ha="center", va="center", size=6, color=colour)
            panel.set_title(name)
            panel.set(xticks=range(len(sizes)), yticks=range(_CLASSES))
            panel.set_xticklabels([SIZE_LABELS[size] for size in sizes], rotation=30, ha="right", size=6)
            panel.set_yticklabels(["easiest", "easier", "harder", "hardest"], size=6)
            panel.grid(visible=False)
        figure.colorbar(image, ax=axes, label="Mean IoU", shrink=0.8)
        figure.set_figwidth(COLUMN_WIDTH)
    return figure


def difficulties(view: ResultsView) -> list[Drawn]:
    """Draw IoU against each dial, and heat maps of size and difficulty."""
    rows = strengths(view.plain)
    curves = {dial: dial_curve(rows, dial) for dial in rows.attrs["dials"]}
    joined = pd.concat(curves.values())
    steepest = slopes(rows).sort_values("slope").groupby("series", sort=False).head(1)
    listed = "; ".join(f"{row['series']}: {row['dial']}" for row in steepest.to_dict("records"))
    names = [name for name in view.styles if name in set(rows["series"])][:MAX_MAPS]
    means = size_and_difficulty(rows)
    easiest, hardest = means.attrs["edges"][0], means.attrs["edges"][-1]
    return [
        Drawn(
            "iou-by-difficulty",
            "IoU against each dial of the difficulty",
            f"{object_counts(joined.groupby(['series'])['n'].sum() // len(curves))} objects. A point is the mean of a "
            "bin of strength, one unit wide. The relative size is held: each object counts by its difference to the "
            f"mean of the model on objects of its size. {interval_note(joined)}{error_note(rows)}",
            f"Mean IoU against the strength of {', '.join(curves)}. The dial with the lowest slope: {listed}.",
            draw_dials(curves, view.styles),
        ),
        Drawn(
            "heat-maps-of-difficulty",
            "IoU against relative mask size and difficulty",
            f"Difficulty is the sum of the strengths of all dials, from {easiest:.1f} to {hardest:.1f}, in quarters of "
            f"the objects.{error_note(rows)}",
            f"Heat maps of the mean IoU of {', '.join(names)} over bins of relative mask size and of difficulty.",
            draw_maps(means, names),
        ),
    ]
