"""Scenes to train on: images with masks of objects."""

from __future__ import annotations

from dataclasses import dataclass
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


class SceneSource(Protocol):
    """An endless sequence of scenes, a pure function of the position.

    Every loader process, rank and restart gets the same scene at the same position. Sources are pickled for loader
    processes. Scenes at neighbouring positions should be close on disk.
    """

    def scene(self, position: int) -> Scene:
        """Return the scene at a position 0, 1, 2, … Raises SceneError if it cannot be used."""
