"""Reader of the segmentations of Open Images: a CSV of masks, one PNG per mask, and the images in folders by split.

Sources: storage.googleapis.com/openimages/web/download_v7.html, github.com/cvdfoundation/open-images-dataset for the
archives of images, and the documentation of FiftyOne and datumaro for their layouts. The masks differ in size from the
images, so they are resized by nearest neighbour. Boxes are ignored, because prompts come from masks.
"""

from __future__ import annotations

import csv
import io
from functools import cache, partial
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
from objascale.pictures import PILLOW_ERRORS, orientation
from objascale.validation import in_one_line

_SEGMENTATIONS = "-annotations-object-segmentation.csv"
_TABLES = (
    f"*{_SEGMENTATIONS}",  # as published
    f"annotations/*{_SEGMENTATIONS}",  # datumaro
    "labels/segmentations.csv",  # a split of FiftyOne
    "*/labels/segmentations.csv",
)
"""Tables of masks. The first line with any counts."""

_IMAGES = ("{split}_{digit}", "{split}", "images/{split}", "images", "data")
_MASKS = (
    *("{split}-masks-{digit}", "{split}-masks", "masks/{split}", "masks"),
    *("labels/masks/{digit}", "labels/masks/{upper}", "labels/masks"),
)
"""Folders of the images and masks of a split. `digit` and `upper` are the first digit of an image's id."""

_CLASSES = ("*class-descriptions*.csv", "annotations/*class-descriptions*.csv", "metadata/classes.csv")
_REPEATED = "row with the mask of another one"
_COLUMNS = ["MaskPath", "ImageID", "LabelName"]


def recognises(path: Path) -> bool:
    """Return whether `path` is a CSV of masks, or a folder with such CSVs."""
    return bool(_tables(path))


def read(path: Path) -> Dataset:
    """Open a split.

    Args:
        path: The CSV of the split, or a folder with one such CSV.

    Returns:
        The images with a mask, by id.

    Raises:
        DatasetError: The folder has several CSVs, or the CSV is malformed.
    """
    tables = _tables(path)
    if len(tables) != 1:
        raise DatasetError(f"{path} must hold one CSV …{_SEGMENTATIONS}, but it holds {len(tables)}; give one of them")
    folder, split = _split(tables[0])
    masks, repeated = _masks(tables[0])
    categories = _categories(folder)
    images = compute.run_end_encode(masks["ImageID"].combine_chunks())
    ends = images.run_ends.to_numpy()

    @cache
    def first(candidates: tuple[str, ...], digit: str) -> str:
        named = [each.format(split=split, digit=digit, upper=digit.upper()) for each in candidates]
        return next((each for each in named if (folder / each).is_dir()), named[-1])

    def sample(index: int) -> Sample:
        image_id = images.values[index].as_py()
        file = f"{first(_IMAGES, image_id[:1])}/{image_id}.jpg"
        pngs = first(_MASKS, image_id[:1])
        start = int(ends[index - 1]) if index else 0
        rows = masks.slice(start, int(ends[index]) - start).to_pylist()
        named = [(f"{pngs}/{row['MaskPath']}", categories.get(row["LabelName"], row["LabelName"])) for row in rows]
        objects = partial(_objects, folder, file, named)
        return Sample(image_id, file, from_file(folder, file), objects, collection=f"openimages-{split}")

    labels = compute.unique(masks["LabelName"]).to_pylist()
    names = frozenset((*categories.values(), *(categories.get(label, label) for label in labels)))
    return Dataset("openimages", folder, LazySamples(range(len(ends)), sample), names, skipped=repeated)


def _tables(path: Path) -> list[Path]:
    if path.is_dir():
        return next((found for pattern in _TABLES if (found := sorted(path.glob(pattern)))), [])
    is_table = path.name.endswith(_SEGMENTATIONS) or (path.parent.name, path.name) == ("labels", "segmentations.csv")
    return [path] if is_table else []


def _split(table: Path) -> tuple[Path, str]:
    """Return the folder of a table's data, and the name of its split."""
    nested = table.parent.name in ("annotations", "labels")
    folder = table.parent.parent if nested else table.parent
    named = table.name.endswith(_SEGMENTATIONS)
    return folder, table.name.removesuffix(_SEGMENTATIONS) if named else folder.name


def _masks(path: Path) -> tuple[pa.Table, dict[str, int]]:
    """Read the CSV, sorted by image. Return it, and the number of skipped rows by reason."""
    columns = arrow_csv.ConvertOptions(include_columns=_COLUMNS, column_types=dict.fromkeys(_COLUMNS, pa.string()))
    try:
        table = arrow_csv.read_csv(path, arrow_csv.ReadOptions(use_threads=False), convert_options=columns)
    except (ValueError, KeyError) as error:
        raise DatasetError(
            f"{path} is not Open Images' table of masks ({in_one_line(error)}); download it again"
        ) from error
    if not len(table):
        raise DatasetError(f"{path} lists no mask; download it again")
    table = table.sort_by([("ImageID", "ascending"), ("MaskPath", "ascending")]).combine_chunks()
    repeated = len(table) - compute.count_distinct(table["MaskPath"]).as_py()
    if repeated:
        first = np.unique(table["MaskPath"].to_numpy(), return_index=True)[1]
        table = table.take(np.sort(first)).combine_chunks()
    return table, {_REPEATED: repeated} if repeated else {}


def _categories(folder: Path) -> dict[str, str]:
    """Read the names of labels from all tables of class names below the folder, if there are any."""
    names: dict[str, str] = {}
    for path in sorted(found for pattern in _CLASSES for found in folder.glob(pattern)):
        try:
            with path.open(newline="", encoding="utf-8") as file:
                names |= {row[0]: row[1] for row in csv.reader(file) if len(row) == 2 and row[0] != "LabelName"}
        except (csv.Error, UnicodeDecodeError) as error:
            raise DatasetError(
                f"{path} is no table of class names ({in_one_line(error)}); download it again"
            ) from error
    return names


def _objects(folder: Path, image_file: str, masks: list[tuple[str, str]]) -> list[TruthObject]:
    """Read the objects of an image. A mask that cannot be read is the problem of its own object."""
    abouts = [(Path(file).stem, f"openimages/{Path(image_file).stem}", category) for file, category in masks]
    try:
        content = _content(folder, image_file)
        with Image.open(io.BytesIO(content)) as image:
            stored = image.size  # reads only the header
    except PILLOW_ERRORS as error:
        reason = f"the size of {folder / image_file} cannot be read ({in_one_line(error)}); download it again"
        return [_unreadable(about, reason) for about in abouts]
    except DatasetError as error:
        return [_unreadable(about, str(error)) for about in abouts]
    swaps = orientation(content) >= 5  # EXIF orientations that swap width and height
    objects = []
    for (file, _), about in zip(masks, abouts, strict=True):
        try:
            small = read_png(_content(folder, file), str(folder / file)) != 0
        except DatasetError as error:
            objects.append(_unreadable(about, str(error), stored))
            continue
        of_displayed = swaps and _is_wide(stored) != _is_wide(small.shape[::-1])
        mask = RegionMask.from_full(resized(small, *(stored[::-1] if of_displayed else stored)))
        if mask.area:
            objects.append(TruthObject.of(mask, *about))
    return objects


def _unreadable(about: tuple[str, str, str], problem: str, size: tuple[int, int] = (0, 0)) -> TruthObject:
    return TruthObject(*about, area=0, size=size[::-1], counts="", problem=problem)


def _is_wide(size: tuple[int, ...]) -> bool:
    return size[0] > size[1]


def _content(folder: Path, file: str) -> bytes:
    try:
        return read_content(folder, file)
    except ImageError as error:
        raise DatasetError(str(error)) from error
    except OSError as error:
        raise DatasetError(f"{folder / file} cannot be read ({error.strerror}); download it again") from error


def resized(mask: NDArray[np.bool_], width: int, height: int) -> NDArray[np.bool_]:
    """Resize a mask by nearest neighbour.

    Args:
        mask: (H, W).
        width: New width in px.
        height: New height in px.

    Returns:
        (height, width). Each pixel has the value of the old pixel that contains its centre.

    Example:
        >>> import numpy as np
        >>> resized(np.array([[True, False]]), width=4, height=1)
        array([[ True,  True, False, False]])
    """
    rows = (2 * np.arange(height) + 1) * mask.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * mask.shape[1] // (2 * width)
    return mask[rows[:, None], columns]
