"""The examples in docstrings run and print what they show."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

MODULES = (
    "bench.evaluation",
    "bench.metrics",
    "bench.prompts",
    "flip.gaussian",
    "flip.predictor",
    "flip.released.predictor",
    "objascale.datasets",
    "objascale.datasets.formats",
    "objascale.datasets.openimages",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_correct(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # only the weights of the package are found
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted
    assert not results.failed
