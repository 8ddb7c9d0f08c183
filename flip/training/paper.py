"""The training of the paper's model: section 3.5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from flip.model import CONFIGS, Flip
from flip.paper_predictor import PaperPredictor
from flip.sampler import RECIPES
from flip.training.config import Config, Phase
from flip.training.examples import Batch, Example, make_example
from flip.training.losses import losses
from flip.training.scenes import Scene
from objascale.masks import RegionMask


@dataclass(frozen=True)
class Paper:
    """A `flip.training.task.Task`. The numbers of patches are the same in a whole batch, up to half off their means."""

    config: Config

    def model(self) -> Flip:
        """With random weights."""
        return Flip(CONFIGS[self.config.model], RECIPES[self.config.sampling])

    def example(self, scene: Scene, mask: RegionMask, number: int, rng: np.random.Generator) -> Example:
        """As `make_example`."""
        phase = self.config.phase(number)
        common = np.random.default_rng((self.config.seed, 0, number))
        tokens, outputs = (
            int(common.integers(mean // 2, mean * 3 // 2, endpoint=True)) for mean in (phase.tokens, phase.outputs)
        )
        return make_example(scene, mask, tokens, outputs, RECIPES[self.config.sampling], rng)

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Padded to the longest."""
        return Batch.of(examples)

    def memory(self) -> Tensor:
        """None."""
        return torch.zeros(0)

    def losses(
        self, model: nn.Module, batch: Batch, memory: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the three, and each."""
        with torch.autocast(batch.gaussian.device.type, dtype, enabled=dtype != torch.float32):
            answer = model(batch.seen, batch.where)
        found = losses(answer, batch, self.config.losses.unit)
        total = found.total(self.config.losses.position, self.config.losses.box)
        return total, {"mask": found.mask, "position": found.position, "box": found.box}

    def remember(self, memory: Tensor, told: dict[str, float]) -> Tensor:
        """Nothing."""
        return memory

    def predictor(self, model: nn.Module, phase: Phase, device: torch.device) -> PaperPredictor:
        """With the phase's mean numbers of patches."""
        assert isinstance(model, Flip)
        return PaperPredictor(model, tokens=phase.tokens, outputs=phase.outputs, device=device)
