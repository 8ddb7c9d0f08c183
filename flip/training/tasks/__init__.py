"""What is learned: which network, from which examples, by which losses. There is one for each line of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from flip.paper.predictor import PaperPredictor
from flip.released.model import CONFIGS as RELEASED
from flip.released.predictor import FlipPredictor
from flip.training.config import Config, Phase
from flip.training.tasks.paper import Paper
from flip.training.tasks.released import Released
from objascale.masks import RegionMask
from objascale.scenes import Scene

Predictor = FlipPredictor | PaperPredictor


class Task(Protocol):
    """Examples are made in loader processes and travel as batches, which have a method `to(device)`.

    A task itself changes nothing; `memory` is what the losses of a step know of those before, the same on all ranks.
    """

    def model(self) -> nn.Module:
        """The network with random weights."""

    def blocks(self, model: nn.Module) -> Sequence[nn.Module]:
        """Its transformer blocks, which take most of the time."""

    def example(self, scene: Scene, mask: RegionMask, number: int, rng: np.random.Generator) -> Any:
        """An object of a scene for batch `number`, a pure function of its arguments. Raises NoPatches."""

    def collate(self, examples: Sequence[Any]) -> Any:
        """A batch."""

    def memory(self) -> Tensor:
        """Before the first step."""

    def losses(
        self, model: nn.Module, batch: Any, memory: Tensor, phase: Phase, dtype: torch.dtype
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What is made small, and scalars to report; `dtype` bfloat16 is mixed precision."""

    def remember(self, memory: Tensor, told: dict[str, float]) -> Tensor:
        """After a step, from the means of its scalars over all ranks."""

    def predictor(self, model: nn.Module, phase: Phase, device: torch.device) -> Predictor:
        """The model as it will be used, with as many patches as it is trained on."""


def task_of(config: Config) -> Task:
    """The one of the configuration's model."""
    return Released(config) if config.model in RELEASED else Paper(config)
