"""The tables in README.md and docs/ equal the output of their commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs_scripts import load_script

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    return load_script("tables")


def test_every_table_equals_the_output_of_its_command() -> None:
    done = subprocess.run([sys.executable, "docs/tables.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_changed_number_is_detected(tables: ModuleType) -> None:
    page = "<!-- $ reports table size docs/results/furniture -->\n\n| 1.000 |\n\n<!-- end -->\n"
    filled = tables.fill(page)
    assert "flip-tiny" in filled
    assert "| 1.000 |" not in filled
    assert tables.fill(filled) == filled


def test_the_pages_run_only_commands_of_the_suite(tables: ModuleType) -> None:
    with pytest.raises(SystemExit, match="a table is made by reports or bench, not by rm"):
        tables.fill("<!-- $ rm -rf docs -->\n<!-- end -->\n")


def test_kept_results_name_no_path_of_a_machine() -> None:
    runs = sorted((ROOT / "docs/results").glob("*/run.json"))
    assert runs
    assert not [run for run in runs if '"/' in run.read_text()]
