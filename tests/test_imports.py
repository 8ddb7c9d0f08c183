"""Modules that importing a package loads in a new interpreter."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that are loaded after `code`."""
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


MODEL_LIBRARIES = {"torch", "torchvision", "onnxruntime", "segment_anything", "timm", "transformers", "ultralytics"}


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import flip", {"torch"}),
        ("from flip import FlipPredictor, Gaussian, Recipe, load_predictor", set()),
        ("from objascale import render", {"torch", "bpy"}),
        ("import objascale, objascale.plan, objascale.masks, objascale.datasets", {"torch", "bpy"}),
        ("import baselines, bench, reports", {*MODEL_LIBRARIES, "pandas"}),
        ("import bench.ray, objascale.engine.ray, objascale.records", {"bpy", "PyOpenColorIO", "OpenEXR"}),
        ("from baselines import MODELS, Segmenter, find_models; find_models([*MODELS, 'sam-b@crop'])", MODEL_LIBRARIES),
        (
            "from baselines.registry import MODELS, find_all_weights; "
            "find_all_weights(MODELS.values(), None, allow_untrained=True)",
            MODEL_LIBRARIES,
        ),
        ("from bench.commands.models import models; models()", MODEL_LIBRARIES),
    ],
)
def test_importing_a_package_loads_only_what_it_needs(code: str, heavy: set[str]) -> None:
    never = {"cv2", "requests", "pydantic", "typer"} if "flip" in code else set()
    assert not loaded_by(code) & (heavy | never)


def test_importing_the_packages_does_not_change_how_threads_wait() -> None:
    code = """
import os
from objascale.cores import PASSIVE_WAITING
before = dict(os.environ)
import baselines, bench.runner, flip.predictor, objascale.cli, reports
assert all(os.environ.get(name) == before.get(name) for name in PASSIVE_WAITING)"""
    assert "torch" in loaded_by(code)


@pytest.mark.parametrize("name", ["baselines", "bench", "flip", "objascale", "reports"])
def test_exported_names_exist_and_unknown_names_raise_attribute_error(name: str) -> None:
    package = import_module(name)
    for exported in package.__all__:
        assert getattr(package, exported) is not None
    with pytest.raises(AttributeError, match="no attribute 'Predictor'"):
        package.Predictor  # noqa: B018


NOT_FOR_HELP = {
    *(*MODEL_LIBRARIES, "bpy", "cv2", "h5py", "jinja2", "matplotlib", "numba", "pandas", "PIL", "pyarrow"),
    *("pycocotools", "ray", "requests", "scipy", "seaborn"),
}
EXPORTS = (
    *("export coco", "export yolo", "export bop", "export flip-hdf5", "export webdataset", "export huggingface"),
    "export datasheet",
)
COMMANDS = {
    "objascale": ("", "plan", "render", "crops", "merge", "freeze", "verify", "sheet", "stats", "export", *EXPORTS),
    "flip": ("", "train", "pseudo-label", "card", "predict", "export", "fetch"),
    "bench": ("", "models", "fetch", "run", "merge", "compare", "submit", "leaderboard", "serve"),
    "reports": ("", "build", "figure", "table", "check"),
}


@pytest.mark.parametrize("program", COMMANDS)
def test_help_of_no_command_loads_a_heavy_module(program: str) -> None:
    code = f"""
from typer.testing import CliRunner
from {program}.cli import app
for command in {COMMANDS[program]}:
    shown = CliRunner().invoke(app, [*command.split(), "--help"])
    assert shown.exit_code == 0 and "Usage" in shown.output, (command, shown.output)"""
    assert not loaded_by(code) & NOT_FOR_HELP


def test_choices_of_help_equal_those_of_the_implementing_modules() -> None:
    from flip.choices import PAPER_MODELS
    from flip.paper.model import PAPER_CONFIGS
    from objascale.choices import DATASET_FORMATS
    from objascale.datasets.formats import FORMATS
    from reports.choices import DATASET_TABLE_TOPICS, FIGURE_TOPICS, SUMMARY_TABLE_TOPICS
    from reports.figures.registry import FIGURES
    from reports.tables.registry import DATASET_TABLES, SUMMARY_TABLES

    assert list(DATASET_FORMATS) == list(FORMATS)
    assert list(PAPER_MODELS) == list(PAPER_CONFIGS)
    assert list(FIGURE_TOPICS) == list(FIGURES)
    assert list(SUMMARY_TABLE_TOPICS) == list(SUMMARY_TABLES)
    assert list(DATASET_TABLE_TOPICS) == list(DATASET_TABLES)
