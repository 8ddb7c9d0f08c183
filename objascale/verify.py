"""Is a dataset what its annotations say? Files, tables and masks against each other."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from objascale.dataset import DatasetError, mask_columns, mask_of, read_annotations, read_header, read_journal
from objascale.files import file_sha256
from objascale.masks import MaskError
from objascale.plan import RenderSettings, SceneSpec, spec_id

_PILLOW_FORMATS = {".png": "PNG", ".jpg": "JPEG"}


@dataclass(frozen=True)
class Damage:
    """One thing that is wrong, and the file (relative to the dataset) that it is wrong with."""

    file: str
    message: str


@dataclass(frozen=True)
class Contents:
    """What a dataset says about itself: annotation rows, `done` journal records, and what contradicts what."""

    rows: list[dict[str, Any]]
    done: list[dict[str, Any]]
    damages: list[Damage]


def read_contents(folder: Path) -> Contents:
    """Read journal and annotations and compare them, and the folder's files with both; opens no image.

    Raises DatasetError if `folder` is no dataset.
    """
    header = read_header(folder)
    settings = RenderSettings(**header["fingerprint"]["render"])
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
    noted = [record["annotation"] for record in done]
    rows = noted if table is None else [_plain(row) for row in table.to_dict("records")]
    if table is not None:
        damages += _disagreements(rows, noted)
    for record in done:
        damages += _check_record(record, settings)
    named = {row["file"] for row in rows}
    damages += [
        Damage(str(path.relative_to(folder)), "no annotation names this file")
        for path in sorted(folder.glob("images/*/*"))
        if str(path.relative_to(folder)) not in named
    ]
    return Contents(rows, done, damages)


def check_image(folder: Path, row: dict[str, Any]) -> list[Damage]:
    """One annotation against its mask and its image: SHA-256, size, kind of file."""
    damages = _check_mask(row)
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


def _check_mask(row: dict[str, Any]) -> list[Damage]:
    if list(row["rle_size"]) != [row["height"], row["width"]]:
        return [Damage(row["file"], f"its mask has a frame of {row['rle_size']}, not {[row['height'], row['width']]}")]
    try:
        mask = mask_of(row)
        truth = mask_columns(mask)
    except MaskError as error:
        return [Damage(row["file"], f"its mask is damaged: {error}")]
    return [
        Damage(row["file"], f"{name} is {row[name]}, its mask says {value}")
        for name, value in truth.items()
        if name != "rle_counts" and not _equal(row[name], value)
    ]


def _check_record(record: dict[str, Any], settings: RenderSettings) -> list[Damage]:
    file = record["annotation"]["file"]
    if "spec" not in record:  # a journal of before specs were kept
        return []
    try:
        identity = spec_id(SceneSpec(**record["spec"]), settings)
    except TypeError as error:
        return [Damage(file, f"its spec in the journal is damaged ({error})")]
    if not identity == record["spec_id"] == record["annotation"]["spec_id"]:
        return [Damage(file, f"its spec and settings hash to {identity}, the journal says {record['spec_id']}")]
    return []


def _disagreements(rows: list[dict[str, Any]], noted: list[dict[str, Any]]) -> list[Damage]:
    """What journal and annotations.parquet say differently."""
    damages = [
        Damage(file, f"{times} lines of the journal are about this image")
        for file, times in Counter(row["file"] for row in noted).items()
        if times > 1
    ]
    ours, theirs = ({row["file"]: row for row in table} for table in (rows, noted))
    for file in sorted(ours.keys() | theirs.keys()):
        if file not in theirs:
            damages.append(Damage(file, "annotations.parquet has it, the journal does not"))
        elif file not in ours:
            damages.append(Damage(file, "the journal has it, annotations.parquet does not"))
        else:
            differing = [name for name in theirs[file] if ours[file].get(name) != theirs[file][name]]
            if differing:
                damages.append(Damage(file, f"journal and annotations.parquet disagree on {', '.join(differing)}"))
    return damages


def _plain(row: dict[Hashable, Any]) -> dict[str, Any]:
    return {str(key): value.tolist() if isinstance(value, np.ndarray) else value for key, value in row.items()}


def _equal(one: Any, other: Any) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9) if isinstance(other, float) else one == other
