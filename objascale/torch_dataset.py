"""Data sets for PyTorch's DataLoader: whole images, or one crop per object.

Every data set that `objascale.datasets.formats.open_dataset` opens can be read. This module belongs to the readers of
data sets, and stands apart from them because it imports PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset as TorchDataset

from objascale.choices import Exif
from objascale.dataset import DatasetError
from objascale.datasets import Dataset, Sample, TruthObject
from objascale.datasets.formats import open_dataset
from objascale.masks import Box, MaskError

Item = dict[str, Any]
"""Tensors and names of one item; `ImageDataset` and `ObjectDataset` list them."""

DEFAULT_CONTEXT = 2.0  # as the @crop variants of models


class ImageDataset(TorchDataset[Any]):
    """The images of a data set with their masks.

    An item is a dictionary of

    - `image`: (3, H, W) uint8, RGB;
    - `masks`: (N, H, W) bool, the pixels of each object;
    - `boxes`: (N, 4) float32, the tight boxes as xyxy pixel edges: a one-pixel mask at column 3, row 5 has the box
      (3, 5, 4, 6);
    - `sizes`: (N,) int64, areas of the masks in px;
    - `categories`, `object_ids`: lists of N strings;
    - `image_id`: a string.

    Items of data sets with cameras and poses, see `objascale.pose`, also have

    - `camera_matrix`: (3, 3) float64, K;
    - `rotations` (N, 3, 3), `translations` (N, 3) and `scales` (N,): float64, the transforms from the objects' to
      camera coordinates;
    - `depth`: (H, W) float32, see `objascale.depth`, if `depth` is true.

    Images differ in size and in their number of objects, so a DataLoader needs `collate_fn=list`, which makes a batch a
    list of items, or `batch_size=None`:

        loader = DataLoader(ImageDataset("data/mine"), batch_size=4, num_workers=2, collate_fn=list)

    Objects whose masks the reader reports as damaged are left out. A mask takes a byte per pixel of the image, 64 MiB
    at 8192×8192; `ObjectDataset` has no such masks.

    The data set can be pickled, so DataLoader may start its workers in any way. A worker process opens the data set
    again.

    Args:
        data: Folder or file of a data set, or an opened data set.
        transform: Called with each item. Its result replaces the item.
        exif: See `objascale.datasets.EncodedImage.decode`.
        depth: Whether to read depth maps.

    Raises:
        DatasetError: The data set cannot be opened.
    """

    def __init__(
        self,
        data: str | Path | Dataset,
        transform: Callable[[Item], Any] | None = None,
        exif: Exif = "stored",
        depth: bool = False,
    ) -> None:
        self.dataset = data if isinstance(data, Dataset) else open_dataset(Path(data))
        self._transform, self._exif, self._depth = transform, exif, depth

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.dataset.samples)

    def __getitem__(self, index: int) -> Any:
        """Read an image and its masks.

        Raises:
            ImageError: The image is missing or damaged.
            MaskError: A mask contradicts its annotation.
            DatasetError: The depth map is missing or damaged.
            IndexError: There is no such image.
        """
        sample = self.dataset.samples[index]
        truths = _readable(sample)
        pixels = sample.picture().of(truths).decode(self._exif)
        masks = [truth.mask() for truth in truths]
        full = np.zeros((len(masks), *pixels.shape[:2]), bool)
        for frame, mask in zip(full, masks, strict=True):
            height, width = mask.data.shape
            frame[mask.y : mask.y + height, mask.x : mask.x + width] = mask.data
        item = {
            "image": _tensor(pixels),
            "masks": torch.from_numpy(full),
            "boxes": torch.tensor([mask.box for mask in masks], dtype=torch.float32).reshape(-1, 4),
            "sizes": torch.tensor([mask.area for mask in masks], dtype=torch.int64),
            "categories": [truth.category for truth in truths],
            "object_ids": [truth.object_id for truth in truths],
            "image_id": sample.image_id,
            **_geometry(sample, truths),
        }
        if self._depth:
            if sample.depth is None:
                raise DatasetError(f"{sample.file} has no depth map; objascale render --depth makes them")
            item["depth"] = torch.from_numpy(sample.depth().copy())
        return self._transform(item) if self._transform else item


class ObjectDataset(TorchDataset[Any]):
    """A crop of each object of a data set.

    An item is a dictionary of

    - `image`: (3, h, w) uint8, RGB, the object's surroundings;
    - `mask`: (h, w) bool, the object's pixels;
    - `box`: (4,) float32, the tight box as xyxy pixel edges in the crop;
    - `size`: the area of the mask in px, an integer;
    - `window`: (4,) int64, the crop as xyxy pixel edges in the whole image;
    - `category`, `object_id`, `image_id`: strings.

    The crop is a square around the box, moved into the image, or smaller where the image is smaller. Nothing is
    resampled. Masks are decoded in the crop alone. Every format stores encoded pictures, and neither PNG nor JPEG can
    be decoded in part, so reading an item decodes the whole image for a moment: 192 MiB at 8192×8192. The item holds
    only the crop.

    Making the data set reads the annotations of all images, but no image. Otherwise it is like `ImageDataset`.

    Args:
        data: Folder or file of a data set, or an opened data set.
        context: Side of the crop in longest sides of the box, at least 1.
        transform: Called with each item. Its result replaces the item.
        exif: See `objascale.datasets.EncodedImage.decode`.

    Raises:
        DatasetError: The data set or an annotation cannot be read.
        ValueError: `context` is below 1.
    """

    def __init__(
        self,
        data: str | Path | Dataset,
        context: float = DEFAULT_CONTEXT,
        transform: Callable[[Item], Any] | None = None,
        exif: Exif = "stored",
    ) -> None:
        if not 1 <= context < math.inf:
            raise ValueError(f"context is {context}; give a number of at least 1, the side of the crop in box sides")
        self.dataset = data if isinstance(data, Dataset) else open_dataset(Path(data))
        self._context, self._transform, self._exif = context, transform, exif
        counts = [len(_readable(sample)) for sample in self.dataset.samples]
        self._ends = np.cumsum(counts, dtype=np.int64)

    def __len__(self) -> int:
        """Return the number of objects."""
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> Any:
        """Read the crop of an object.

        Raises:
            ImageError: The image is missing or damaged.
            MaskError: The mask contradicts its annotation, or is empty.
            IndexError: There is no such object.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no object {index}; the data set has {len(self)}")
        index %= len(self)
        number = int(np.searchsorted(self._ends, index, "right"))
        sample = self.dataset.samples[number]
        truths = _readable(sample)
        truth = truths[index - int(self._ends[number]) + len(truths)]
        mask = truth.mask()
        if mask.box is None:
            raise MaskError(f"object {truth.object_id} has no pixel, so there is no crop around it")
        window = _square(mask.box, self._context, mask.width, mask.height)
        left, top, right, bottom = window
        pixels = sample.picture().of(truths).decode(self._exif)[top:bottom, left:right]
        item = {
            "image": _tensor(pixels),
            "mask": torch.from_numpy(mask.window(window)),
            "box": torch.tensor(mask.box, dtype=torch.float32) - torch.tensor([left, top, left, top]),
            "size": mask.area,
            "window": torch.tensor(window),
            "category": truth.category,
            "object_id": truth.object_id,
            "image_id": sample.image_id,
        }
        return self._transform(item) if self._transform else item


def _readable(sample: Sample) -> list[TruthObject]:
    """Return the objects of an image whose masks the reader could read."""
    return [truth for truth in sample.objects() if not truth.problem]


def _geometry(sample: Sample, truths: list[TruthObject]) -> Item:
    """Return the camera matrix and the poses of an image, empty if they are unknown."""
    poses = [truth.pose for truth in truths if truth.pose is not None]
    if sample.camera_matrix is None or len(poses) < len(truths):
        return {}
    return {
        "camera_matrix": torch.from_numpy(sample.camera_matrix),
        "rotations": torch.tensor(np.array([pose.rotation for pose in poses])).reshape(-1, 3, 3),
        "translations": torch.tensor(np.array([pose.translation for pose in poses])).reshape(-1, 3),
        "scales": torch.tensor([pose.scale for pose in poses], dtype=torch.float64),
    }


def _tensor(pixels: NDArray[np.uint8]) -> torch.Tensor:
    """Return (H, W, 3) pixels as a tensor (3, H, W) of its own memory."""
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def _square(box: Box, context: float, width: int, height: int) -> Box:
    """Return the square of `context` longest sides around a box, moved into the image and cut to its size."""
    x0, y0, x1, y1 = box
    side = math.ceil(context * max(x1 - x0, y1 - y0))
    w, h = min(side, width), min(side, height)
    left = min(max((x0 + x1 - w) // 2, 0), width - w)
    top = min(max((y0 + y1 - h) // 2, 0), height - h)
    return left, top, left + w, top + h
