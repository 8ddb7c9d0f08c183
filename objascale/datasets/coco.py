"""Reader of the instances JSON of COCO and LVIS. LVIS has no `iscrowd`, and addresses in place of file names.

Sources: the data formats of COCO (cocodataset.org) and LVIS v1. Boxes are ignored, because prompts come from masks.
Roboflow, CVAT and FiftyOne write the same format into other folders.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from objascale.dataset import DatasetError
from objascale.datasets import RENDERED, Dataset, LazySamples, Sample, TruthObject, from_file, is_there
from objascale.datasets.coco_records import AnnotatedImage, Records, read_coco_records
from objascale.datasets.image_files import ImageFiles
from objascale.datasets.outlines import truth_object
from objascale.datasets.stored import read_json, read_picture_size
from objascale.validation import parse_json

_PATTERNS = (
    ("annotations/instances_*.json", "annotations/lvis_*.json"),
    ("annotations/person_keypoints_*.json",),
    ("instances_*.json", "lvis_*.json"),
    ("*.json",),
    ("annotations/*.json",),
    ("*/_annotations.coco.json",),  # Roboflow, one for each split
)
"""Annotation files of a folder. The first line with any file counts."""

_MAX_FILES_SEARCHED = 20  # JSON files of a folder whose content decides whether it is a data set; a choice


def recognises(path: Path) -> bool:
    """Return whether `path` is a JSON file, or a folder with a JSON file that has annotations."""
    return path.suffix == ".json" if path.is_file() else bool(_with_annotations(_annotation_files(path)))


def read(path: Path, images: Path | None = None) -> Dataset:
    """Open a COCO or LVIS data set.

    A record that contradicts the others costs its own object: it is skipped and counted in `Dataset.skipped`.

    Args:
        path: The JSON file, or a folder with one.
        images: Folder of the images; None to search for it near the JSON file.

    Returns:
        The annotated images, in the order of the file.

    Raises:
        DatasetError: The folder has several JSON files, the file has another format, or the images are missing.
    """
    file = _annotation_file(path)
    records = read_coco_records(file, read_json(file, "COCO or LVIS"))
    shown = list(records.annotations)
    parent = file.parent
    folder = images or (parent.parent if parent.name == "annotations" else parent)
    files = _image_files(folder, file, shown)
    name = "lvis" if records.has_synsets else "coco"

    def sample(index: int) -> Sample:
        image = shown[index]
        found = files.find(image.names) or str(files.folder / image.names[0])
        objects = partial(_objects, folder / found, f"{name}/{image.id}", image, records)
        size = image.size and image.size[::-1]
        return Sample(
            str(image.id), found, from_file(folder, found), objects, size, collection=_collection(image, file)
        )

    samples = LazySamples(range(len(shown)), sample)
    names = {str(number): category for number, category in records.categories.items()}
    return Dataset(name, folder, samples, frozenset(names.values()), skipped=records.skipped, category_ids=names)


def _objects(file: Path, asset_id: str, image: AnnotatedImage, records: Records) -> list[TruthObject]:
    size = image.size
    if size is None:
        width, height = read_picture_size(file)
        size = height, width
    objects = (
        truth_object(each, size, object_id=str(each["id"]), asset_id=asset_id, category=records.category(each))
        for each in records.annotations[image]
    )
    return [each for each in objects if each]


_SPLIT = re.compile(r"(?:train|val|test|unlabeled)20(?:14|17)")
_COCO_FILE = re.compile(r"(?:.*/)?(?:COCO_[a-z]+2014_)?\d{12}\.jpg")
_SPLITS_OF_2014 = {"train2014": "coco-train2017", "val2014": "coco"}
"""The first is part of train2017; the second was divided between train2017 and val2017."""


def _collection(image: AnnotatedImage, annotation_file: Path) -> str:
    """Return `Sample.collection`: the split of COCO, "coco" if the split is unknown, "" for other images.

    LVIS has COCO's images. The split is in the address (`coco_url`). Without an address it is in the name of the JSON
    file, which counts only for images with COCO's own file names, because other data sets use such JSON names too.
    """
    if image.rendered:
        return RENDERED
    named = _COCO_FILE.fullmatch(image.names[0])
    split = _SPLIT.search(image.address) or (named and _SPLIT.search(annotation_file.stem))
    if not split:
        return "coco" if image.address or named else ""
    return _SPLITS_OF_2014.get(split[0], f"coco-{split[0]}")


def _annotation_files(folder: Path) -> list[Path]:
    for patterns in _PATTERNS:
        files = {file for pattern in patterns for file in folder.glob(pattern) if not file.name.startswith(".")}
        if files:
            return sorted(files)
    return []


def _annotation_file(path: Path) -> Path:
    if path.is_file():
        return path
    files = _annotation_files(path)
    if len(files) > 1:
        files = _with_annotations(files) or files
    if len(files) != 1:
        names = ", ".join(str(file) for file in files[:5]) or "none"
        raise DatasetError(f"{path} must hold one annotation file, but it holds {names}; give one of them")
    return files[0]


def _with_annotations(files: list[Path]) -> list[Path]:
    return [file for file in files[:_MAX_FILES_SEARCHED] if _has_annotations(file)]


def _has_annotations(file: Path) -> bool:
    """Return whether a JSON file has annotations or is damaged. Raises OSError."""
    content = file.read_bytes()
    if b'"annotations"' in content:
        return True
    try:
        document = parse_json(content)
    except ValueError:  # the message of the reader names the fault
        return True
    return isinstance(document, dict) and "annotations" in document


def _image_files(folder: Path, annotation_file: Path, images: list[AnnotatedImage]) -> ImageFiles:
    """Return the files of the first folder with any image. Exact names of the first 100 images are tried first."""
    split = annotation_file.stem.removeprefix("instances_")
    candidates = [Path(split), Path("images") / split, Path("images"), Path("data"), Path()]
    for candidate in candidates:
        if any(is_there(folder / candidate, name) for image in images[:100] for name in image.names):
            return ImageFiles(folder, candidate)
    for files in (ImageFiles(folder, candidate) for candidate in candidates):
        if any(files.find(image.names) for image in images):
            return files
    *others, last = (str(folder / candidate) for candidate in candidates)
    raise DatasetError(
        f"no image {images[0].names[0]} in {', '.join(others)} or {last}; put the images that {annotation_file.name} "
        "annotates into one of them, or give their folder with `bench run --images`"
    )
