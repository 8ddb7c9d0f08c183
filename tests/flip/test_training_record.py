"""Training writes the record of its data beside the weights, and `bench` reads it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from baselines.registry import find_model, learned_from
from bench.seen import seen_in_training
from flip.cli import app
from flip.training.record import begin_record, finish_record, record_of
from flip.training_data import UNKNOWN, TrainingData, read_record, record_path
from flip.weights import PACKAGE_WEIGHTS, sha256
from objascale.datasets.formats import open_dataset
from objascale.scenes import Contents

OLD = TrainingData("a test", ("sa1b",), {"a": "1"}, {"b": "2"}, {"c": "3"})
NEW = TrainingData("another test", ("coco",), {"d": "4"}, complete=False)
BOTH = TrainingData(
    "a test; another test", ("coco", "sa1b"), {"a": "1", "d": "4"}, {"b": "2"}, {"c": "3"}, complete=False
)


def test_the_record_of_two_parts_has_both() -> None:
    assert OLD | NEW == BOTH


@pytest.mark.parametrize(("resumed", "expected"), [(True, BOTH), (False, NEW)])
def test_a_resumed_run_keeps_the_data_of_earlier_starts(resumed: bool, expected: TrainingData, tmp_path: Path) -> None:
    weights = tmp_path / "flip-s.safetensors"
    weights.write_bytes(b"weights")
    begin_record(tmp_path, OLD, resumed=False)
    begin_record(tmp_path, NEW, resumed=resumed)
    finish_record(tmp_path, weights)
    assert read_record(weights, sha256(weights)) == expected


def test_a_run_that_was_begun_without_a_record_has_an_incomplete_one(tmp_path: Path) -> None:
    begin_record(tmp_path, OLD, resumed=True)
    assert read_record(tmp_path / "checkpoint.pt", "") == UNKNOWN | OLD


def test_an_object_without_hash_makes_the_record_incomplete() -> None:
    assert record_of(Contents(objects={"starter:mug": ""}, backgrounds={"park": "1"})).complete
    assert not record_of(Contents(objects={"crops:mug": ""})).complete


def test_the_command_excludes_pictures_and_bench_knows_the_others(write_discs, tmp_path: Path) -> None:
    data = write_discs(tmp_path / "data", 4)
    shown = [str(data / sample.file) for sample in open_dataset(data).samples[:1]]
    (tmp_path / "small.toml").write_text(
        'model = "flip-s"\nscenes = 1\nmasks = 1\n[[phases]]\nsteps = 1\ntokens = 16\noutputs = 12\n'
        "[optimiser]\nrate = 1e-3\n"
    )
    arguments = ["train", "--data", str(data), "--config", str(tmp_path / "small.toml"), "--device", "cpu"]
    arguments += ["--exclude", shown[0], "--out", str(tmp_path / "run"), "--workers", "0", "--begin-with", "flip-s"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "left out of the training data: 1, because the picture" in done.output
    weights = tmp_path / "run/flip-s.safetensors"
    learned = learned_from(find_model("flip-s"), (weights,))
    first = learned_from(find_model("flip-s"), (PACKAGE_WEIGHTS / "flip-s.safetensors",))
    assert len(learned.pictures) == len(first.pictures) + 3
    assert first.objects.items() < learned.objects.items()
    seen = [
        seen_in_training(learned, sample, sample.objects()[0], hashlib.sha256(sample.content()).hexdigest())
        for sample in open_dataset(data).samples
    ]
    assert seen[1:] == ["dataset"] * 3
    assert seen[0] != "dataset"
    assert record_path(weights).is_file()


def test_a_missing_path_to_exclude_is_an_error_of_one_line(write_discs, tmp_path: Path) -> None:
    arguments = ["train", "--data", str(write_discs(tmp_path / "data", 1)), "--exclude", str(tmp_path / "gone")]
    done = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "run")])
    assert done.exit_code == 1
    assert done.output == f"error: --exclude {tmp_path / 'gone'}: there is no such file or folder; correct the path\n"
    assert not (tmp_path / "run").exists()
