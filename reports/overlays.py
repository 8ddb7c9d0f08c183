"""What the models saw: the best, median and worst objects, and those on which two models differ most."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from objascale.masks import MaskError, RegionMask
from reports import pixels
from reports.formats import scientific
from reports.results import Results
from reports.style import Style

EACH = 3  # objects of each kind


@dataclass(frozen=True)
class Panel:
    """One picture of an overlay: `file` is relative to the page."""

    file: str
    title: str
    caption: str
    alt: str


@dataclass(frozen=True)
class Overlay:
    """One object as every model segmented it. `note` says why pictures are missing, where they are."""

    title: str
    facts: str
    panels: list[Panel]
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Overlays of one kind, with a sentence that says how they were chosen."""

    title: str
    reason: str
    overlays: list[Overlay]


def main_series(rows: pd.DataFrame) -> str:
    """The model whose IoU orders the objects: the first FLIP in the results, else the first model."""
    series = rows[["series", "model"]].drop_duplicates()
    flips = series[series["model"].str.startswith("flip")]
    return str((flips if len(flips) else series)["series"].iloc[0])


def choose(rows: pd.DataFrame, main: str, rivals: list[str], each: int = EACH) -> dict[str, list[str]]:
    """Objects (values of `rows["object"]`) to show, each once: keys best, median, worst and disagreement.

    Best, median and worst are by the IoU of `main`, disagreement by the greatest less the least IoU among `rivals`.
    Ties keep the order of the rows.
    """
    grid = rows.pivot_table(index="object", columns="series", values="iou", sort=False)
    scores = grid[main].dropna() if main in grid else grid.iloc[:, 0]
    spread = (grid[rivals].max(axis=1) - grid[rivals].min(axis=1)).where(grid[rivals].notna().sum(axis=1) > 1)
    orders = {
        "best": scores.sort_values(ascending=False, kind="stable"),
        "median": (scores - scores.median()).abs().sort_values(kind="stable"),
        "worst": scores.sort_values(kind="stable"),
        "disagreement": spread[spread > 0].sort_values(ascending=False, kind="stable"),
    }
    taken: set[str] = set()
    chosen = {}
    for kind in ("worst", "best", "median", "disagreement"):
        chosen[kind] = [str(name) for name in orders[kind].index if name not in taken][:each]
        taken.update(chosen[kind])
    return {kind: chosen[kind] for kind in orders}


def draw_overlays(results: Results, dataset: str, styles: dict[str, Style], out: Path, slug: str) -> list[Group]:
    """Draw the chosen objects of a data set as PNGs into `out`/overlays/`slug`, where `out` is the page's folder.

    Each picture is decoded once and let go before the next. One that is missing gives a note instead of panels.
    """
    rows = results.of(dataset)
    main = main_series(rows)
    learned = [s for s, m in rows[["series", "model"]].drop_duplicates().values if results.card(m).get("parameters")]
    rivals = learned if len(learned) > 1 else list(rows["series"].unique())
    chosen = choose(rows, main, rivals)
    wanted = rows[rows["object"].isin([name for names in chosen.values() for name in names])]
    folder = out / "overlays" / slug
    folder.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, Overlay] = {}
    for _, shown in wanted.groupby(["folder", "image_file"], sort=False):
        drawn |= _draw_picture(shown, styles, folder)
    reasons = {
        "best": ("Best", f"The highest IoU of {main}."),
        "median": ("Median", f"The IoU of {main} nearest to its median."),
        "worst": ("Worst", f"The lowest IoU of {main}."),
        "disagreement": ("Largest disagreement", f"The widest gap between two of {', '.join(rivals)}."),
    }
    return [Group(*reasons[kind], [drawn[name] for name in names]) for kind, names in chosen.items() if names]


def _draw_picture(rows: pd.DataFrame, styles: dict[str, Style], folder: Path) -> dict[str, Overlay]:
    """The overlays of the objects of one picture, by object."""
    first = rows.iloc[0]
    width, height = int(first["width"]), int(first["height"])
    groups = list(rows.groupby("object", sort=False))
    try:
        image = pixels.read_picture(_picture_path(first), width, height)
    except pixels.PictureMissing as missing:
        return {str(name): Overlay(*_headline(group), [], f"Not shown: {missing}.") for name, group in groups}
    return {str(name): _draw_object(image, group, styles, folder) for name, group in groups}


def _picture_path(row: pd.Series) -> Path:
    """The picture below its data set, whose path may be relative to here or to the results folder."""
    here = Path(row["dataset_path"]) / row["image_file"]
    return here if here.exists() else Path(row["folder"]) / here


def _headline(rows: pd.DataFrame) -> tuple[str, str]:
    row = rows.iloc[0]
    size = f"{row['width']:.0f}×{row['height']:.0f}"
    facts = f"{row['area']:,.0f} px of {size}, {scientific(row['fraction'])} of the picture"
    return str(row["category"]).replace(
        "_", " "
    ), f"{facts} · {row['asset_id'] or 'no asset'} · picture {row['image_id']}"


def _draw_object(image: pixels.Image, rows: pd.DataFrame, styles: dict[str, Style], folder: Path) -> Overlay:
    first = rows.iloc[0]
    title, facts = _headline(rows)
    try:
        truth = _mask(first, "truth_rle")
    except MaskError as error:
        return Overlay(title, facts, [], f"Not shown: the true mask cannot be read, {error}.")
    if truth is None or truth.box is None:
        return Overlay(title, facts, [], "Not shown: the true mask is empty.")
    box = pixels.crop_box(truth.box, truth.width, truth.height)
    crop = image[box[1] : box[3], box[0] : box[2]].copy()
    scale = pixels.panel_scale(max(crop.shape[:2]))
    stem = re.sub(r"[^A-Za-z0-9]+", "-", str(first["object"])).strip("-")
    panels: list[Panel] = []

    def add(picture: pixels.Image, kind: str, caption: str, alt: str) -> None:
        name = f"{stem}-{len(panels)}.png"
        pixels.write_png(folder / name, picture)
        panels.append(Panel(f"overlays/{folder.name}/{name}", kind, caption, alt))

    add(
        pixels.thumbnail(image, truth.box),
        "Picture",
        f"{truth.width}×{truth.height}",
        f"The whole picture, a ring around the {title}",
    )
    zoom = f"×{scale:g}" if scale >= 1 else f"×{scale:.2g}"
    magnified = pixels.scale_image(crop, scale)
    add(magnified, "Crop", f"{crop.shape[1]}×{crop.shape[0]} px, {zoom}", f"The {title}, {zoom}")
    for _, row in rows.iterrows():
        style = styles[row["series"]]
        caption, predicted = f"IoU {row['iou']:.2f}", None
        try:
            predicted = _mask(row, "predicted_rle")
        except MaskError:
            caption += ", its mask cannot be read"
        if pd.notna(row["error"]):
            caption = f"error: {row['error']}"
        elif predicted is not None and not predicted.area:
            caption = "IoU 0.00, empty mask"
        shown = pixels.draw_masks(
            crop, truth.window(box), None if predicted is None else predicted.window(box), style.colour, scale
        )
        if predicted is not None and predicted.area > predicted.window(box).sum():
            caption += ", reaches beyond the crop"
        add(
            shown, str(row["series"]), caption, f"The {title} with the truth and the mask of {row['series']}: {caption}"
        )
    return Overlay(title, facts, panels)


def _mask(row: pd.Series, column: str) -> RegionMask | None:
    """The mask in a column of RLE counts; None where the row has none. Raises MaskError if it is broken."""
    counts = row[column]
    if not isinstance(counts, str) or not counts:
        return None
    return RegionMask.from_rle({"size": [int(row["height"]), int(row["width"])], "counts": counts})
