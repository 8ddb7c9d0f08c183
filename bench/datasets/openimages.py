"""Reads Open Images' segmentations: a CSV of masks, a PNG for each, and the images in folders by split.

Source: storage.googleapis.com/openimages/web/download_v7.html, and for the images' archives
github.com/cvdfoundation/open-images-dataset. The masks have another size than the images, and are brought to it by
nearest neighbour. The CSV's boxes are not read: the masks decide.
"""

from __future__ import annotations

import csv
import io
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from bench.datasets import Dataset, ImageError, LazySamples, Sample, TruthObject, from_file, read_content
from bench.datasets.stored import read_png
from objascale.dataset import DatasetError
from objascale.masks import RegionMask

_SEGMENTATIONS = "-annotations-object-segmentation.csv"
_COLUMNS = ["MaskPath", "ImageID", "LabelName"]


def recognises(path: Path) -> bool:
    """Whether `path` is such a CSV, or a folder with one."""
    return bool(_tables(path))


def read(path: Path) -> Dataset:
    """The images with a mask, by id. `path` is the CSV of a split, or the folder of a single one.

    Raises DatasetError if the folder has several, or the CSV is not as published.
    """
    tables = _tables(path)
    if len(tables) != 1:
        raise DatasetError(f"{path} must hold one CSV …{_SEGMENTATIONS}, there are {len(tables)}; name one with --data")
    folder = tables[0].parent
    split = tables[0].name.removesuffix(_SEGMENTATIONS)
    masks = _masks(tables[0])
    categories = _categories(folder)
    ids, starts = np.unique(masks["ImageID"].to_numpy(str), return_index=True)
    ends = [*starts[1:].tolist(), len(masks)]
    there = {each.name for each in folder.iterdir() if each.is_dir()}

    def sample(index: int) -> Sample:
        image_id = str(ids[index])
        digit = image_id[:1]
        images = _first(there, f"{split}_{digit}", split, "images")
        pngs = _first(there, f"{split}-masks-{digit}", f"{split}-masks", "masks")
        rows = masks.iloc[starts[index] : ends[index]]
        named = [
            (f"{pngs}/{file}", categories.get(label, label))
            for file, label in zip(rows["MaskPath"], rows["LabelName"], strict=True)
        ]
        file = f"{images}/{image_id}.jpg"
        return Sample(image_id, file, from_file(folder, file), partial(_objects, folder, file, named))

    return Dataset("openimages", folder, LazySamples(range(len(ids)), sample))


def _tables(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob(f"*{_SEGMENTATIONS}"))
    return [path] if path.name.endswith(_SEGMENTATIONS) else []


def _first(there: set[str], *folders: str) -> str:
    return next((each for each in folders if each in there), folders[-1])


def _masks(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, usecols=_COLUMNS, dtype="string[pyarrow]", keep_default_na=False)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} is not Open Images' table of masks ({error}); download it again") from error
    if table.empty or table["MaskPath"].duplicated().any():
        raise DatasetError(f"{path} lists no mask, or one twice; download it again")
    return table.sort_values(["ImageID", "MaskPath"], ignore_index=True)


def _categories(folder: Path) -> dict[str, str]:
    """Names by label, of all tables of class names in the folder; none is needed."""
    names: dict[str, str] = {}
    for path in sorted(folder.glob("*class-descriptions*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            names |= {row[0]: row[1] for row in csv.reader(file) if len(row) == 2}
    return names


def _objects(folder: Path, image_file: str, masks: list[tuple[str, str]]) -> list[TruthObject]:
    try:
        with Image.open(io.BytesIO(_content(folder, image_file)), formats=("JPEG", "PNG")) as image:
            width, height = image.size  # of the header, the rest is not decoded
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{folder / image_file} does not tell its size ({error}); download it again") from error
    objects = []
    for file, category in masks:
        small = read_png(_content(folder, file), str(folder / file)) != 0
        mask = RegionMask.from_full(resized(small, width, height))
        if mask.area:
            about = (Path(file).stem, f"openimages/{Path(image_file).stem}", category)
            objects.append(TruthObject.of(mask, *about))
    return objects


def _content(folder: Path, file: str) -> bytes:
    try:
        return read_content(folder, file)
    except (ImageError, OSError) as error:
        raise DatasetError(f"{folder / file} cannot be read ({error}); put it there") from error


def resized(mask: NDArray[np.bool_], width: int, height: int) -> NDArray[np.bool_]:
    """The mask at another size: each new pixel takes the old one that its centre lies in."""
    rows = (2 * np.arange(height) + 1) * mask.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * mask.shape[1] // (2 * width)
    return mask[rows[:, None], columns]
