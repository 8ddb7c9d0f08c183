"""How well a model in training segments objects that it does not learn from, by their size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flip.gaussian import Gaussian
from flip.sampler import NoPatches
from flip.training.config import TrainingError
from flip.training.tasks import Predictor
from objascale.dataset import DatasetError
from objascale.datasets import ImageError, Sample
from objascale.datasets.formats import open_dataset
from objascale.masks import MaskError, RegionMask
from objascale.sizes import PIXEL_LABELS, pixel_bin


@dataclass(frozen=True)
class Score:
    """Of each held-out object the IoU of the model, that of its prompt's ellipse, and its pixels; (n,) each."""

    model: NDArray[np.float64]
    ellipse: NDArray[np.float64]
    area: NDArray[np.int64]

    def by_size(self) -> dict[str, tuple[float, float, int]]:
        """For each of PIXEL_LABELS that has objects: mean IoU of the model, of the ellipse, and their number."""
        bins = pixel_bin(self.area)
        return {
            label: (float(self.model[here].mean()), float(self.ellipse[here].mean()), int(here.sum()))
            for i, label in enumerate(PIXEL_LABELS)
            if (here := bins == i).any()
        }


def held_out(path: Path, pictures: int) -> list[Sample]:
    """The first `pictures` of a data set that `bench run --data` takes. Raises TrainingError where there is none."""
    try:
        samples = list(open_dataset(path).samples[:pictures])
    except DatasetError as error:
        raise TrainingError(f"the data for validation cannot be read: {error}") from None
    if not samples:
        raise TrainingError(f"{path} holds no picture: give --validate another data set")
    return samples


def decoded(sample: Sample) -> tuple[NDArray[np.uint8], list[RegionMask]]:
    """A held-out picture (H×W×3 RGB) and its masks that cover anything. Raises TrainingError if one cannot be read."""
    try:
        image, masks = sample.picture().decode(), [thing.mask() for thing in sample.objects()]
    except (ImageError, DatasetError, MaskError, OSError) as error:
        raise TrainingError(f"the data for validation cannot be read: {error}") from None
    return image, [mask for mask in masks if mask.area]


def validate(predictor: Predictor, held: Sequence[Sample]) -> Score:
    """Predict every held-out object from its own Gaussian.

    Raises TrainingError for a picture or a mask that cannot be read.
    """
    found, ellipses, areas = [], [], []
    for sample in held:
        image, masks = decoded(sample)
        predictor.set_image(image)
        for mask in masks:
            gaussian = Gaussian.from_mask(mask)
            try:
                found.append(predictor.predict(gaussian=gaussian).iou(mask))
            except NoPatches:
                found.append(0.0)
            ellipses.append(gaussian.ellipse_mask(mask.width, mask.height).iou(mask))
            areas.append(mask.area)
    return Score(np.array(found), np.array(ellipses), np.array(areas))
