"""Random weights: used only with --untrained, and marked in all results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from baselines import sam
from baselines.torchvision_cpu import prepare_torchvision
from bench.cli import app


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Return a function that calls `bench run` in an empty folder without weights: `bench("--models", …)`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)
    return lambda *arguments: CliRunner().invoke(app, ["run", "--device", "cpu", *map(str, arguments)])


@pytest.fixture
def shallow_sam(monkeypatch) -> int:
    """Let SAM have one layer of 32 channels, which encodes an image in a tenth of the time. Return its parameters."""
    prepare_torchvision()
    from segment_anything.build_sam import _build_sam

    monkeypatch.setattr(sam, "build_sam", lambda name: _build_sam(32, 1, 2, [0]))
    return sum(parameter.numel() for parameter in sam.build_sam("sam-b").parameters())


def test_rows_table_and_run_json_mark_random_weights(bench, discs, shallow_sam):
    result = bench("--models", "flip-tiny,sam-b@crop=3,box", "--data", discs(1), "--allow-untrained")
    assert result.exit_code == 0, result.output
    for name in ("flip-tiny (untrained)", "sam-b@crop=3 (untrained)"):
        assert name in result.stdout
    assert "box (untrained)" not in result.stdout
    rows = pd.read_parquet("results/results.parquet").set_index("model")
    assert rows["untrained"].to_dict() == {"flip-tiny": True, "sam-b@crop=3": True, "box": False}
    assert rows["error"].isna().all()
    assert rows["weights_sha256"].isna().all()
    cards = {card["name"]: card for card in json.loads(Path("results/run.json").read_text())["models"]}
    assert {name: card["untrained"] for name, card in cards.items()} == rows["untrained"].to_dict()
    card = cards["sam-b@crop=3"]
    assert card["parameters"] == shallow_sam
    assert card["settings"] == {"input": 1024, "multimask": False, "precision": "fp32", "device": "cpu", "crop": 3.0}


def test_offline_without_the_flag_the_error_names_the_way_to_get_weights(bench, discs):
    result = bench("--models", "sam-b,sam-h@crop,box", "--data", discs(1), "--offline")
    assert result.exit_code == 1
    assert "no weights for sam-b: found no sam_vit_b_01ec64.pth" in result.stderr
    assert "bench fetch sam-h" in result.stderr
    assert not Path("results").exists()


def test_all_models_means_those_with_weights(bench, discs):
    result = bench("--models", "all", "--data", discs(1), "--allow-untrained")
    assert result.exit_code == 0, result.output
    assert not pd.read_parquet("results/results.parquet")["untrained"].any()


def test_a_damaged_training_record_costs_its_model_only(bench, discs, shared, tmp_path):
    shutil.copy(shared / "assets/weights/flip-tiny.safetensors", tmp_path)
    (tmp_path / "flip-tiny.json").write_text('{"weights_sha256": 3')
    result = bench("--models", "flip-tiny,box", "--data", discs(1), "--weights", tmp_path)
    assert result.exit_code == 1
    assert "flip-tiny.json is not a record of the training data of flip-tiny.safetensors" in result.stderr
    assert "flip-tiny could not be loaded" in result.stderr
    assert pd.read_parquet("results/results.parquet")["model"].to_list() == ["box"]


def test_trained_and_untrained_are_not_mixed(bench, discs, shared):
    data = discs(1)
    assert bench("--models", "flip-tiny", "--data", data, "--allow-untrained").exit_code == 0
    result = bench("--models", "flip-tiny", "--data", data, "--weights", shared / "assets/weights")
    assert result.exit_code == 1
    assert "results was made with other settings" in result.stderr


def test_precision_is_a_setting_and_precisions_are_not_mixed(bench, discs, shared):
    arguments = ["--models", "flip-tiny", "--data", discs(2), "--weights", shared / "assets/weights", "--precision"]
    assert bench(*arguments, "bf16").exit_code == 0
    (card,) = json.loads(Path("results/run.json").read_text())["models"]
    assert card["settings"]["dtype"] == "bfloat16"
    assert pd.read_parquet("results/results.parquet")["iou"].max() > 0.8
    result = bench(*arguments, "fp32")
    assert result.exit_code == 1
    assert "dtype" in result.stderr
    assert bench(*arguments, "fp8").exit_code == 2
