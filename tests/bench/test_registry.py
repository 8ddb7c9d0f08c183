"""The registry's rows of FLIP against the models themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench import registry
from bench.segmenter import ModelUnavailable
from flip.released import CONFIGS, ReleasedFlip
from flip.weights import WeightsMissing


@pytest.fixture(autouse=True)
def _no_weights_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)


def save(name: str, path: Path) -> None:
    state = ReleasedFlip(CONFIGS[name]).state_dict()
    torch.save({"state_dict": {f"net.encoder.{key}": tensor for key, tensor in state.items()}}, path)


def test_the_list_is_made_without_the_networks() -> None:
    code = "import sys, bench.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", CONFIGS)
def test_rows_of_flip(name: str) -> None:
    row = registry.MODELS[name]
    with torch.device("meta"):
        model = ReleasedFlip(CONFIGS[name])
    assert row.parameters == sum(p.numel() for p in model.parameters())
    assert (row.family, row.prompts, row.licence) == ("FLIP", ("gaussian",), "MIT")
    with pytest.raises(WeightsMissing, match=f"bench fetch {name}"):
        registry.find_all_weights([row], None)


def test_each_row_loads_its_own_model(tmp_path: Path) -> None:
    save("flip-small", tmp_path / "flip-small.ckpt")
    row = registry.MODELS["flip-small"]
    card = registry.load(row, registry.find_all_weights([row], tmp_path)["flip-small"], "cpu").describe()
    assert (card.name, card.parameters, card.weights) == ("flip-small", 2_344_690, "flip-small.ckpt")


def test_broken_weights_are_named(tmp_path: Path) -> None:
    (tmp_path / "flip-small.ckpt").write_bytes(b"half")
    row = registry.MODELS["flip-small"]
    with pytest.raises(ModelUnavailable, match=r"flip-small\.ckpt is no whole checkpoint"):
        registry.load(row, registry.find_all_weights([row], tmp_path)["flip-small"], "cpu")
