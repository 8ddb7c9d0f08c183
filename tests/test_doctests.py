"""The examples in docstrings run and give the results that they show."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

MODULES = [
    "flip.gaussian",
    "flip.predictor",
    "flip.released.predictor",
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # so that the weights are those of the package
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)
    results = doctest.testmod(import_module(name))
    assert results.attempted > 0
    assert results.failed == 0
