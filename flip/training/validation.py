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
from objascale.masks import MaskError, RegionMask, without_ignored
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


@dataclass(frozen=True)
class HeldOut:
    """A held-out object.

    Args:
        mask: The true mask, not empty.
        ignored: Pixels that the IoU leaves out, such as a band that nobody labelled; None for none.
        cluster: Its asset, or its picture where no asset is known.
    """

    mask: RegionMask
    ignored: RegionMask | None
    cluster: str

    def iou(self, predicted: RegionMask) -> float:
        """Return the IoU of a mask, as `bench run` does."""
        found, truth = without_ignored(predicted, self.mask, self.ignored)
        return found.iou(truth)


def decode_sample(sample: Sample) -> tuple[NDArray[np.uint8], list[HeldOut]]:
    """Return the image (uint8 RGB, (H, W, 3)) and the objects of a sample. Raises TrainingError."""
    try:
        image = sample.picture().decode()
        objects = [
            HeldOut(each.mask(), each.ignored_mask(), each.asset_id or sample.image_id) for each in sample.objects()
        ]
    except (ImageError, DatasetError, MaskError, OSError) as error:
        raise TrainingError(f"the validation data cannot be read: {error}") from None
    return image, [each for each in objects if each.mask.area]


def validate(predictor: Predictor, validation: Sequence[Sample]) -> ValidationScores:
    """Segment every object from its own Gaussian. Without a patch the IoU is 0. Raises TrainingError for bad data."""
    ious, ellipse_ious, areas, clusters = [], [], [], []
    for sample in validation:
        image, objects = decode_sample(sample)
        predictor.set_image(image)
        for each in objects:
            gaussian = Gaussian.from_mask(each.mask)
            try:
                ious.append(each.iou(predictor.predict(gaussian=gaussian)))
            except NoPatches:
                ious.append(0.0)
            ellipse_ious.append(each.iou(gaussian.ellipse_mask(each.mask.width, each.mask.height)))
            areas.append(each.mask.area)
            clusters.append(each.cluster)
    numbers = np.unique(clusters, return_inverse=True)[1]
    return ValidationScores(*map(np.array, (ious, ellipse_ious, areas, numbers)))
