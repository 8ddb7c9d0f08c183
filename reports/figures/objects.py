"""Draw objects on their images: patches, and outlines along pixel edges, as vectors over a crop.

Coordinates are image pixels with y downwards and pixel centres at +½.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import PathPatch
from matplotlib.path import Path as MatplotlibPath
from numpy.typing import NDArray

from bench.prompts import PromptSettings, make_prompt, prompt_of_box
from bench.protocols.detections import matched_box
from flip.sampler import NoPatches, Patches
from flip.sampling import Sampling
from flip.show import PATCH_COLOURS
from objascale.masks import Box, MaskError, RegionMask
from reports.files import picture_path
from reports.formats import scientific
from reports.naming import known_settings
from reports.pixels import PictureMissing, RGBImage, read_picture
from reports.view import NothingToShow, ResultsView

MAX_EMBEDDED_SIDE = 800  # px, longer side of an embedded image: 235 dpi at the width of a column
MASK_OPACITY = 0.35  # opacity of the mask's colour over the image
MAX_UNREADABLE = 12  # images that may be missing before the figure is given up
SQUARE_CODES = [MatplotlibPath.MOVETO, *3 * [MatplotlibPath.LINETO], MatplotlibPath.CLOSEPOLY]
NO_READABLE_IMAGE = "no image of these results can be read: run `reports` on the machine with the data set"


@dataclass(frozen=True)
class ImagedObject:
    """An object with its image. `row` is its results row, `predicted` the mask of that row."""

    row: pd.Series
    image: RGBImage
    truth: RegionMask
    predicted: RegionMask

    @property
    def title(self) -> str:
        """The category in plain words."""
        return str(self.row["category"]).replace("_", " ")

    @property
    def facts(self) -> str:
        """The category, and the size of the object and its image."""
        size = f"{self.truth.width}×{self.truth.height}"
        return f"{self.title}, {self.row['area']:,.0f} px in {size} ({scientific(self.row['fraction'])} of the image)"


def imaged_objects(rows: pd.DataFrame) -> Iterator[ImagedObject]:
    """Yield the objects whose image and masks can be read. Stops after `MAX_UNREADABLE` failures."""
    failed, last, image = 0, None, None
    for _, row in rows.iterrows():
        if failed >= MAX_UNREADABLE:
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
            yield ImagedObject(row, image, truth, predicted)


def _mask(row: pd.Series, column: str) -> RegionMask:
    """Return the mask in a column of RLE counts, empty if the row has none."""
    width, height = int(row["width"]), int(row["height"])
    if not isinstance(row[column], str) or not row[column]:
        return RegionMask.empty(width, height)
    return RegionMask.from_rle({"size": [height, width], "counts": row[column]})


def flip_rows(view: ResultsView) -> pd.DataFrame:
    """Return the rows of the first trained FLIP that samples patches, without errors.

    Raises:
        NothingToShow: There is no such model.
    """
    rows = view.plain
    rows = rows[rows["model"].str.startswith("flip") & ~rows["untrained"].astype(bool) & rows["error"].isna()]
    rows = rows[rows["tokens"].notna()]
    if rows.empty:
        raise NothingToShow("no trained FLIP has a row: `bench run --models flip-tiny` measures one")
    return rows[rows["series"] == rows["series"].iloc[0]]


def patches(seen: ImagedObject, view: ResultsView) -> Patches[NDArray[np.uint8]]:
    """Sample the patches of an object again, with the settings and the prompt of its run.

    Raises:
        NothingToShow: The run does not describe its settings, or no patch lies in the image.
    """
    row = seen.row
    settings = known_settings(row["settings"])
    if settings is None:
        described = f"{row['folder']}/run.json does not describe the settings of {row['series']}"
        raise NothingToShow(f"{described}: measure again")
    run = next(run for run in view.results.runs if run["folder"] == row["folder"])
    prompt_settings = PromptSettings(row["prompt_source"], row["noise"], run.get("prompt", {}).get("seed", 0))
    if row["prompt_source"] == "detector":
        box = matched_box(row["detections"])
        if box is None:
            raise NothingToShow(f"the detector missed the object of {row['series']}")
        prompt = prompt_of_box(box, ("gaussian",), (seen.truth.width, seen.truth.height))
    else:
        prompt = make_prompt(seen.truth, ("gaussian",), prompt_settings, row["object_id"])
    assert prompt.gaussian is not None
    try:
        return Sampling.from_settings(settings).patches(seen.image, prompt.gaussian)
    except NoPatches as error:
        raise NothingToShow(f"{row['series']} has no patch on this object: {error}") from error


def draw_crop(axes: Axes, image: RGBImage, box: Box) -> None:
    """Draw a part of an image (xyxy pixel edges) in image coordinates, at no more than `MAX_EMBEDDED_SIDE` pixels."""
    x0, y0, x1, y1 = box
    crop, scale = image[y0:y1, x0:x1], MAX_EMBEDDED_SIDE / max(x1 - x0, y1 - y0)
    if scale < 1:
        size = max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale))
        crop = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), np.uint8)
    axes.imshow(crop, extent=(x0, x1, y1, y0), interpolation="nearest", zorder=0)
    axes.set(xlim=(x0, x1), ylim=(y1, y0), xticks=[], yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)


def draw_patches(axes: Axes, boxes: dict[int, NDArray[np.float64]]) -> None:
    """Draw patches as tinted squares with outlines, fine patches on top.

    Args:
        axes: Gets one artist per patch size, labelled "16 px".
        boxes: xyxy edges in image pixels by patch size, (n, 4), as from `Patches.boxes`.
    """
    for size, covered in sorted(boxes.items(), reverse=True):
        if len(covered):
            corners = covered[:, [0, 1, 2, 1, 2, 3, 0, 3, 0, 1]].reshape(-1, 2)
            path = MatplotlibPath(corners, np.tile(SQUARE_CODES, len(covered)))
            face, edge = (PATCH_COLOURS[size], 0.18), PATCH_COLOURS[size]
            axes.add_patch(PathPatch(path, facecolor=face, edgecolor=edge, linewidth=0.5, label=f"{size} px"))


def draw_truth(axes: Axes, mask: RegionMask, box: Box) -> None:
    """Draw the outline of a true mask within `box` along pixel edges, white with a black border."""
    lines = _outline(mask, box)[0]
    for colour, width in (("black", 2.4), ("white", 1.8)):
        _draw_lines(axes, lines, colour, width)


def draw_prediction(axes: Axes, mask: RegionMask, box: Box, colour: str) -> None:
    """Draw a mask within `box`, tinted and thinly outlined in `colour`. A true outline below stays visible."""
    lines, shown, extent = _outline(mask, box)
    veil = np.zeros((*shown.shape, 4), np.uint8)
    veil[shown] = 255 * np.array((*to_rgb(colour), MASK_OPACITY))
    axes.imshow(veil, extent=extent, interpolation="nearest", zorder=0.5)
    axes.set(xlim=(box[0], box[2]), ylim=(box[3], box[1]))
    _draw_lines(axes, lines, colour, 0.8)


def _draw_lines(axes: Axes, lines: NDArray[np.float64], colour: str, width: float) -> None:
    """Draw lines (n, 2, 2) as one artist."""
    codes = np.tile([MatplotlibPath.MOVETO, MatplotlibPath.LINETO], len(lines))
    path = MatplotlibPath(lines.reshape(-1, 2), codes)
    axes.add_patch(PathPatch(path, fill=False, edgecolor=colour, linewidth=width, capstyle="projecting"))


def _outline(
    mask: RegionMask, box: Box
) -> tuple[NDArray[np.float64], NDArray[np.bool_], tuple[float, float, float, float]]:
    """Return the edges of a mask in image pixels, the outlined mask (subsampled for large boxes), and its extent."""
    x0, y0, x1, y1 = box
    step = max(1, round(max(x1 - x0, y1 - y0) / MAX_EMBEDDED_SIDE))
    shown = mask.window(box)[step // 2 :: step, step // 2 :: step]
    h, w = shown.shape
    return edges(shown) * step + (x0, y0), shown, (x0, x0 + w * step, y0 + h * step, y0)


def edges(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the edges between pixels of a mask (h×w) and other pixels, (n, 2, 2): line ends as x, y. The border is no
    edge.
    """
    rows, columns = np.nonzero(mask[1:] != mask[:-1])
    level = np.stack((np.stack((columns, rows + 1), -1), np.stack((columns + 1, rows + 1), -1)), 1)
    rows, columns = np.nonzero(mask[:, 1:] != mask[:, :-1])
    upright = np.stack((np.stack((columns + 1, rows), -1), np.stack((columns + 1, rows + 1), -1)), 1)
    return np.concatenate((level, upright)).astype(float)
