"""Data sets that the harness reads, as a source of scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from objascale.dataset import DatasetError
from objascale.datasets import ImageError
from objascale.datasets.formats import open_dataset
from objascale.masks import MaskError
from objascale.scenes import Scene, SceneError
from objascale.scenes.order import shuffled_index
from objascale.scenes.shrink import resize_short_side


class StoredSource:
    """A `SceneSource` of a data set's images with all their masks, shuffled in each epoch.

    Args:
        path: Path of the data set, as for `objascale.datasets.formats.open_dataset`.
        seed: Seed of the order.
        short_side: Resize images with a longer short side to this, in px.

    Raises:
        DatasetError: The data set cannot be read or has no images.
    """

    def __init__(self, path: Path, seed: int, short_side: int | None = None) -> None:
        self.dataset = open_dataset(path)
        if not self.dataset.samples:
            raise DatasetError(f"{path} has no images to train on")
        self._arguments = (path, seed, short_side)
        self.seed, self.short_side = seed, short_side

    def __reduce__(self) -> tuple[type[StoredSource], tuple[Any, ...]]:
        return StoredSource, self._arguments  # a worker opens the data set again

    def __len__(self) -> int:
        """Number of images per epoch."""
        return len(self.dataset.samples)

    def scene(self, position: int) -> Scene:
        """Return the scene at a position. Raises SceneError if it is damaged or has no masks."""
        sample = self.dataset.samples[shuffled_index(position, len(self), self.seed)]
        name = f"{self.dataset.path}, {sample.file}"
        try:
            image = sample.picture().decode()
            masks = [each.mask() for each in sample.objects()]
        except (ImageError, MaskError, DatasetError, OSError) as error:
            raise SceneError(f"{name} cannot be used: {error}") from error
        if not masks:
            raise SceneError(f"{name} has no masks")
        for mask in masks:
            if (mask.height, mask.width) != image.shape[:2]:
                raise SceneError(
                    f"{name} has {image.shape[1]}×{image.shape[0]} px, but a mask {mask.width}×{mask.height}; "
                    "these annotations belong to other images"
                )
        scene = Scene(image, masks, name)
        return scene if self.short_side is None else resize_short_side(scene, self.short_side)
