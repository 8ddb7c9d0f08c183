"""Is a dataset what its annotations say? Files, tables and masks against each other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from pydantic import ValidationError

from objascale.dataset import (
    HEADER,
    OBJECTS_PER_IMAGE,
    DatasetError,
    mask_columns,
    mask_of,
    read_annotations,
    read_header,
    read_journal,
)
from objascale.files import file_sha256
from objascale.masks import MaskError, RegionMask
from objascale.plan import RenderSettings, SceneSpec, spec_id
from objascale.validation import describe_errors

Row = dict[str, Any]
"""A row of annotations.parquet."""

_OF_THE_IMAGE = ("image_id", "width", "height", "hdri_id", "spec_id", "seed", "image_sha256")
_PILLOW_FORMATS = {".png": "PNG", ".jpg": "JPEG"}


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong, and the file (relative to the dataset) that it is wrong with."""

    file: str
    message: str


@dataclass(frozen=True)
class Contents:
    """What a dataset says about itself: each image's rows, `done` journal records, and what contradicts what."""

    images: list[list[Row]]
    done: list[dict[str, Any]]
    damages: list[Damage]


def render_settings(folder: Path) -> RenderSettings:
    """Return the settings that a dataset was rendered with. Raises DatasetError if the header is damaged."""
    header = read_header(folder)
    try:
        return RenderSettings(**header["fingerprint"]["render"])
    except ValidationError as error:
        raise DatasetError(f"{folder / HEADER} is damaged: {describe_errors(error)}") from None
    except (LookupError, TypeError):
        raise DatasetError(f"{folder / HEADER} is damaged: fingerprint.render is missing") from None


def read_contents(folder: Path) -> Contents:
    """Read journal and annotations and compare them, and the folder's files with both; opens no image.

    Raises DatasetError if `folder` is no dataset.
    """
    settings = render_settings(folder)
    damages: list[Damage] = []

    try:
        records = read_journal(folder)
    except DatasetError as error:
        damages.append(Damage("journal.jsonl", str(error)))
        records = []
    try:
        table = read_annotations(folder)
    except DatasetError as error:
        damages.append(Damage("annotations.parquet", str(error)))
        table = None
    done = [record for record in records if record["status"] == "done"]
    noted = [row for record in done for row in record["annotations"]]
    rows = noted if table is None else [_plain(row) for row in table.to_dict("records")]
    if table is not None:
        damages += _disagreements(rows, noted)
    damages += [
        Damage(record["annotations"][0]["file"], "the journal has a second line about this image")
        for record in _repeated(done, "slot")
    ]
    damages += [
        Damage(row["file"], f"another object has its object_id, {row['object_id']}")
        for row in _repeated(rows, "object_id")
    ]
    for record in done:
        damages += _check_record(record, settings)
    images: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        images[row["file"]].append(row)
    damages += [
        Damage(str(path.relative_to(folder)), "no annotation names this file")
        for path in sorted(folder.glob("images/*/*"))
        if str(path.relative_to(folder)) not in images
    ]
    return Contents(list(images.values()), done, damages)


def check_image(folder: Path, rows: list[Row]) -> list[Damage]:
    """The rows of one image against each other, their masks, and the file: SHA-256, size, kind."""
    damages = _check_masks(rows)
    row = rows[0]
    damages += [
        Damage(row["file"], f"its rows disagree on {name}")
        for name in _OF_THE_IMAGE
        if any(other[name] != row[name] for other in rows)
    ]
    path = folder / row["file"]
    try:
        digest = file_sha256(path)
        with Image.open(path) as image:
            size, kind = image.size, image.format
    except FileNotFoundError:
        return [*damages, Damage(row["file"], "the file is missing")]
    except UnidentifiedImageError:
        return [*damages, Damage(row["file"], "the file is no image")]
    except OSError as error:
        return [*damages, Damage(row["file"], f"the file cannot be read ({error})")]
    if digest != row["image_sha256"]:
        damages.append(Damage(row["file"], f"its SHA-256 is {digest[:16]}…, annotated is {row['image_sha256'][:16]}…"))
    if size != (row["width"], row["height"]):
        damages.append(
            Damage(row["file"], f"the image is {size[0]}×{size[1]}, annotated is {row['width']}×{row['height']}")
        )
    if kind != _PILLOW_FORMATS.get(path.suffix):
        damages.append(Damage(row["file"], f"the file is {kind}, which its ending denies"))
    return damages


def _check_masks(rows: list[Row]) -> list[Damage]:
    file = rows[0]["file"]
    damages: list[Damage] = []
    masks: dict[int, RegionMask] = {}
    for row in rows:
        name = row["object_id"]
        if name // OBJECTS_PER_IMAGE != row["image_id"]:
            damages.append(Damage(file, f"object {name} is none of image {row['image_id']}"))
        if not 0 < row["visible"] <= 1:
            damages.append(Damage(file, f"object {name} is visible by {row['visible']}, which is no share"))
        frame = [row["height"], row["width"]]
        if list(row["rle_size"]) != frame:
            damages.append(Damage(file, f"the mask of object {name} has a frame of {row['rle_size']}, not {frame}"))
            continue
        try:
            masks[name] = mask_of(row)
            truth = mask_columns(masks[name])
        except MaskError as error:
            damages.append(Damage(file, f"the mask of object {name} is damaged: {error}"))
            continue
        damages += [
            Damage(file, f"the {column} of object {name} is {row[column]}, its mask says {value}")
            for column, value in truth.items()
            if column != "rle_counts" and not _equal(row[column], value)
        ]
    for (one, mask), (other, its) in combinations(masks.items(), 2):
        shared = mask.intersection(its)
        if shared:
            damages.append(Damage(file, f"the masks of objects {one} and {other} share {shared} px"))
    return damages


def _check_record(record: dict[str, Any], settings: RenderSettings) -> list[Damage]:
    rows = record["annotations"]
    file = rows[0]["file"]
    try:
        spec = SceneSpec.from_json(record["spec"])
    except (KeyError, TypeError) as error:
        return [Damage(file, f"its spec in the journal is damaged ({error})")]
    identity = spec_id(spec, settings)
    if {identity} != {record["spec_id"], *(row["spec_id"] for row in rows)}:
        return [Damage(file, f"its spec and settings hash to {identity}, the journal says {record['spec_id']}")]
    return []


def _disagreements(rows: list[Row], noted: list[Row]) -> list[Damage]:
    """What journal and annotations.parquet say differently."""
    damages = []
    ours, theirs = ({(row["file"], row["object_id"]): row for row in table} for table in (rows, noted))
    for file, name in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get((file, name)), theirs.get((file, name))
        if other is None:
            damages.append(Damage(file, f"annotations.parquet has object {name}, the journal does not"))
        elif mine is None:
            damages.append(Damage(file, f"the journal has object {name}, annotations.parquet does not"))
        else:
            differing = [column for column in other if mine.get(column) != other[column]]
            if differing:
                columns = ", ".join(differing)
                damages.append(Damage(file, f"journal and annotations.parquet disagree on {columns} of object {name}"))
    return damages


def _repeated(rows: Iterable[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Those whose value of `key` an earlier one has."""
    seen: set[Any] = set()
    found = []
    for row in rows:
        if row[key] in seen:
            found.append(row)
        seen.add(row[key])
    return found


def _plain(row: dict[Hashable, Any]) -> dict[str, Any]:
    return {str(key): value.tolist() if isinstance(value, np.ndarray) else value for key, value in row.items()}


def _equal(one: Any, other: Any) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9) if isinstance(other, float) else one == other
