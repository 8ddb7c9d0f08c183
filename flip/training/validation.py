"""Validation: IoU on held-out objects by their size."""

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
class ValidationScores:
    """Scores of n held-out objects.

    Args:
        model: IoU of the model, (n,).
        ellipse: IoU of the prompt's ellipse, (n,).
        area: Area of the true mask in px, (n,).
        cluster: Number of the object's asset, or of its picture where no asset is known, (n,).
    """

    model: NDArray[np.float64]
    ellipse: NDArray[np.float64]
    area: NDArray[np.int64]
    cluster: NDArray[np.int64]

    def by_size(self) -> dict[str, tuple[float, float, int]]:
        """Return mean IoU of the model, mean IoU of the ellipse and number of objects, by label of PIXEL_LABELS."""
        bins = pixel_bin(self.area)
        return {
            label: (float(self.model[here].mean()), float(self.ellipse[here].mean()), int(here.sum()))
            for i, label in enumerate(PIXEL_LABELS)
            if (here := bins == i).any()
        }


def load_validation(path: Path, num_images: int | None) -> list[Sample]:
    """Open the first `num_images` images, or all, of a data set that `bench run` reads. Raises TrainingError."""
    try:
        samples = list(open_dataset(path).samples[:num_images])
    except DatasetError as error:
        raise TrainingError(f"the validation data cannot be read: {error}") from None
    if not samples:
        raise TrainingError(f"{path} has no images for validation; give another data set")
    return samples


def decode_sample(sample: Sample) -> tuple[NDArray[np.uint8], list[tuple[RegionMask, str]]]:
    """Return the image, uint8 RGB (H, W, 3), and each non-empty mask with its asset, "" if unknown.

    Raises TrainingError.
    """
    try:
        image, masks = sample.picture().decode(), [(each.mask(), each.asset_id) for each in sample.objects()]
    except (ImageError, DatasetError, MaskError, OSError) as error:
        raise TrainingError(f"the validation data cannot be read: {error}") from None
    return image, [(mask, asset) for mask, asset in masks if mask.area]


def validate(predictor: Predictor, validation: Sequence[Sample]) -> ValidationScores:
    """Segment every object from its own Gaussian. Without a patch the IoU is 0. Raises TrainingError for bad data."""
    ious, ellipse_ious, areas, clusters = [], [], [], []
    for sample in validation:
        image, objects = decode_sample(sample)
        predictor.set_image(image)
        for mask, asset in objects:
            gaussian = Gaussian.from_mask(mask)
            try:
                ious.append(predictor.predict(gaussian=gaussian).iou(mask))
            except NoPatches:
                ious.append(0.0)
            ellipse_ious.append(gaussian.ellipse_mask(mask.width, mask.height).iou(mask))
            areas.append(mask.area)
            clusters.append(asset or sample.image_id)
    numbers = np.unique(clusters, return_inverse=True)[1]
    return ValidationScores(*map(np.array, (ious, ellipse_ious, areas, numbers)))
