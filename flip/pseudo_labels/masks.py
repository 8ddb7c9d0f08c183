"""Find the objects of a picture with a promptable model, and keep the masks that two checks confirm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from flip.pseudo_labels.teacher import Region, Teacher
from objascale.masks import RegionMask

SCALES = (1 / 8, 1 / 16, 1 / 32)
"""Standard deviations at each point, in shorter sides of the picture: objects of a half, a quarter and an eighth."""

_JITTER = 0.05  # of a box's sides; as much as careful annotators differ
_EQUAL_IOU = 0.9  # two candidates are asked for again only once


class LabelSettings(BaseModel):
    """Settings that decide which masks are kept.

    Args:
        grid: Points along each side of the picture.
        jitters: Number of jittered prompts for each candidate.
        stability: Minimum IoU of the masks of jittered prompts with the mask.
        agreement: Minimum IoU of the second model's mask with the mask.
        overlap: Maximum IoU of two masks; the one with the lower score is dropped.
        min_area: Minimum area in px.
        max_fraction: Maximum fraction of the picture.
        seed: Seed of the jitter.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    grid: PositiveInt = 8
    jitters: PositiveInt = 2
    stability: float = Field(default=0.85, ge=0, le=1)
    agreement: float = Field(default=0.75, ge=0, le=1)
    overlap: float = Field(default=0.7, ge=0, le=1)
    min_area: PositiveInt = 64
    max_fraction: float = Field(default=0.7, gt=0, le=1)
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class PseudoMask:
    """A mask that passed both checks, with its IoU in each."""

    mask: RegionMask
    stability: float
    agreement: float


def find_masks(
    image: NDArray[np.uint8], teacher: Teacher, second: Teacher, settings: LabelSettings
) -> tuple[list[PseudoMask], Counter[str]]:
    """Ask the teacher at a grid of points, and keep the masks that are stable and that the second model confirms.

    Each candidate is asked for again with its own region, as most models are better with one. The result is the mask.

    Args:
        image: uint8 RGB, (H, W, 3).
        teacher: Makes the masks.
        second: Gets the region of each mask.
        settings: Settings.

    Returns:
        The masks, those with the highest stability times agreement first, and the number of masks that were dropped, by
        reason.
    """
    height, width = image.shape[:2]
    rng = np.random.default_rng(settings.seed)
    dropped: Counter[str] = Counter()

    def sized(masks: Sequence[RegionMask]) -> list[RegionMask]:
        fit = [m for m in masks if settings.min_area <= m.area <= settings.max_fraction * width * height]
        dropped["size"] += len(masks) - len(fit)
        return fit

    teacher.set_image(image)
    first = sized(
        [
            mask
            for scale in _scales(teacher)
            for mask in teacher.at_points(grid_points(width, height, settings.grid), scale * min(width, height))
        ]
    )
    candidates = _distinct(first, _EQUAL_IOU)
    dropped["repeated"] += len(first) - len(candidates)
    masks = sized(teacher.in_regions([Region.of(mask) for mask in candidates]))

    regions = [Region.of(mask) for mask in masks]
    stability = np.ones(len(masks))
    for _ in range(settings.jitters):
        again = teacher.in_regions([region.jittered(_JITTER, rng) for region in regions])
        stability = np.minimum(stability, [a.iou(b) for a, b in zip(masks, again, strict=True)])
    stable = np.flatnonzero(stability >= settings.stability)
    dropped["unstable"] += len(masks) - len(stable)

    second.set_image(image)
    others = second.in_regions([regions[i] for i in stable])
    agreement = [masks[i].iou(other) for i, other in zip(stable, others, strict=True)]
    found = [
        PseudoMask(masks[i], float(stability[i]), iou)
        for i, iou in zip(stable, agreement, strict=True)
        if iou >= settings.agreement
    ]
    dropped["not confirmed"] += len(stable) - len(found)
    found.sort(key=lambda each: each.stability * each.agreement, reverse=True)
    kept = list(_suppressed(found, settings.overlap))
    dropped["overlap"] += len(found) - len(kept)
    return kept, dropped


def grid_points(width: int, height: int, count: int) -> NDArray[np.float64]:
    """Return the centres of `count`×`count` equal cells of a picture, x and y in px, (count², 2)."""
    steps = (np.arange(count) + 0.5) / count
    return np.stack(np.meshgrid(steps * width, steps * height), -1).reshape(-1, 2)


def _scales(teacher: Teacher) -> tuple[float, ...]:
    return SCALES if teacher.takes_scale else SCALES[:1]


def _distinct(masks: Sequence[RegionMask], iou: float) -> list[RegionMask]:
    """Return the masks without those that overlap an earlier one by more than `iou`."""
    kept: list[RegionMask] = []
    for mask in masks:
        if all(mask.iou(other) <= iou for other in kept):
            kept.append(mask)
    return kept


def _suppressed(found: Sequence[PseudoMask], iou: float) -> Iterator[PseudoMask]:
    """Yield the masks in order, without those that overlap an earlier one by more than `iou`."""
    kept: list[RegionMask] = []
    for each in found:
        if all(each.mask.iou(other) <= iou for other in kept):
            kept.append(each.mask)
            yield each
