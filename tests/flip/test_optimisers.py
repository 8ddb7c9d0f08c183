"""Muon in float32 is PyTorch's Muon without the rounding to bfloat16."""

from __future__ import annotations

import pytest
import torch
from torch import nn, optim

from flip.training.config import Optimiser
from flip.training.optimisers import Float32Muon, make_optimisers, orthogonalise

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@pytest.mark.parametrize("shape", [(32, 96), (96, 32), (64, 64)])
def test_the_update_is_that_of_pytorch_to_the_rounding_of_bfloat16(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn((3, *shape), generator=generator)
    ends = []
    for muon in (Float32Muon, optim.Muon):
        matrix = nn.Parameter(torch.ones(shape))
        optimiser = muon([matrix], lr=1e-2, weight_decay=0.05, adjust_lr_fn="match_rms_adamw")
        for gradient in gradients:
            matrix.grad = gradient.clone()
            optimiser.step()
        ends.append(matrix.detach() - 1)
    mine, theirs = ends
    assert mine.norm() > 0.1
    assert (mine - theirs).norm() < 0.03 * theirs.norm()


@pytest.mark.parametrize("shape", [(32, 96), (96, 32)])
def test_singular_values_come_near_one_and_directions_stay(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = orthogonalise(matrix, COEFFICIENTS, 5)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ found @ right.T
    assert (turned.diagonal() > 0.6).all()
    assert (turned.diagonal() < 1.3).all()
    assert (turned - turned.diagonal().diag()).abs().max() < 1e-3


def test_precision_chooses_the_muon() -> None:
    model, settings = nn.Linear(64, 64), Optimiser(name="muon", rate=1e-3)
    kinds = [type(make_optimisers(model, settings, precision)[0]) for precision in ("fp32", "bf16")]
    assert kinds == [Float32Muon, optim.Muon]
