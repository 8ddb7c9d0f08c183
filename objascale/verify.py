"""Verification of a dataset: checks of files, tables and masks against each other."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import asdict, dataclass
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
from objascale.difficulty.record import difficulty_columns
from objascale.files import file_sha256
from objascale.masks import MaskError, RegionMask
from objascale.settings import RenderSettings
from objascale.spec import SceneSpec, spec_id
from objascale.validation import describe_errors
from objascale.verify_truth import depth_problem, object_problems

_Row = dict[str, Any]  # of annotations.parquet

_IMAGE_COLUMNS = ("image_id", "width", "height", "hdri_id", "spec_id", "seed", "image_sha256")
_PILLOW_FORMATS = {".png": "PNG", ".jpg": "JPEG"}


@dataclass(frozen=True)
class Damage:
    """An error in a dataset.

    Attributes:
        file: The file, relative to the dataset.
        message: The error, as a sentence.
    """

    file: str
    message: str


@dataclass(frozen=True)
class Contents:
    """Contents of a dataset.

    Attributes:
        images: The rows of each image.
        done: The `done` records of the journal.
        damages: Contradictions between tables, journal and folder.
    """

    images: list[list[_Row]]
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
    """Read the journal and the annotations, and compare them with each other and with the names of the files.

    Raises:
        DatasetError: The folder is not a dataset.
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
    journal_rows = [row for record in done for row in record["annotations"]]
    rows = journal_rows if table is None else [_plain(row) for row in table.to_dict("records")]
    if table is not None:
        damages += _disagreements(rows, journal_rows)
    damages += [
        Damage(record["annotations"][0]["file"], "the journal has a second line for this image")
        for record in _repeated(done, "slot")
    ]
    damages += [
        Damage(row["file"], f"two objects have the object_id {row['object_id']}")
        for row in _repeated(rows, "object_id")
    ]
    for record in done:
        damages += _check_record(record, settings)
    images: dict[str, list[_Row]] = defaultdict(list)
    for row in rows:
        images[row["file"]].append(row)
    named = images.keys() | {row.get("depth_file") for row in rows}
    damages += [
        Damage(str(path.relative_to(folder)), "no annotation names this file")
        for path in sorted([*folder.glob("images/*/*"), *folder.glob("depth/*/*")])
        if str(path.relative_to(folder)) not in named
    ]
    return Contents(list(images.values()), done, damages)


def check_image(folder: Path, rows: list[_Row]) -> list[Damage]:
    """Check one image: its rows against each other and their masks, and the SHA-256, size and format of its files.

    Args:
        folder: The dataset.
        rows: The rows of the image.
    """
    damages = _check_masks(folder, rows)
    row = rows[0]
    damages += [
        Damage(row["file"], f"its rows disagree on {name}")
        for name in _IMAGE_COLUMNS
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
        return [*damages, Damage(row["file"], "the file is not an image")]
    except OSError as error:
        return [*damages, Damage(row["file"], f"the file cannot be read ({error})")]
    if digest != row["image_sha256"]:
        annotated = row["image_sha256"][:16]
        damages.append(Damage(row["file"], f"its SHA-256 is {digest[:16]}…, but the annotations have {annotated}…"))
    if size != (row["width"], row["height"]):
        annotated = f"{row['width']}×{row['height']}"
        damages.append(Damage(row["file"], f"the image is {size[0]}×{size[1]}, but the annotations have {annotated}"))
    if kind != _PILLOW_FORMATS.get(path.suffix):
        damages.append(Damage(row["file"], f"the file is {kind}, but its name ends in {path.suffix}"))
    return damages


def _check_masks(folder: Path, rows: list[_Row]) -> list[Damage]:
    file = rows[0]["file"]
    damages: list[Damage] = []
    masks: dict[int, RegionMask] = {}
    for row in rows:
        name = row["object_id"]
        if name // OBJECTS_PER_IMAGE != row["image_id"]:
            damages.append(Damage(file, f"object {name} does not belong to image {row['image_id']}"))
        if not 0 < row["visible"] <= 1:
            damages.append(Damage(file, f"the visible share of object {name} is {row['visible']}, not in (0, 1]"))
        frame = [row["height"], row["width"]]
        if list(row["rle_size"]) != frame:
            damages.append(Damage(file, f"the mask of object {name} has a frame of {row['rle_size']}, not {frame}"))
            continue
        try:
            masks[name] = mask_of(row)
            expected = mask_columns(masks[name])
        except MaskError as error:
            damages.append(Damage(file, f"the mask of object {name} is damaged: {error}"))
            continue
        damages += [Damage(file, problem) for problem in object_problems(row, masks[name])]
        damages += [
            Damage(file, f"the {column} of object {name} is {row[column]}, but its mask has {value}")
            for column, value in expected.items()
            if column != "rle_counts" and not _equal(row[column], value)
        ]
    for (one, mask), (other, other_mask) in combinations(masks.items(), 2):
        shared = mask.intersection(other_mask)
        if shared:
            damages.append(Damage(file, f"the masks of objects {one} and {other} share {shared} px"))
    problem = depth_problem(folder, rows[0], masks.values())
    return [*damages, Damage(rows[0]["depth_file"], problem)] if problem else damages


def _check_record(record: dict[str, Any], settings: RenderSettings) -> list[Damage]:
    rows = record["annotations"]
    file = rows[0]["file"]
    try:
        spec = SceneSpec.from_json(record["spec"])
    except (KeyError, TypeError) as error:
        return [Damage(file, f"its spec in the journal is damaged ({error})")]
    identity = spec_id(spec, settings)
    if {identity} != {record["spec_id"], *(row["spec_id"] for row in rows)}:
        return [Damage(file, f"its spec and settings hash to {identity}, but the journal has {record['spec_id']}")]
    strengths = {} if spec.difficulty is None else difficulty_columns(asdict(spec.difficulty))
    return [
        Damage(file, f"the dials of object {row['object_id']} are {found}, but its spec has {strengths}")
        for row in rows
        if (found := {name: row[name] for name in row if name.startswith("difficulty_")}) != strengths
    ]


def _disagreements(rows: list[_Row], journal_rows: list[_Row]) -> list[Damage]:
    """Compare the rows of annotations.parquet with those of the journal."""
    damages = []
    annotated, journaled = ({(row["file"], row["object_id"]): row for row in table} for table in (rows, journal_rows))
    for file, name in sorted(annotated.keys() | journaled.keys()):
        row, other = annotated.get((file, name)), journaled.get((file, name))
        if other is None:
            damages.append(Damage(file, f"annotations.parquet has object {name}, the journal does not"))
        elif row is None:
            damages.append(Damage(file, f"the journal has object {name}, annotations.parquet does not"))
        else:
            differing = [column for column in other if row.get(column) != other[column]]
            if differing:
                columns = ", ".join(differing)
                damages.append(Damage(file, f"journal and annotations.parquet disagree on {columns} of object {name}"))
    return damages


def _repeated(rows: Iterable[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """Return the rows that have the same value of `key` as an earlier row."""
    seen: set[Any] = set()
    repeated = []
    for row in rows:
        if row[key] in seen:
            repeated.append(row)
        seen.add(row[key])
    return repeated


def _plain(row: dict[Hashable, Any]) -> _Row:
    """Convert the arrays of a row to lists, as the journal has them."""
    return {str(key): value.tolist() if isinstance(value, np.ndarray) else value for key, value in row.items()}


def _equal(one: Any, other: Any) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9) if isinstance(other, float) else one == other
