"""Optimisers: AdamW, RAdam, or Muon for large matrices with AdamW for the rest."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn, optim

from flip.choices import TrainingPrecision
from flip.training.config import Optimiser

MIN_MUON_SIDE = 32
"""Minimum rows and columns of a matrix for Muon. A smaller one has too few singular values to equalise."""

ADAMW_RATE_SHARE = 1 / 5
"""Learning rate of AdamW relative to Muon's. With Muon at 4e-3, AdamW has 8e-4, a usual rate for it."""


class Float32Muon(optim.Muon):
    """Muon that orthogonalises in float32.

    PyTorch's Muon orthogonalises in bfloat16. A processor without bfloat16 emulates it, which is slower than the rest
    of a step. The learning rate is adjusted by `match_rms_adamw`.
    """

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Update all matrices with a gradient."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is not None:
                    self._update(matrix, matrix.grad, group)
        return loss

    def _update(self, matrix: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[matrix]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        update = orthogonalise(gradient.lerp(momentum, group["momentum"]), group["ns_coefficients"], group["ns_steps"])
        matrix.mul_(1 - group["lr"] * group["weight_decay"])
        matrix.add_(update, alpha=-group["lr"] * 0.2 * math.sqrt(max(matrix.shape)))


def orthogonalise(matrix: Tensor, coefficients: tuple[float, float, float], steps: int) -> Tensor:
    """Return a matrix (m, n) with all singular values near 1, by the iteration of Newton and Schulz (Jordan, 2024)."""
    a, b, c = coefficients
    wide = matrix if len(matrix) <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide if len(matrix) <= matrix.shape[1] else wide.T


def make_optimisers(model: nn.Module, settings: Optimiser, precision: TrainingPrecision) -> list[optim.Optimizer]:
    """Return one optimiser, or two for "muon".

    Weight decay is decoupled, and parameters with one dimension (biases, norms) have none. Muon (Jordan et al., 2024)
    orthogonalises the update of each matrix, with precision "fp32" in float32. `match_rms_adamw` scales it to the size
    of Adam's (Liu et al., 2025). The `share` of a parameter group is its learning rate relative to the schedule's.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    large = [p for p in trained if settings.name == "muon" and p.ndim == 2 and min(p.shape) >= MIN_MUON_SIDE]
    large_ids = {id(p) for p in large}
    others = [p for p in trained if id(p) not in large_ids]
    share = ADAMW_RATE_SHARE if large else 1.0
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": settings.decay, "share": share},
        {"params": [p for p in others if p.ndim < 2], "weight_decay": 0.0, "share": share},
    ]
    if settings.name == "radam":
        return [optim.RAdam(groups, lr=settings.rate, betas=settings.betas, decoupled_weight_decay=True)]
    adam = optim.AdamW(groups, lr=settings.rate, betas=settings.betas, fused=True)
    if not large:
        return [adam]
    matrices = [{"params": large, "share": 1.0}]
    muon = Float32Muon if precision == "fp32" else optim.Muon
    return [muon(matrices, settings.rate, settings.decay, adjust_lr_fn="match_rms_adamw"), adam]
