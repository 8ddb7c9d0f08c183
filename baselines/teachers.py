"""All models of the registry as teachers of `flip pseudo-label`, by the entry point `flip.teachers`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from baselines import registry
from baselines.model import UnknownModel
from baselines.segmenter import Click, ModelUnavailable, Options, Prompt, Segmenter, predict_all
from flip.choices import Device
from flip.gaussian import Gaussian
from flip.pseudo_labels.teacher import Region, TeacherUnavailable
from flip.training_data import TrainingData
from flip.weights import WeightsMissing
from objascale.masks import RegionMask, as_region_mask


def load_teacher(name: str, folder: Path | None, device: str) -> ModelTeacher:
    """Load a model of the registry as a teacher. Its weights must be on this machine. Raises TeacherUnavailable."""
    try:
        model = registry.find_model(name)
        files = registry.find_weights(model, folder)
        segmenter = registry.load(model, files, Options(cast(Device, device)))
        return ModelTeacher(segmenter, registry.learned_from(model, files))
    except (UnknownModel, WeightsMissing, ModelUnavailable) as error:
        raise TeacherUnavailable(str(error)) from error


class ModelTeacher:
    """A segmenter as a teacher. It gets clicks or points at points, and boxes or Gaussians in regions.

    Args:
        segmenter: The model.
        learned: Its training data.

    Raises:
        TeacherUnavailable: The model takes neither boxes nor Gaussians.
    """

    def __init__(self, segmenter: Segmenter, learned: TrainingData) -> None:
        card, kinds = segmenter.describe(), segmenter.accepts
        extents = [kind for kind in kinds if kind in ("box", "gaussian")]
        if not extents:
            raise TeacherUnavailable(f"{card.name} takes {', '.join(kinds)}, but a teacher needs boxes or Gaussians")
        self._segmenter, self._extent = segmenter, extents[0]
        self._points = next((kind for kind in ("clicks", "point") if kind in kinds), "")
        self.takes_scale = not self._points
        self.record: dict[str, Any] = {
            "name": card.name,
            "weights": card.weights,
            "weights_sha256": card.weights_sha256,
            "settings": card.settings,
            "datasets": list(learned.datasets),
        }
        self._size = 0, 0

    def set_image(self, image: NDArray[np.uint8]) -> None:
        """Set the image."""
        self._segmenter.set_image(image)
        self._size = image.shape[1], image.shape[0]

    def at_points(self, points: NDArray[np.float64], scale: float) -> list[RegionMask]:
        """Segment at points; a model without points gets the region of a disc of this scale."""
        pairs = [(x, y) for x, y in points.tolist()]
        if self._points == "clicks":
            return self._predict([Prompt("clicks", clicks=(Click(*pair),)) for pair in pairs])
        if self._points == "point":
            return self._predict([Prompt("point", point=pair) for pair in pairs])
        discs = [Gaussian.from_point(*pair, scale) for pair in pairs]
        return self.in_regions([Region(disc.box(), disc) for disc in discs])

    def in_regions(self, regions: Sequence[Region]) -> list[RegionMask]:
        """Segment with the boxes or the Gaussians of the regions."""
        if self._extent == "box":
            return self._predict([Prompt("box", box=region.box) for region in regions])
        return self._predict([Prompt("gaussian", gaussian=region.gaussian) for region in regions])

    def _predict(self, prompts: Sequence[Prompt]) -> list[RegionMask]:
        masks = predict_all(self._segmenter, prompts)
        return [as_region_mask(mask, *self._size, str(self.record["name"])) for mask in masks]
