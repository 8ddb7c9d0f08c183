"""Optimisers: AdamW, RAdam, or Muon for large matrices with AdamW for the rest."""

from __future__ import annotations

from torch import nn, optim

from flip.training.config import Optimiser

MIN_MUON_SIDE = 32
"""Minimum rows and columns of a matrix for Muon. A smaller one has too few singular values to equalise."""

ADAMW_RATE_SHARE = 1 / 5
"""Learning rate of AdamW relative to Muon's. With Muon at 4e-3, AdamW has 8e-4, a usual rate for it."""


def make_optimisers(model: nn.Module, settings: Optimiser) -> list[optim.Optimizer]:
    """Return one optimiser, or two for "muon".

    Weight decay is decoupled, and parameters with one dimension (biases, norms) have none. Muon (Jordan et al., 2024)
    orthogonalises the update of each matrix; `match_rms_adamw` scales it to the size of Adam's (Liu et al., 2025). The
    `share` of a parameter group is its learning rate relative to the schedule's.
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
    return [optim.Muon(matrices, settings.rate, settings.decay, adjust_lr_fn="match_rms_adamw"), adam]
