"""Fixtures: a small network with the architecture of SAM."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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


@pytest.fixture(scope="session")
def tiny_hf(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a `model_type` to the folder of a tiny model of `transformers`, which must not change."""
    from tests.baselines.tiny_hf import save_tiny

    folders: dict[str, Path] = {}

    def folder(model_type: str) -> Path:
        if model_type not in folders:
            folders[model_type] = save_tiny(model_type, tmp_path_factory.mktemp(model_type))
        return folders[model_type]

    return folder
