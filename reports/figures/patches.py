"""The patches that FLIP sampled and the masks it predicted, drawn on the image (the paper's Figs. 2, 3 and 6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from flip.sampler import Patches
from flip.show import PATCH_COLOURS
from objascale.masks import Box
from reports.figures import Drawn
from reports.figures.objects import (
    MAX_UNREADABLE,
    NO_READABLE_IMAGE,
    ImagedObject,
    draw_crop,
    draw_patches,
    draw_prediction,
    draw_truth,
    flip_rows,
    imaged_objects,
    patches,
)
from reports.figures.parts import legend_columns
from reports.style import COLUMN_WIDTH, PLAIN_RC_PARAMS
from reports.view import NothingToShow, ResultsView

STAGES = {"tiny": (1, 2), "small": (4,), "large": (8, 16)}  # patch sizes of the paper's Fig. 2
STAGES_AREA = 600  # px; an object of about this size gets patches of all sizes
SIZE_CLASSES = ("tiny", "small", "large")
SCENE_OBJECTS = 5  # in the image of Fig. 3, if there is such an image
MAX_SCENE_OBJECTS = 12  # drawn in the image of Fig. 3; each adds hundreds of squares
CROP_MARGIN = 1.06  # side of the crop / extent of its patches


def sampling_stages(view: ResultsView) -> list[Drawn]:
    """Draw the patches of one object in three steps, finest first, and its mask (Fig. 2)."""
    rows = flip_rows(view)
    seen = next(imaged_objects(rows.iloc[np.argsort(np.abs(np.log(rows["area"] / STAGES_AREA)), kind="stable")]), None)
    if seen is None:
        raise NothingToShow(NO_READABLE_IMAGE)
    sampled, model = patches(seen, view), seen.row["model"]
    boxes, box = sampled.boxes(), _around(seen, sampled)
    with matplotlib.rc_context(PLAIN_RC_PARAMS):
        figure = Figure(figsize=(COLUMN_WIDTH, COLUMN_WIDTH * 1.15), layout="constrained")
        panels = figure.subplots(2, 2).ravel()
        for panel, (name, sizes) in zip(panels, STAGES.items(), strict=False):
            draw_crop(panel, seen.image, box)
            draw_patches(panel, {size: edges for size, edges in boxes.items() if size <= max(sizes)})
            count = sum(len(boxes[size]) for size in sizes)
            panel.set_title(f"{name} ({' and '.join(f'{size}×{size}' for size in sizes)}): {count}")
        _draw_masks(panels[-1], view, [seen], box)
        panels[-1].set_title(f"mask: IoU {seen.row['iou']:.2f}")
        _add_mask_legend(figure, view, seen)
    caption = (
        f"{_sentence(seen.facts)} {model} samples patches around its Gaussian prompt, from fine to coarse: tiny, "
        f"small, then large ones, {len(sampled)} in total{_shrink_words(sampled)}."
    )
    alt = f"Three steps of sampling on one object ({seen.title}), the tiniest patches in its middle, and its mask."
    return [Drawn("patch-sampling", "How FLIP samples patches", caption, alt, figure)]


def scene_patches(view: ResultsView) -> list[Drawn]:
    """Draw several objects of one image with their patches, and their masks below (Fig. 3)."""
    objects, total = _scene(flip_rows(view))
    sampled, first = [patches(seen, view) for seen in objects], objects[0]
    height, width = first.image.shape[:2]
    box = (0, 0, width, height)
    with matplotlib.rc_context(PLAIN_RC_PARAMS):
        figure = Figure(figsize=(COLUMN_WIDTH, 2 * COLUMN_WIDTH * height / width + 0.7), layout="constrained")
        above, below = figure.subplots(2, 1)
        draw_crop(above, first.image, box)
        for each in sampled:
            draw_patches(above, each.boxes())
        _draw_masks(below, view, objects, box)
        figure.legend(handles=_patch_keys(sampled), loc="outside upper center", ncols=5)
        _add_mask_legend(figure, view, first)
    names = ", ".join(
        f"{seen.title} (IoU {seen.row['iou']:.2f}{_shrink_words(each)})"
        for seen, each in zip(objects, sampled, strict=True)
    )
    count = f"{len(objects)} of {total}" if total > MAX_SCENE_OBJECTS else len(objects)
    caption = (
        f"Image {first.row['image_id']}, {width}×{height} px. Above: the patches that {first.row['model']} sampled for "
        f"each of {count} objects. Below: the masks. {names}."
    )
    alt = f"An image with the patches of {len(objects)} objects, coloured by patch size, and their masks below."
    return [Drawn("patches-in-a-picture", "Patches of several objects in one image", caption, alt, figure)]


def object_patches(view: ResultsView) -> list[Drawn]:
    """Draw a tiny, a small and a large object, each with its patches above and its mask below (Fig. 6)."""
    rows = flip_rows(view).sort_values("area", kind="stable")
    found: dict[str, ImagedObject] = {}
    for name, part in zip(SIZE_CLASSES, np.array_split(np.arange(len(rows)), len(SIZE_CLASSES)), strict=True):
        third = rows.iloc[part]
        usual = (third["iou"] - third["iou"].median()).abs().sort_values(kind="stable")
        if seen := next(imaged_objects(third.loc[usual.index]), None):
            found[name] = seen
    if not found:
        raise NothingToShow(NO_READABLE_IMAGE)
    sampled, first = {name: patches(seen, view) for name, seen in found.items()}, next(iter(found.values()))
    with matplotlib.rc_context(PLAIN_RC_PARAMS):
        figure = Figure(figsize=(COLUMN_WIDTH, COLUMN_WIDTH * 2 / len(found) + 1.1), layout="constrained")
        panels = figure.subplots(2, len(found), squeeze=False)
        for (above, below), (name, seen) in zip(panels.T, found.items(), strict=True):
            box = _around(seen, sampled[name])
            draw_crop(above, seen.image, box)
            draw_patches(above, sampled[name].boxes())
            above.set_title(f"{name}: {seen.title}\n{seen.row['area']:,.0f} px")
            _draw_masks(below, view, [seen], box)
            below.set_title(f"IoU {seen.row['iou']:.2f}")
        figure.legend(handles=_patch_keys(sampled.values()), loc="outside upper center", ncols=5)
        _add_mask_legend(figure, view, first)
    listed = "; ".join(f"{name}: {seen.facts}{_shrink_words(sampled[name])}" for name, seen in found.items())
    caption = (
        f"The patches that {first.row['model']} sampled (above) and its masks (below). Each object has the median "
        f"IoU of its third of the objects by area. {_sentence(listed)}"
    )
    alt = f"Patches, coloured by patch size, on {len(found)} objects of different sizes, and their masks below."
    return [Drawn("patches-by-size", "Patches and masks of a tiny, a small and a large object", caption, alt, figure)]


def _scene(rows: pd.DataFrame) -> tuple[list[ImagedObject], int]:
    """Return objects of an image with about `SCENE_OBJECTS` objects of widely different sizes, and their total.

    Of more than `MAX_SCENE_OBJECTS` objects, it returns that many, evenly spaced in the order by area.
    """
    picture = [rows["folder"], rows["image_file"]]
    scenes = np.log(rows["area"]).groupby(picture, sort=False).agg(["size", "std"])
    scenes = scenes[scenes["size"] > 1]
    if scenes.empty:
        raise NothingToShow("no image of this data set has more than one object")
    order = np.lexsort((-scenes["std"].to_numpy(), (scenes["size"] - SCENE_OBJECTS).abs().to_numpy()))
    for folder, file in scenes.index[order][:MAX_UNREADABLE]:
        here = rows[(picture[0] == folder) & (picture[1] == file)]
        ranks = np.linspace(0, len(here) - 1, min(len(here), MAX_SCENE_OBJECTS)).round().astype(int)
        some = np.sort(np.argsort(here["area"].to_numpy(), kind="stable")[ranks])
        if objects := list(imaged_objects(here.iloc[some])):
            return objects, len(here)
    raise NothingToShow(NO_READABLE_IMAGE)


def _shrink_words(sampled: Patches[NDArray[np.uint8]]) -> str:
    """Return, after a comma, by how much the image was scaled down before sampling; empty if it was not."""
    return f", from the image scaled down {sampled.unit} times" if sampled.unit > 1 else ""


def _around(seen: ImagedObject, sampled: Patches[NDArray[np.uint8]]) -> Box:
    """Return a square that holds the patches and the true mask, clipped to the image."""
    assert seen.truth.box is not None
    points = np.concatenate((np.array([seen.truth.box], float), *sampled.boxes().values())).reshape(-1, 2)
    frame = np.array((seen.truth.width, seen.truth.height))
    low, high = points.min(0), points.max(0)
    side = np.minimum(np.ceil(CROP_MARGIN * (high - low).max()) + 2, frame)
    x0, y0 = np.clip((low + high - side) // 2, 0, frame - side).astype(int).tolist()
    return x0, y0, x0 + int(side[0]), y0 + int(side[1])


def _draw_masks(panel: Axes, view: ResultsView, objects: Sequence[ImagedObject], box: Box) -> None:
    """Draw the image with FLIP's tinted masks over the outlines of the true masks."""
    draw_crop(panel, objects[0].image, box)
    for seen in objects:
        draw_truth(panel, seen.truth, box)
        draw_prediction(panel, seen.predicted, box, view.styles[seen.row["series"]].colour)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _patch_keys(sampled: Iterable[Patches[NDArray[np.uint8]]]) -> list[Artist]:
    there = {size for each in sampled for size, where in each.centres.items() if len(where)}
    return [
        Patch(facecolor=(PATCH_COLOURS[size], 0.3), edgecolor=PATCH_COLOURS[size], label=f"{size}×{size}")
        for size in sorted(there, reverse=True)
    ]


def _add_mask_legend(figure: Figure, view: ResultsView, seen: ImagedObject) -> None:
    """Add a legend of true and predicted masks below the figure."""
    series = str(seen.row["series"])
    colour = view.styles[series].colour
    keys = [
        Patch(facecolor="white", edgecolor="black", linewidth=0.8, label="truth (white line)"),
        Patch(facecolor=(colour, 0.35), edgecolor=colour, label=series),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=legend_columns([series]))
