"""Training of the authors' released models: binary cross-entropy at points, after CognitiveModeling/FLIP (MIT)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from flip.gaussian import Gaussian
from flip.released.model import RELEASED_CONFIGS, Patched, ReleasedFlip
from flip.released.predictor import FlipPredictor, to_units
from flip.released.target import evaluation_box
from flip.sampler import NoPatches, Patches, Recipe, sample
from flip.training.config import RELEASED_MAX_TOKENS, RELEASED_MIN_TOKENS, Config, Phase
from flip.training.points import EDGE_DISTANCES, sample_points
from flip.training.prompts import draw_prompts
from objascale.masks import RegionMask
from objascale.scenes import Scene

# Ranges and constants of the authors' training code.
OVERLAP_RANGE, COVERAGE_RANGE = (0.0, 4.0), (0.1, 2.0)  # of τ and κ, both uniform
MIN_GROUP_WEIGHT = 4 / 2048  # of a group in the loss: 4 of 2048 points
IOU_DECAY = math.exp(-1 / 1000)  # of the running IoU, per step

IOU_METRICS = tuple(f"iou_{distance}" for distance in EDGE_DISTANCES[:-1]) + ("iou_all",)

MIN_GROUP_ERROR = 1e-6  # keeps the weights defined when all groups have an IoU of 1


@dataclass(frozen=True)
class PointExample:
    """One object. Prompt, patch centres and points are float32 in units of 128 px, relative to the image's centre.

    Args:
        patches: Input patches.
        centres: Their centres, (n, 2).
        gaussian: The perturbed prompt, (6,).
        points: Where the mask is predicted, (7, k, 2): k points for each group of EDGE_DISTANCES.
        inside: Whether the points are inside the mask, (7, k).
    """

    patches: Patches[NDArray[np.uint8]]
    centres: Tensor
    gaussian: Tensor
    points: Tensor
    inside: Tensor


@dataclass(frozen=True)
class PointBatch:
    """B examples, without padding.

    Args:
        pixels: Patches of each size p, uint8 (Σ n_p, 3, p, p).
        counts: Number of patches by size and example.
        centres: float32 (Σ n, 2).
        gaussian: float32 (B, 6).
        points: float32 (B, 7, k, 2).
        inside: bool (B, 7, k).
    """

    pixels: list[Tensor]
    counts: list[list[int]]
    centres: Tensor
    gaussian: Tensor
    points: Tensor
    inside: Tensor

    @classmethod
    def of(cls, examples: Sequence[PointExample]) -> PointBatch:
        """Collate examples."""
        by_size = list(zip(*(e.patches.pixels.values() for e in examples), strict=True))
        return cls(
            [torch.from_numpy(np.concatenate(pixels)).permute(0, 3, 1, 2) for pixels in by_size],
            [[len(each) for each in pixels] for pixels in by_size],
            torch.cat([e.centres for e in examples]),
            *(torch.stack([getattr(e, name) for e in examples]) for name in ("gaussian", "points", "inside")),
        )

    def to(self, device: torch.device | str) -> PointBatch:
        """Return a copy on another device."""
        return replace(
            self,
            pixels=[each.to(device, non_blocking=True) for each in self.pixels],
            **{
                name: getattr(self, name).to(device, non_blocking=True)
                for name in ("centres", "gaussian", "points", "inside")
            },
        )

    def prompts(self) -> list[Patched]:
        """Return the input of the network."""
        by_size = [(p.float() / 255).split(counts) for p, counts in zip(self.pixels, self.counts, strict=True)]
        centres = self.centres.split([sum(counts) for counts in zip(*self.counts, strict=True)])
        return [
            (list(patches), where, gaussian)
            for patches, where, gaussian in zip(zip(*by_size, strict=True), centres, self.gaussian, strict=True)
        ]


class ReleasedLearner(ReleasedFlip):
    """The released model with the forward pass of training."""

    def forward(self, prompts: Sequence[Patched], points: Tensor, lengths: list[int], dtype: torch.dtype) -> Tensor:
        """Return mask logits (Σm,) at points (Σm, 2); the first `lengths[0]` points belong to the first prompt, etc."""
        gaussians = torch.stack([gaussian for _, _, gaussian in prompts])
        return self.decode_many(points, self.encode_many(prompts, dtype), gaussians, lengths)


@dataclass(frozen=True)
class ReleasedTask:
    """The `TrainingTask` of the released models: cross-entropy at points, grouped by distance to the mask's edge.

    The authors draw more points in groups with a low IoU in the steps before. Here every group has the same number of
    points, and groups with a low IoU have a larger weight. The expectation is the same, and examples do not depend on
    the progress of training. The memory (7,) is the running IoU of each group.
    """

    config: Config

    def model(self) -> ReleasedLearner:
        """Return the network with random weights."""
        return ReleasedLearner(RELEASED_CONFIGS[self.config.model])

    def blocks(self, model: nn.Module) -> list[nn.Module]:
        """Return the blocks of the encoder."""
        assert isinstance(model, ReleasedFlip)
        return list(model.layers)

    def example(self, scene: Scene, mask: RegionMask, number: int, rng: np.random.Generator) -> PointExample:
        """Make the example of one object for batch `number`.

        Patches are drawn around the perturbed prompt, and `outputs` points in the prompt's box.

        Raises:
            NoPatches: No patch fits into the image, around the true Gaussian or its perturbations.
        """
        phase = self.config.phase(number)
        tokens = draw_num_tokens(phase.tokens, rng)
        prompt, patches = _draw_patches(scene.image, Gaussian.from_mask(mask), tokens, self.config.exact, rng)
        box = evaluation_box(prompt, mask.width, mask.height)
        points, inside = sample_points(mask, box, phase.outputs // len(EDGE_DISTANCES), rng)
        centres, units = (
            to_units(torch.from_numpy(each), mask.width, mask.height).float()
            for each in (np.concatenate(list(patches.centres.values())), points)
        )
        gaussian = torch.from_numpy(prompt.released(mask.width, mask.height))
        return PointExample(patches, centres, gaussian, units, torch.from_numpy(inside))

    def collate(self, examples: Sequence[PointExample]) -> PointBatch:
        """Return a batch."""
        return PointBatch.of(examples)

    def memory(self) -> Tensor:
        """Return an IoU of 0 for each group."""
        return torch.zeros(len(EDGE_DISTANCES), dtype=torch.float64)

    def losses(
        self, model: nn.Module, batch: PointBatch, memory: Tensor, phase: Phase, dtype: torch.dtype
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted mean over the groups, and each group's IoU, a mean over objects."""
        lengths = [batch.inside[0].numel()] * len(batch.inside)
        logits = model(batch.prompts(), batch.points.flatten(0, 2), lengths, dtype).view(batch.inside.shape)
        errors = F.binary_cross_entropy_with_logits(logits, batch.inside.to(logits), reduction="none").mean((0, 2))
        mask = (group_weights(memory).to(errors) * errors).sum()
        pred = logits > 0
        iou = (pred & batch.inside).sum(-1) / (pred | batch.inside).sum(-1).clamp_min(1)
        return mask, {"mask": mask, **dict(zip(IOU_METRICS, iou.mean(0), strict=True))}

    def remember(self, memory: Tensor, metrics: dict[str, float]) -> Tensor:
        """Return the updated running IoU."""
        now = torch.tensor([metrics[name] for name in IOU_METRICS], dtype=memory.dtype)
        return now + IOU_DECAY * (memory - now)

    def predictor(self, model: nn.Module, phase: Phase, device: torch.device) -> FlipPredictor:
        """Return a predictor with the mean number of patches of the phase."""
        assert isinstance(model, ReleasedFlip)
        return FlipPredictor(model, tokens=phase.tokens, device=device)


def draw_num_tokens(mean: int, rng: np.random.Generator) -> int:
    """Draw a number of input patches: 32 + round(2016·Beta(2, 2·(1/m − 1))), where m makes the expectation `mean`."""
    span = RELEASED_MAX_TOKENS - RELEASED_MIN_TOKENS
    m = (mean - RELEASED_MIN_TOKENS) / span
    return RELEASED_MIN_TOKENS + round(span * rng.beta(2, 2 * (1 / m - 1)))


def group_weights(memory: Tensor) -> Tensor:
    """Return the weight of each group in the loss, (7,), with sum 1: proportional to 1 − IoU above a minimum."""
    error = (1 - memory).clamp_min(MIN_GROUP_ERROR)
    return MIN_GROUP_WEIGHT + (1 - len(memory) * MIN_GROUP_WEIGHT) * error / error.sum()


def _draw_patches(
    image: NDArray[np.uint8], true: Gaussian, tokens: int, exact: float, rng: np.random.Generator
) -> tuple[Gaussian, Patches[NDArray[np.uint8]]]:
    """Draw a prompt and its patches, by a random recipe or, if that gives too few patches, the default recipe."""
    for prompt in draw_prompts(true, exact, rng):
        recipe = Recipe(overlap=rng.uniform(*OVERLAP_RANGE), coverage=rng.uniform(*COVERAGE_RANGE))
        if recipe.counts(prompt, tokens).sum() < RELEASED_MIN_TOKENS:
            recipe = Recipe()
        try:
            return prompt, sample(image, prompt, tokens, rng, recipe)
        except NoPatches:
            if prompt is true:
                raise
    raise AssertionError("draw_prompts ends with the true prompt, which returns or raises")
