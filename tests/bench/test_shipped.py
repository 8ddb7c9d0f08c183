"""Weights that come with the package: found without a download, and called this project's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.cli import app as bench
from bench.commands import models
from flip import segmenter, weights
from flip.cli import app as flip
from flip.training.checkpoint import export_weights
from flip.training.config import read_config
from flip.training.task import task_of
from flip.weights import OURS, WEIGHTS, fetch, find_weights, sha256


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of flip-s, of random numbers, in the package's folder, and no other weights on the machine."""
    config = read_config("flip-s-compositions")
    path = export_weights(tmp_path / "shipped", config, task_of(config).model().state_dict())
    for module in (weights, segmenter, models):
        monkeypatch.setattr(module, "SHIPPED", path.parent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)
    return path


def test_they_are_found_and_need_no_fetching(shipped: Path, tmp_path: Path) -> None:
    assert find_weights("flip-s") == shipped
    assert fetch(WEIGHTS["flip-s"], tmp_path) == (shipped,)
    assert CliRunner().invoke(flip, ["fetch", "flip-s"]).output == f"{shipped} (GPL-3.0-or-later)\n"
    assert CliRunner().invoke(bench, ["fetch", "flip-s"]).output == f"flip-s: {shipped}\n"
    assert CliRunner().invoke(bench, ["models"]).output.count("in this package, trained by this project") == 1


def test_the_users_own_come_first(shipped: Path, tmp_path: Path) -> None:
    own = tmp_path / "flip-s.safetensors"
    own.write_bytes(shipped.read_bytes())
    assert find_weights("flip-s", tmp_path) == own


def test_results_say_whose_they_are(shipped: Path, discs, tmp_path: Path) -> None:
    out = tmp_path / "results"
    done = CliRunner().invoke(bench, ["run", "--models", "flip-s", "--data", str(discs(1)), "--out", str(out)])
    assert done.exit_code == 0, done.output
    (card,) = json.loads((out / "run.json").read_text())["models"]
    assert card["family"].endswith(OURS)
    assert card["weights_sha256"] == sha256(shipped)
    assert not card["untrained"]
