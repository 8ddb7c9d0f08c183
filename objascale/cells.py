"""Counts of the pictures of a data set by cell: mask size, resolution, and strength of each dial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from objascale.difficulty.record import MAX_STRENGTH
from objascale.sizes import SIZE_LABELS, size_bin

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = ""
"""The dial of the rows of `count_cells` that count sizes and resolutions alone."""


def count_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Count the pictures of a data set by cell.

    The size is that of the first object as it was drawn, before other objects or the frame hide parts of it.

    Args:
        table: annotations.parquet.

    Returns:
        A row per dial, size, resolution and unit of strength that occurs: the columns `dial`, `size` (an index into
        `SIZE_LABELS`), `side` (a power of two: the smallest side of the resolution, px), `strength` (the lower end of
        the unit) and `images`. The dial is `SIZES` in the rows that count sizes and resolutions alone.
    """
    targets = _first_objects(table)
    fraction = targets["target_fraction" if "target_fraction" in targets else "fraction"].to_numpy(float)
    side = 2 ** np.floor(np.log2(targets["width"].to_numpy(float))).astype(int)
    keys = pd.DataFrame({"size": size_bin(fraction), "side": side})
    counted = [keys.assign(dial=SIZES, strength=0)]
    for name, strengths in targets.filter(like="difficulty_").items():
        units = np.clip(np.floor(strengths.to_numpy(float)), 0, MAX_STRENGTH - 1)
        dial = str(name).removeprefix("difficulty_")
        counted.append(keys.assign(dial=dial, strength=units).dropna().astype({"strength": int}))
    order = ["dial", "size", "side", "strength"]
    return pd.concat(counted).groupby(order, sort=False).size().rename("images").reset_index()


def _first_objects(table: pd.DataFrame) -> pd.DataFrame:
    """Return the row of the first object of each picture. An occluder comes before it."""
    occluded = table["difficulty_occlusion"] > 0 if "difficulty_occlusion" in table else False
    number = table["object_id"] - table.groupby("image_id")["object_id"].transform("min")
    return table[number == np.where(occluded, 1, 0)]


def grid(counts: pd.DataFrame, dial: str) -> pd.DataFrame:
    """Arrange the counts of a dial: a row per size and resolution, in words, and a column per unit of strength."""
    own = counts[counts["dial"] == dial]
    table = own.pivot_table(index=["side", "size"], columns="strength", values="images", fill_value=0).astype(int)
    names = [f"{SIZE_LABELS[size]}, from {side} px" for side, size in table.index.to_list()]
    return table.set_axis(names, axis=0)


def unit_label(strength: int) -> str:
    """Return a unit of strength in words: `2 to 3`."""
    return f"{strength} to {strength + 1}"


def draw_cells(counts: pd.DataFrame) -> Figure:
    """Draw the counts: one map of colours for each dial, or one for sizes and resolutions without dials."""
    from matplotlib.figure import Figure

    dials = [dial for dial in counts["dial"].unique() if dial != SIZES] or [SIZES]
    grids = {dial: grid(counts, dial) for dial in dials}
    most = max(int(each.to_numpy().max()) for each in grids.values())
    across = min(5, len(dials))
    down = -(-len(dials) // across)
    height = 1 + (0.7 + 0.18 * len(grids[dials[0]])) * down
    figure = Figure(figsize=(2.4 + 1.8 * across, height), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, sharey=True)
    for each, (dial, table) in zip(axes.flat, grids.items(), strict=False):
        shown = each.imshow(table.to_numpy(), cmap="Blues", vmin=0, vmax=most, aspect="auto")
        each.set_title(dial or "all pictures", fontsize=9)
        each.set_xticks(range(len(table.columns)), [str(unit) if dial else "" for unit in table.columns])
        each.set_yticks(range(len(table)), [str(name) for name in table.index])
        each.grid(False)
    for each in axes.flat[len(dials) :]:
        each.axis("off")
    figure.colorbar(shown, ax=axes, label="pictures", fraction=0.05)
    figure.suptitle("pictures by mask / picture and side (rows), and by the whole strength of each dial (columns)")
    return figure
