"""IoU against the number of patches (the paper's Fig. 9) and against the noise of prompts."""

from __future__ import annotations

import textwrap
from typing import Literal

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, ScalarFormatter

from bench.statistics import clustered_means
from objascale.sizes import SIZE_LABELS, size_bin
from reports.figures import Drawn
from reports.figures.parts import (
    BAND_OPACITY,
    add_legend,
    draw_line,
    error_note,
    interval_note,
    new_axes,
    new_panels,
    object_counts,
)
from reports.naming import variant_names
from reports.style import RC_PARAMS, Style, assign_styles
from reports.view import NothingToShow, ResultsView, default_tokens, lowest_noise

Swept = Literal["tokens", "noise"]
SWEEP_AXIS_LABELS: dict[Swept, str] = {
    "tokens": "Maximum number of sampled patches",
    "noise": "Prompt noise (sides of the box)",
}
BIN_COLOURS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#d8c91c")  # viridis; smaller objects are darker
BIN_MARKERS = ("o", "s", "D", "^", "v")


def swept_rows(rows: pd.DataFrame, swept: Swept) -> pd.DataFrame:
    """Return the rows of the models that were measured at two or more values of `swept`, with their `line`.

    A line is a model with one kind of prompt and one weights file.

    Raises:
        NothingToShow: There is no such model, or the runs of one line differ in another setting.
    """
    rows = rows[rows[swept].notna()]
    rows = rows.assign(line=variant_names(rows, ["prompt_source", "weights_sha256"]) if len(rows) else "")
    rows = rows[rows.groupby("line")[swept].transform("nunique") > 1]
    if rows.empty:
        values = "32,64,128,256,512,1024,2048,4096" if swept == "tokens" else "0,0.05,0.1,0.2,0.4"
        of = "numbers of patches of one FLIP" if swept == "tokens" else "levels of noise of one model"
        raise NothingToShow(f"the results have fewer than two {of}; measure them with `bench run … --{swept} {values}`")
    twice = rows[rows.duplicated(["line", swept, "object"])]
    if len(twice):
        raise NothingToShow(f"{twice['line'].iloc[0]} was run with several settings; report the folders separately")
    return rows


def sweep(rows: pd.DataFrame, swept: Swept, by: str = "line") -> pd.DataFrame:
    """Return mean, std, n, clusters, low and high per value of the column `by` and of `swept`, sorted by both."""
    means = clustered_means(rows, [by, swept]).reset_index()
    return means.sort_values([by, swept], ignore_index=True, kind="stable")


def draw_sweep(means: pd.DataFrame, swept: Swept, styles: dict[str, Style]) -> Figure:
    """Draw a line with its 95 % band for each line of `sweep`, in the order of `styles`. The axis of tokens is log2."""
    figure, axes = new_axes(2.3, styles)
    with matplotlib.rc_context(RC_PARAMS):
        for line, style in styles.items():
            draw_line(axes, means[means["line"] == line], swept, line, style)
        _set_x(axes, means, swept)
        axes.set(ylabel="Mean IoU", ylim=_limits(means))
        add_legend(figure, axes)
    return figure


def draw_sweep_by_size(panels: dict[str, pd.DataFrame], swept: Swept) -> Figure:
    """Draw a panel per line: `sweep` by size bin with pale bands. Smaller objects are darker."""
    bins = sorted({index for means in panels.values() for index in means["bin"]})
    names = {index: f"{SIZE_LABELS[index]} of the image" for index in bins}
    figure, axes = new_panels(len(panels), (2.0, 1.5), names.values())
    with matplotlib.rc_context(RC_PARAMS):
        for panel, (line, means) in zip(axes, panels.items(), strict=True):
            for index, name in names.items():
                points = means[means["bin"] == index]
                if len(points):
                    draw_line(
                        panel, points, swept, name, Style(BIN_COLOURS[index], BIN_MARKERS[index], "-"), BAND_OPACITY / 2
                    )
            panel.set_title("\n".join(textwrap.wrap(line, 24, break_on_hyphens=False)))
            _set_x(panel, means, swept)
            panel.set_xlabel("")
        axes[0].set_ylim(_limits(pd.concat(panels.values())))
        figure.supxlabel(SWEEP_AXIS_LABELS[swept], size=8)
        figure.supylabel("Mean IoU", size=8)
        add_legend(figure, *axes)
    return figure


def token_sweeps(view: ResultsView) -> list[Drawn]:
    """Draw the paper's Fig. 9 for one data set, for all objects and by size."""
    return _sweeps(swept_rows(lowest_noise(view.rows), "tokens"), "tokens", "number of patches", view)


def noise_sweeps(view: ResultsView) -> list[Drawn]:
    """Draw IoU against prompt noise, for all objects and by size."""
    return _sweeps(swept_rows(default_tokens(view.rows), "noise"), "noise", "prompt noise", view)


def _sweeps(rows: pd.DataFrame, swept: Swept, words: str, view: ResultsView) -> list[Drawn]:
    means = sweep(rows, swept)
    styles = assign_styles(rows["line"])
    rows = rows.assign(bin=size_bin(rows["fraction"].to_numpy(float)))
    panels = {line: sweep(rows[rows["line"] == line], swept, by="bin") for line in styles}
    listed = [f"{line} {_ends(means[means['line'] == line], swept)}" for line in styles]
    listed_by_size = [
        f"{line}, {SIZE_LABELS[index]} of the image, {_ends(panel[panel['bin'] == index], swept)}"
        for line, panel in panels.items()
        for index in panel["bin"].unique().tolist()
    ]
    objects = rows.drop_duplicates("object")["bin"].value_counts().sort_index()
    sizes = ", ".join(f"{SIZE_LABELS[index]}: {n:,}" for index, n in zip(objects.index.tolist(), objects, strict=True))
    about = f"{object_counts(means['n'])} objects per {words}, without smoothing."
    errors = error_note(rows)
    return [
        Drawn(
            f"iou-by-{swept}",
            f"IoU against {words}",
            f"{about} {interval_note(means)}{errors}",
            f"Mean IoU against {words}: {'; '.join(listed)}.",
            draw_sweep(means, swept, styles),
        ),
        Drawn(
            f"iou-by-{swept}-and-size",
            f"IoU against {words}, by relative mask size",
            f"Lines are bins of mask area / image area, with these numbers of objects: {sizes}. {about} "
            f"{interval_note(pd.concat(panels.values()))}{errors}",
            f"Mean IoU from the smallest to the largest {words}: {'; '.join(listed_by_size)}.",
            draw_sweep_by_size(panels, swept),
        ),
    ]


def _limits(means: pd.DataFrame) -> tuple[float, float]:
    """Return limits of the IoU axis, in tenths, that hold all means and intervals."""
    values = means[["low", "mean", "high"]].to_numpy(float)
    return float(np.floor(np.nanmin(values) * 10) / 10), float(np.ceil(np.nanmax(values) * 10 + 0.2) / 10)


def _ends(points: pd.DataFrame, swept: Swept) -> str:
    """Describe the first and the last mean."""
    return " and ".join(f"{row['mean']:.2f} at {row[swept]:g}" for row in points.iloc[[0, -1]].to_dict("records"))


def _set_x(axes: Axes, means: pd.DataFrame, swept: Swept) -> None:
    """Set ticks at the measured values: all of them, or every second one if there are many."""
    values = np.unique(means[swept])
    if swept == "tokens":
        axes.set_xscale("log", base=2)
    axes.set_xticks(values[:: 1 + (len(values) > 8)])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(SWEEP_AXIS_LABELS[swept])
