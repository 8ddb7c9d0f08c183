"""The training of the released line: the mask at points, as in CognitiveModeling/FLIP (MIT)."""

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
from flip.released.model import CONFIGS, Patched, ReleasedFlip
from flip.released.predictor import FlipPredictor, to_units
from flip.released.target import evaluation_box
from flip.sampler import NoPatches, Patches, Recipe, sample
from flip.training.config import FEWEST_TOKENS, MOST_TOKENS, Config, Phase
from flip.training.points import REACHES, grouped_points
from flip.training.prompts import prompts
from objascale.masks import RegionMask
from objascale.scenes import Scene

OVERLAP, COVERAGE = (0.0, 4.0), (0.1, 2.0)  # τ and κ are drawn evenly from these
FLOOR = 4 / 2048  # the least share of a group in the loss
FORGETTING = math.exp(-1 / 1000)  # of the running IoU, a step

GROUPS = tuple(f"iou_{reach}" for reach in REACHES[:-1]) + ("iou_all",)


@dataclass(frozen=True)
class PointExample:
    """One object: its patches, the perturbed prompt `gaussian` (6,), points (7, k, 2) and whether they are `inside`
    (7, k). The patches' `centres` (n, 2), prompt and points are float32 in units of 128 px."""

    patches: Patches[NDArray[np.uint8]]
    centres: Tensor
    gaussian: Tensor
    points: Tensor
    inside: Tensor


@dataclass(frozen=True)
class PointBatch:
    """B examples: `pixels` of each size uint8 (Σ n_p, 3, p, p), of which `counts[size][i]` are example i's, `centres`
    (Σ n, 2), `gaussian` (B, 6), `points` (B, 7, k, 2), `inside` (B, 7, k)."""

    pixels: list[Tensor]
    counts: list[list[int]]
    centres: Tensor
    gaussian: Tensor
    points: Tensor
    inside: Tensor

    @classmethod
    def of(cls, examples: Sequence[PointExample]) -> PointBatch:
        """Put examples together, each with its own number of patches."""
        by_size = list(zip(*(e.patches.pixels.values() for e in examples), strict=True))
        return cls(
            [torch.from_numpy(np.concatenate(pixels)).permute(0, 3, 1, 2) for pixels in by_size],
            [[len(each) for each in pixels] for pixels in by_size],
            torch.cat([e.centres for e in examples]),
            *(torch.stack([getattr(e, name) for e in examples]) for name in ("gaussian", "points", "inside")),
        )

    def to(self, device: torch.device | str) -> PointBatch:
        """The same on another device."""
        return replace(
            self,
            pixels=[each.to(device, non_blocking=True) for each in self.pixels],
            **{
                name: getattr(self, name).to(device, non_blocking=True)
                for name in ("centres", "gaussian", "points", "inside")
            },
        )

    def prompts(self) -> list[Patched]:
        """As the network takes them."""
        by_size = [(p.float() / 255).split(counts) for p, counts in zip(self.pixels, self.counts, strict=True)]
        centres = self.centres.split([sum(counts) for counts in zip(*self.counts, strict=True)])
        return [
            (list(patches), where, gaussian)
            for patches, where, gaussian in zip(zip(*by_size, strict=True), centres, self.gaussian, strict=True)
        ]


class Learner(ReleasedFlip):
    """The released model, called as it is in training."""

    def forward(self, prompts: Sequence[Patched], points: Tensor, lengths: list[int], dtype: torch.dtype) -> Tensor:
        """Mask logits (Σm,) at points (Σm, 2), of which the first `lengths[0]` ask the first prompt …"""
        gaussians = torch.stack([gaussian for _, _, gaussian in prompts])
        return self.decode_many(points, self.encode_many(prompts, dtype), gaussians, lengths)


@dataclass(frozen=True)
class Released:
    """A `flip.training.tasks.Task`: binary cross-entropy at points in seven groups, by distance to the mask's edge.

    The authors draw more points in groups that are still bad, by the IoU of the steps before. Here all groups have as
    many points, and what is bad weighs more instead, which is the same on average; so examples do not depend on how
    far the training is. The memory (7,) is the running IoU of each group.
    """

    config: Config

    def model(self) -> Learner:
        """With random weights."""
        return Learner(CONFIGS[self.config.model])

    def blocks(self, model: nn.Module) -> list[nn.Module]:
        """Of the encoder."""
        assert isinstance(model, ReleasedFlip)
        return list(model.layers)

    def example(self, scene: Scene, mask: RegionMask, number: int, rng: np.random.Generator) -> PointExample:
        """The object seen through patches about its perturbed Gaussian, with `outputs` points in that one's box.

        The number of patches is 32 + 2016·Beta, the phase's `tokens` on average. Raises NoPatches where neither the
        Gaussian nor its perturbations leave a patch.
        """
        phase = self.config.phase(number)
        tokens = drawn_tokens(phase.tokens, rng)
        prompt, patches = _seen(scene.image, Gaussian.from_mask(mask), tokens, self.config.exact, rng)
        box = evaluation_box(prompt, mask.width, mask.height)
        points, inside = grouped_points(mask, box, phase.outputs // len(REACHES), rng)
        centres, units = (
            to_units(torch.from_numpy(each), mask.width, mask.height).float()
            for each in (np.concatenate(list(patches.centres.values())), points)
        )
        gaussian = torch.from_numpy(prompt.released(mask.width, mask.height))
        return PointExample(patches, centres, gaussian, units, torch.from_numpy(inside))

    def collate(self, examples: Sequence[PointExample]) -> PointBatch:
        """Without padding."""
        return PointBatch.of(examples)

    def memory(self) -> Tensor:
        """All groups are as bad."""
        return torch.zeros(len(REACHES), dtype=torch.float64)

    def losses(
        self, model: nn.Module, batch: PointBatch, memory: Tensor, phase: Phase, dtype: torch.dtype
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted mean over the groups, and each group's IoU, a mean over objects."""
        lengths = [batch.inside[0].numel()] * len(batch.inside)
        logits = model(batch.prompts(), batch.points.flatten(0, 2), lengths, dtype).view(batch.inside.shape)
        errors = F.binary_cross_entropy_with_logits(logits, batch.inside.to(logits), reduction="none").mean((0, 2))
        mask = (shares(memory).to(errors) * errors).sum()
        found = logits > 0
        iou = (found & batch.inside).sum(-1) / (found | batch.inside).sum(-1).clamp_min(1)
        return mask, {"mask": mask, **dict(zip(GROUPS, iou.mean(0), strict=True))}

    def remember(self, memory: Tensor, told: dict[str, float]) -> Tensor:
        """The running IoU, a step further."""
        now = torch.tensor([told[name] for name in GROUPS], dtype=memory.dtype)
        return now + FORGETTING * (memory - now)

    def predictor(self, model: nn.Module, phase: Phase, device: torch.device) -> FlipPredictor:
        """With the phase's mean number of patches."""
        assert isinstance(model, ReleasedFlip)
        return FlipPredictor(model, tokens=phase.tokens, device=device)


def drawn_tokens(mean: int, rng: np.random.Generator) -> int:
    """32 + round(2016·Beta(2, 2·(1/m − 1))), whose mean is `mean`."""
    room = MOST_TOKENS - FEWEST_TOKENS
    m = (mean - FEWEST_TOKENS) / room
    return FEWEST_TOKENS + round(room * rng.beta(2, 2 * (1 / m - 1)))


def shares(memory: Tensor) -> Tensor:
    """What each group counts for, (7,), 1 altogether: in proportion to 1 − IoU, and a little at the least."""
    bad = (1 - memory).clamp_min(1e-6)
    return FLOOR + (1 - len(memory) * FLOOR) * bad / bad.sum()


def _seen(
    image: NDArray[np.uint8], true: Gaussian, tokens: int, exact: float, rng: np.random.Generator
) -> tuple[Gaussian, Patches[NDArray[np.uint8]]]:
    """One of the `prompts` and its patches: by a random recipe, or by the usual one where that gives too few."""
    for prompt in prompts(true, exact, rng):
        recipe = Recipe(overlap=rng.uniform(*OVERLAP), coverage=rng.uniform(*COVERAGE))
        if recipe.counts(prompt, tokens).sum() < FEWEST_TOKENS:
            recipe = Recipe()
        try:
            return prompt, sample(image, prompt, tokens, rng, recipe)
        except NoPatches:
            if prompt is true:
                raise
    raise AssertionError("the last attempt returns or raises")
