"""Records of a COCO or LVIS file: images, and the annotations of each.

A record that contradicts the others is skipped and counted by reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from objascale.dataset import DatasetError
from objascale.datasets.outlines import MALFORMED, image_size
from objascale.datasets.skipped import describe_skipped

Id = int | str
Annotation = dict[str, Any]
"""An annotation as it stands in the file."""

_NO_OBJECT = "annotation that is no JSON object"
_NO_ID = "annotation without an id"
_NO_IMAGE = "annotation of an image that the file does not list"
_NO_CATEGORY = "annotation of a category that the file does not list"
_NO_SEGMENTATION = "annotation without a segmentation"
_REPEATED_ID = "annotation with the id of an earlier one"
_REPEATED_IMAGE = "annotation of an image id that several images have"
_UNNAMED_IMAGE = "annotation of an image without a file name"

_OTHER_KINDS = {
    "segments_info": "COCO's panoptic segmentation",
    "caption": "COCO's captions",
    "keypoints": "keypoints",
    "bbox": "boxes",
}
"""Key of an annotation, and the kind of a file that has this key but no segmentations."""


@dataclass(frozen=True)
class AnnotatedImage:
    """An image record.

    Attributes:
        id: Id in the file.
        names: Possible names of the image file: `file_name`, and the end of `coco_url`.
        size: Annotated height and width in px; None if they are missing or impossible.
        address: `coco_url`; "" if there is none.
        rendered: Whether `objascale export coco` wrote the record.
    """

    id: Id
    names: tuple[str, ...]
    size: tuple[int, int] | None
    address: str
    rendered: bool


@dataclass(frozen=True)
class Records:
    """Records of a file.

    Attributes:
        annotations: Annotations of each image that has any, in the order of the file.
        categories: Names of all categories by id.
        has_synsets: Whether a category has a WordNet synset, as in LVIS.
        skipped: Number of skipped annotations by reason.
    """

    annotations: Mapping[AnnotatedImage, list[Annotation]]
    categories: Mapping[Id, str]
    has_synsets: bool
    skipped: Counter[str] = field(default_factory=Counter)

    def category(self, annotation: Annotation) -> str:
        """Return the name of an annotation's category."""
        number = _id(annotation["category_id"])
        assert number is not None  # otherwise the annotation was skipped
        return self.categories[number]


def read_coco_records(file: Path, content: Any) -> Records:
    """Sort the annotations of a file by image.

    Ids may be numbers or text, and 7 and "7" are the same id.

    Args:
        file: The file, for messages.
        content: Its decoded JSON.

    Raises:
        DatasetError: The file has another format, or no annotation with a segmentation.
    """
    images, annotations, categories = _lists(file, content)
    names = _category_names(categories)
    records, unusable = _images(images)
    of_image: dict[Id, list[Annotation]] = {image: [] for image in records}
    skipped: Counter[str] = Counter()
    seen: set[Id] = set()
    for each in annotations:
        if not isinstance(each, dict):
            skipped[_NO_OBJECT] += 1
            continue
        crowd = each.get("iscrowd", 0)
        if crowd and _is_crowd(crowd):
            continue
        number, image, category = each.get("id"), each.get("image_id"), each.get("category_id")
        if not type(number) is type(image) is type(category) is int:
            number, image, category = _id(number), _id(image), _id(category)
        if not each.get("segmentation"):
            skipped[_NO_SEGMENTATION] += 1
        elif number is None:
            skipped[_NO_ID] += 1
        elif image not in of_image:
            skipped[unusable.get(image, _NO_IMAGE)] += 1
        elif category not in names:
            skipped[_NO_CATEGORY] += 1
        elif number in seen:
            skipped[_REPEATED_ID] += 1
        else:
            seen.add(number)
            of_image[image].append(each)
    annotated = {records[image]: found for image, found in of_image.items() if found}
    if not annotated:
        raise DatasetError(_without_objects(file, annotations, skipped))
    has_synsets = any("synset" in each for each in categories if isinstance(each, dict))
    return Records(annotated, names, has_synsets, skipped)


def _lists(file: Path, content: Any) -> list[list[Any]]:
    """Return the lists of images, annotations and categories. Raises DatasetError if one is missing."""
    content = content if isinstance(content, dict) else {}
    annotations = content.get("annotations")
    listed = annotations if isinstance(annotations, list) else []
    first: dict[str, Any] = next((each for each in listed[:1] if isinstance(each, dict)), {})
    kind = next((key for key in ("segments_info", "caption") if key in first), None)
    if kind and "segmentation" not in first:
        raise DatasetError(_other_kind(file, kind))
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list):
            raise DatasetError(
                f"{file} does not have the format of COCO or LVIS: it has no list `{key}`; download it again, or give "
                "another file"
            )
    return [content["images"], content["annotations"], content["categories"]]


def _category_names(categories: list[Any]) -> dict[Id, str]:
    names = {}
    for each in categories:
        number = _id(each.get("id")) if isinstance(each, dict) else None
        if number is not None:
            names[number] = str(each.get("name", number))
    return names


def _images(images: list[Any]) -> tuple[dict[Id, AnnotatedImage], dict[Id | None, str]]:
    """Return the images by id, and why the others cannot be used. Equal records of one image count once."""
    records: dict[Id, AnnotatedImage] = {}
    unusable: dict[Id | None, str] = {}
    for each in images:
        number = _id(each.get("id")) if isinstance(each, dict) else None
        if number is None:
            continue
        address = str(each.get("coco_url") or "")
        names = (each.get("file_name"), "/".join(address.split("/")[-2:]))
        found = tuple(name for name in names if name and isinstance(name, str))
        image = AnnotatedImage(number, found, _size(each), address, "environment_map" in each)
        first = records.setdefault(number, image)
        if first is not image and first != image:
            unusable[number] = _REPEATED_IMAGE
        elif not found:
            unusable[number] = _UNNAMED_IMAGE
    return {number: image for number, image in records.items() if number not in unusable}, unusable


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    try:
        return image_size(image)
    except MALFORMED:
        return None


def _id(value: Any) -> Id | None:
    """Return an id in its canonical form: an integer if it is written as one. None if it is no id."""
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and str(int(value)) == value else value
    return None


def _is_crowd(value: Any) -> bool:
    return str(value).strip().lower() in ("1", "1.0", "true")


def _without_objects(file: Path, annotations: list[Any], skipped: Counter[str]) -> str:
    first = next((each for each in annotations if isinstance(each, dict)), {})
    kind = next((key for key in _OTHER_KINDS if key in first), None)
    if kind and "segmentation" not in first and skipped[_NO_SEGMENTATION] == len(annotations):
        return _other_kind(file, kind)
    about = f" ({describe_skipped(skipped)})" if skipped else ""
    return f"{file} annotates no object{about}; give the file of another split"


def _other_kind(file: Path, key: str) -> str:
    return f"{file} holds {_OTHER_KINDS[key]} and no masks; give COCO's instances_….json or another file"
