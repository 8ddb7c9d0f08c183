"""Scenes to train on: images with masks of objects."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from objascale.masks import RegionMask


class SceneError(ValueError):
    """An image or its annotation cannot be used. The message names the file."""


@dataclass(frozen=True)
class Scene:
    """An image with masks of objects.

    Args:
        image: uint8 RGB, (H, W, 3).
        masks: At least one mask of the image's size.
        name: Origin of the scene, for messages.
    """

    image: NDArray[np.uint8]
    masks: list[RegionMask]
    name: str


@dataclass(frozen=True)
class Contents:
    """What a source of scenes shows, for the record of training data.

    Args:
        datasets: Public data sets, as in `flip.training_data`.
        objects: Name → SHA-256 of the file of each 3D object and each cut-out; "" if it is not known.
        backgrounds: Name → SHA-256 of the file of each environment map and each photograph that objects are pasted on.
        pictures: Name → SHA-256 of the file of each annotated picture.
        left_out: Number of crops, backgrounds and pictures that were excluded, by reason.
    """

    datasets: frozenset[str] = frozenset()
    objects: dict[str, str] = field(default_factory=dict)
    backgrounds: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)

    def __or__(self, other: Contents) -> Contents:
        """Return the contents of both. Counts are added."""
        names = [each.name for each in fields(self) if each.name != "left_out"]
        joined = {name: getattr(self, name) | getattr(other, name) for name in names}
        return Contents(**joined, left_out=self.left_out + other.left_out)


class SceneSource(Protocol):
    """An endless sequence of scenes, a pure function of the position.

    Every loader process, rank and restart gets the same scene at the same position. Sources are pickled for loader
    processes. Scenes at neighbouring positions should be close on disk.
    """

    def scene(self, position: int) -> Scene:
        """Return the scene at a position 0, 1, 2, … Raises SceneError if it cannot be used."""


class ListedSource(SceneSource, Protocol):
    """A `SceneSource` that knows what it shows."""

    def contents(self) -> Contents:
        """Return what all scenes show, and what was left out."""
