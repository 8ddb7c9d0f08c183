"""NaN in a model gives an error in the affected rows, and masks in all others."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from typer.testing import CliRunner

from baselines.flip import FlipSegmenter
from bench.cli import app
from bench.measurer import Measurer
from bench.prompts import PromptSettings
from bench.results import open_results
from bench.runner import run
from bench.selection import EVERYTHING
from flip.weights import PACKAGE_WEIGHTS
from objascale.datasets.formats import open_dataset


def test_weights_with_nan_give_error_rows_and_no_mask(discs, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with safe_open(PACKAGE_WEIGHTS / "flip-s.safetensors", "pt") as file:
        tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    tensors["predictor.pe.0.weight"][0, 0] = math.nan
    (tmp_path / "weights").mkdir()
    save_file(tensors, tmp_path / "weights/flip-s.safetensors", metadata)
    arguments = ["--models", "flip-s,ellipse", "--weights", tmp_path / "weights", "--data", discs(3)]
    CliRunner().invoke(app, ["run", *map(str, arguments), "--out", str(tmp_path / "out")])
    rows = pd.read_parquet(tmp_path / "out/results.parquet")
    broken, whole = rows[rows["model"] == "flip-s"], rows[rows["model"] == "ellipse"]
    assert (len(broken), len(whole)) == (3, 3)
    assert broken["error"].str.startswith("NotFinite: flip-s returned NaN or infinite logits for Gaussian(x=").all()
    assert broken["predicted_rle"].isna().all()
    assert broken["iou"].eq(0).all()
    assert whole["error"].isna().all()


def test_a_prompt_without_finite_logits_costs_one_row_of_a_batch(discs, tmp_path: Path) -> None:
    """All nine objects of an image are predicted together, and the logits of the largest are NaN."""
    data = discs(9)
    table = pd.read_parquet(data / "annotations.parquet")
    columns = ["image_id", "file", "image_sha256"]
    table[columns] = table.loc[0, columns].to_list()
    table.to_parquet(data / "annotations.parquet")
    dataset = open_dataset(data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        segmenter = FlipSegmenter("flip-tiny", None, tokens=32)
    model, batches = segmenter.predictor.model, []
    decode, encode = model.decode_many, model.encode_many

    def spoiled(points, encoded, gaussians, lengths):
        large = (gaussians[:, 3] * 128 > 7).repeat_interleave(torch.tensor(lengths))
        return decode(points, encoded, gaussians, lengths).masked_fill(large, math.nan)

    model.decode_many = spoiled
    model.encode_many = lambda prompts, dtype: batches.append(len(prompts)) or encode(prompts, dtype)
    description = {
        "created": "now",
        "dataset": {"name": dataset.name, "path": str(dataset.path)},
        "models": [dataclasses.asdict(segmenter.describe())],
        "prompt": {"source": "matched", "seed": 0},
        "noise": [0.0],
        "environment": {},
    }
    with open_results(tmp_path / "out", description, dataset) as results:
        run(Measurer(dataset, [segmenter], [PromptSettings()], EVERYTHING), dataset.samples, results)
        rows = results.frame()
    assert batches[0] > 1
    failed = rows["error"].notna()
    assert 0 < failed.sum() < 9
    assert rows.loc[failed, "error"].str.startswith("NotFinite: flip-tiny returned NaN").all()
    assert rows.loc[failed, "area"].min() > rows.loc[~failed, "area"].max()
    assert rows.loc[~failed, "predicted_rle"].notna().all()
