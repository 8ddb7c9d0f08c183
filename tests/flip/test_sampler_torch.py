"""Patches of a tensor, on the CPU, are those of the array."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from flip.gaussian import Gaussian
from flip.sampler import PAPER, NoPatches, Recipe, extract, sample_many
from flip.sampler_torch import extract_on_device, sample_on_device

SIZES = (1, 2, 4, 8, 16)
IMAGE = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
recipes = st.sampled_from([Recipe(), PAPER, Recipe(sizes=(1, 3, 6, 12), overlap=0.5, coverage=2)])
prompts = st.builds(
    Gaussian.from_ellipse,
    st.floats(5, 295),
    st.floats(5, 195),
    st.floats(2, 80),
    st.floats(2, 80),
    st.floats(-4, 4),
)


class Operations(TorchDispatchMode):
    """Counts PyTorch's operations, and those that would wait for a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.all = self.waits = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.all += 1
        self.waits += operation._opname in ("_local_scalar_dense", "equal", "nonzero", "is_nonzero")
        return operation(*args, **(kwargs or {}))


@settings(max_examples=40, deadline=None)
@given(st.lists(prompts, max_size=5), st.integers(0, 2**32), st.integers(1, 600), recipes)
def test_the_same_patches_and_the_same_generators_after(
    gaussians: list[Gaussian], seed: int, tokens: int, recipe: Recipe
) -> None:
    ours, theirs = ([np.random.default_rng(seed + i) for i in range(len(gaussians))] for _ in range(2))
    try:
        expected = sample_many(IMAGE, gaussians, tokens, theirs, recipe)
    except NoPatches as error:
        with pytest.raises(NoPatches, match=re.escape(str(error))):
            sample_on_device(torch.from_numpy(IMAGE), gaussians, tokens, ours, recipe)
        return
    found = sample_on_device(torch.from_numpy(IMAGE), gaussians, tokens, ours, recipe, threads=2)
    for one, other in zip(found, expected, strict=True):
        assert tuple(one.pixels) == tuple(one.centres) == recipe.sizes
        assert all(np.array_equal(one.pixels[p].numpy(), other.pixels[p]) for p in recipe.sizes)
        assert all(np.array_equal(one.centres[p], other.centres[p]) for p in recipe.sizes)
    for one, other in zip(ours, theirs, strict=True):
        assert one.bit_generator.state == other.bit_generator.state


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("at_once", [1, 1000, 1 << 20])
def test_content_as_by_the_compiled_sampler(size: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patches up to the image's edge, cut all together or a few at a time."""
    monkeypatch.setattr("flip.sampler_torch.AT_ONCE", at_once)
    rng = np.random.default_rng(size)
    image = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    low, high = (size / 2, size / 2), (50 - size / 2, 40 - size / 2)
    centres = np.vstack((low, high, rng.uniform(low, high, (60, 2))))
    ours = extract_on_device(torch.from_numpy(image), torch.from_numpy(centres), size)
    assert np.array_equal(ours.numpy(), extract(image, centres, size))


def test_more_prompts_are_not_more_operations() -> None:
    gaussians = [Gaussian.from_ellipse(60 + 10 * i, 90, 4 + i, 12, 0.3 * i) for i in range(16)]
    counts = []
    for n in (1, 16):
        with Operations() as counted:
            sample_on_device(torch.from_numpy(IMAGE), gaussians[:n], 200, range(n), Recipe())
        counts.append(counted.all)
        assert counted.waits == 0
    assert counts[0] == counts[1] < 300


def test_an_image_of_any_size_costs_the_same() -> None:
    """3 TB that are one pixel in memory: whoever copied the image would fail."""
    image = torch.tensor((10, 20, 30), dtype=torch.uint8).expand(1_000_000, 1_000_000, 3)
    (patches,) = sample_on_device(image, [Gaussian.from_ellipse(999_900, 5e5, 40, 90, 0)], 512, [0], Recipe())
    assert len(patches) > 200
    for pixels in patches.pixels.values():
        assert (pixels == torch.tensor((10, 20, 30))).all()


def test_not_one_patch() -> None:
    gaussians = [Gaussian.from_point(50, 50, 9), Gaussian.from_point(-400, 50, 9)]
    with pytest.raises(NoPatches, match=r"-400, "):
        sample_on_device(torch.from_numpy(IMAGE), gaussians, 512, [0, 1], PAPER)
