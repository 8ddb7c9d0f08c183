"""Reader of data sets of `objascale render`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from objascale.benchmarks import benchmark_of
from objascale.benchmarks.pinning import check_masks
from objascale.dataset import DatasetError, read_annotations
from objascale.datasets import RENDERED, Dataset, Sample, TruthObject, from_file, stays_inside
from objascale.depth import read_depth
from objascale.difficulty.record import read_difficulty
from objascale.pose import read_camera_matrix, read_pose
from objascale.sources import object_keys

_ANNOTATIONS = "annotations.parquet"


def recognises(path: Path) -> bool:
    """Return whether `path` is a folder with annotations.parquet."""
    return (path / _ANNOTATIONS).is_file()


def read(folder: Path) -> Dataset:
    """Open every image, by image id.

    Raises:
        DatasetError: The folder is no data set or has no object, or it is one of a frozen benchmark and lacks a picture
            or has another mask.
    """
    samples, annotations = [], read_annotations(folder)
    benchmark = benchmark_of(folder)
    if benchmark is not None:
        check_masks(benchmark, folder, annotations.to_dict("records"))
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
                camera_matrix=read_camera_matrix(first.to_dict()),
                depth=partial(_read_depth, folder, depth) if (depth := _text(first, "depth_file")) else None,
            )
        )
    categories = frozenset(map(str, annotations["category"]))
    if benchmark is None:
        return Dataset("objascale", folder, samples, categories)
    return Dataset(benchmark.name, folder, samples, categories, benchmark=benchmark.identity)


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
            pose=read_pose(row),
        )
        for row in rows.to_dict("records")
    ]


def _read_depth(folder: Path, file: str) -> NDArray[np.float32]:
    if not stays_inside(file):
        raise DatasetError(
            f"{file} is outside the data set's folder {folder}, so it is not read; correct the file name"
        )
    return read_depth(folder / file)


def _text(row: Any, column: str) -> str:
    """Return the text of a column, "" if the data set is of an earlier version that lacks it."""
    value = row.get(column)
    return value if isinstance(value, str) else ""
