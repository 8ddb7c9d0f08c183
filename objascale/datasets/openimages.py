"""Reader of the segmentations of Open Images: a CSV of masks, one PNG per mask, and the images in folders by split.

Sources: storage.googleapis.com/openimages/web/download_v7.html, and github.com/cvdfoundation/open-images-dataset for
the archives of images. The masks differ in size from the images, so they are resized by nearest neighbour. Boxes are
ignored, because prompts come from masks.
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
        raise DatasetError(
            f"{path} must hold one CSV …{_SEGMENTATIONS}, but it holds {len(tables)}; give one with --data"
        )
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
    """Read the CSV, sorted by image."""
    columns = arrow_csv.ConvertOptions(include_columns=_COLUMNS, column_types=dict.fromkeys(_COLUMNS, pa.string()))
    try:
        table = arrow_csv.read_csv(path, arrow_csv.ReadOptions(use_threads=False), convert_options=columns)
    except (ValueError, KeyError) as error:
        raise DatasetError(f"{path} is not Open Images' table of masks ({error}); download it again") from error
    if not len(table) or compute.count_distinct(table["MaskPath"]).as_py() < len(table):
        raise DatasetError(f"{path} lists no mask, or one twice; download it again")
    return table.sort_by([("ImageID", "ascending"), ("MaskPath", "ascending")]).combine_chunks()


def _categories(folder: Path) -> dict[str, str]:
    """Read the names of labels from all tables of class names in the folder, if there are any."""
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
            stored = image.size  # reads only the header
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(f"the size of {folder / image_file} cannot be read ({error}); download it again") from error
    swaps = orientation(content) >= 5  # EXIF orientations that swap width and height
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
        raise DatasetError(f"{folder / file} cannot be read ({error}); download it again") from error


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
