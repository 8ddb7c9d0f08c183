"""What follows the gradient: AdamW or RAdam, or Muon for the large matrices and AdamW for the rest."""

from __future__ import annotations

from torch import nn, optim

from flip.training.config import Optimiser

LEAST_SIDE = 32
"""Rows and columns of a matrix that Muon is for; a smaller one has no spectrum to speak of."""

REST = 1 / 5
"""With Muon, the rate of what it is not for, as a share of its own."""


def make_optimisers(model: nn.Module, settings: Optimiser) -> list[optim.Optimizer]:
    """One, or two for "muon", whose groups have a `share` of the schedule's rate.

    Decay is decoupled; nothing with a single dimension (biases, norms) decays. Muon (Jordan et al., 2024) makes each
    update of a matrix orthogonal, and here as large as Adam's would be (`match_rms_adamw`, Liu et al., 2025).
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    large = [p for p in trained if settings.name == "muon" and p.ndim == 2 and min(p.shape) >= LEAST_SIDE]
    taken = {id(p) for p in large}
    others = [p for p in trained if id(p) not in taken]
    share = REST if large else 1.0
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
    return [optim.Muon(matrices, settings.rate, settings.decay, adjust_lr_fn="match_rms_adamw"), adam]
