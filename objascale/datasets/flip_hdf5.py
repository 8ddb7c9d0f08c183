"""Reader of the FLIP authors' HDF5 files for training and evaluation. `objascale export flip-hdf5` writes them too.

Source: the loader and the evaluation of CognitiveModeling/FLIP; docs/formats.md has the layout. The stored positions
and boxes follow another pixel convention, so they are ignored. A file has no categories.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from objascale.dataset import DatasetError
from objascale.datasets import RENDERED, Dataset, LazySamples, Sample, TruthObject, from_file
from objascale.datasets.stored import open_hdf5, read_hdf5, read_png, table
from objascale.masks import RegionMask

_SUFFIXES = (".h5", ".hdf5")
_COLLECTIONS = {"hypersim": "hypersim", "kitti360": "kitti360", "openimages": "openimages", "coco": "coco"}
_COLLECTIONS |= {"lvis": "coco", "objascale": RENDERED}
"""`Sample.collection` by the name in the file (lower-case letters and digits), which does not contain the split."""
_CATEGORY = "object"  # of every object


def recognises(path: Path) -> bool:
    """Return whether `path` is an HDF5 file or a folder with HDF5 files."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Open the HDF5 files of a data set.

    Args:
        path: A file, or a folder with the files of one data set.

    Returns:
        Every image with a mask, by file and index.

    Raises:
        DatasetError: A file has another layout, or the files belong to several data sets.
    """
    folder = path if path.is_dir() else path.parent
    names, images = set(), []
    for file in _files(path):
        name, indices, sequences = _index(file)
        names.add(name or path.stem)
        images += [
            (file.name, index, int(first), int(count), int(sequence))
            for index, ((first, count), sequence) in enumerate(zip(indices, sequences, strict=True))
            if count
        ]
    if not images:
        raise DatasetError(f"{path} holds no mask; download it again")
    if len(names) > 1:
        raise DatasetError(
            f"{path} has the files of {len(names)} data sets ({', '.join(sorted(names))}); give one file"
        )
    stored_name = names.pop()
    name = f"flip-hdf5/{stored_name}"
    collection = _COLLECTIONS.get("".join(filter(str.isalnum, stored_name.lower())), "")

    def sample(index: int) -> Sample:
        file, image, first, count, sequence = images[index]
        stem = Path(file).stem
        objects = partial(_objects, folder / file, slice(first, first + count), f"{name}/{stem}/{sequence}")
        content = from_file(folder, f"{file}#{image}")
        return Sample(f"{stem}/{image}", f"{file}#{image}", content, objects, collection=collection)

    masks = sum(count for *_, count, _ in images)
    return Dataset(name, folder, LazySamples(range(len(images)), sample), frozenset({_CATEGORY}), masks)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    return [path] if path.suffix in _SUFFIXES else []


def _index(path: Path) -> tuple[str, NDArray[np.int64], NDArray[np.int64]]:
    """Read the index of a file.

    Returns:
        The name of the data set ("" if it is missing); the index of the first mask and the number of masks of each
        image, (images, 2); the index of the first image of each image's sequence, (images,). A still image is a
        sequence of one.
    """
    with open_hdf5(path) as file:
        images, masks = (len(table(file, name)) for name in ("rgb_images", "instance_masks"))
        indices = np.asarray(table(file, "image_instance_indices"), np.int64)
        inside = (indices >= 0) & (indices <= masks)
        if indices.shape != (images, 2) or not inside.all() or (indices.sum(1) > masks).any():
            raise ValueError(f"image_instance_indices does not fit {images} images and {masks} masks")
        sequences = np.arange(images)
        for first, length in np.asarray(table(file, "sequence_indices")) if "sequence_indices" in file else ():
            sequences[first : first + length] = first
        metadata = file["metadata"].attrs if "metadata" in file else {}
        name = metadata.get("dataset_name", "")
        return name.decode() if isinstance(name, bytes) else str(name), indices, sequences


def _objects(path: Path, masks: slice, asset_id: str) -> list[TruthObject]:
    objects = []
    for number, stored in enumerate(read_hdf5(path, "instance_masks", masks), masks.start):
        values = read_png(stored.tobytes(), f"mask {number} of {path}")
        # The thresholds of the authors' evaluation, for masks of 0 and 255, or of 0 and 1.
        mask = RegionMask.from_full(values > (128 if values.max() > 1 else 0))
        if mask.area:
            objects.append(TruthObject.of(mask, f"{path.stem}/{number}", asset_id, _CATEGORY))
    return objects
