"""Reader of a folder of images and a folder of mask files, which belong together by their names.

GrabCut, Berkeley, DAVIS, DIS5K, ThinObject-5K, the instances of Pascal VOC and YOLO's polygons are published like this.
`objascale.datasets.mask_files` reads a mask file.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePath

from objascale.dataset import DatasetError
from objascale.datasets import Dataset, LazySamples, Sample, TruthObject, from_file
from objascale.datasets.mask_files import SUFFIXES as MASK_SUFFIXES
from objascale.datasets.mask_files import TEXT_SUFFIX, class_names, read_mask_file
from objascale.datasets.skipped import describe_skipped

_IMAGE_FOLDERS = ("images", "img", "imgs", "im", "JPEGImages", "data_GT")
_MASK_FOLDERS = ("masks", "boundary_GT", "SegmentationObject", "Annotations", "gt", "labels")
"""The first that a folder has counts, without regard to case. A folder of masks must hold a mask file."""

_IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".jp2", ".ppm"))
_CLASS = re.compile(r"(\D*[^\W\d_])\d+_")  # COCO_MVal's "cell phone03_", before the name of the image
_VIDEOS = "JPEGImages"  # DAVIS has a folder of frames for each video in it
_SPLITS = ("train", "valid", "val", "test")  # Roboflow's YOLO export has these folders and one data.yaml above them
_NOT_UTF8 = "mask file whose name is not UTF-8"
_NO_IMAGE = "mask file whose name neither begins nor ends with the name of an image"
_SEVERAL_IMAGES = "mask file whose name begins or ends with the names of several images"


def recognises(path: Path) -> bool:
    """Return whether `path` is a folder with a folder of images and a folder of masks, or with such splits."""
    return path.is_dir() and bool(_folders(path) or _splits(path))


def read(path: Path) -> Dataset:
    """Open a folder with a folder of images and a folder of masks, or all splits of a folder with such splits.

    A mask file belongs to the image with the same name. If there is none, it belongs to the one image whose name it
    begins or ends with, such as `ID#001.png`, `IDa.png` and `CLASS00_ID.png`. Numbers count as a whole: `12a` does not
    begin with `1`. Case and the Unicode form of accents are ignored. A mask in a subfolder belongs to an image in the
    same subfolder.

    Args:
        path: The folder.

    Returns:
        The images with a mask file, by path. Mask files that belong to no image are counted in `Dataset.skipped`.

    Raises:
        DatasetError: A folder is missing, or no mask file belongs to an image.
    """
    images, masks, masks_of, skipped = _contents(path)
    if not masks_of:
        raise DatasetError(
            f"no mask in {path / masks} belongs to an image in {path / images} ({describe_skipped(skipped)}); "
            "docs/datasets.md shows how masks are named"
        )
    files = sorted(masks_of)
    above = [path.parent] if path.name.lower() in _SPLITS else []
    names = class_names(path, path / masks, *above)

    def sample(index: int) -> Sample:
        image_id = files[index]
        video = str(PurePath(image_id).parent)
        cluster = video if images == _VIDEOS and video != "." else image_id
        named = [(mask, _category(mask, image_id)) for mask in masks_of[image_id]]
        file = str(Path(images, image_id))
        objects = partial(_objects, path / masks, path / file, named, f"masks/{path.name}/{cluster}", names)
        return Sample(image_id, file, from_file(path, file), objects)

    categories = {_category(mask, image) for image in files for mask in masks_of[image] if not _is_text(mask)}
    unnamed = not names and any(_is_text(mask) for of_image in masks_of.values() for mask in of_image)
    known = None if unnamed else frozenset(categories | set(names.values()))
    return Dataset(f"masks/{path.name}", path, LazySamples(range(len(files)), sample), known, skipped=skipped)


def _objects(
    masks: Path, image: Path, named: list[tuple[str, str]], asset_id: str, names: Mapping[int, str]
) -> list[TruthObject]:
    return [
        truth
        for mask, category in named
        for truth in read_mask_file(masks, mask, image, asset_id=asset_id, category=category, names=names)
    ]


def _contents(path: Path) -> tuple[str, str, dict[str, list[str]], Counter[str]]:
    """Return the folders of images and of masks, and what `_matched` returns. With splits, both folders are `path`.

    Raises:
        DatasetError: A folder is missing.
    """
    if folders := _folders(path) if path.is_dir() else None:
        return *folders, *_matched(path, *folders)
    splits = _splits(path) if path.is_dir() else {}
    if not splits:
        raise DatasetError(
            f"{path} must hold a folder of images ({', '.join(_IMAGE_FOLDERS)}) and a folder of masks "
            f"({', '.join(_MASK_FOLDERS)}); rename them, or give another folder"
        )
    masks_of: dict[str, list[str]] = {}
    skipped: Counter[str] = Counter()
    for split, (images, masks) in splits.items():
        matched, others = _matched(path / split, images, masks)
        masks_of |= {
            f"{split}/{images}/{image}": [f"{split}/{masks}/{each}" for each in found]
            for image, found in matched.items()
        }
        skipped += others
    return "", "", masks_of, skipped


def _splits(path: Path) -> dict[str, tuple[str, str]]:
    """Return the splits of a folder that hold images and masks, each with the names of these folders."""
    there = sorted(each.name for each in path.iterdir() if each.name.lower() in _SPLITS and each.is_dir())
    return {split: folders for split in there if (folders := _folders(path / split))}


def _folders(path: Path) -> tuple[str, str] | None:
    """Return the names of the folder of images and of the folder of masks, None if one is missing."""
    there = {each.name.lower(): each.name for each in path.iterdir() if each.is_dir()}
    images = next((there[name.lower()] for name in _IMAGE_FOLDERS if name.lower() in there), None)
    candidates = [there[name.lower()] for name in _MASK_FOLDERS if name.lower() in there]
    masks = next((each for each in candidates if next(_files(path / each, MASK_SUFFIXES), None)), None)
    return (images, masks) if images and masks else None


def _files(folder: Path, suffixes: frozenset[str]) -> Iterator[str]:
    """Yield the paths of files, relative to a folder. Hidden files are omitted."""
    for parent, _, files in os.walk(folder):
        for file in files:
            if not file.startswith(".") and PurePath(file).suffix.lower() in suffixes:
                yield os.path.relpath(f"{parent}/{file}", folder)


def _matched(path: Path, images: str, masks: str) -> tuple[dict[str, list[str]], Counter[str]]:
    """Return the masks of each image, relative to their folders, and the number of other masks by reason."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for image in filter(_is_utf8, _files(path / images, _IMAGE_SUFFIXES)):
        by_name[_plain(image)].append(image)
    masks_of: dict[str, list[str]] = defaultdict(list)
    skipped: Counter[str] = Counter()
    for mask in sorted(_files(path / masks, MASK_SUFFIXES)):
        if not _is_utf8(mask):
            skipped[_NOT_UTF8] += 1
            continue
        name = _plain(mask)
        found = by_name.get(name) or [image for part in _parts(name) for image in by_name.get(part, ())]
        if len(found) == 1:
            masks_of[found[0]].append(mask)
        else:
            skipped[_SEVERAL_IMAGES if found else _NO_IMAGE] += 1
    return masks_of, skipped


def _is_utf8(file: str) -> bool:
    """Return whether a file name is valid UTF-8. Python holds other bytes as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in file)


def _parts(name: str) -> set[str]:
    """Return the names with which a name begins or ends, in the same subfolder. No number is divided."""
    folder, slash, stem = name.rpartition("/")
    cuts = [i for i in range(1, len(stem)) if not (stem[i - 1].isdigit() and stem[i].isdigit())]
    return {folder + slash + part for i in cuts for part in (stem[:i], stem[i:])}


def _plain(file: str) -> str:
    """Return a path without its suffix, in one case and one Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(PurePath(file).with_suffix(""))).casefold())


def _is_text(mask: str) -> bool:
    return mask.lower().endswith(TEXT_SUFFIX)


def _category(mask: str, image: str) -> str:
    before = PurePath(mask).stem.removesuffix(PurePath(image).stem)
    named = _CLASS.fullmatch(before)
    return named[1] if named else "object"
