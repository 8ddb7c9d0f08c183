"""The sampler with tensors, on the CPU, against the laws of the compiled one."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flip.gaussian import Gaussian
from flip.sampler import PAPER, NoPatches, Recipe, extract, place
from flip.sampler_torch import extract_on_device, place_on_device, sample_on_device

SIZES = (1, 2, 4, 8, 16)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shared_areas(centres: dict[int, torch.Tensor]) -> torch.Tensor:
    """Area in px² that each pair of patches shares, 0 with itself."""
    edges = torch.cat([torch.cat((c - p / 2, c + p / 2), -1) for p, c in centres.items()])
    low = torch.maximum(edges[:, None, :2], edges[None, :, :2])
    high = torch.minimum(edges[:, None, 2:], edges[None, :, 2:])
    return (high - low).clamp_min(0).prod(-1).fill_diagonal_(0)


@settings(max_examples=5, deadline=None)
@given(st.floats(20, 280), st.floats(20, 180), st.floats(2, 80), st.floats(2, 80), st.integers(0, 2**32))
def test_the_papers_patches_never_overlap(x: float, y: float, semi1: float, semi2: float, seed: int) -> None:
    gaussian = Gaussian.from_ellipse(x, y, semi1, semi2, 0.7)
    (centres,) = place_on_device(300, 200, [gaussian], 300, [generator(seed)], PAPER)
    assert shared_areas(centres).max() < 1e-5
    for size, count in zip(SIZES, PAPER.counts(gaussian, 300), strict=True):
        assert len(centres[size]) <= count
        if len(centres[size]):
            assert centres[size].min() >= size / 2 + 0.5
            assert (centres[size].amax(0) < torch.tensor((300, 200)) - size / 2 - 0.5).all()


def test_draws_follow_the_gaussian_of_twice_the_covariance() -> None:
    gaussian = Gaussian.from_ellipse(5000, 5000, 300, 90, 0.6)
    recipe = Recipe(sizes=(1,), overlap=math.inf, coverage=1)
    (centres,) = place_on_device(10_000, 10_000, [gaussian], 2000, [generator(1)], recipe)
    assert len(centres[1]) == 2000
    white = np.linalg.solve(np.linalg.cholesky(2 * gaussian.covariance()), (centres[1].numpy() - gaussian.mean).T)
    radius = 1 - np.exp(-(white**2).sum(0) / 2)  # uniform in 0…1
    turn = np.arctan2(*white) / (2 * np.pi) + 0.5  # uniform, and independent of the radius
    observed, _, _ = np.histogram2d(radius, turn, bins=8, range=((0, 1), (0, 1)))
    assert ((observed - 31.25) ** 2 / 31.25).sum() < 103.4  # χ² of 63 degrees of freedom, p = 0.001


def test_as_many_as_the_compiled_sampler_places() -> None:
    """Also where overlaps are bounded, not forbidden, and where the image's edge refuses half of all draws."""
    prompts = [Gaussian.from_ellipse(600, 600, 51, 51, 0), Gaussian.from_ellipse(4, 500, 60, 20, 0.4)]
    runs = [
        place_on_device(1200, 1200, prompts, 512, [generator(2 * s), generator(2 * s + 1)], Recipe()) for s in range(4)
    ]
    for i, prompt in enumerate(prompts):
        here = np.array([[len(c) for c in run[i].values()] for run in runs])
        there = np.array([[len(c) for c in place(1200, 1200, prompt, 512, seed).values()] for seed in range(40)])
        noise = there.std(0) * math.sqrt(1 / 4 + 1 / 40)
        assert (np.abs(here.mean(0) - there.mean(0)) <= 4 * noise + 0.01).all()


def test_a_prompt_gets_the_same_patches_whatever_is_sampled_with_it() -> None:
    image = torch.randint(0, 256, (200, 300, 3), dtype=torch.uint8, generator=generator(0))
    prompts = [Gaussian.from_ellipse(60 + 40 * i, 90, 4 + 9 * i, 12, 0.3 * i) for i in range(5)]
    together = sample_on_device(image, prompts, 200, [generator(i) for i in range(5)], Recipe())
    for i, (pixels, centres) in enumerate(together):
        ((pixels_alone, centres_alone),) = sample_on_device(image, prompts[i : i + 1], 200, [generator(i)], Recipe())
        assert all(torch.equal(centres[p], centres_alone[p]) for p in SIZES)
        assert all(torch.equal(pixels[p], pixels_alone[p]) for p in SIZES)


@pytest.mark.parametrize("size", SIZES)
def test_content_as_by_the_compiled_sampler(size: int) -> None:
    rng = np.random.default_rng(size)
    image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    centres = rng.uniform(size / 2, (50 - size / 2, 40 - size / 2), (60, 2))
    ours = extract_on_device(torch.from_numpy(image), torch.from_numpy(centres), size)
    assert np.array_equal(ours.numpy(), extract(image, centres, size))


def test_not_one_patch() -> None:
    prompts = [Gaussian.from_point(50, 50, 9), Gaussian.from_point(-400, 50, 9)]
    with pytest.raises(NoPatches, match=r"-400\.0"):
        place_on_device(100, 100, prompts, 512, [generator(0), generator(1)], Recipe())
