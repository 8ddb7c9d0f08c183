"""Any data set that the harness reads, to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from objascale.dataset import DatasetError
from objascale.datasets import ImageError
from objascale.datasets.formats import open_dataset
from objascale.masks import MaskError
from objascale.scenes import Scene, SceneError
from objascale.scenes.order import shuffled_index
from objascale.scenes.shrink import shrink


class StoredSource:
    """A SceneSource of a data set's pictures with all their masks, another permutation in each epoch.

    path, name: as for objascale.datasets.formats.open_dataset. `short_side`: as for objascale.scenes.sa1b.SA1B. Raises
    DatasetError if there is no such data set, or it has no picture.
    """

    def __init__(self, path: Path, seed: int, name: str | None = None, short_side: int | None = None) -> None:
        self.dataset = open_dataset(path, name)
        if not self.dataset.samples:
            raise DatasetError(f"{path} has no picture to learn from")
        self._arguments = (path, seed, name, short_side)
        self.seed, self.short_side = seed, short_side

    def __reduce__(self) -> tuple[type[StoredSource], tuple[Any, ...]]:
        return StoredSource, self._arguments  # a data set is opened again rather than pickled

    def __len__(self) -> int:
        """Pictures in an epoch."""
        return len(self.dataset.samples)

    def scene(self, position: int) -> Scene:
        """The scene at a position. Raises SceneError for a damaged picture or annotation, and if it has no mask."""
        sample = self.dataset.samples[shuffled_index(position, len(self), self.seed)]
        name = f"{self.dataset.path}, {sample.file}"
        try:
            image = sample.picture().decode()
            masks = [each.mask() for each in sample.objects()]
        except (ImageError, MaskError, DatasetError, OSError) as error:
            raise SceneError(f"{name} cannot be used: {error}") from error
        if not masks:
            raise SceneError(f"{name} has no mask")
        for mask in masks:
            if (mask.height, mask.width) != image.shape[:2]:
                raise SceneError(
                    f"{name} is {image.shape[1]}×{image.shape[0]} px, but a mask {mask.width}×{mask.height}; "
                    "annotations and pictures do not belong together"
                )
        scene = Scene(image, masks, name)
        return scene if self.short_side is None else shrink(scene, self.short_side)
