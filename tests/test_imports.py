"""What importing a package loads, in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded_by(code: str) -> set[str]:
    """The top-level modules that are loaded after `code`."""
    show = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{show}"], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import flip", {"torch"}),
        ("from flip import FlipPredictor, Gaussian, Recipe, load_predictor", set()),
        ("import objascale, objascale.plan, objascale.masks, objascale.datasets", {"torch", "bpy"}),
        ("import baselines, bench, reports", {"torch", "pandas", "ultralytics", "onnxruntime"}),
    ],
)
def test_importing_a_package_loads_only_what_it_needs(code: str, heavy: set[str]) -> None:
    never = {"cv2", "requests", "pydantic", "typer"} if "flip" in code else set()
    assert not loaded_by(code) & (heavy | never)


def test_an_unknown_name_of_flip_is_an_attribute_error() -> None:
    import flip

    with pytest.raises(AttributeError, match="no attribute 'Predictor'"):
        flip.Predictor  # noqa: B018
