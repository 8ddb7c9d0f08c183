"""Data sets that the harness reads, as a source of scenes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from objascale.dataset import DatasetError
from objascale.datasets import RENDERED, ImageError, Sample, TruthObject
from objascale.datasets.formats import open_dataset
from objascale.masks import MaskError
from objascale.scenes import Contents, Scene, SceneError
from objascale.scenes.exclusions import NO_EXCLUSIONS, Exclusions
from objascale.scenes.order import shuffled_index
from objascale.scenes.shrink import resize_short_side


class StoredSource:
    """A `SceneSource` of a data set's images with all their masks, shuffled in each epoch.

    Args:
        path: Path of the data set, as for `objascale.datasets.formats.open_dataset`.
        seed: Seed of the order.
        short_side: Resize images with a longer short side to this, in px.
        exclusions: Images that resemble these, and images of these categories, are left out. All images are read
            once to decide it.
        kept: Indices of the images that are not left out; None to decide it.

    Raises:
        DatasetError: The data set cannot be read or has no images, or all are excluded.
    """

    def __init__(
        self,
        path: Path,
        seed: int,
        short_side: int | None = None,
        exclusions: Exclusions = NO_EXCLUSIONS,
        kept: Sequence[int] | None = None,
    ) -> None:
        self.dataset = open_dataset(path)
        if not self.dataset.samples:
            raise DatasetError(f"{path} has no images to train on")
        self.seed, self.short_side = seed, short_side
        self._left_out: Counter[str] = Counter()
        self._kept = kept if kept is not None else self._allowed(exclusions)
        if not self._kept:
            raise DatasetError(f"all images of {path} are excluded ({next(iter(self._left_out))}); omit it")
        self._arguments = (path, seed, short_side, NO_EXCLUSIONS, self._kept)

    def __reduce__(self) -> tuple[type[StoredSource], tuple[Any, ...]]:
        return StoredSource, self._arguments  # a worker opens the data set again

    def __len__(self) -> int:
        """Number of images per epoch."""
        return len(self._kept)

    def contents(self) -> Contents:
        """Return the images that are not left out, and of renders the objects and maps. All images are read."""
        found = Contents(left_out=self._left_out)
        datasets, place = set(), self.dataset.path.name
        for sample in (self.dataset.samples[index] for index in self._kept):
            if content := _content(sample):
                found.pictures[f"{place}:{sample.file}"] = hashlib.sha256(content).hexdigest()
            if sample.collection != RENDERED:
                datasets.add(sample.collection)
                continue
            found.backgrounds[f"{place}:map of {sample.file}"] = sample.map_sha256
            for truth in _objects(sample):
                names = [key for key in truth.asset_keys if key.startswith("starter:")] or [f"{place}:{truth.asset_id}"]
                found.objects[names[0]] = truth.asset_keys[0] if truth.asset_keys else ""
        return replace(found, datasets=frozenset(filter(None, datasets)))

    def _allowed(self, exclusions: Exclusions) -> Sequence[int]:
        """Return the indices of the images that are not excluded, and count the others."""
        samples = self.dataset.samples
        if not exclusions:
            return range(len(samples))
        reasons = [_reason(sample, exclusions) for sample in samples]
        self._left_out = Counter(filter(None, reasons))
        return [index for index, reason in enumerate(reasons) if not reason]

    def scene(self, position: int) -> Scene:
        """Return the scene at a position. Raises SceneError if it is damaged or has no masks."""
        sample = self.dataset.samples[self._kept[shuffled_index(position, len(self), self.seed)]]
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


def _content(sample: Sample) -> bytes:
    """Return the encoded image; nothing if it cannot be read, as training then leaves it out."""
    try:
        return sample.content()
    except (ImageError, OSError):
        return b""


def _objects(sample: Sample) -> Sequence[TruthObject]:
    """Return the objects; none if they cannot be read, as training then leaves the image out."""
    try:
        return sample.objects()
    except (MaskError, DatasetError, OSError):
        return ()


def _reason(sample: Sample, exclusions: Exclusions) -> str:
    """Return why an image is excluded; "" if it is not, or if it cannot be used anyway."""
    if exclusions.words and (reason := exclusions.of_text(*(each.category for each in _objects(sample)))):
        return reason
    return exclusions.of_picture(_content(sample))
