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
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image
from pyarrow import compute
from pyarrow import csv as arrow_csv

from objascale.dataset import DatasetError
from objascale.datasets import Dataset, ImageError, LazySamples, Sample, TruthObject, from_file, read_content
from objascale.datasets.stored import read_png
from objascale.masks import RegionMask
from objascale.pictures import orientation

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
    images = compute.run_end_encode(masks["ImageID"].combine_chunks())
    ends = images.run_ends.to_numpy()
    there = {each.name for each in folder.iterdir() if each.is_dir()}

    def sample(index: int) -> Sample:
        image_id = images.values[index].as_py()
        digit = image_id[:1]
        file = f"{_first(there, f'{split}_{digit}', split, 'images')}/{image_id}.jpg"
        pngs = _first(there, f"{split}-masks-{digit}", f"{split}-masks", "masks")
        start = int(ends[index - 1]) if index else 0
        rows = masks.slice(start, int(ends[index]) - start).to_pylist()
        named = [(f"{pngs}/{row['MaskPath']}", categories.get(row["LabelName"], row["LabelName"])) for row in rows]
        objects = partial(_objects, folder, file, named)
        return Sample(image_id, file, from_file(folder, file), objects, collection=f"openimages-{split}")

    labels = compute.unique(masks["LabelName"]).to_pylist()
    names = frozenset((*categories.values(), *(categories.get(label, label) for label in labels)))
    return Dataset("openimages", folder, LazySamples(range(len(ends)), sample), names)


def _tables(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(path.glob(f"*{_SEGMENTATIONS}"))
    return [path] if path.name.endswith(_SEGMENTATIONS) else []


def _first(there: set[str], *folders: str) -> str:
    return next((each for each in folders if each in there), folders[-1])


def _masks(path: Path) -> pa.Table:
    """The CSV's columns that are needed, sorted by image."""
    columns = arrow_csv.ConvertOptions(include_columns=_COLUMNS, column_types=dict.fromkeys(_COLUMNS, pa.string()))
    try:
        table = arrow_csv.read_csv(path, arrow_csv.ReadOptions(use_threads=False), convert_options=columns)
    except (ValueError, KeyError) as error:
        raise DatasetError(f"{path} is not Open Images' table of masks ({error}); download it again") from error
    if not len(table) or compute.count_distinct(table["MaskPath"]).as_py() < len(table):
        raise DatasetError(f"{path} lists no mask, or one twice; download it again")
    return table.sort_by([("ImageID", "ascending"), ("MaskPath", "ascending")]).combine_chunks()


def _categories(folder: Path) -> dict[str, str]:
    """Names by label, of all tables of class names in the folder; none is needed."""
    names: dict[str, str] = {}
    for path in sorted(folder.glob("*class-descriptions*.csv")):
        try:
            with path.open(newline="", encoding="utf-8") as file:
                names |= {row[0]: row[1] for row in csv.reader(file) if len(row) == 2 and row[0] != "LabelName"}
        except (csv.Error, UnicodeDecodeError) as error:
            raise DatasetError(f"{path} is no table of class names ({error}); download it again") from error
    return names


def _objects(folder: Path, image_file: str, masks: list[tuple[str, str]]) -> list[TruthObject]:
    try:
        content = _content(folder, image_file)
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
            stored = image.size  # of the header, the rest is not decoded
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{folder / image_file} does not tell its size ({error}); download it again") from error
    swaps = orientation(content) >= 5  # the displayed picture is as high as the stored one is wide
    objects = []
    for file, category in masks:
        small = read_png(_content(folder, file), str(folder / file)) != 0
        of_displayed = swaps and _is_wide(stored) != _is_wide(small.shape[::-1])
        mask = RegionMask.from_full(resized(small, *(stored[::-1] if of_displayed else stored)))
        if mask.area:
            about = (Path(file).stem, f"openimages/{Path(image_file).stem}", category)
            objects.append(TruthObject.of(mask, *about))
    return objects


def _is_wide(size: tuple[int, ...]) -> bool:
    return size[0] > size[1]


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
