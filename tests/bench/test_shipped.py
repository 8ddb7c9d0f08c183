"""The weights in the package: loaded without a download, labelled as this project's, and better than their prompt."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from bench.cli import app as bench
from flip.choices import PAPER_MODELS
from flip.cli import app as flip
from flip.gaussian import Gaussian
from flip.predictor import load_predictor
from flip.weights import PACKAGE_WEIGHTS, PACKAGE_WEIGHTS_SUFFIX, WEIGHTS, fetch, find_weights, sha256

FILE = PACKAGE_WEIGHTS / "flip-s.safetensors"


@pytest.fixture(autouse=True)
def _no_weights_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)


def test_the_weights_of_the_package_need_no_download(tmp_path: Path) -> None:
    for size in PAPER_MODELS:
        file = PACKAGE_WEIGHTS / f"{size}.safetensors"
        assert find_weights(size) == file
        assert fetch(WEIGHTS[size], tmp_path) == (file,)
    for app in (flip, bench):
        done = CliRunner().invoke(app, ["fetch", *PAPER_MODELS])
        assert done.exit_code == 0
        assert done.output.count("already there") == len(PAPER_MODELS)
        assert FILE.name in done.output
        assert "GPL-3.0-or-later" in done.output
    lines = [line for line in CliRunner().invoke(bench, ["models"]).output.splitlines() if "this project  " in line]
    assert [line.split()[0] for line in lines] == list(PAPER_MODELS)


def test_the_weights_of_the_package_fit_into_a_wheel() -> None:
    assert sum(path.stat().st_size for path in PACKAGE_WEIGHTS.iterdir()) < 80e6


def test_weights_of_the_user_come_first(tmp_path: Path) -> None:
    own = tmp_path / "flip-s.safetensors"
    own.write_bytes(FILE.read_bytes())
    assert find_weights("flip-s", tmp_path) == own


@pytest.mark.parametrize("size", PAPER_MODELS)
def test_the_model_card_has_the_hash_of_the_file(size: str) -> None:
    card = (PACKAGE_WEIGHTS / f"{size}.md").read_text()
    assert sha256(PACKAGE_WEIGHTS / f"{size}.safetensors") in card
    parameters = sum(p.numel() for p in load_predictor(size).model.parameters())
    assert f"| parameters | {parameters:,} |" in card


def test_results_name_the_origin_of_the_weights(discs, tmp_path: Path) -> None:
    out = tmp_path / "results"
    done = CliRunner().invoke(bench, ["run", "--models", "flip-s", "--data", str(discs(2)), "--out", str(out)])
    assert done.exit_code == 0, done.output
    (card,) = json.loads((out / "run.json").read_text())["models"]
    assert card["family"].endswith(PACKAGE_WEIGHTS_SUFFIX)
    assert card["weights_sha256"] == sha256(FILE)
    assert not card["untrained"]
    assert pd.read_parquet(out / "results.parquet")["iou"].min() > 0.7


@pytest.mark.parametrize("size", PAPER_MODELS)
def test_a_bright_ellipse_on_dark_ground_is_segmented(size: str) -> None:
    """The prompts are exact; the IoU is at least 0.8 at any size and rotation."""
    rng = np.random.default_rng(0)
    predictor = load_predictor(size)
    for semi1, semi2 in ((3, 2), (8, 8), (20, 9), (60, 40)):
        truth = Gaussian.from_ellipse(120, 100, semi1, semi2, math.degrees(rng.uniform(0, 3))).ellipse_mask(240, 200)
        image = rng.integers(30, 40, (200, 240, 3), np.uint8)
        image[truth.full()] = (200, 120, 40)
        predictor.set_image(image)
        assert predictor.predict(gaussian=Gaussian.from_mask(truth)).iou(truth) > 0.8


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("size", PAPER_MODELS)
def test_the_model_card_has_the_iou_on_coco128(size: str, shared: Path, tmp_path: Path) -> None:
    """The IoU equals the card, up to the rounding of another processor."""
    card = (PACKAGE_WEIGHTS / f"{size}.md").read_text()
    told = re.search(r"\*\*COCO128\*\*.*?\| all \| (0\.\d+) \[.*?\] \| (0\.\d+) \| 887 \|", card, re.DOTALL)
    assert told
    out, photos = tmp_path / "results", shared / "assets/photos/coco128"
    arguments = ["--models", f"{size},ellipse", "--data", str(photos), "--out", str(out)]
    done = CliRunner().invoke(bench, ["run", *arguments])
    assert done.exit_code == 0, done.output
    found = pd.read_parquet(out / "results.parquet").groupby("model")["iou"].mean()
    assert found[size] > found["ellipse"]
    assert [found[size], found["ellipse"]] == pytest.approx([float(iou) for iou in told.groups()], abs=0.0015)
