"""What FLIP learns from: pictures with the masks of objects in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from objascale.masks import RegionMask


class SceneError(ValueError):
    """A picture or an annotation that cannot be used, with a sentence that names its file."""


@dataclass(frozen=True)
class Scene:
    """A picture, uint8 H×W×3 RGB, with masks of objects in it, at least one; `name` says where it came from."""

    image: NDArray[np.uint8]
    masks: list[RegionMask]
    name: str


class SceneSource(Protocol):
    """Scenes without end, the same at the same position in every process, so that any number of loaders, ranks and
    starts see the same ones. Positions that follow each other should lie near each other on disk. Sources are pickled
    into loader processes."""

    def scene(self, position: int) -> Scene:
        """The scene at a position, 0, 1, 2, … Raises SceneError for one that cannot be used."""
