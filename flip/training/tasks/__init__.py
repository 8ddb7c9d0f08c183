"""Training tasks: the network, its examples and its losses, one task for each family of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from flip.paper.predictor import PaperPredictor
from flip.released.model import RELEASED_CONFIGS as RELEASED
from flip.released.predictor import FlipPredictor
from flip.training.config import Config, Phase
from flip.training.tasks.paper import PaperTask
from flip.training.tasks.released import ReleasedTask
from objascale.masks import RegionMask
from objascale.scenes import Scene

Predictor = FlipPredictor | PaperPredictor


class TrainingTask(Protocol):
    """What the training loop needs to know of a family of models.

    Examples are made in loader processes. They are collated into batches, which have a method `to(device)`. A task has
    no state. State that the losses carry from step to step is the tensor `memory`, which is equal on all ranks.
    """

    def model(self) -> nn.Module:
        """Return the network with random weights."""

    def blocks(self, model: nn.Module) -> Sequence[nn.Module]:
        """Return the transformer blocks, the parts that are worth compiling."""

    def example(self, scene: Scene, mask: RegionMask, number: int, rng: np.random.Generator) -> Any:
        """Make the example of one object for batch `number`. Raises NoPatches."""

    def collate(self, examples: Sequence[Any]) -> Any:
        """Return a batch of examples."""

    def memory(self) -> Tensor:
        """Return the initial memory."""

    def losses(
        self, model: nn.Module, batch: Any, memory: Tensor, phase: Phase, dtype: torch.dtype
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss and the metrics to log; `dtype` is bfloat16 for mixed precision, else float32."""

    def remember(self, memory: Tensor, metrics: dict[str, float]) -> Tensor:
        """Return the memory after a step, from the means of its metrics over all ranks."""

    def predictor(self, model: nn.Module, phase: Phase, device: torch.device) -> Predictor:
        """Return a predictor for validation, with the numbers of patches of the phase."""


def task_of(config: Config) -> TrainingTask:
    """Return the task of the configuration's model."""
    return ReleasedTask(config) if config.model in RELEASED else PaperTask(config)
