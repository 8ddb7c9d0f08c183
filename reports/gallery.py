"""The gallery: every object of a data set with the outline of every model, in files that the page loads on demand.

    gallery/SLUG/objects.js          the objects and the models' IoU, one array per column
    gallery/SLUG/outlines/HASH.js    the outlines of `OBJECTS_PER_CHUNK` objects
    gallery/SLUG/crops/HASH.webp     an object with its surroundings
    gallery/SLUG/pictures/HASH.webp  a thumbnail of an image

The .js files are function calls, because a page opened from disk cannot load data otherwise. The hash in a name
identifies the content, so existing files are not written again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from bench.seen import MARKS, footnote
from objascale.files import write_atomically
from objascale.masks import Box, MaskError, RegionMask
from objascale.progress import ProgressCallback
from objascale.sizes import SIZE_LABELS, size_bin
from reports.difficulty import strengths
from reports.files import picture_path
from reports.outlines import OutlineChunk, grid_size, write_outlines
from reports.parallel import Workers
from reports.pixels import Cutting, crop_box, cut
from reports.selection import (
    CSS_BORDERS,
    SVG_DASHES,
    ObjectCard,
    choose_objects,
    leading_pair,
    object_card,
    rank_by_disagreement,
)
from reports.view import NothingToShow, ResultsView

OBJECTS_PER_CHUNK = 50  # one file of outlines: a few screens of cards
_FORMAT_VERSION = "2"  # of crops and outlines; a new version gives all files new names


@dataclass(frozen=True)
class Gallery:
    """The gallery of one data set.

    Attributes:
        script: The path of objects.js, relative to the page.
        files: The paths of all files of the gallery, relative to the page.
        objects: The number of objects.
        left_out: The number of objects beyond the limit.
        pair: The two models whose disagreement orders the objects.
        shown: The objects that are on the page itself.
        seen_note: The meaning of the marks of objects seen in training; empty if there are none.
    """

    script: str
    files: list[str]
    objects: int
    left_out: int
    pair: list[str]
    shown: list[ObjectCard]
    seen_note: str


def build_gallery(
    view: ResultsView, slug: str, out: Path, limit: int | None, workers: Workers, progress: ProgressCallback
) -> Gallery:
    """Write the gallery of a data set into `out`/gallery/`slug`.

    Args:
        view: The data set.
        slug: The name of the data set in paths.
        out: The folder of the page.
        limit: The maximum number of objects, None for all. The objects on which the leading pair differs most are kept,
            and those on the page itself.
        workers: The processes that make the files.
        progress: Called with the step, the jobs done and the total.

    Returns:
        The gallery. An object whose image cannot be shown has a reason instead.

    Raises:
        OSError: A file cannot be written.
    """
    folder = out / "gallery" / slug
    rows, pair = view.plain.drop_duplicates(["series", "object"]), leading_pair(view)
    iou = rank_by_disagreement(rows, pair)
    chosen = choose_objects(iou, pair[0])
    kept = [str(name) for rank, name in enumerate(iou.index) if limit is None or rank < limit or name in chosen]
    objects = rows.drop_duplicates("object").set_index("object").loc[kept]
    by_series = {
        name: rows[rows["series"] == name].set_index("object").reindex(kept) for name in view.styles if name in iou
    }
    boxes = [_crop(*row) for row in objects[["truth_rle", "width", "height"]].itertuples(index=False)]
    crops = [_hash(*each) for each in zip(objects["image_sha256"], objects["exif"], boxes, strict=True)]
    cuttings = _cuttings(objects, boxes, crops, folder)
    chunks = _chunks(objects, boxes, [models["predicted_rle"] for models in by_series.values()], slug, folder)
    uncut = {sha: cutting for sha, cutting in cuttings.items() if not cutting.is_done()}
    found = workers.map(cut, list(uncut.values()), progress, "cutting out")
    problems = list((dict.fromkeys(cuttings, "") | dict(zip(uncut, found, strict=True))).values())
    workers.map(write_outlines, [chunk for chunk in chunks if not chunk.path.exists()], progress, "outlining")

    pictures = list(cuttings)
    numbers = pd.Categorical(objects["image_sha256"], pictures).codes.tolist()
    data = _index(view, objects, by_series, boxes, pair) | {
        "chunk": OBJECTS_PER_CHUNK,
        "chunks": [chunk.path.stem for chunk in chunks],
        "crop": crops,
        "picture": numbers,
        "pictures": {"file": [cutting.whole.stem for cutting in cuttings.values()], "problem": problems},
    }
    script = folder / "objects.js"
    write_atomically(script, f"report.objects({_json(slug)},{_json(data)});\n".encode())
    made = [*(path for cutting in cuttings.values() for path in (cutting.whole, *(crop for _, crop in cutting.crops)))]
    made += [*(chunk.path for chunk in chunks), script]
    shown = []
    for name, why in chosen.items():
        at = kept.index(name)
        models = {series: found.iloc[at] for series, found in by_series.items()}
        image = f"gallery/{slug}/crops/{crops[at]}.webp"
        shown.append(object_card(why, objects.iloc[at], models, view.styles, boxes[at], image, problems[numbers[at]]))
    files = [path.relative_to(out).as_posix() for path in made]
    return Gallery(
        files[-1], files, len(kept), len(iou) - len(kept), pair, shown, footnote(set(rows["seen_in_training"]))
    )


def _index(
    view: ResultsView,
    objects: pd.DataFrame,
    by_series: dict[str, pd.DataFrame],
    boxes: list[Box | None],
    pair: list[str],
) -> dict[str, Any]:
    """Return the data of all objects for objects.js: one array per column, integers where possible."""
    errors = sorted({error for rows in by_series.values() for error in rows["error"].dropna()})
    models = []
    for name, rows in by_series.items():
        style = view.styles[name]
        models.append(
            {
                "name": name,
                "colour": style.colour,
                "dash": SVG_DASHES[style.dash],
                "rule": CSS_BORDERS[style.dash],
                "prompt": _prompt_words(rows),
                "iou": (1000 * rows["iou"]).round().fillna(-1).astype(int).tolist(),
                "area": rows["predicted_area"].fillna(0).astype(int).tolist(),
                "seen": {place: MARKS[kind] for place, kind in enumerate(rows["seen_in_training"]) if MARKS.get(kind)},
                "error": {place: errors.index(error) for place, error in enumerate(rows["error"]) if pd.notna(error)},
            }
        )
    grids = [(0, 0) if box is None else grid_size(box) for box in boxes]
    return {
        "dataset": view.dataset,
        "pair": [list(by_series).index(name) for name in pair],
        "models": models,
        "errors": errors,
        "bins": SIZE_LABELS,
        "bin": size_bin(objects["fraction"].to_numpy(float)).tolist(),
        **_coded("category", objects["category"].str.replace("_", " ")),
        **_coded("asset", objects["asset_id"].fillna("")),
        "dials": _dials(objects),
        "id": objects["object_id"].astype(str).tolist(),
        "image": objects["image_file"].astype(str).tolist(),
        "area": objects["area"].astype(int).tolist(),
        "width": objects["width"].astype(int).tolist(),
        "height": objects["height"].astype(int).tolist(),
        "box": [list(box) if box else None for box in boxes],
        "grid": [list(grid) for grid in grids],
    }


def _coded(name: str, values: pd.Series) -> dict[str, list[Any]]:
    codes, names = pd.factorize(values.astype(str), sort=True)
    return {name: codes.tolist(), f"{name}_names": names.tolist()}


def _dials(objects: pd.DataFrame) -> dict[str, list[int]]:
    """Return the strength of each dial with several strengths, in hundredths; −1 for a picture without difficulty."""
    try:
        found = strengths(objects)
    except NothingToShow:
        return {}
    table = (100 * found[found.attrs["dials"]]).round().reindex(objects.index).fillna(-1).astype(int)
    return {str(dial): column.tolist() for dial, column in table.items()}


def _prompt_words(rows: pd.DataFrame) -> str:
    """Describe the prompts of a model: "box", "gaussian, made from a box", ..."""
    prompts = rows[["prompt", "prompt_source"]].dropna().drop_duplicates().itertuples(index=False)
    return " and ".join(p if source in ("matched", p) else f"{p}, made from a {source}" for p, source in prompts)


def _crop(counts: object, width: float, height: float) -> Box | None:
    """Return the crop of an object, None if its true mask cannot be read."""
    try:
        truth = RegionMask.from_rle({"size": [int(height), int(width)], "counts": counts})
    except (MaskError, TypeError):
        return None
    return None if truth.box is None else crop_box(truth.box, truth.width, truth.height)


def _cuttings(objects: pd.DataFrame, boxes: list[Box | None], crops: list[str], folder: Path) -> dict[str, Cutting]:
    """Return the crops to cut out of each image, by the SHA-256 of the image."""
    found: dict[str, Cutting] = {}
    for (_, row), box, name in zip(objects.iterrows(), boxes, crops, strict=True):
        sha = str(row["image_sha256"])
        if sha not in found:
            whole = folder / "pictures" / f"{_hash(sha, row['exif'])}.webp"
            found[sha] = Cutting(
                picture_path(row), int(row["width"]), int(row["height"]), whole, [], row["exif"] or "stored"
            )
        if box:
            found[sha].crops.append((box, folder / "crops" / f"{name}.webp"))
    return found


def _chunks(
    objects: pd.DataFrame, boxes: list[Box | None], predicted: Iterable[pd.Series], slug: str, folder: Path
) -> list[OutlineChunk]:
    outlined = []
    masks = zip(objects["width"], objects["height"], boxes, objects["truth_rle"], *predicted, strict=True)
    for width, height, box, *counts in masks:
        readable = [text if box and isinstance(text, str) else None for text in counts]
        outlined.append((int(width), int(height), box or (0, 0, 1, 1), readable))
    chunks = []
    for number, start in enumerate(range(0, len(outlined), OBJECTS_PER_CHUNK)):
        some = outlined[start : start + OBJECTS_PER_CHUNK]
        path = folder / "outlines" / f"{_hash(slug, number, some)}.js"
        chunks.append(OutlineChunk(path, f"report.outlines({_json(slug)},{number},", some))
    return chunks


def _hash(*parts: object) -> str:
    return hashlib.sha256("\n".join((_FORMAT_VERSION, *map(str, parts))).encode()).hexdigest()[:16]


def _json(data: object) -> str:
    return json.dumps(data, separators=(",", ":"), allow_nan=False)
