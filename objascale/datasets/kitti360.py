"""Reader of KITTI-360 in its published layout: rectified frames and instance images of the two forward cameras.

Source: cvlibs.net/datasets/kitti-360/documentation.php. A pixel of a 16-bit instance image is class · 1000 + instance;
instance 0 means none. A parked car has the same instance in all frames of a sequence.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from objascale.dataset import DatasetError
from objascale.datasets import Dataset, LazySamples, Sample, TruthObject, from_file
from objascale.datasets.stored import read_png
from objascale.masks import RegionMask

_LABELS = Path("data_2d_semantics/train")
# fmt: off
_CLASSES = (
    "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road",
    "sidewalk", "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole",
    "polegroup", "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck",
    "bus", "caravan", "trailer", "train", "motorcycle", "bicycle", "garage", "gate", "stop", "smallpole", "lamp",
    "trash bin", "vending machine", "box", "unknown construction", "unknown vehicle", "unknown object",
)
# fmt: on


def recognises(path: Path) -> bool:
    """Return whether `path` is a folder with KITTI-360's labels."""
    return (path / _LABELS).is_dir()


def read(folder: Path) -> Dataset:
    """Open every frame with an instance image, by sequence, camera and number. Raises DatasetError if there is none."""
    frames = sorted(path.relative_to(folder) for path in (folder / _LABELS).glob("*_sync/image_0[01]/instance/*.png"))
    if not frames:
        raise DatasetError(f"{folder / _LABELS} holds no SEQUENCE/image_00/instance/FRAME.png; unpack the labels there")

    def sample(index: int) -> Sample:
        frame = frames[index]
        sequence, camera, _, name = frame.parts[-4:]
        file = f"data_2d_raw/{sequence}/{camera}/data_rect/{name}"
        image_id = f"{sequence}/{camera}/{frame.stem}"
        objects = partial(_objects, folder / frame, sequence, image_id)
        return Sample(image_id, file, from_file(folder, file), objects, collection="kitti360")

    return Dataset("kitti360", folder, LazySamples(range(len(frames)), sample), _CATEGORIES)


def _objects(path: Path, sequence: str, image_id: str) -> list[TruthObject]:
    labels = read_png(path.read_bytes(), str(path))
    if labels.dtype != np.uint16:
        raise DatasetError(f"{path} has 8 bits, but an instance image has 16; unpack the labels again")
    objects = []
    for label in np.unique(labels[labels % 1000 > 0]).tolist():
        about = (f"{image_id}/{label}", f"kitti360/{sequence}/{label}", _category(label))
        objects.append(TruthObject.of(RegionMask.from_full(labels == label), *about))
    return objects


def _category(label: int) -> str:
    number = label // 1000
    return _CLASSES[number] if number < len(_CLASSES) else f"class {number}"


_CATEGORIES = frozenset(_category(label) for label in range(0, 1 << 16, 1000))
