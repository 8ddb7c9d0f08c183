"""Models, data set formats and sources of an installed package, one of each that works and one that is broken."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from baselines.registry import all_models, find_models
from objascale import plugins
from objascale.cli import app as objascale_app
from objascale.dataset import DatasetError
from objascale.datasets.formats import open_dataset
from tests.bench_runs import bench

PACKAGE = Path(__file__).with_name("strangers")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """Install the package of a stranger into a folder."""
    folder = tmp_path_factory.mktemp("site")
    source = shutil.copytree(PACKAGE, folder / "source")
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", folder / "installed", source]
    subprocess.run(command, check=True, env={**os.environ, "PIP_NO_CACHE_DIR": "1"})
    return folder / "installed"


@pytest.fixture
def strangers(site, tmp_path, monkeypatch):
    """Put the package on the path, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(site)
    plugins.installed.cache_clear()
    yield site
    plugins.installed.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "strangers"]:
        del sys.modules[name]


def imported() -> bool:
    return "strangers" in sys.modules


def test_bench_models_marks_plugins_and_prints_a_line_per_broken_one(site):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "bench.cli", "models", "--available"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    for line in ("strangers (package strangers-tools)", "  inset ", "  inset-row ", "  box "):
        assert line in done.stdout
    assert "Data set format: dots (package strangers-tools)" in done.stdout
    assert "Source of objects: cubes (package strangers-tools)" in done.stdout
    says = "of the package strangers-tools does not work:"
    assert done.stderr.splitlines() == [
        f"the plug-in box (models) {says} this project has one of the same name",
        f"the plug-in broken (models) {says} RuntimeError: no such library",
        f"the plug-in nothing (models) {says} nothing is an object of type int, not a class",
        f"the plug-in broken (datasets) {says} RuntimeError: no such library",
        f"the plug-in broken (sources) {says} RuntimeError: no such library",
    ]


def test_models_of_a_package_run_beside_those_of_this_project(strangers, discs):
    result = bench("run", "--models", "inset,inset-row,inset@crop,box", "--data", discs(3), "--out", "results")
    assert result.exit_code == 0, result.output
    rows = pd.read_parquet("results/results.parquet").set_index("model")
    assert rows["error"].isna().all()
    assert rows.loc["inset", "predicted_area"].lt(rows.loc["box", "predicted_area"].to_numpy()).all()
    assert rows.loc["inset", "iou"].to_list() == rows.loc["inset-row", "iou"].to_list()
    assert set(rows.loc["inset", "seen_in_training"]) == {"no"}
    cards = {card["name"]: card for card in json.loads(Path("results/run.json").read_text())["models"]}
    assert "code_sha256" in cards["inset"]["settings"]
    assert "code_sha256" in cards["inset-row"]["settings"]
    assert cards["inset"]["family"] == "strangers"


def test_all_models_include_those_of_packages(strangers, tmp_path, discs, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)
    result = bench("run", "--models", "all", "--data", discs(1), "--out", "results", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert {"box", "flip-s", "inset", "inset-row"} <= set(pd.read_parquet("results/results.parquet")["model"])


def test_a_model_of_a_package_is_found_in_another_process(strangers):
    (model,) = find_models(["inset@crop=3"])
    again = pickle.loads(pickle.dumps(model))
    assert (again.name, again.package) == ("inset@crop=3", "strangers-tools")
    assert [model.name for model in all_models() if model.package] == ["inset", "inset-row"]


def test_a_broken_plugin_stops_only_a_run_that_names_it(strangers, discs):
    data = discs(1)
    assert bench("run", "--models", "box", "--data", data, "--out", "results").exit_code == 0
    assert not imported(), "a run without plug-ins imports none"
    result = bench("run", "--models", "box,broken", "--data", data, "--out", "results")
    assert result.exit_code == 1
    says = "the plug-in broken (models) of the package strangers-tools does not work: RuntimeError: no such library"
    assert result.stderr == f"error: {says}\n"
    assert "did you mean inset" in bench("run", "--models", "insert", "--data", data).stderr
    Path("mine.py").write_text((strangers / "strangers/model.py").read_text().replace("Inset", "inset"))
    assert "is called inset, as a model of `bench models`" in bench("run", "--models", "mine.py:inset").stderr


def test_a_data_set_of_a_package_opens_after_the_formats_of_this_project(strangers, tmp_path, discs):
    folder = tmp_path / "dots"
    folder.mkdir()
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(folder / "a.png")
    (folder / "dots.txt").write_text("a.png 30 20\n")
    for arguments in ((), ("--format", "dots")):
        result = bench("run", "--models", "box", "--data", folder, "--out", "results", *arguments)
        assert result.exit_code == 0, result.output
    assert pd.read_parquet("results/results.parquet")["iou"].to_list() == [1.0]
    shutil.copy(folder / "dots.txt", discs(1) / "dots.txt")
    assert open_dataset(tmp_path / "data").name == "objascale"


def test_faults_of_a_data_set_format_are_sentences(strangers, tmp_path, caplog):
    for name, sentence in (
        ("broken", "the plug-in broken .* does not work: RuntimeError: no such library"),
        ("nope", "no data set format is called nope; the formats are objascale, .*, masks, broken, dots"),
        ("dots", r"the plug-in dots .* does not work: read\(\) raises ValueError: not enough values"),
    ):
        (tmp_path / "dots.txt").write_text("a.png\n")
        with pytest.raises(DatasetError, match=sentence):
            open_dataset(tmp_path, name)
    (tmp_path / "dots.txt").unlink()
    with pytest.raises(DatasetError, match=r"none of the known formats \(objascale, .*, broken, dots\)"):
        open_dataset(tmp_path)


def plan(*arguments: object):
    words = ["plan", "--hdris", "blender", "--n", 2, "--out", "plan.json", *arguments]
    return CliRunner().invoke(objascale_app, [str(word) for word in words])


def test_a_source_of_a_package_gives_objects_to_a_plan(strangers, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.glb").write_bytes(name.encode())
    result = plan("--source", "cubes", "--objects", tmp_path)
    assert result.exit_code == 0, result.output
    assert "cube/one" in Path("plan.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--source", "cubes"], 1, "error: cubes needs --objects, a folder of GLB files"),
        (["--source", "cubes", "--objects", "."], 1, "does not work: it returned an empty list, not a list of Assets"),
        (["--source", "broken"], 1, "the plug-in broken (sources) of the package strangers-tools does not work"),
        (["--source", "moon"], 2, "there are starter, folder, sweethome, objaverse, broken, cubes"),
    ],
)
def test_faults_of_a_source_are_sentences(strangers, arguments, code, sentence):
    result = plan(*arguments)
    assert result.exit_code == code
    assert sentence in result.stderr
    assert "Traceback" not in result.output


def test_help_and_runs_without_plugins_read_no_entry_points(monkeypatch, tmp_path, discs):
    def refuse(**_: str) -> None:
        raise AssertionError("entry points are read")

    monkeypatch.setattr("objascale.plugins.entry_points", refuse)
    plugins.installed.cache_clear()
    for command in ("run", "models", "fetch"):
        assert bench(command, "--help").exit_code == 0
    assert CliRunner().invoke(objascale_app, ["render", "--help"]).exit_code == 0
    assert bench("run", "--models", "box", "--data", discs(1), "--out", tmp_path / "results").exit_code == 0
