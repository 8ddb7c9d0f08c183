"""The models that `flip pseudo-label` asks.

FLIP's are loaded here. Other packages add models by an entry point of the group GROUP, a function with the arguments of
`load_teacher`. This project's `baselines` does so for all models of `bench models`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from flip.checkpoint import WeightsBroken
from flip.choices import WEIGHTS_SUFFIXES
from flip.gaussian import Gaussian
from flip.predictor import load_predictor, weights_file
from flip.released.model import RELEASED_CONFIGS
from flip.training_data import RELEASED_TRAINING, UNKNOWN, RecordBroken, read_record
from flip.weights import WEIGHTS, WeightsMissing, sha256
from objascale.masks import RegionMask

GROUP = "flip.teachers"


class TeacherUnavailable(RuntimeError):
    """A model cannot be loaded, or takes no prompts that are needed."""


@dataclass(frozen=True)
class Region:
    """Where an object is, in two forms, of which a model takes its own.

    Args:
        box: x0, y0, x1, y1, pixel edges.
        gaussian: Mean and standard deviations of the object's pixels.
    """

    box: tuple[float, float, float, float]
    gaussian: Gaussian

    @classmethod
    def of(cls, mask: RegionMask) -> Region:
        """Return the region of a mask, which must not be empty."""
        assert mask.box
        return cls(mask.box, Gaussian.from_mask(mask))

    def jittered(self, amount: float, rng: np.random.Generator) -> Region:
        """Return the region with each edge moved by N(0, `amount`·side), and the Gaussian perturbed as in training."""
        x0, y0, x1, y1 = self.box
        sides = np.array((x1 - x0, y1 - y0, x1 - x0, y1 - y0))
        moved = np.array(self.box) + sides * np.clip(amount * rng.standard_normal(4), -0.4, 0.4)
        left, top, right, bottom = moved.tolist()
        return Region((left, top, right, bottom), self.gaussian.perturbed(rng))


class Teacher(Protocol):
    """A promptable model.

    Attributes:
        record: Name, weights and settings, for the record of the masks; `datasets` are the public sets it learned from.
        takes_scale: Whether a point needs the size of its object.
    """

    record: dict[str, Any]
    takes_scale: bool

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Set the image for the following prompts, uint8 RGB (H, W, 3)."""

    def at_points(self, points: NDArray[np.float64], scale: float) -> list[RegionMask]:
        """Segment the object at each point.

        Args:
            points: x and y in pixels, (n, 2).
            scale: Standard deviation of the objects' pixels. Models without `takes_scale` ignore it.
        """

    def in_regions(self, regions: Sequence[Region]) -> list[RegionMask]:
        """Segment the object in each region."""


class FlipTeacher:
    """A FLIP model as a teacher. Raises WeightsMissing, WeightsBroken and PredictorError.

    Args:
        name: Name of the model, or its weights file.
        folder: Folder that is searched first for the weights.
        device: Device of the network.
    """

    takes_scale = True

    def __init__(self, name: str, folder: Path | None, device: str) -> None:
        file = weights_file(name, folder)
        self._predictor = load_predictor(file, device=device)
        learned = read_record(file, sha256(file)) or (RELEASED_TRAINING if name in RELEASED_CONFIGS else UNKNOWN)
        self.record = {
            "name": name,
            "weights": file.name,
            "weights_sha256": sha256(file),
            "settings": {"sampling": self._predictor.sampling.settings()},
            "datasets": list(learned.datasets),
        }

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Set the image."""
        self._predictor.set_image(image)

    def at_points(self, points: NDArray[np.float64], scale: float) -> list[RegionMask]:
        """Segment with round Gaussians at the points."""
        return self._predictor.predict_many([Gaussian.from_point(x, y, scale) for x, y in points.tolist()])

    def in_regions(self, regions: Sequence[Region]) -> list[RegionMask]:
        """Segment with the Gaussians of the regions."""
        return self._predictor.predict_many([region.gaussian for region in regions])


def load_teacher(name: str, folder: Path | None, device: str) -> Teacher:
    """Load a model by name.

    Args:
        name: A FLIP model or weights file, or a name that an entry point knows.
        folder: Folder that is searched first for weights.
        device: "auto", "cpu" or "cuda".

    Raises:
        TeacherUnavailable: No package knows the name, or the model cannot be loaded.
    """
    if name in WEIGHTS or Path(name).suffix in WEIGHTS_SUFFIXES:
        try:
            return FlipTeacher(name, folder, device)
        except (WeightsMissing, WeightsBroken, RecordBroken) as error:
            raise TeacherUnavailable(str(error)) from error
    points = {point.value: point for point in entry_points(group=GROUP)}
    if not points:
        raise TeacherUnavailable(
            f"{name} is no FLIP model ({', '.join(WEIGHTS)}), and no installed package offers others; "
            "install this project again, for example with pip install -e ."
        )
    reasons = []
    for point in points.values():
        try:
            teacher: Teacher = point.load()(name, folder, device)
            return teacher
        except TeacherUnavailable as error:
            reasons.append(str(error))
    raise TeacherUnavailable("; ".join(reasons))
