"""The three losses of section 3.5, and three of ours, each a mean over the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from flip.paper.model import Answer
from flip.training.examples import Batch

Unit = Literal["object", "picture"]


@dataclass(frozen=True)
class Losses:
    """Scalars: `mask`, `position`, `box`."""

    mask: Tensor
    position: Tensor
    box: Tensor

    def total(self, position: float, box: float) -> Tensor:
        """The weighted sum, with λ_pos and λ_bbox."""
        return self.mask + position * self.position + box * self.box


def losses(answer: Answer, batch: Batch, unit: Unit) -> Losses:
    """The losses of an answer to `batch`.

    The paper gives no unit of length, and two of its three terms depend on it: it is the true Gaussian's √(σ1·σ2)
    ("object": all scales count alike, and 1/σ is 1), or the picture's shorter side ("picture": larger objects count
    more, in proportion to σ).
    """
    scale = batch.gaussian[:, 2:4].prod(-1).sqrt()
    length = scale if unit == "object" else batch.side
    sigma = scale / length
    return Losses(
        mask_loss(answer, batch).mean(),
        position_loss(answer.positional, batch.gaussian, length, sigma).mean(),
        ((((answer.box - batch.box) / length[:, None]).square().sum(-1)) / sigma).mean(),
    )


def token_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Binary cross-entropy of the share of each input patch that the object covers, a mean over its patches, (B,)."""
    errors = F.binary_cross_entropy_with_logits(logits.float(), batch.covered, reduction="none")
    real = batch.seen.layout.real
    return (errors * real).sum(1) / real.sum(1)


def code_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Binary cross-entropy of the mask at the points of `at_lattice`, a mean over them, (B,)."""
    return F.binary_cross_entropy_with_logits(logits.float(), batch.lattice, reduction="none").mean(1)


def mask_loss(answer: Answer, batch: Batch) -> Tensor:
    """Binary cross-entropy, summed over an object's output patches and divided by its own mask samples, (B,)."""
    errors, sizes = {}, {}
    for p, logits in answer.logits.items():
        truth = batch.truth[p].to(torch.float32)
        errors[p] = F.binary_cross_entropy_with_logits(logits.float(), truth, reduction="none")
        sizes[p] = truth
    return _by_object(errors, batch) / _by_object(sizes, batch).clamp_min(1)


def overlap_loss(answer: Answer, batch: Batch) -> Tensor:
    """1 − IoU of probabilities: Σ p·t / Σ (p + t − p·t) over an object's mask samples, (B,).

    A mask that is not certain is best cut at a half for cross-entropy, but lower for its IoU; this loss makes it so.
    """
    common, either = {}, {}
    for p, logits in answer.logits.items():
        truth, found = batch.truth[p].to(torch.float32), logits.float().sigmoid()
        common[p] = found * truth
        either[p] = found + truth - common[p]
    return 1 - _by_object(common, batch) / _by_object(either, batch).clamp_min(1e-6)


def _by_object(samples: dict[int, Tensor], batch: Batch) -> Tensor:
    """Sums of each object's mask samples, (Σ n_p, p, p) by patch size → (B,)."""
    rows, longest = batch.where.real.shape
    sums = torch.zeros(rows, device=batch.where.real.device)
    for p, each in samples.items():
        sums = sums.index_add(0, batch.where.slots[p] // longest, each.sum((1, 2)))
    return sums


def position_loss(found: Tensor, true: Tensor, length: Tensor, sigma: Tensor) -> Tensor:
    """‖μ̂ − μ‖²/σ + ‖σ̂ − σ‖² + ‖θ̂ − θ‖², (B,), lengths in units of `length`; both (B, 6) in pixels.

    An ellipse has no head and tail, and a round one no first axis: of the four ways to name the axes of the true one,
    that counts which is nearest.
    """
    mean = ((found[:, :2] - true[:, :2]) / length[:, None]).square().sum(-1) / sigma
    s, t = found[:, 2:4], found[:, 4:]
    a, b = true[:, 4:].unbind(-1)
    ways = []
    for deviations, axis in ((true[:, 2:4], (a, b)), (true[:, [3, 2]], (-b, a))):
        spread = ((s - deviations) / length[:, None]).square().sum(-1)
        turned = torch.stack(axis, -1)
        turn = torch.minimum((t - turned).square().sum(-1), (t + turned).square().sum(-1))
        ways.append(spread + turn)
    return mean + torch.minimum(*ways)
