"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real test material beside the checkout; CI has it, a user need not."""
    folder = ROOT.parent / "shared"
    if not (folder / "assets").is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the test material {folder} is missing, and CI must not skip the tests that need it")
        pytest.skip("needs the real test material (weights, objects, photographs), which is not beside this checkout")
    return folder
