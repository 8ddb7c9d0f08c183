"""Examples of a data set, each with a magnified object (the paper's Fig. 8)."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from reports.figures import Drawn
from reports.figures.objects import NO_READABLE_IMAGE, ImagedObject, draw_crop, imaged_objects
from reports.formats import scientific
from reports.pixels import CROP_CONTEXT, crop_box
from reports.style import COLUMN_WIDTH, PLAIN_RC_PARAMS
from reports.view import NothingToShow, ResultsView

TARGET_FRACTIONS = (1e-5, 1e-4, 1e-3, 1e-2)  # mask area / image area
MIN_AREA = 100  # px; smaller objects are a blot even when magnified
MAX_CROP_SHARE = 1 / 3  # of the image's side; the lens hardly magnifies larger crops
LENS_SIDE = 0.42  # of the image's side
TOO_LARGE = f"no object of this data set has at least {MIN_AREA} px and is small in its image"


def magnified_examples(view: ResultsView) -> list[Drawn]:
    """Draw four objects of different categories and sizes in their images."""
    examples = _choose(view.rows.drop_duplicates("object"))
    with matplotlib.rc_context(PLAIN_RC_PARAMS):
        across, down = min(2, len(examples)), -(-len(examples) // 2)
        shape = sum(seen.truth.height / seen.truth.width for seen in examples) / len(examples)
        figure = Figure(figsize=(COLUMN_WIDTH, COLUMN_WIDTH / across * down * shape), layout="constrained")
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
            lens = panel.inset_axes(
                (0.02 if left else 0.98 - LENS_SIDE, 0.02 if low else 0.98 - LENS_SIDE, LENS_SIDE, LENS_SIDE)
            )
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
    listed = "; ".join(f"{seen.title}, {scientific(seen.row['fraction'])} of the image" for seen in examples)
    caption = f"Objects of {view.dataset} in their images, each magnified in a corner: {listed}."
    alt = f"{len(examples)} images with one small object each, magnified in a corner: {listed}."
    return [Drawn("examples", "Magnified examples", caption, alt, figure)]


def _choose(objects: pd.DataFrame) -> list[ImagedObject]:
    """Return for each of `TARGET_FRACTIONS` the object nearest to it, of a category and an image that are not shown
    yet.
    """
    objects = objects[(objects["area"] >= MIN_AREA) & (CROP_CONTEXT**2 * objects["fraction"] <= MAX_CROP_SHARE**2)]
    if objects.empty:
        raise NothingToShow(TOO_LARGE)
    chosen: list[ImagedObject] = []
    reason = NO_READABLE_IMAGE
    for fraction in TARGET_FRACTIONS:
        distance = np.abs(np.log(objects["fraction"] / fraction))
        for seen in imaged_objects(objects.loc[distance.sort_values(kind="stable").index]):
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


def _magnifies(seen: ImagedObject) -> bool:
    """Return whether the lens shows the object larger than the image does."""
    assert seen.truth.box is not None
    width, height = seen.truth.width, seen.truth.height
    x0, y0, x1, y1 = crop_box(seen.truth.box, width, height)
    return max((x1 - x0) / width, (y1 - y0) / height) <= MAX_CROP_SHARE
