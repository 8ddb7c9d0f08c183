"""`bench models`: by family, whose weights, what runs here, and all fields as JSON."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from rich.console import Console

from baselines.registry import MODELS
from tests.bench_runs import bench

IN_THE_PACKAGE = {"flip-s", "flip-m", "flip-l", "grabcut", "box", "ellipse"}


@pytest.fixture(autouse=True)
def _no_weights_of_the_user(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OBJASCALE_WEIGHTS", raising=False)


def rows(text: str) -> dict[str, list[str]]:
    """Return the cells of each model's line, which are separated by two spaces or more."""
    lines = [line.split("  ") for line in text.splitlines() if line.startswith("  ")]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    return {each[0]: each[1:] for each in cells if each}


def test_the_owner_of_the_weights_is_a_column():
    found = {name: cells[2] for name, cells in rows(bench("models").stdout).items()}
    assert found["flip-large"] == "authors"
    assert {found[name] for name in ("flip-s", "flip-m", "flip-l")} == {"this project"}
    assert found["sam2.1-t"] == "copy"
    assert found["mobilesam-onnx"] == "third party"
    assert found["box"] == "–"


def test_models_stand_below_their_family():
    lines = [line.rstrip() for line in bench("models").stdout.splitlines()]
    assert lines.index("SAM") < lines.index(next(line for line in lines if line.startswith("  sam-b")))
    assert lines.count("FLIP") == 1


@pytest.mark.parametrize("width", [80, 120])
def test_no_name_and_no_number_is_cut(monkeypatch, width):
    out = StringIO()
    monkeypatch.setattr("bench.commands.models.console", lambda: Console(file=out, width=width))
    from bench.commands.models import models

    models()
    words = out.getvalue().split()
    for model in MODELS.values():
        assert model.name in words
        assert not model.parameters or f"{model.parameters:,}" in words
    assert max(map(len, out.getvalue().splitlines())) <= width


def test_available_lists_what_runs_here(monkeypatch):
    assert set(rows(bench("models", "--available").stdout)) == IN_THE_PACKAGE
    monkeypatch.setattr("baselines.model.find_spec", lambda module: None)
    listed = rows(bench("models").stdout)
    assert listed["sam-h"][3] == "no package"


def test_json_has_every_field_of_every_model(monkeypatch):
    found = {model["name"]: model for model in json.loads(bench("models", "--json").stdout)}
    assert list(found) == list(MODELS)
    flip, sam = found["flip-s"], found["sam-h"]
    assert flip["runs_here"]
    assert flip["files"][0].endswith("flip-s.safetensors")
    assert sam["weights"]["files"][0]["filename"] == "sam_vit_h_4b8939.pth"
    assert (sam["runs_here"], sam["missing"], sam["extra"], sam["crop"]) == (False, "download", "sam", True)
    assert "sa1b" in sam["training"]["datasets"]
    available = json.loads(bench("models", "--json", "--available").stdout)
    assert {model["name"] for model in available} == IN_THE_PACKAGE
