"""Losses of the paper's models: the three of section 3.5, and three that are not in the paper.

Every loss is a mean over the objects of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from flip.paper.model import FlipOutput
from flip.training.config import LengthUnit
from flip.training.examples import Batch

IOU_EPS = 1e-6  # avoids 0/0 for an object without samples


@dataclass(frozen=True)
class PaperLosses:
    """The losses of section 3.5, scalar tensors."""

    mask: Tensor
    position: Tensor
    box: Tensor

    def total(self, position: float, box: float) -> Tensor:
        """Return L = L_mask + λ_pos·L_pos + λ_bbox·L_bbox."""
        return self.mask + position * self.position + box * self.box


def paper_losses(output: FlipOutput, batch: Batch, unit: LengthUnit) -> PaperLosses:
    """Compute the losses of section 3.5.

    Args:
        output: Output of the model.
        batch: The batch, with the targets.
        unit: Unit of length of the position and box losses, which the paper leaves open. "object" is √(σ1·σ2) of the
            target: all scales have the same weight, and 1/σ is 1. "picture" is the shorter side of the image: the
            weight of an object is proportional to its σ.
    """
    scale = batch.gaussian[:, 2:4].prod(-1).sqrt()
    length = scale if unit == "object" else batch.side
    sigma = scale / length
    return PaperLosses(
        mask_loss(output, batch).mean(),
        position_loss(output.positional, batch.gaussian, length, sigma).mean(),
        # ‖B̂ − B‖²/σ
        ((((output.box - batch.box) / length[:, None]).square().sum(-1)) / sigma).mean(),
    )


def mask_loss(output: FlipOutput, batch: Batch) -> Tensor:
    """Return the binary cross-entropy of each object, (B,): the sum over its samples divided by its mask samples."""
    errors, targets = {}, {}
    for p, logits in output.logits.items():
        targets[p] = batch.truth[p].to(torch.float32)
        errors[p] = F.binary_cross_entropy_with_logits(logits.float(), targets[p], reduction="none")
    return _sum_per_object(errors, batch) / _sum_per_object(targets, batch).clamp_min(1)


def position_loss(pred: Tensor, target: Tensor, length: Tensor, sigma: Tensor) -> Tensor:
    """Return ‖μ̂ − μ‖²/σ + ‖σ̂ − σ‖² + ‖θ̂ − θ‖², (B,).

    The same ellipse has four parametrisations: each axis has two directions, and either axis can be the first. The
    loss is the minimum over the four of the target.

    Args:
        pred: (B, 6), x, y, σ1, σ2, a, b in pixels.
        target: (B, 6), likewise.
        length: (B,), unit of length in pixels.
        sigma: (B,), √(σ1·σ2) of the target in units of `length`.
    """
    mean = ((pred[:, :2] - target[:, :2]) / length[:, None]).square().sum(-1) / sigma
    s, t = pred[:, 2:4], pred[:, 4:]
    a, b = target[:, 4:].unbind(-1)
    costs = []
    for deviations, axis in ((target[:, 2:4], (a, b)), (target[:, [3, 2]], (-b, a))):
        spread = ((s - deviations) / length[:, None]).square().sum(-1)
        direction = torch.stack(axis, -1)
        turn = torch.minimum((t - direction).square().sum(-1), (t + direction).square().sum(-1))
        costs.append(spread + turn)
    return mean + torch.minimum(*costs)


def overlap_loss(output: FlipOutput, batch: Batch) -> Tensor:
    """Return the soft IoU loss 1 − Σ p·t / Σ (p + t − p·t) over the samples of each object, (B,).

    Not in the paper: cross-entropy is minimised by calibrated probabilities. If the model is unsure, the threshold
    with the best IoU then lies below 0.5. This loss moves it towards 0.5.
    """
    intersection, union = {}, {}
    for p, logits in output.logits.items():
        target, prob = batch.truth[p].to(torch.float32), logits.float().sigmoid()
        intersection[p] = prob * target
        union[p] = prob + target - intersection[p]
    return 1 - _sum_per_object(intersection, batch) / _sum_per_object(union, batch).clamp_min(IOU_EPS)


def token_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Return the binary cross-entropy of the predicted patch coverage, a mean over the input patches, (B,).

    Not in the paper: the encoder gets a gradient that does not pass through the perceptual code.
    """
    errors = F.binary_cross_entropy_with_logits(logits.float(), batch.coverage, reduction="none")
    real = batch.inputs.layout.real
    return (errors * real).sum(1) / real.sum(1)


def code_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Return the binary cross-entropy of the mask on the grid of `mask_at_grid`, a mean over its points, (B,).

    Not in the paper: the perceptual code gets a gradient that does not pass through the mask predictor.
    """
    return F.binary_cross_entropy_with_logits(logits.float(), batch.grid, reduction="none").mean(1)


def _sum_per_object(samples: dict[int, Tensor], batch: Batch) -> Tensor:
    """Sum the mask samples of each object: (Σ n_p, p, p) by patch size to (B,)."""
    rows, longest = batch.outputs.real.shape
    sums = torch.zeros(rows, device=batch.outputs.real.device)
    for p, each in samples.items():
        sums = sums.index_add(0, batch.outputs.slots[p] // longest, each.sum((1, 2)))
    return sums
