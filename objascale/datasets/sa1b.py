"""Reader of SA-1B: `sa_1.jpg` and `sa_1.json` with masks as COCO's RLE, in one folder or in one per archive.

Downloaders also write `images/sa_1.jpg` and `annotations/sa_1.json`.

Opening reads only file names, and keeps only the numbers in the eleven million names.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objascale.dataset import DatasetError
from objascale.datasets import Dataset, LazySamples, Sample, TruthObject, from_file
from objascale.datasets.outlines import MALFORMED, image_size, truth_object
from objascale.validation import in_one_line, parse_json

_ANNOTATIONS = re.compile(r"sa_(0|[1-9]\d{0,17})\.json")
_ARCHIVE = re.compile(r"sa_\d{6}")
_CATEGORY = "object"  # of every object
_APART = ("annotations", "images")


def recognises(path: Path) -> bool:
    """Return whether `path` is a folder with such annotations, or with folders of archives."""
    if not path.is_dir():
        return False
    with os.scandir(path) as entries:
        if any(_ANNOTATIONS.fullmatch(entry.name) or _is_archive(entry) for entry in entries):
            return True
    return any(_ANNOTATIONS.fullmatch(each.name) for each in (path / _APART[0]).glob("sa_*.json"))


def read(folder: Path) -> Dataset:
    """Open every image with annotations, by archive and number. Raises DatasetError if there is none."""
    with os.scandir(folder) as entries:
        archives = sorted(entry.name for entry in entries if _is_archive(entry))
    folders = [(each, each) for each in ("", *archives)]  # of annotations and of images
    if all((folder / each).is_dir() for each in _APART):
        folders.append(_APART)
    numbers = [_numbers(folder / annotations) for annotations, _ in folders]
    ends = np.cumsum([len(each) for each in numbers])
    if not ends[-1]:
        raise DatasetError(f"{folder} holds no sa_….json; unpack SA-1B's archives there")

    def sample(index: int) -> Sample:
        which = int(np.searchsorted(ends, index, "right"))
        number = int(numbers[which][index - ends[which]])
        annotations, images = folders[which]
        file = str(Path(images, f"sa_{number}.jpg"))
        objects = partial(_objects, folder / annotations / f"sa_{number}.json")
        return Sample(str(number), file, from_file(folder, file), objects, collection="sa1b")

    return Dataset("sa1b", folder, LazySamples(range(int(ends[-1])), sample), frozenset({_CATEGORY}))


def _is_archive(entry: os.DirEntry[str]) -> bool:
    return bool(_ARCHIVE.fullmatch(entry.name)) and entry.is_dir()


def _numbers(folder: Path) -> NDArray[np.int64]:
    with os.scandir(folder) as entries:
        found = (_ANNOTATIONS.fullmatch(entry.name) for entry in entries)
        return np.sort(np.fromiter((int(each[1]) for each in found if each), np.int64))


def _objects(path: Path) -> list[TruthObject]:
    try:
        content = parse_json(path.read_bytes())
        size = image_size(content["image"])
        image = path.stem.removeprefix("sa_")
        objects = [
            truth_object(each, size, object_id=f"{image}/{each['id']}", asset_id=f"sa1b/{image}", category=_CATEGORY)
            for each in content["annotations"]
        ]
    except MALFORMED as error:
        raise DatasetError(
            f"{path} does not have the format of SA-1B ({in_one_line(error)}); unpack it again"
        ) from error
    return [replace(each, problem=each.problem and f"{path.name}: {each.problem}") for each in objects if each]
