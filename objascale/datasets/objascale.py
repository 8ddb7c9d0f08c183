"""Reader of data sets of `objascale render`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from objascale.dataset import read_annotations
from objascale.datasets import RENDERED, Dataset, Sample, TruthObject, from_file
from objascale.difficulty.record import read_difficulty
from objascale.sources import object_keys

_ANNOTATIONS = "annotations.parquet"


def recognises(path: Path) -> bool:
    """Return whether `path` is a folder with annotations.parquet."""
    return (path / _ANNOTATIONS).is_file()


def read(folder: Path) -> Dataset:
    """Open every image, by image id. Raises DatasetError if the folder is no data set or has no object."""
    samples, annotations = [], read_annotations(folder)
    for image_id, rows in annotations.groupby("image_id", sort=True):
        first = rows.iloc[0]
        samples.append(
            Sample(
                image_id=str(image_id),
                file=str(first["file"]),
                content=from_file(folder, str(first["file"])),
                objects=partial(_objects, rows),
                size=(int(first["width"]), int(first["height"])),
                sha256=str(first["image_sha256"]),
                collection=RENDERED,
                map_sha256=_text(first, "map_sha256"),
                difficulty=read_difficulty(first.to_dict()),
            )
        )
    return Dataset("objascale", folder, samples, frozenset(map(str, annotations["category"])))


def _objects(rows: pd.DataFrame) -> list[TruthObject]:
    return [
        TruthObject(
            object_id=str(row["object_id"]),
            asset_id=str(row["asset_id"]),
            category=str(row["category"]),
            area=int(row["area"]),
            size=(int(row["rle_size"][0]), int(row["rle_size"][1])),
            counts=str(row["rle_counts"]),
            asset_keys=object_keys(_text(row, "asset_sha256"), str(row["asset_id"]), _text(row, "author")),
            uncertain=_text(row, "uncertain_counts"),
        )
        for row in rows.to_dict("records")
    ]


def _text(row: Any, column: str) -> str:
    """Return the text of a column, "" if the data set is of an earlier version that lacks it."""
    value = row.get(column)
    return value if isinstance(value, str) else ""
