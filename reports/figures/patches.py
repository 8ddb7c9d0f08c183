"""The patches that FLIP sampled, drawn on the picture, with the mask below (the paper's Figs. 2, 3 and 6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from flip.sampler import Patches
from objascale.masks import Box
from reports.figures import Drawn
from reports.figures.objects import (
    COLOURS,
    TRIES,
    UNREADABLE,
    Seen,
    draw_crop,
    draw_patches,
    draw_prediction,
    draw_truth,
    flip_rows,
    patches,
    see,
)
from reports.figures.parts import legend_columns
from reports.style import PLAIN, WIDTH
from reports.view import NothingToShow, View

STAGES = {"tiny": ((1, 2), "#286efa"), "small": ((4,), "#28be50"), "large": ((8, 16), "#f02828")}  # the paper's Fig. 2
RICH = 600  # px; an object of about this size is seen through patches of all sizes
CLASSES = ("tiny", "small", "large")
OBJECTS = 5  # of the picture in Fig. 3, if one has as many
MARGIN = 1.06  # side of a crop over that of its patches


def sampling_stages(view: View) -> list[Drawn]:
    """One object's patches in three steps, finest first, and the mask that came of them (Fig. 2)."""
    rows = flip_rows(view)
    seen = next(see(rows.iloc[np.argsort(np.abs(np.log(rows["area"] / RICH)), kind="stable")]), None)
    if seen is None:
        raise NothingToShow(UNREADABLE)
    sampled, model = patches(seen, view), seen.row["model"]
    boxes, box = sampled.boxes(), _around(seen, sampled)
    colours = {size: colour for sizes, colour in STAGES.values() for size in sizes}
    with matplotlib.rc_context(PLAIN):
        figure = Figure(figsize=(WIDTH, WIDTH * 1.15), layout="constrained")
        panels = figure.subplots(2, 2).ravel()
        for panel, (name, (sizes, _)) in zip(panels, STAGES.items(), strict=False):
            draw_crop(panel, seen.image, box)
            draw_patches(panel, {size: edges for size, edges in boxes.items() if size <= max(sizes)}, colours)
            count = sum(len(boxes[size]) for size in sizes)
            panel.set_title(f"{name} ({' and '.join(f'{size}×{size}' for size in sizes)}): {count}")
        _draw_masks(panels[-1], view, [seen], box)
        panels[-1].set_title(f"mask: IoU {seen.row['iou']:.2f}")
        _add_mask_legend(figure, view, seen)
    caption = (
        f"{_sentence(seen.facts)} {model} samples patches around its Gaussian prompt from fine to coarse: tiny, small, "
        f"then large ones, {len(sampled)} in all{_shrunk(sampled)}."
    )
    alt = f"More and more patches on one object ({seen.title}), tiny ones in its middle, and its mask."
    return [Drawn("patch-sampling", "How FLIP samples patches", caption, alt, figure)]


def scene_patches(view: View) -> list[Drawn]:
    """Several objects of one picture with their patches, and their masks below (Fig. 3)."""
    objects = _scene(flip_rows(view))
    sampled, first = [patches(seen, view) for seen in objects], objects[0]
    height, width = first.image.shape[:2]
    box = (0, 0, width, height)
    with matplotlib.rc_context(PLAIN):
        figure = Figure(figsize=(WIDTH, 2 * WIDTH * height / width + 0.7), layout="constrained")
        above, below = figure.subplots(2, 1)
        draw_crop(above, first.image, box)
        for each in sampled:
            draw_patches(above, each.boxes())
        _draw_masks(below, view, objects, box)
        figure.legend(handles=_patch_keys(sampled), loc="outside upper center", ncols=5)
        _add_mask_legend(figure, view, first)
    names = ", ".join(
        f"{seen.title} (IoU {seen.row['iou']:.2f}{_shrunk(each)})" for seen, each in zip(objects, sampled, strict=True)
    )
    caption = (
        f"Picture {first.row['image_id']}, {width}×{height} px: the patches that {first.row['model']} sampled for each "
        f"of {len(objects)} objects, and the masks below. {names}."
    )
    alt = f"A picture with the patches of {len(objects)} objects in the colours of their sizes, and their masks below."
    return [Drawn("patches-in-a-picture", "Patches of several objects in one picture", caption, alt, figure)]


def object_patches(view: View) -> list[Drawn]:
    """A tiny, a small and a large object, each with its patches above and its mask below (Fig. 6)."""
    rows = flip_rows(view).sort_values("area", kind="stable")
    found: dict[str, Seen] = {}
    for name, part in zip(CLASSES, np.array_split(np.arange(len(rows)), len(CLASSES)), strict=True):
        third = rows.iloc[part]
        usual = (third["iou"] - third["iou"].median()).abs().sort_values(kind="stable")
        if seen := next(see(third.loc[usual.index]), None):
            found[name] = seen
    if not found:
        raise NothingToShow(UNREADABLE)
    sampled, first = {name: patches(seen, view) for name, seen in found.items()}, next(iter(found.values()))
    with matplotlib.rc_context(PLAIN):
        figure = Figure(figsize=(WIDTH, WIDTH * 2 / len(found) + 1.1), layout="constrained")
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
    told = "; ".join(f"{name}: {seen.facts}{_shrunk(sampled[name])}" for name, seen in found.items())
    caption = (
        f"The patches that {first.row['model']} sampled (above) and its masks (below), for the object of the median "
        f"IoU of each third of the objects by area. {_sentence(told)}"
    )
    alt = f"Patches in the colours of their sizes on {len(found)} objects of different size, and their masks below."
    return [Drawn("patches-by-size", "Patches and masks of a tiny, a small and a large object", caption, alt, figure)]


def _scene(rows: pd.DataFrame) -> list[Seen]:
    """The objects of a picture with about `OBJECTS` of them, of most different sizes."""
    picture = [rows["folder"], rows["image_file"]]
    scenes = np.log(rows["area"]).groupby(picture, sort=False).agg(["size", "std"])
    scenes = scenes[scenes["size"] > 1]
    if scenes.empty:
        raise NothingToShow("no picture of this data set has more than one object")
    order = np.lexsort((-scenes["std"].to_numpy(), (scenes["size"] - OBJECTS).abs().to_numpy()))
    for folder, file in scenes.index[order][:TRIES]:
        if objects := list(see(rows[(picture[0] == folder) & (picture[1] == file)])):
            return objects
    raise NothingToShow(UNREADABLE)


def _shrunk(sampled: Patches) -> str:
    """Tells, after a comma, by how much the picture was shrunk before its patches were cut; empty if it was not."""
    return f", from the picture shrunk {sampled.unit} times" if sampled.unit > 1 else ""


def _around(seen: Seen, sampled: Patches) -> Box:
    """A square that holds the patches and the true mask, or what of it lies in the picture."""
    assert seen.truth.box is not None
    points = np.concatenate((np.array([seen.truth.box], float), *sampled.boxes().values())).reshape(-1, 2)
    frame = np.array((seen.truth.width, seen.truth.height))
    low, high = points.min(0), points.max(0)
    side = np.minimum(np.ceil(MARGIN * (high - low).max()) + 2, frame)
    x0, y0 = np.clip((low + high - side) // 2, 0, frame - side).astype(int).tolist()
    return x0, y0, x0 + int(side[0]), y0 + int(side[1])


def _draw_masks(panel: Axes, view: View, objects: Sequence[Seen], box: Box) -> None:
    """The picture with FLIP's masks, tinted, over the true ones' outlines."""
    draw_crop(panel, objects[0].image, box)
    for seen in objects:
        draw_truth(panel, seen.truth, box)
        draw_prediction(panel, seen.predicted, box, view.styles[seen.row["series"]].colour)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _patch_keys(sampled: Iterable[Patches]) -> list[Artist]:
    there = {size for each in sampled for size, where in each.centres.items() if len(where)}
    return [
        Patch(facecolor=(COLOURS[size], 0.3), edgecolor=COLOURS[size], label=f"{size}×{size}")
        for size in sorted(there, reverse=True)
    ]


def _add_mask_legend(figure: Figure, view: View, seen: Seen) -> None:
    """How the true and the predicted masks look, below the figure."""
    series = str(seen.row["series"])
    colour = view.styles[series].colour
    keys = [
        Patch(facecolor="white", edgecolor="black", linewidth=0.8, label="truth (white line)"),
        Patch(facecolor=(colour, 0.35), edgecolor=colour, label=series),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=legend_columns([series]))
