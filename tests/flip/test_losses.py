"""The losses of the paper's training, against what its formulas say."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flip.gaussian import Gaussian
from flip.paper.model import Answer
from flip.sampler import PAPER, Recipe
from flip.training.examples import LATTICE, REACH, Batch, at_lattice, covered_by, make_example, truth_at
from flip.training.losses import code_loss, losses, mask_loss, overlap_loss, position_loss, token_loss
from flip.training.prompts import prompts
from objascale.masks import RegionMask
from objascale.scenes import Scene

WIDTH, HEIGHT = 200, 150


def scene(*gaussians: Gaussian) -> Scene:
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Scene(image, [gaussian.ellipse_mask(WIDTH, HEIGHT) for gaussian in gaussians], "made")


@pytest.fixture(scope="module")
def batch() -> Batch:
    rng = np.random.default_rng(1)
    shown = scene(Gaussian.from_ellipse(100, 70, 30, 12, 0.5), Gaussian.from_ellipse(60, 90, 4, 3, 2))
    return Batch.of([make_example(shown, mask, 64, 64, PAPER, 0, rng) for mask in shown.masks])


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
    from flip.paper.cover import cover

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


@given(st.integers(0, 2**32), st.sampled_from((1, 2, 4, 8, 16)))
@settings(max_examples=40, deadline=None)
def test_covered_shares_are_those_of_a_fine_grid(seed: int, size: int) -> None:
    """Patches anywhere, in eighths of a pixel, so that a grid of eighths counts exactly."""
    rng = np.random.default_rng(seed)
    mask = RegionMask.from_full(rng.uniform(size=(40, 50)) < 0.5)
    centres = rng.integers(8 * 9, 8 * 30, (20, 2)) / 8
    fine = mask.full().repeat(8, 0).repeat(8, 1)
    for share, (x, y) in zip(covered_by(mask, centres, size), centres, strict=True):
        left, top = round(8 * (x - size / 2)), round(8 * (y - size / 2))
        assert share == pytest.approx(fine[top : top + 8 * size, left : left + 8 * size].mean(), abs=1e-5)


def test_patches_beside_the_mask_are_not_covered() -> None:
    mask = RegionMask(10, 10, np.ones((4, 6), bool), 100, 100)
    centres = np.array(((5.0, 12.0), (13.0, 12.0), (16.5, 12.0), (13.0, 14.5), (90.0, 90.0)))
    assert covered_by(mask, centres, 2).tolist() == [0, 1, 0.25, 0.25, 0]


@pytest.mark.parametrize("most", [math.inf, 260.0])
def test_of_a_white_object_a_patch_is_as_bright_as_it_is_covered(most: float) -> None:
    """Also where a sample is the mean of 5×5 pixels, of which the object has all or none."""
    mask = RegionMask(50, 40, np.ones((60, 100), bool), WIDTH, HEIGHT)
    image = np.repeat(np.where(mask.full(), 255, 0).astype(np.uint8)[..., None], 3, 2)
    seen = make_example(Scene(image, [mask], "white"), mask, 64, 16, Recipe(max_area=most), 1, np.random.default_rng(1))
    assert seen.seen.unit == (1 if most == math.inf else 5)
    assert sum(map(len, seen.covered.values())) > 40
    for size, shares in seen.covered.items():
        bright = seen.seen.pixels[size].double().mean((1, 2, 3)) / 255
        np.testing.assert_allclose(shares, bright, atol=0.005)


def test_the_tokens_loss_is_a_mean_over_real_tokens(batch: Batch) -> None:
    rows, longest = batch.covered.shape
    assert not batch.covered[~batch.seen.layout.real].any()
    assert token_loss(torch.zeros(rows, longest), batch).tolist() == pytest.approx([math.log(2)] * rows)
    sure = torch.where(batch.covered > 0.5, 100.0, -100.0)
    partly = (batch.covered > 0) & (batch.covered < 1)
    assert partly.any()
    assert not partly.all()
    real = batch.seen.layout.real
    expected = (100 * torch.minimum(batch.covered, 1 - batch.covered)).sum(1) / real.sum(1)
    assert torch.allclose(token_loss(sure, batch), expected)


def test_a_share_of_prompts_is_exact() -> None:
    true = Gaussian.from_ellipse(50, 40, 12, 7, 1)
    rng = np.random.default_rng(0)
    tried = [list(prompts(true, 0.25, rng)) for _ in range(2000)]
    assert all(each[-1] is true for each in tried)
    assert all(each[0] is not true for each in tried if len(each) > 1)
    assert np.mean([len(each) == 1 for each in tried]) == pytest.approx(0.25, abs=0.03)
    assert all(len(list(prompts(true, 1, rng))) == 1 for _ in range(100))
    assert all(len(list(prompts(true, 0, rng))) > 1 for _ in range(100))


def test_the_overlap_loss_of_a_sure_answer_is_one_less_its_iou(batch: Batch) -> None:
    assert overlap_loss(perfect(batch, 100.0), batch).tolist() == pytest.approx([0, 0], abs=1e-6)
    rng = np.random.default_rng(0)
    flipped = {p: torch.from_numpy(rng.uniform(size=tuple(t.shape)) < 0.2) for p, t in batch.truth.items()}
    wrong = Batch(**{**vars(batch), "truth": {p: t ^ flipped[p] for p, t in batch.truth.items()}})
    losses_found = overlap_loss(perfect(wrong, 100.0), batch)
    for row, loss in enumerate(losses_found.tolist()):
        here = {p: batch.where.slots[p] // batch.where.real.shape[1] == row for p in batch.truth}
        common = sum(int((batch.truth[p] & wrong.truth[p])[mine].sum()) for p, mine in here.items())
        either = sum(int((batch.truth[p] | wrong.truth[p])[mine].sum()) for p, mine in here.items())
        assert loss == pytest.approx(1 - common / either, rel=1e-5)


def test_the_lattice_lies_along_the_prompts_axes() -> None:
    """Of an ellipse through its own Gaussian, a disc of radius 2 there; beyond the picture there is nothing."""
    prompt = Gaussian.from_ellipse(100, 70, 60, 24, 0.5)
    mask = prompt.ellipse_mask(WIDTH, HEIGHT)
    steps = np.linspace(-REACH, REACH, LATTICE)
    radius = np.hypot(steps[:, None], steps[None]).ravel()
    found = at_lattice(mask, prompt)
    clear = abs(radius - 2) > 0.1
    assert np.array_equal(found[clear], (radius < 2)[clear])
    half = RegionMask.from_full(mask.full() & (np.indices((HEIGHT, WIDTH))[1] < 100))
    centres = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2) @ prompt.axes().T + prompt.mean
    assert np.array_equal(at_lattice(half, prompt), found & (centres[:, 0] < 100))
    corner = Gaussian.from_ellipse(3, 3, 30, 30, 0)
    assert at_lattice(RegionMask.from_full(np.ones((HEIGHT, WIDTH), bool)), corner).mean() < 0.5


def test_the_codes_loss_is_a_mean_over_the_lattice(batch: Batch) -> None:
    assert code_loss(torch.zeros(batch.lattice.shape), batch).tolist() == pytest.approx([math.log(2)] * 2)
    assert code_loss(200 * batch.lattice - 100, batch).tolist() == pytest.approx([0, 0], abs=1e-6)
