"""Fixtures: a small network with the architecture of SAM."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from baselines.torchvision_cpu import prepare_torchvision


@pytest.fixture(scope="session")
def small_sam() -> Callable[[], nn.Module]:
    """Return a function that builds Meta's `Sam` with one narrow transformer block and fixed random weights."""
    prepare_torchvision()
    from segment_anything.build_sam import _build_sam

    def build() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(7)
            return _build_sam(32, 1, 2, [0])

    return build


@pytest.fixture(scope="session")
def network(small_sam: Callable[[], nn.Module]) -> nn.Module:
    """Return one such network, which tests must not change."""
    return small_sam().requires_grad_(False)
