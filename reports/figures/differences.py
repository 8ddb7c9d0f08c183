"""Paired differences of IoU between FLIP and other networks, over relative × absolute mask size."""

from __future__ import annotations

import math

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from objascale.intervals import MIN_CLUSTERS
from reports.figures import Drawn
from reports.figures.heatmaps import HeatMap, add_bar, cell_counts, draw_cells, heat_maps, panel_grid
from reports.figures.parts import error_note
from reports.style import RC_PARAMS
from reports.view import NothingToShow, ResultsView, prompted_from

MAX_RIVALS = 4
DIVERGING = LinearSegmentedColormap.from_list("rival-flip", ["#7f3b08", "#e08214", "#f7f7f7", "#8073ac", "#2d004b"])
"""ColorBrewer's PuOr reversed, safe for the colour-blind: orange where the rival is ahead, purple where FLIP is."""


def paired_differences(view: ResultsView) -> pd.DataFrame:
    """Pair the best FLIP with up to `MAX_RIVALS` other networks on the objects that both have.

    FLIP is the FLIP series with the highest mean IoU. Rivals are the best other series of models with parameters and
    with the same prompt source. An error counts as IoU 0.

    Returns:
        Columns: series ("FLIP − rival"), object, cluster, fraction, area, difference.

    Raises:
        NothingToShow: There is no FLIP, no rival, or no common object.
    """
    rows = view.plain
    learned = {str(model): bool(view.results.card(str(model)).get("parameters")) for model in rows["model"].unique()}
    best = rows.groupby("series", sort=False).agg(
        model=("model", "first"), source=("prompt_source", "first"), mean=("iou", "mean")
    )
    best = best.sort_values("mean", ascending=False, kind="stable")
    flips = best["model"].str.startswith("flip")
    ours = best.index[flips]
    same_prompt = best.index.isin(prompted_from(rows, best["source"].get(ours[0], "") if len(ours) else "")["series"])
    rivals = best.index[~flips & same_prompt & best["model"].map(learned)][:MAX_RIVALS]
    if ours.empty or rivals.empty:
        raise NothingToShow(
            "the results have no FLIP and other network with the same prompts; "
            "measure both with `bench run --models flip-tiny,mobilesam-onnx`"
        )
    flip = rows[rows["series"] == ours[0]]
    pairs = []
    for rival in rivals:
        other = rows.loc[rows["series"] == rival, ["object", "iou"]]
        pair = flip[["object", "cluster", "fraction", "area", "iou"]].merge(other, on="object", suffixes=("", "_rival"))
        pairs.append(pair.assign(series=f"{ours[0]} − {rival}", difference=pair["iou"] - pair["iou_rival"]))
    together = pd.concat(pairs, ignore_index=True)
    if together.empty:
        raise NothingToShow(f"{ours[0]} and the other networks have no object in common; measure them on the same data")
    return together


def colour_limit(maps: list[HeatMap]) -> float:
    """Return the limit of the colour scale: the largest |mean| of a cell, rounded up to a tenth, at most 1.

    Only cells with MIN_CLUSTERS clusters count, or all cells if there are none.
    """
    means, counts = (np.concatenate([getattr(heat, name).ravel() for heat in maps]) for name in ("mean", "clusters"))
    sure = counts >= MIN_CLUSTERS if (counts >= MIN_CLUSTERS).any() else counts > 0
    return min(1.0, max(0.1, math.ceil(round(float(np.abs(means[sure]).max()) * 10, 6)) / 10))


def draw_differences(maps: list[HeatMap]) -> Figure:
    """Draw the maps as panels with one colour bar, symmetric about 0 (near white). Empty cells are hatched."""
    limit = colour_limit(maps)
    beyond = any(np.nanmax(np.abs(heat.mean)) > limit for heat in maps)
    figure, panels = panel_grid(maps)
    with matplotlib.rc_context(RC_PARAMS | {"hatch.linewidth": 0.4}):
        for panel, heat in zip(panels, maps, strict=True):
            panel.patch.set(hatch="/////", edgecolor="#cfcfcf")
            panel.grid(visible=False)
            cells = draw_cells(panel, heat, DIVERGING, (-limit, limit))
        label = "Mean difference of IoU (purple: FLIP is ahead)"
        add_bar(figure, panels, cells, label, extend="both" if beyond else "neither")
    return figure


def size_differences(view: ResultsView) -> list[Drawn]:
    """Draw the difference maps of one data set, FLIP against each rival."""
    pairs = paired_differences(view)
    names = {name for pair in pairs["series"].unique() for name in pair.split(" − ")}
    drawn = view.plain[view.plain["series"].isin(names)]
    maps = heat_maps(pairs, view.bins, "difference")
    caption = (
        "Mean difference of IoU per cell on the same objects, without intervals. Purple: FLIP is ahead. Orange: the "
        f"other model is ahead. Near white: both are equal. Hatched: no object. {cell_counts(maps)} The colour scale "
        f"ends at the largest difference in a cell with {MIN_CLUSTERS} assets or more.{error_note(drawn)}"
    )
    listed = []
    for heat in maps:
        filled = heat.mean[heat.count > 0]
        listed.append(f"{heat.series}, ahead in {(filled > 0).sum()} and behind in {(filled < 0).sum()} cells")
    alt = f"Maps of the difference of mean IoU over relative and absolute mask size: {'; '.join(listed)}."
    title = "Difference of IoU by relative and absolute mask size"
    return [Drawn("heat-map-differences", title, caption, alt, draw_differences(maps))]
