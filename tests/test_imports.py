"""What importing a package loads, in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest


def loaded_by(code: str) -> set[str]:
    """The top-level modules that are loaded after `code`."""
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


MODEL_LIBRARIES = {"torch", "torchvision", "onnxruntime", "segment_anything", "ultralytics"}


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import flip", {"torch"}),
        ("from flip import FlipPredictor, Gaussian, Recipe, load_predictor", set()),
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
        (
            "from typer.testing import CliRunner; from bench.cli import app; CliRunner().invoke(app, ['--help'])",
            MODEL_LIBRARIES,
        ),
    ],
)
def test_importing_a_package_loads_only_what_it_needs(code: str, heavy: set[str]) -> None:
    never = {"cv2", "requests", "pydantic", "typer"} if "flip" in code else set()
    assert not loaded_by(code) & (heavy | never)


@pytest.mark.parametrize("name", ["baselines", "flip"])
def test_every_exported_name_is_there_and_an_unknown_one_is_an_attribute_error(name: str) -> None:
    package = import_module(name)
    for exported in package.__all__:
        assert getattr(package, exported) is not None
    with pytest.raises(AttributeError, match="no attribute 'Predictor'"):
        package.Predictor  # noqa: B018
