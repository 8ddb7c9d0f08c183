"""Reads COCO's instances JSON, and LVIS's, which is the same without `iscrowd` and with addresses for file names.

Sources: COCO's data format (cocodataset.org) and LVIS v1's. Only masks are read of an annotation: its bbox is not.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from objascale.dataset import DatasetError
from objascale.datasets import RENDERED, Dataset, LazySamples, Sample, TruthObject, from_file, stays_inside
from objascale.datasets.outlines import MALFORMED, image_size, truth_object


@dataclass(frozen=True)
class _Image:
    id: Any
    file: str
    size: tuple[int, int]  # height, width
    collection: str


def recognises(path: Path) -> bool:
    """Whether `path` is a JSON file, or a folder of COCO's or with one JSON file."""
    return path.suffix == ".json" if path.is_file() else bool(_annotation_files(path))


def read(path: Path) -> Dataset:
    """The annotated images, in the file's order. `path` is the JSON file, or a folder with one.

    Raises DatasetError if the folder has several, the file is not as COCO or LVIS has it, or its images are not there.
    """
    annotation_file = _annotation_file(path)
    try:
        content = json.loads(annotation_file.read_bytes())
        categories = {each["id"]: str(each["name"]) for each in content["categories"]}
        images = {
            each["id"]: _Image(each["id"], _file(each), image_size(each), _collection(each, annotation_file))
            for each in content["images"]
        }
        annotations = [each for each in content["annotations"] if not each.get("iscrowd", 0)]
        of_image: dict[Any, list[tuple[dict, str]]] = {image: [] for image in images}
        for each in annotations:
            of_image[each["image_id"]].append((each, categories[each["category_id"]]))
        if len({each["id"] for each in annotations}) < len(annotations):
            raise ValueError("two annotations have the same id")
        name = "lvis" if any("synset" in each for each in content["categories"]) else "coco"
    except MALFORMED as error:
        raise DatasetError(
            f"{annotation_file} is not as COCO or LVIS publish it ({error!r}); download it again"
        ) from error
    except OSError as error:
        raise DatasetError(f"{annotation_file} cannot be read ({error.strerror})") from error
    shown = [image for image in images.values() if of_image[image.id]]
    if not shown:
        raise DatasetError(f"{annotation_file} annotates no object; give the file of another split with --data")
    parent = annotation_file.parent
    folder = parent.parent if parent.name == "annotations" else parent
    images_folder = _images_folder(folder, annotation_file, shown)

    def sample(index: int) -> Sample:
        image = shown[index]
        file = str(images_folder / image.file)
        objects = partial(_objects, f"{name}/{image.id}", image.size, of_image[image.id])
        content = from_file(folder, file)
        return Sample(str(image.id), file, content, objects, size=image.size[::-1], collection=image.collection)

    return Dataset(name, folder, LazySamples(range(len(shown)), sample), frozenset(categories.values()))


def _objects(asset_id: str, size: tuple[int, int], annotations: list[tuple[dict, str]]) -> list[TruthObject]:
    objects = (
        truth_object(annotation, size, object_id=str(annotation["id"]), asset_id=asset_id, category=category)
        for annotation, category in annotations
    )
    return [each for each in objects if each]


def _file(image: dict) -> str:
    file = image["file_name"] if "file_name" in image else "/".join(image["coco_url"].split("/")[-2:])
    if not stays_inside(file):
        raise ValueError(f"the image {file} would lie outside the data set's folder")
    return file


_SPLIT = re.compile(r"(?:train|val|test|unlabeled)20(?:14|17)")
_COCO_FILE = re.compile(r"(?:.*/)?(?:COCO_[a-z]+2014_)?\d{12}\.jpg")
_SPLITS_OF_2014 = {"train2014": "coco-train2017", "val2014": "coco"}
"""The first is part of train2017; the second was divided between train2017 and val2017."""


def _collection(image: dict, annotation_file: Path) -> str:
    """`Sample.collection`: the image's split of COCO, "coco" if that is not told, "" if it is not COCO's.

    LVIS's images are COCO's. An address (`coco_url`) names the split; else the name of the JSON file does, if the image
    is called as COCO calls its own, for others use COCO's file names too.
    """
    if "environment_map" in image:  # by `objascale export coco`
        return RENDERED
    address, named = str(image.get("coco_url") or ""), _COCO_FILE.fullmatch(_file(image))
    split = _SPLIT.search(address) or (named and _SPLIT.search(annotation_file.stem))
    if not split:
        return "coco" if address or named else ""
    return _SPLITS_OF_2014.get(split[0], f"coco-{split[0]}")


def _annotation_files(folder: Path) -> list[Path]:
    published = [*folder.glob("annotations/instances_*.json"), *folder.glob("annotations/lvis_*.json")]
    return sorted(published or folder.glob("*.json"))


def _annotation_file(path: Path) -> Path:
    if path.is_file():
        return path
    files = _annotation_files(path)
    if len(files) != 1:
        names = ", ".join(str(file) for file in files[:5]) or "none"
        raise DatasetError(f"{path} must hold one annotation file, there are: {names}; name one of them with --data")
    return files[0]


def _images_folder(folder: Path, annotation_file: Path, images: list[_Image]) -> Path:
    """Where the images are, relative to `folder`; one of the first hundred has to be there."""
    split = annotation_file.stem.removeprefix("instances_")
    for candidate in (Path(split), Path("images") / split, Path("images"), Path()):
        if any((folder / candidate / image.file).is_file() for image in images[:100]):
            return candidate
    raise DatasetError(
        f"no image {images[0].file} in {folder / split}, {folder / 'images' / split}, {folder / 'images'} or {folder}; "
        f"put the images that {annotation_file.name} annotates into one of them"
    )
