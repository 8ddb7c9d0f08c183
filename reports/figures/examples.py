"""Examples of a data set, each with a magnifier over its object (the paper's Fig. 8)."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from reports.figures import Drawn
from reports.figures.objects import UNREADABLE, Seen, draw_crop, see
from reports.formats import scientific
from reports.pixels import CONTEXT, crop_box
from reports.style import PLAIN, WIDTH
from reports.view import NothingToShow, View

WANTED = (1e-5, 1e-4, 1e-3, 1e-2)  # mask / picture
LEAST = 100  # px; what is smaller is a blot even under a magnifier
LARGEST = 1 / 3  # of a picture's side: what is more of it, a lens hardly magnifies
LENS = 0.42  # of a picture's side
TOO_LARGE = f"no object of this data set has {LEAST} px and is small in its picture"


def magnified_examples(view: View) -> list[Drawn]:
    """Four objects of different categories and sizes, in their whole pictures."""
    examples = _choose(view.rows.drop_duplicates("object"))
    with matplotlib.rc_context(PLAIN):
        across, down = min(2, len(examples)), -(-len(examples) // 2)
        shape = sum(seen.truth.height / seen.truth.width for seen in examples) / len(examples)
        figure = Figure(figsize=(WIDTH, WIDTH / across * down * shape), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for panel in panels[len(examples) :]:
            panel.set_visible(False)
        for panel, seen in zip(panels, examples, strict=False):
            assert seen.truth.box is not None
            width, height = seen.truth.width, seen.truth.height
            draw_crop(panel, seen.image, (0, 0, width, height))
            box = crop_box(seen.truth.box, width, height)
            x0, y0, x1, y1 = box
            left, low = x0 + x1 > width, y0 + y1 <= height
            lens = panel.inset_axes((0.02 if left else 0.98 - LENS, 0.02 if low else 0.98 - LENS, LENS, LENS))
            draw_crop(lens, seen.image, box)
            lens.spines[:].set(visible=True, color="white", linewidth=1.2)
            panel.indicate_inset((x0, y0, x1 - x0, y1 - y0), lens, edgecolor="white", alpha=1, linewidth=0.8)
            words = f"{seen.title}\n{seen.row['area']:,.0f} px\nof {width}×{height}"
            panel.text(
                *(0.97 if left else 0.03, 0.04 if low else 0.96),
                words,
                transform=panel.transAxes,
                color="white",
                size=7.5,
                ha="right" if left else "left",
                va="bottom" if low else "top",
                path_effects=[withStroke(linewidth=1.8, foreground="black")],
            )
    told = "; ".join(f"{seen.title}, {scientific(seen.row['fraction'])} of the picture" for seen in examples)
    caption = f"Objects of {view.dataset} in their whole pictures, each magnified in a corner: {told}."
    alt = f"{len(examples)} pictures with an object each, so small that a magnifier shows it: {told}."
    return [Drawn("examples", "Examples under a magnifier", caption, alt, figure)]


def _choose(objects: pd.DataFrame) -> list[Seen]:
    """For each fraction of `WANTED` the object nearest to it of a category, and a picture, not shown yet."""
    objects = objects[(objects["area"] >= LEAST) & (CONTEXT**2 * objects["fraction"] <= LARGEST**2)]
    if objects.empty:
        raise NothingToShow(TOO_LARGE)
    chosen: list[Seen] = []
    reason = UNREADABLE
    for fraction in WANTED:
        distance = np.abs(np.log(objects["fraction"] / fraction))
        for seen in see(objects.loc[distance.sort_values(kind="stable").index]):
            if not _magnifies(seen):
                reason = TOO_LARGE
                continue
            chosen.append(seen)
            shown = objects["category"].eq(seen.row["category"]) | objects["image_file"].eq(seen.row["image_file"])
            objects = objects[~shown]
            break
    if not chosen:
        raise NothingToShow(reason)
    return chosen


def _magnifies(seen: Seen) -> bool:
    """Whether the lens shows the object larger than it is in the picture."""
    assert seen.truth.box is not None
    width, height = seen.truth.width, seen.truth.height
    x0, y0, x1, y1 = crop_box(seen.truth.box, width, height)
    return max((x1 - x0) / width, (y1 - y0) / height) <= LARGEST
