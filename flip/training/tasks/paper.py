"""Training of the paper's models (section 3.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from flip.paper.glimpses import Glimpses, Layout
from flip.paper.model import PAPER_CONFIGS, Flip, FlipOutput, PaperConfig
from flip.paper.predictor import PaperPredictor
from flip.sampler import RECIPES, Recipe
from flip.training.config import Config, Phase
from flip.training.examples import GRID_SIDE, Batch, Example, make_example
from flip.training.losses import code_loss, overlap_loss, paper_losses, token_loss
from flip.training.teacher import load_teacher, teacher_loss
from objascale.masks import RegionMask
from objascale.scenes import Scene

PATCH_MULTIPLE = 8
"""Numbers of patches in training are multiples of it. On a CPU, oneDNN compiles a kernel for each shape of a product of
matrices, so that fewer shapes save time."""


class LearnerOutput(NamedTuple):
    """Output of the model, and logits of the auxiliary layers."""

    flip: FlipOutput
    tokens: Tensor  # logits of the patch coverage, (B, n)
    code: Tensor  # logits of the mask on the grid of `mask_at_grid`, (B, GRID_SIDE²)


class PaperLearner(Flip):
    """The paper's model with two auxiliary linear layers, which are not exported."""

    def __init__(self, config: PaperConfig, recipe: Recipe, glance: int) -> None:
        super().__init__(config, recipe, glance=glance)
        layers = {"tokens": nn.Linear(config.channels, 1), "code": nn.Linear(config.channels, GRID_SIDE**2)}
        self.auxiliary = nn.ModuleDict(layers)

    def forward(self, inputs: Glimpses, outputs: Layout) -> LearnerOutput:  # type: ignore[override]
        """Run the model and the auxiliary layers."""
        tokens, places = self.tokens(inputs)
        code, position, boxes = self.codes(tokens, places, inputs)
        flip = FlipOutput(code, position, boxes, self.predictor(code, position, outputs))
        return LearnerOutput(flip, self.auxiliary["tokens"](tokens).squeeze(-1), self.auxiliary["code"](code))


@dataclass(frozen=True)
class PaperTask:
    """The `TrainingTask` of the paper's models.

    The numbers of input and output patches are drawn once per batch, uniformly from ½ to 1½ of the phase's means, and
    rounded down to a multiple of PATCH_MULTIPLE.
    """

    config: Config

    def model(self) -> PaperLearner:
        """Return the network with random weights."""
        last = self.config.phases[-1]
        return PaperLearner(PAPER_CONFIGS[self.config.model], RECIPES[self.config.sampling], last.tokens)

    def blocks(self, model: nn.Module) -> list[nn.Module]:
        """Return the blocks of the encoder and of the mask predictor."""
        assert isinstance(model, Flip)
        return [*model.blocks, *model.predictor.blocks]

    def example(self, scene: Scene, mask: RegionMask, number: int, rng: np.random.Generator) -> Example:
        """Make the example of one object for batch `number`. Raises NoPatches."""
        phase = self.config.phase(number)
        batch_rng = np.random.default_rng((self.config.seed, 0, number))
        num_inputs, num_outputs = (
            PATCH_MULTIPLE * max(int(batch_rng.integers(mean // 2, mean * 3 // 2, endpoint=True)) // PATCH_MULTIPLE, 1)
            for mean in (phase.tokens, phase.outputs)
        )
        recipe = RECIPES[self.config.sampling]
        distilled = self.config.teacher is not None
        return make_example(scene, mask, num_inputs, num_outputs, recipe, self.config.exact, rng, distilled)

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Return a batch, padded to the largest number of patches."""
        return Batch.of(examples)

    def memory(self) -> Tensor:
        """Return an empty memory."""
        return torch.zeros(0)

    def losses(
        self, model: nn.Module, batch: Batch, memory: Tensor, phase: Phase, dtype: torch.dtype
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the weighted sum of the losses, and each loss."""
        with torch.autocast(batch.gaussian.device.type, dtype, enabled=dtype != torch.float32):
            output = model(batch.inputs, batch.outputs)
        weights = self.config.losses
        paper, overlap = paper_losses(output.flip, batch, weights.unit), overlap_loss(output.flip, batch).mean()
        tokens, code = token_loss(output.tokens, batch).mean(), code_loss(output.code, batch).mean()
        total = paper.total(weights.position, weights.box) + phase.overlap * overlap
        total = total + weights.tokens * tokens + weights.code * code
        metrics = {"mask": paper.mask, "position": paper.position, "box": paper.box}
        metrics |= {"overlap": overlap, "tokens": tokens, "code": code}
        if (teacher := self.config.teacher) and batch.teacher:
            network = load_teacher(teacher.model, batch.gaussian.device)
            distance = teacher_loss(output.flip.logits, batch.teacher, network, teacher.temperature).mean()
            total, metrics = total + teacher.weight * distance, {**metrics, "teacher": distance}
        return total, metrics

    def remember(self, memory: Tensor, metrics: dict[str, float]) -> Tensor:
        """Return the empty memory."""
        return memory

    def predictor(self, model: nn.Module, phase: Phase, device: torch.device) -> PaperPredictor:
        """Return a predictor with the mean numbers of patches of the phase."""
        assert isinstance(model, Flip)
        return PaperPredictor(model, tokens=phase.tokens, outputs=phase.outputs, device=device)
