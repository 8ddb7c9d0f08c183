"""The mask equals the full-frame postprocessing of Segment Anything, bit for bit."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from baselines.upsample import resized_size, sam_mask


def full_frame(network, logits: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the mask of `Sam.postprocess_masks`."""
    fit_width, fit_height = resized_size(width, height)
    batch = torch.from_numpy(logits)[None, None]
    return (network.postprocess_masks(batch, (fit_height, fit_width), (height, width)) > 0)[0, 0].numpy()


def blob(rng: np.random.Generator, mean: float) -> np.ndarray:
    """Return negative logits, except for a random rectangle with the given mean."""
    logits = rng.normal(-20, 1, (256, 256))
    x, y, w, h = rng.integers(0, 256, 4)
    logits[y : y + h, x : x + w] = rng.normal(mean, 3, logits[y : y + h, x : x + w].shape)
    return logits.astype(np.float32)


def holes(rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random((256, 256)) < 0.1, -3, 2).astype(np.float32)


def about_zero(rng: np.random.Generator) -> np.ndarray:
    """Return tiny numbers and many zeros, so that rounding decides the sign."""
    return (rng.normal(0, 1e-6, (256, 256)) * rng.integers(0, 2, (256, 256))).astype(np.float32)


KINDS = {
    "one object": lambda rng: blob(rng, 3),
    "a ragged object": lambda rng: blob(rng, -2),
    "with holes": holes,
    "about zero": about_zero,
    "all negative": lambda rng: -rng.random((256, 256), np.float32) - 0.1,
    "one logit": lambda rng: np.where(np.arange(65536) == rng.integers(65536), 1, -1e-3).reshape(256, 256).astype("f"),
}
side = st.one_of(st.integers(1, 8), st.integers(1, 140), st.integers(1, 1200), st.sampled_from((256, 512, 1024, 2048)))


@settings(max_examples=120, deadline=None)  # each enlarges a mask to the full frame
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(KINDS)), side, side, st.integers(1, 3))
@example(0, "about zero", 1, 1, 1)
@example(0, "about zero", 64, 64, 1)
@example(0, "about zero", 64, 65, 1)
@example(0, "about zero", 1, 3000, 2)
@example(0, "about zero", 3000, 1, 2)
@example(0, "about zero", 1024, 1024, 2)
def test_the_mask_equals_the_full_frame_mask_bit_for_bit(network, seed, kind, width, height, threads):
    logits = KINDS[kind](np.random.default_rng(seed))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        mask = sam_mask(logits, width, height)
        assert (mask.width, mask.height) == (width, height)
        assert np.array_equal(mask.full(), full_frame(network, logits, width, height))
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("instructions", ["default", "avx2"])
def test_masks_are_equal_with_every_instruction_set_of_pytorch(instructions):
    """Only some instruction sets fuse multiplications and additions."""
    this = f"{__file__}::test_the_mask_equals_the_full_frame_mask_bit_for_bit"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", this],
        env={**os.environ, "ATEN_CPU_CAPABILITY": instructions},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("size", [(8192, 8192), (5000, 3001)])
def test_masks_of_the_largest_pictures_are_equal(network, size):
    logits = blob(np.random.default_rng(5), 2)
    mask = sam_mask(logits, *size)
    assert mask.area > 0
    assert np.array_equal(mask.full(), full_frame(network, logits, *size))


class Largest(TorchDispatchMode):
    """Record the number of elements of the largest tensor that an operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        answer = func(*args, **(kwargs or {}))
        if isinstance(answer, torch.Tensor):
            self.elements = max(self.elements, answer.numel())
        return answer


def test_an_8192_picture_needs_no_full_frame_of_floats():
    with Largest() as largest:
        whole = sam_mask(np.full((256, 256), 9, np.float32), 8192, 8192)
    assert whole.area == 8192 * 8192
    assert largest.elements <= 8192 * 8192 / 8


def test_a_small_object_in_a_large_picture_needs_few_operations():
    logits = np.full((256, 256), -9, np.float32)
    logits[100, 100] = 9
    with Largest() as largest:
        assert sam_mask(logits, 8192, 8192).area > 0
    assert largest.elements <= 8192 * 8192 / 50


def test_an_object_only_in_the_padding_gives_an_empty_mask(network):
    logits = np.full((256, 256), -1, np.float32)
    logits[200:, :] = 1  # for an image twice as wide as high, rows from 128 on are padding
    mask = sam_mask(logits, 640, 320)
    assert mask.area == 0
    assert not full_frame(network, logits, 640, 320).any()


@pytest.mark.parametrize(
    ("size", "expected"), [((640, 480), (1024, 768)), ((1, 5000), (1, 1024)), ((427, 640), (683, 1024))]
)
def test_sizes_are_rounded_as_by_sam(size, expected):
    assert resized_size(*size) == expected
