"""Reads the folder that `objascale render` writes."""

from __future__ import annotations

from pathlib import Path

from bench.datasets import Dataset, Sample, TruthObject
from objascale.dataset import read_annotations


def read(folder: Path) -> Dataset:
    """Every image of an ObjaScale folder, ordered by image id. No image and no mask is decoded yet.

    Raises objascale.dataset.DatasetError if `folder` is no such folder or holds no object.
    """
    table = read_annotations(folder)
    samples = []
    for image_id, rows in table.groupby("image_id", sort=True):
        first = rows.iloc[0]
        objects = tuple(
            TruthObject(
                object_id=str(row["object_id"]),
                asset_id=str(row["asset_id"]),
                category=str(row["category"]),
                area=int(row["area"]),
                size=(int(row["rle_size"][0]), int(row["rle_size"][1])),
                counts=str(row["rle_counts"]),
            )
            for row in rows.to_dict("records")
        )
        samples.append(
            Sample(
                image_id=str(image_id),
                file=str(first["file"]),
                path=folder / str(first["file"]),
                width=int(first["width"]),
                height=int(first["height"]),
                sha256=str(first["image_sha256"]),
                objects=objects,
            )
        )
    return Dataset("objascale", folder.resolve(), tuple(samples))
