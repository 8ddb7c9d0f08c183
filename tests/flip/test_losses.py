"""The losses of the paper's models, against the formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flip.gaussian import Gaussian
from flip.paper.model import FlipOutput
from flip.sampler import PAPER, Recipe
from flip.training.examples import (
    GRID_EXTENT,
    GRID_SIDE,
    Batch,
    make_example,
    mask_at_grid,
    mask_at_patches,
    patch_coverage,
)
from flip.training.losses import code_loss, mask_loss, overlap_loss, paper_losses, position_loss, token_loss
from flip.training.prompts import draw_prompts
from objascale.masks import RegionMask
from objascale.scenes import Scene

WIDTH, HEIGHT = 200, 150


def scene(*gaussians: Gaussian) -> Scene:
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    return Scene(image, [gaussian.ellipse_mask(WIDTH, HEIGHT) for gaussian in gaussians], "made")


@pytest.fixture(scope="module")
def batch() -> Batch:
    rng = np.random.default_rng(1)
    shown = scene(
        Gaussian.from_ellipse(100, 70, 30, 12, math.degrees(0.5)), Gaussian.from_ellipse(60, 90, 4, 3, math.degrees(2))
    )
    return Batch.of([make_example(shown, mask, 64, 64, PAPER, 0, rng) for mask in shown.masks])


def perfect(batch: Batch, sure: float) -> FlipOutput:
    """Return the targets as an answer, with logits of ±`sure`."""
    logits = {p: (2.0 * mask - 1) * sure for p, mask in batch.truth.items()}
    return FlipOutput(torch.zeros(2, 8), batch.gaussian, batch.box, logits)


def test_a_perfect_answer_costs_nothing(batch: Batch) -> None:
    found = paper_losses(perfect(batch, 100.0), batch, "object")
    assert found.total(1, 1) < 1e-12


def test_the_mask_loss_is_divided_by_the_objects_size(batch: Batch) -> None:
    """With logits of 0 each sample costs ln 2, so the loss is ln 2 · samples / object samples."""
    costs = mask_loss(perfect(batch, 0.0), batch)
    for row, cost in enumerate(costs.tolist()):
        mine = {p: batch.outputs.slots[p] // batch.outputs.real.shape[1] == row for p in batch.truth}
        samples = sum(batch.truth[p][here].numel() for p, here in mine.items())
        objects = sum(int(batch.truth[p][here].sum()) for p, here in mine.items())
        assert cost == pytest.approx(math.log(2) * samples / objects, rel=1e-5)


def test_position_and_box_losses_scale_with_their_unit(batch: Batch) -> None:
    """Section 3.5: ‖ΔB‖²/σ. In units of the object, σ is 1; in units of the picture, σ is relative to its side."""
    output = perfect(batch, 100.0)
    shifted = FlipOutput(output.perceptual, output.positional, output.box + 3.0, output.logits)
    sigma = batch.gaussian[:, 2:4].prod(-1).sqrt()
    by_object = (4 * (3 / sigma) ** 2).mean()
    by_picture = (4 * (3 / HEIGHT) ** 2 / (sigma / HEIGHT)).mean()
    assert paper_losses(shifted, batch, "object").box.item() == pytest.approx(by_object.item(), rel=1e-4)
    assert paper_losses(shifted, batch, "picture").box.item() == pytest.approx(by_picture.item(), rel=1e-4)


@given(st.floats(-3, 3), st.floats(0.5, 20), st.floats(0.5, 20))
@settings(max_examples=50, deadline=None)
def test_all_parametrisations_of_an_ellipse_cost_the_same(angle: float, s1: float, s2: float) -> None:
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
def test_a_sample_of_an_output_patch_is_the_majority_of_its_pixels(seed: int) -> None:
    """Each sample is the majority of the mask's pixels in its cell."""
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
    truth, unit = mask_at_patches(mask, where), where.unit
    padded = np.pad(data, ((0, 512), (0, 512)))
    for p, corners in where.corners.items():
        for (left, top), samples in zip(corners, truth[p], strict=True):
            blocks = padded[top : top + p * unit, left : left + p * unit].reshape(p, unit, p, unit)
            assert np.array_equal(samples, 2 * blocks.sum((1, 3)) >= unit**2)


@given(st.integers(0, 2**32), st.sampled_from((1, 2, 4, 8, 16)))
@settings(max_examples=40, deadline=None)
def test_patch_coverage_equals_counting_on_a_fine_grid(seed: int, size: int) -> None:
    """Patch centres are multiples of 1/8 px, so counting on a grid of 1/8 px is exact."""
    rng = np.random.default_rng(seed)
    mask = RegionMask.from_full(rng.uniform(size=(40, 50)) < 0.5)
    centres = rng.integers(8 * 9, 8 * 30, (20, 2)) / 8
    fine = mask.full().repeat(8, 0).repeat(8, 1)
    for share, (x, y) in zip(patch_coverage(mask, centres, size), centres, strict=True):
        left, top = round(8 * (x - size / 2)), round(8 * (y - size / 2))
        assert share == pytest.approx(fine[top : top + 8 * size, left : left + 8 * size].mean(), abs=1e-5)


def test_patches_beside_the_mask_are_not_covered() -> None:
    mask = RegionMask(10, 10, np.ones((4, 6), bool), 100, 100)
    centres = np.array(((5.0, 12.0), (13.0, 12.0), (16.5, 12.0), (13.0, 14.5), (90.0, 90.0)))
    assert patch_coverage(mask, centres, 2).tolist() == [0, 1, 0.25, 0.25, 0]


@pytest.mark.parametrize("most", [math.inf, 260.0])
def test_of_a_white_object_a_patch_is_as_bright_as_it_is_covered(most: float) -> None:
    """This also holds where a sample is the mean of 5×5 pixels."""
    mask = RegionMask(50, 40, np.ones((60, 100), bool), WIDTH, HEIGHT)
    image = np.repeat(np.where(mask.full(), 255, 0).astype(np.uint8)[..., None], 3, 2)
    scene, rng = Scene(image, [mask], "white"), np.random.default_rng(1)
    example = make_example(scene, mask, 64, 16, Recipe(max_area=most), 1, rng)
    assert example.inputs.unit == (1 if most == math.inf else 5)
    assert sum(map(len, example.coverage.values())) > 40
    for size, shares in example.coverage.items():
        bright = example.inputs.pixels[size].double().mean((1, 2, 3)) / 255
        np.testing.assert_allclose(shares, bright, atol=0.005)


def test_the_token_loss_is_a_mean_over_real_tokens(batch: Batch) -> None:
    rows, longest = batch.coverage.shape
    assert not batch.coverage[~batch.inputs.layout.real].any()
    assert token_loss(torch.zeros(rows, longest), batch).tolist() == pytest.approx([math.log(2)] * rows)
    sure = torch.where(batch.coverage > 0.5, 100.0, -100.0)
    partly = (batch.coverage > 0) & (batch.coverage < 1)
    assert partly.any()
    assert not partly.all()
    real = batch.inputs.layout.real
    expected = (100 * torch.minimum(batch.coverage, 1 - batch.coverage)).sum(1) / real.sum(1)
    assert torch.allclose(token_loss(sure, batch), expected)


def test_a_share_of_prompts_is_exact() -> None:
    true = Gaussian.from_ellipse(50, 40, 12, 7, math.degrees(1))
    rng = np.random.default_rng(0)
    tried = [list(draw_prompts(true, 0.25, rng)) for _ in range(2000)]
    assert all(each[-1] is true for each in tried)
    assert all(each[0] is not true for each in tried if len(each) > 1)
    assert np.mean([len(each) == 1 for each in tried]) == pytest.approx(0.25, abs=0.03)
    assert all(len(list(draw_prompts(true, 1, rng))) == 1 for _ in range(100))
    assert all(len(list(draw_prompts(true, 0, rng))) > 1 for _ in range(100))


def test_the_overlap_loss_of_a_certain_answer_is_one_minus_its_iou(batch: Batch) -> None:
    assert overlap_loss(perfect(batch, 100.0), batch).tolist() == pytest.approx([0, 0], abs=1e-6)
    rng = np.random.default_rng(0)
    flipped = {p: torch.from_numpy(rng.uniform(size=tuple(t.shape)) < 0.2) for p, t in batch.truth.items()}
    wrong = Batch(**{**vars(batch), "truth": {p: t ^ flipped[p] for p, t in batch.truth.items()}})
    losses_found = overlap_loss(perfect(wrong, 100.0), batch)
    for row, loss in enumerate(losses_found.tolist()):
        here = {p: batch.outputs.slots[p] // batch.outputs.real.shape[1] == row for p in batch.truth}
        common = sum(int((batch.truth[p] & wrong.truth[p])[mine].sum()) for p, mine in here.items())
        either = sum(int((batch.truth[p] | wrong.truth[p])[mine].sum()) for p, mine in here.items())
        assert loss == pytest.approx(1 - common / either, rel=1e-5)


def test_the_grid_lies_along_the_prompts_axes() -> None:
    """In its own Gaussian's coordinates an ellipse is a disc of radius 2. Outside the image the grid is empty."""
    prompt = Gaussian.from_ellipse(100, 70, 60, 24, math.degrees(0.5))
    mask = prompt.ellipse_mask(WIDTH, HEIGHT)
    steps = np.linspace(-GRID_EXTENT, GRID_EXTENT, GRID_SIDE)
    radius = np.hypot(steps[:, None], steps[None]).ravel()
    found = mask_at_grid(mask, prompt)
    clear = abs(radius - 2) > 0.1
    assert np.array_equal(found[clear], (radius < 2)[clear])
    half = RegionMask.from_full(mask.full() & (np.indices((HEIGHT, WIDTH))[1] < 100))
    centres = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2) @ prompt.axes().T + prompt.mean
    assert np.array_equal(mask_at_grid(half, prompt), found & (centres[:, 0] < 100))
    corner = Gaussian.from_ellipse(3, 3, 30, 30, 0)
    assert mask_at_grid(RegionMask.from_full(np.ones((HEIGHT, WIDTH), bool)), corner).mean() < 0.5


def test_the_code_loss_is_a_mean_over_the_grid(batch: Batch) -> None:
    assert code_loss(torch.zeros(batch.grid.shape), batch).tolist() == pytest.approx([math.log(2)] * 2)
    assert code_loss(200 * batch.grid - 100, batch).tolist() == pytest.approx([0, 0], abs=1e-6)
