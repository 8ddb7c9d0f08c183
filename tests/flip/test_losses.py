"""The losses of the paper's training, against what its formulas say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flip.gaussian import Gaussian
from flip.model import Answer
from flip.sampler import PAPER
from flip.training.examples import Batch, make_example, truth_at
from flip.training.losses import losses, mask_loss, position_loss
from flip.training.scenes import Scene
from objascale.masks import RegionMask

WIDTH, HEIGHT = 200, 150


def scene(*gaussians: Gaussian) -> Scene:
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Scene(image, [gaussian.ellipse_mask(WIDTH, HEIGHT) for gaussian in gaussians], "made")


@pytest.fixture(scope="module")
def batch() -> Batch:
    rng = np.random.default_rng(1)
    shown = scene(Gaussian.from_ellipse(100, 70, 30, 12, 0.5), Gaussian.from_ellipse(60, 90, 4, 3, 2))
    return Batch.of([make_example(shown, mask, 64, 64, PAPER, rng) for mask in shown.masks])


def perfect(batch: Batch, sure: float) -> Answer:
    """The truth as an answer, with logits of ±`sure`."""
    logits = {p: (2.0 * mask - 1) * sure for p, mask in batch.truth.items()}
    return Answer(torch.zeros(2, 8), batch.gaussian, batch.box, logits)


def test_a_perfect_answer_costs_nothing(batch: Batch) -> None:
    found = losses(perfect(batch, 100.0), batch, "object")
    assert found.total(1, 1) < 1e-12


def test_the_mask_loss_is_divided_by_the_objects_size(batch: Batch) -> None:
    """Logits of 0 cost ln 2 a sample, so the loss is ln 2 times all samples over the object's."""
    costs = mask_loss(perfect(batch, 0.0), batch)
    for row, cost in enumerate(costs.tolist()):
        mine = {p: batch.where.slots[p] // batch.where.real.shape[1] == row for p in batch.truth}
        samples = sum(batch.truth[p][here].numel() for p, here in mine.items())
        objects = sum(int(batch.truth[p][here].sum()) for p, here in mine.items())
        assert cost == pytest.approx(math.log(2) * samples / objects, rel=1e-5)


def test_units(batch: Batch) -> None:
    """Section 3.5: ‖ΔB‖²/σ. In units of the object σ is 1; in those of the picture, it is its share of the side."""
    answer = perfect(batch, 100.0)
    shifted = Answer(answer.perceptual, answer.positional, answer.box + 3.0, answer.logits)
    sigma = batch.gaussian[:, 2:4].prod(-1).sqrt()
    by_object = (4 * (3 / sigma) ** 2).mean()
    by_picture = (4 * (3 / HEIGHT) ** 2 / (sigma / HEIGHT)).mean()
    assert losses(shifted, batch, "object").box.item() == pytest.approx(by_object.item(), rel=1e-4)
    assert losses(shifted, batch, "picture").box.item() == pytest.approx(by_picture.item(), rel=1e-4)


@given(st.floats(-3, 3), st.floats(0.5, 20), st.floats(0.5, 20))
@settings(max_examples=50, deadline=None)
def test_all_names_of_an_ellipses_axes_cost_the_same(angle: float, s1: float, s2: float) -> None:
    a, b = math.cos(angle), math.sin(angle)
    names = [(s1, s2, a, b), (s1, s2, -a, -b), (s2, s1, -b, a), (s2, s1, b, -a)]
    found = torch.tensor([[5.0, 6.0, *name] for name in names], dtype=torch.float64)
    true = found[:1].expand(4, -1)
    one = torch.ones(4, dtype=torch.float64)
    assert position_loss(found, true, one, one).max() < 1e-12
    other = torch.tensor([[5.5, 6.0, s1 + 1, s2, a, b]], dtype=torch.float64).expand(4, -1)
    costs = position_loss(other, found, one, one)
    assert (costs - costs[0]).abs().max() < 1e-9
    assert costs[0] > 0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_the_truth_at_output_patches_puts_together_the_mask(seed: int) -> None:
    """Written back where the patches are, it is the mask, wherever samples are single pixels and the cover reaches."""
    from flip.cover import cover

    rng = np.random.default_rng(seed)
    data = np.zeros((HEIGHT, WIDTH), bool)
    y, x = rng.integers(0, HEIGHT - 1), rng.integers(0, WIDTH - 1)
    h, w = rng.integers(1, HEIGHT - y + 1), rng.integers(1, WIDTH - x + 1)
    data[y : y + h, x : x + w] = rng.random((h, w)) < 0.7
    if not data.any():
        data[y, x] = True
    mask = RegionMask.from_full(data)
    where = cover(Gaussian.from_mask(mask), WIDTH, HEIGHT, int(rng.integers(4, 300)))
    truth, unit = truth_at(mask, where), where.unit
    padded = np.pad(data, ((0, 512), (0, 512)))
    for p, corners in where.corners.items():
        for (left, top), samples in zip(corners, truth[p], strict=True):
            blocks = padded[top : top + p * unit, left : left + p * unit].reshape(p, unit, p, unit)
            assert np.array_equal(samples, 2 * blocks.sum((1, 3)) >= unit**2)
