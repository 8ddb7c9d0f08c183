"""Reader of Hypersim in its published layout: scenes with tone-mapped previews and instance images.

Source: the README of apple/ml-hypersim. `frame.IIII.semantic_instance.hdf5` holds the instance of each pixel, numbered
from 1 in each scene, and −1 for none. `frame.IIII.semantic.hdf5` holds the NYU40 class, from 1, and −1 for none.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from objascale.dataset import DatasetError
from objascale.datasets import Dataset, LazySamples, Sample, TruthObject, from_file
from objascale.datasets.stored import read_hdf5
from objascale.masks import RegionMask

_SCENE = re.compile(r"ai_\d{3}_\d{3}")
_INSTANCES = "semantic_instance.hdf5"
# fmt: off
_NYU40 = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture", "counter",
    "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat", "clothes", "ceiling", "books",
    "refrigerator", "television", "paper", "towel", "shower curtain", "box", "whiteboard", "person", "night stand",
    "toilet", "sink", "lamp", "bathtub", "bag", "other structure", "other furniture", "other prop",
)
# fmt: on
_UNLABELLED = "unlabelled"


def recognises(path: Path) -> bool:
    """Return whether `path` is a folder of scenes, or one scene."""
    return path.is_dir() and bool(_scenes(path))


def read(folder: Path) -> Dataset:
    """Open every frame with an instance image, by scene, camera and number. Raises DatasetError if there is none."""
    frames = [
        frame.relative_to(folder)
        for scene in _scenes(folder)
        for frame in sorted(scene.glob(f"images/scene_cam_*_geometry_hdf5/frame.*.{_INSTANCES}"))
    ]
    if not frames:
        raise DatasetError(
            f"{folder} holds no images/scene_cam_*_geometry_hdf5/frame.*.{_INSTANCES}; unpack them there"
        )

    def sample(index: int) -> Sample:
        frame = frames[index]
        scene = (folder / frame).parts[-4]
        camera = frame.parent.name.removesuffix("_geometry_hdf5")
        number = frame.name.removesuffix(f".{_INSTANCES}")
        file = str(frame.parent.with_name(f"{camera}_final_preview") / f"{number}.tonemap.jpg")
        image_id = f"{scene}/{camera.removeprefix('scene_')}/{number}"
        objects = partial(_objects, folder / frame, scene, image_id)
        return Sample(image_id, file, from_file(folder, file), objects, collection="hypersim")

    return Dataset("hypersim", folder, LazySamples(range(len(frames)), sample), frozenset((*_NYU40, _UNLABELLED)))


def _scenes(folder: Path) -> list[Path]:
    if _SCENE.fullmatch(folder.name):
        return [folder]
    return sorted(path for path in folder.iterdir() if _SCENE.fullmatch(path.name))


def _objects(path: Path, scene: str, image_id: str) -> list[TruthObject]:
    instances = _pixels(path)
    semantic = path.with_name(path.name.replace("semantic_instance", "semantic"))
    classes = _pixels(semantic) if semantic.exists() else np.full_like(instances, -1)
    if classes.shape != instances.shape:
        raise DatasetError(f"{semantic} and {path} have different sizes; unpack both again")
    objects = []
    for instance in np.unique(instances[instances > 0]).tolist():
        there = instances == instance
        found, counts = np.unique(classes[there], return_counts=True)
        about = (f"{image_id}/{instance}", f"hypersim/{scene}/{instance}", _category(int(found[counts.argmax()])))
        objects.append(TruthObject.of(RegionMask.from_full(there), *about))
    return objects


def _category(label: int) -> str:
    return _NYU40[label - 1] if 1 <= label <= len(_NYU40) else _UNLABELLED


def _pixels(path: Path) -> NDArray[np.integer[Any]]:
    values = read_hdf5(path, "dataset")
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise DatasetError(f"{path} does not hold a 2-D array of integers; unpack it again")
    return values
