"""Objects of the results as pictures: their patches, and outlines along the edges of pixels, as vectors over a crop.

Coordinates are pixels of the picture, y downwards, with pixel centres at +½.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import PathPatch
from matplotlib.path import Path as MatplotlibPath
from numpy.typing import NDArray

from bench.prompts import PromptSettings, make_prompt
from flip import show
from flip.sampler import NoPatches, Patches
from flip.sampling import Sampling
from objascale.masks import Box, MaskError, RegionMask
from reports.files import picture_path
from reports.formats import scientific
from reports.naming import known_settings
from reports.pixels import Image, PictureMissing, read_picture
from reports.view import NothingToShow, View

SIDE = 800  # pixels of what is embedded, along its longer side, at most
TINT = 0.35  # of a mask's colour over the picture
TRIES = 12  # pictures that are looked for before a figure is given up
COLOURS = {size: to_hex((r / 255, g / 255, b / 255)) for size, (r, g, b) in show.COLOURS.items()}  # the paper's


SQUARE = [MatplotlibPath.MOVETO, *3 * [MatplotlibPath.LINETO], MatplotlibPath.CLOSEPOLY]
UNREADABLE = "no picture of these results can be read here: run `reports` where their data set lies"


@dataclass(frozen=True)
class Seen:
    """An object with its picture; `row` is its row of the results, `predicted` that row's mask."""

    row: pd.Series
    image: Image
    truth: RegionMask
    predicted: RegionMask

    @property
    def title(self) -> str:
        """The category in plain words."""
        return str(self.row["category"]).replace("_", " ")

    @property
    def facts(self) -> str:
        """The category, and how large it is in which picture."""
        size = f"{self.truth.width}×{self.truth.height}"
        return f"{self.title}, {self.row['area']:,.0f} px in {size} ({scientific(self.row['fraction'])} of the picture)"


def see(rows: pd.DataFrame) -> Iterator[Seen]:
    """The objects of the rows whose pictures and masks can be read, one picture at a time; `TRIES` failures end it."""
    failed, last, image = 0, None, None
    for _, row in rows.iterrows():
        if failed >= TRIES:
            return
        try:
            if image is None or last != (row["folder"], row["image_file"]):
                image, last = None, None
                image = read_picture(picture_path(row), int(row["width"]), int(row["height"]), row["exif"] or "stored")
                last = row["folder"], row["image_file"]
            truth, predicted = _mask(row, "truth_rle"), _mask(row, "predicted_rle")
        except (PictureMissing, MaskError):
            failed += 1
            continue
        if truth.box is not None:
            yield Seen(row, image, truth, predicted)


def _mask(row: pd.Series, column: str) -> RegionMask:
    """The mask in a column of RLE counts, empty where the row has none."""
    width, height = int(row["width"]), int(row["height"])
    if not isinstance(row[column], str) or not row[column]:
        return RegionMask.empty(width, height)
    return RegionMask.from_rle({"size": [height, width], "counts": row[column]})


def flip_rows(view: View) -> pd.DataFrame:
    """The rows of the first FLIP with trained weights that samples patches. Raises NothingToShow if there is none.

    Rows with an error are left out.
    """
    rows = view.plain
    rows = rows[rows["model"].str.startswith("flip") & ~rows["untrained"].astype(bool) & rows["error"].isna()]
    rows = rows[rows["tokens"].notna()]
    if rows.empty:
        raise NothingToShow("no trained FLIP has a row: `bench run --models flip-tiny` measures one")
    return rows[rows["series"] == rows["series"].iloc[0]]


def patches(seen: Seen, view: View) -> Patches:
    """The patches that FLIP sampled for an object: those of the settings and the prompt of its run.

    Raises NothingToShow if the run does not describe the settings, and if they leave no patch in the picture.
    """
    row = seen.row
    settings = known_settings(row["settings"])
    if settings is None:
        described = f"{row['folder']}/run.json does not describe the settings of {row['series']}"
        raise NothingToShow(f"{described}: measure again")
    run = next(run for run in view.results.runs if run["folder"] == row["folder"])
    told = PromptSettings(row["prompt_source"], row["noise"], run.get("prompt", {}).get("seed", 0))
    prompt = make_prompt(seen.truth, ("gaussian",), told, row["object_id"])
    assert prompt.gaussian is not None
    try:
        return Sampling.from_settings(settings).patches(seen.image, prompt.gaussian)
    except NoPatches as error:
        raise NothingToShow(f"{row['series']} has no patch of this object: {error}") from error


def draw_crop(axes: Axes, image: Image, box: Box) -> None:
    """Show a part of a picture (xyxy pixel edges) in its own coordinates, with at most `SIDE` pixels embedded."""
    x0, y0, x1, y1 = box
    crop, scale = image[y0:y1, x0:x1], SIDE / max(x1 - x0, y1 - y0)
    if scale < 1:
        size = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
        crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
    axes.imshow(crop, extent=(x0, x1, y1, y0), interpolation="nearest", zorder=0)
    axes.set(xlim=(x0, x1), ylim=(y1, y0), xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def draw_patches(axes: Axes, boxes: dict[int, NDArray[np.float64]], colours: dict[int, str] = COLOURS) -> None:
    """Draw patches as tinted squares with outlines, fine ones on top.

    Args:
        axes: Get one artist a size, labelled "16 px".
        boxes: xyxy edges in pixels of the picture by size, (n, 4), as of `Patches.boxes`.
        colours: By size.
    """
    for size, covered in sorted(boxes.items(), reverse=True):
        if len(covered):
            corners = covered[:, [0, 1, 2, 1, 2, 3, 0, 3, 0, 1]].reshape(-1, 2)
            path = MatplotlibPath(corners, np.tile(SQUARE, len(covered)))
            face, edge = (colours[size], 0.18), colours[size]
            axes.add_patch(PathPatch(path, facecolor=face, edgecolor=edge, linewidth=0.5, label=f"{size} px"))


def draw_truth(axes: Axes, mask: RegionMask, box: Box) -> None:
    """The outline of a true mask within `box`, along the edges of pixels: white, cased in black."""
    lines = _outline(mask, box)[0]
    for colour, width in (("black", 2.4), ("white", 1.8)):
        _draw_lines(axes, lines, colour, width)


def draw_prediction(axes: Axes, mask: RegionMask, box: Box, colour: str) -> None:
    """A mask within `box`, tinted and outlined in `colour`, so thinly that a true outline is seen below it."""
    lines, shown, extent = _outline(mask, box)
    veil = np.zeros((*shown.shape, 4))
    veil[shown] = (*to_rgb(colour), TINT)
    axes.imshow(veil, extent=extent, interpolation="nearest", zorder=0.5)
    axes.set(xlim=(box[0], box[2]), ylim=(box[3], box[1]))
    _draw_lines(axes, lines, colour, 0.8)


def _draw_lines(axes: Axes, lines: NDArray[np.float64], colour: str, width: float) -> None:
    """Lines (n, 2, 2) as one artist."""
    codes = np.tile([MatplotlibPath.MOVETO, MatplotlibPath.LINETO], len(lines))
    path = MatplotlibPath(lines.reshape(-1, 2), codes)
    axes.add_patch(PathPatch(path, fill=False, edgecolor=colour, linewidth=width, capstyle="projecting"))


def _outline(
    mask: RegionMask, box: Box
) -> tuple[NDArray[np.float64], NDArray[np.bool_], tuple[float, float, float, float]]:
    """Lines in pixels of the picture, what was outlined (one of every few pixels in a large box), and its extent."""
    x0, y0, x1, y1 = box
    step = max(1, round(max(x1 - x0, y1 - y0) / SIDE))
    shown = mask.window(box)[step // 2 :: step, step // 2 :: step]
    h, w = shown.shape
    return edges(shown) * step + (x0, y0), shown, (x0, x0 + w * step, y0 + h * step, y0)


def edges(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The edges between pixels of a mask (h×w) and others, (n, 2, 2): ends of lines, as x and y. Its rim is no edge."""
    rows, columns = np.nonzero(mask[1:] != mask[:-1])
    level = np.stack((np.stack((columns, rows + 1), -1), np.stack((columns + 1, rows + 1), -1)), 1)
    rows, columns = np.nonzero(mask[:, 1:] != mask[:, :-1])
    upright = np.stack((np.stack((columns + 1, rows), -1), np.stack((columns + 1, rows + 1), -1)), 1)
    return np.concatenate((level, upright)).astype(float)
