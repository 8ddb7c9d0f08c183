"""`flip card` writes what it measures, and the table of trials."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from flip.cli import app
from flip.gaussian import Gaussian
from flip.training.card import make_card, measure, read_run
from flip.training.config import TrainingError
from flip.training.validation import ValidationScores, load_validation
from flip.training_data import read_record
from flip.weights import PACKAGE_WEIGHTS, sha256
from objascale.masks import RegionMask

SHIPPED = PACKAGE_WEIGHTS / "flip-s.safetensors"
CONFIG = (
    'model = "flip-s"\nscenes = 2\nmasks = 2\n[[phases]]\nsteps = 2\ntokens = 16\noutputs = 12\n'
    "[optimiser]\nrate = 1e-9\n"
)


def test_the_card_has_the_measured_results_of_a_run_and_its_trials(discs: Callable[..., Path], tmp_path: Path) -> None:
    data, run = discs(4), tmp_path / "run"
    (tmp_path / "small.toml").write_text(CONFIG)
    train = ["train", "--data", str(data), "--config", str(tmp_path / "small.toml"), "--workers", "0"]
    done = CliRunner().invoke(app, [*train, "--device", "cpu", "--begin-with", "flip-s", "--out", str(run)])
    assert done.exit_code == 0, done.output
    out = tmp_path / "flip-s.md"
    weights = str(run / "flip-s.safetensors")
    arguments = ["card", str(run), weights, "--data", f"discs={data}", "--note", "On one core.", "--out", str(out)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    card = out.read_text()
    assert f"SHA-256 `{sha256(run / 'flip-s.safetensors')}`" in card
    assert "On one core." in card
    assert "2 steps of 4 examples in 0.00 hours" in card
    first = read_record(SHIPPED, sha256(SHIPPED))
    assert first
    assert f"{len(set(first.pictures.values())) + 4} pictures with masks" in card
    trials = [line for line in card.splitlines() if line.startswith(("| run |", "| flip-s |"))]
    assert [line.split(" | ")[0] for line in trials] == ["| run", "| run", "| flip-s"]
    results = [line.split(" | ")[3].rstrip(" |") for line in trials[1:]]
    assert results[0] == results[1], "both are the same weights"
    assert f"| all | {results[0]} |" in card


def test_intervals_are_over_clusters() -> None:
    """All objects of a cluster have one IoU: the interval is that of a few clusters, not of many objects."""
    iou = np.repeat(np.linspace(0.5, 0.9, 6), 40)
    scores = ValidationScores(iou, iou, np.full(240, 50), np.repeat(np.arange(6), 40))
    card = make_card([(read_run(SHIPPED), {"data": scores})], [])
    low, high = (float(each) for each in card.split("0.700 [")[1].split("]")[0].split(", "))
    assert high - low > 0.15
    assert "below 0.3 for 0 of 240 objects" in card


def test_fewer_than_six_clusters_have_no_interval() -> None:
    iou = np.repeat(np.linspace(0.5, 0.9, 5), 40)
    scores = ValidationScores(iou, iou, np.full(200, 50), np.repeat(np.arange(5), 40))
    assert "| all | 0.700 | 0.700 | 200 |" in make_card([(read_run(SHIPPED), {"data": scores})], [])


def test_pictures_of_one_asset_are_one_cluster(discs: Callable[..., Path]) -> None:
    scores = measure(SHIPPED, {"discs": load_validation(discs(7), None)})["discs"]
    assert scores.cluster.tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_the_iou_leaves_out_pixels_that_nobody_labelled(tmp_path: Path) -> None:
    """The upper half of a disc is unlabelled: the ellipse of the other half is scored there only, as by `bench run`."""
    ys, xs = np.mgrid[:96, :96] + 0.5
    disc = (xs - 48) ** 2 + (ys - 48) ** 2 < 24**2
    labels = np.where(disc, np.where(ys < 48, 128, 255), 0).astype(np.uint8)
    for part, pixels in (("images", np.stack([disc * np.uint8(200)] * 3, -1)), ("masks", labels)):
        (tmp_path / part).mkdir()
        Image.fromarray(pixels).save(tmp_path / part / "disc.png")
    truth = RegionMask.from_full(labels == 255)
    ellipse = Gaussian.from_mask(truth).ellipse_mask(96, 96).full() & (labels != 128)
    scores = measure(SHIPPED, {"disc": load_validation(tmp_path, None)})["disc"]
    expected = (ellipse & truth.full()).sum() / (ellipse | truth.full()).sum()
    assert scores.ellipse.tolist() == [pytest.approx(expected)]


def test_data_without_objects_are_refused(tmp_path: Path) -> None:
    for part, pixels in (("images", np.zeros((40, 40, 3), np.uint8)), ("masks", np.zeros((40, 40), np.uint8))):
        (tmp_path / "data" / part).mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "data" / part / "dark.png")
    arguments = ["card", str(SHIPPED), "--data", f"dark={tmp_path / 'data'}", "--out", str(tmp_path / "a.md")]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.output) == (1, "error: dark has no objects; give another data set\n")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["gone", "--data", "a=b"], "the validation data cannot be read"),
        (["gone", "--data", "discs"], "--data discs should be NAME=PATH"),
    ],
)
def test_bad_input_is_an_error_of_one_line(arguments: list[str], reason: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["card", *arguments, "--out", str(tmp_path / "a.md")])
    assert done.exit_code in (1, 2)
    assert reason in done.output
    assert done.output.count("\n") == 1


def test_a_folder_without_a_finished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="is not the folder of a finished run"):
        read_run(tmp_path)
    with pytest.raises(TrainingError, match="there is no weights file"):
        read_run(tmp_path / "gone.safetensors")
