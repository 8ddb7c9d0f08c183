"""Reader of the instances JSON of COCO and LVIS. LVIS has no `iscrowd`, and addresses in place of file names.

Sources: the data formats of COCO (cocodataset.org) and LVIS v1. Boxes are ignored, because prompts come from masks.
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
    """Return whether `path` is a JSON file, a COCO folder, or a folder with JSON files."""
    return path.suffix == ".json" if path.is_file() else bool(_annotation_files(path))


def read(path: Path) -> Dataset:
    """Open a COCO or LVIS data set.

    Args:
        path: The JSON file, or a folder with one.

    Returns:
        The annotated images, in the order of the file.

    Raises:
        DatasetError: The folder has several JSON files, the file is malformed, or the images are missing.
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
        of_image: dict[Any, list[tuple[dict[str, Any], str]]] = {image: [] for image in images}
        for each in annotations:
            of_image[each["image_id"]].append((each, categories[each["category_id"]]))
        if len({each["id"] for each in annotations}) < len(annotations):
            raise ValueError("two annotations have the same id")
        name = "lvis" if any("synset" in each for each in content["categories"]) else "coco"
    except MALFORMED as error:
        raise DatasetError(
            f"{annotation_file} does not have the format of COCO or LVIS ({error!r}); download it again"
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


def _objects(asset_id: str, size: tuple[int, int], annotations: list[tuple[dict[str, Any], str]]) -> list[TruthObject]:
    objects = (
        truth_object(annotation, size, object_id=str(annotation["id"]), asset_id=asset_id, category=category)
        for annotation, category in annotations
    )
    return [each for each in objects if each]


def _file(image: dict[str, Any]) -> str:
    file = image["file_name"] if "file_name" in image else "/".join(image["coco_url"].split("/")[-2:])
    if not stays_inside(file):
        raise ValueError(f"the image {file} is outside the data set's folder")
    return file


_SPLIT = re.compile(r"(?:train|val|test|unlabeled)20(?:14|17)")
_COCO_FILE = re.compile(r"(?:.*/)?(?:COCO_[a-z]+2014_)?\d{12}\.jpg")
_SPLITS_OF_2014 = {"train2014": "coco-train2017", "val2014": "coco"}
"""The first is part of train2017; the second was divided between train2017 and val2017."""


def _collection(image: dict[str, Any], annotation_file: Path) -> str:
    """Return `Sample.collection`: the split of COCO, "coco" if the split is unknown, "" for other images.

    LVIS has COCO's images. The split is in the address (`coco_url`). Without an address it is in the name of the JSON
    file, which counts only for images with COCO's own file names, because other data sets use such JSON names too.
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
        raise DatasetError(f"{path} must hold one annotation file, but it holds {names}; give one file with --data")
    return files[0]


def _images_folder(folder: Path, annotation_file: Path, images: list[_Image]) -> Path:
    """Return the folder of the images relative to `folder`: the first with any of the first 100 images."""
    split = annotation_file.stem.removeprefix("instances_")
    for candidate in (Path(split), Path("images") / split, Path("images"), Path()):
        if any((folder / candidate / image.file).is_file() for image in images[:100]):
            return candidate
    raise DatasetError(
        f"no image {images[0].file} in {folder / split}, {folder / 'images' / split}, {folder / 'images'} or {folder}; "
        f"put the images that {annotation_file.name} annotates into one of them"
    )
