"""The training of the paper's model: section 3.5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from flip.paper.glimpses import Glimpses, Layout
from flip.paper.model import CONFIGS, Answer, Flip, PaperConfig
from flip.paper.predictor import PaperPredictor
from flip.sampler import RECIPES, Recipe
from flip.training.config import Config, Phase
from flip.training.examples import LATTICE, Batch, Example, make_example
from flip.training.losses import code_loss, losses, overlap_loss, token_loss
from objascale.masks import RegionMask
from objascale.scenes import Scene


class Told(NamedTuple):
    """What a model in training tells: its `answer`, and logits of what its `tokens` (B, n) and its `code` (B, LATTICE²)
    know of the mask."""

    answer: Answer
    tokens: Tensor
    code: Tensor


class Learner(Flip):
    """The paper's model with two linear layers that only its training needs."""

    def __init__(self, config: PaperConfig, recipe: Recipe, glance: int) -> None:
        super().__init__(config, recipe, glance=glance)
        layers = {"tokens": nn.Linear(config.channels, 1), "code": nn.Linear(config.channels, LATTICE**2)}
        self.auxiliary = nn.ModuleDict(layers)

    def forward(self, seen: Glimpses, where: Layout) -> Told:  # type: ignore[override]
        """As the model's, and what tokens and code tell."""
        tokens, places = self.tokens(seen)
        code, position, boxes = self.codes(tokens, places, seen)
        answer = Answer(code, position, boxes, self.predictor(code, position, where))
        return Told(answer, self.auxiliary["tokens"](tokens).squeeze(-1), self.auxiliary["code"](code))


@dataclass(frozen=True)
class Paper:
    """Train the paper's model. All examples of a batch have the same number of patches, drawn around its mean."""

    config: Config

    def model(self) -> Learner:
        """With random weights."""
        last = self.config.phases[-1]
        return Learner(CONFIGS[self.config.model], RECIPES[self.config.sampling], last.tokens)

    def blocks(self, model: nn.Module) -> list[nn.Module]:
        """Of encoder and mask predictor."""
        assert isinstance(model, Flip)
        return [*model.blocks, *model.predictor.blocks]

    def example(self, scene: Scene, mask: RegionMask, number: int, rng: np.random.Generator) -> Example:
        """As `make_example`."""
        phase = self.config.phase(number)
        common = np.random.default_rng((self.config.seed, 0, number))
        tokens, outputs = (
            int(common.integers(mean // 2, mean * 3 // 2, endpoint=True)) for mean in (phase.tokens, phase.outputs)
        )
        recipe = RECIPES[self.config.sampling]
        return make_example(scene, mask, tokens, outputs, recipe, self.config.exact, rng)

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Padded to the longest."""
        return Batch.of(examples)

    def memory(self) -> Tensor:
        """None."""
        return torch.zeros(0)

    def losses(
        self, model: nn.Module, batch: Batch, memory: Tensor, phase: Phase, dtype: torch.dtype
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum, and each."""
        with torch.autocast(batch.gaussian.device.type, dtype, enabled=dtype != torch.float32):
            told = model(batch.seen, batch.where)
        weights = self.config.losses
        found, overlap = losses(told.answer, batch, weights.unit), overlap_loss(told.answer, batch).mean()
        tokens, code = token_loss(told.tokens, batch).mean(), code_loss(told.code, batch).mean()
        total = found.total(weights.position, weights.box) + phase.overlap * overlap
        total = total + weights.tokens * tokens + weights.code * code
        scalars = {"mask": found.mask, "position": found.position, "box": found.box}
        return total, {**scalars, "overlap": overlap, "tokens": tokens, "code": code}

    def remember(self, memory: Tensor, told: dict[str, float]) -> Tensor:
        """Nothing."""
        return memory

    def predictor(self, model: nn.Module, phase: Phase, device: torch.device) -> PaperPredictor:
        """With the phase's mean numbers of patches."""
        assert isinstance(model, Flip)
        return PaperPredictor(model, tokens=phase.tokens, outputs=phase.outputs, device=device)
