"""The notebook docs/tour.ipynb runs, and its outputs are those of its cells."""

from __future__ import annotations

import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import nbformat
import pytest

from tests.docs_scripts import load_script

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def runner() -> ModuleType:
    return load_script("notebook")


@pytest.fixture
def tour(runner: ModuleType) -> Any:
    return nbformat.read(runner.NOTEBOOK, 4)


def test_every_cell_runs_and_makes_outputs_of_the_kinds_in_the_file() -> None:
    done = subprocess.run([sys.executable, "docs/notebook.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_file_is_executed_small_and_names_no_folder_of_a_machine(runner: ModuleType, tour: Any) -> None:
    assert runner.faults(tour) == []
    shown = [kind for cell in runner.code_cells(tour) for output in runner.kinds(cell) for kind in output]
    assert shown.count("image/png") == 3
    assert re.findall("/(?:home|root|tmp)/|Traceback|Warning", nbformat.writes(tour)) == []


def test_outputs_of_other_cells_are_detected(runner: ModuleType, tour: Any) -> None:
    changed, skipped, large, private = (deepcopy(tour) for _ in range(4))
    runner.code_cells(changed)[0].source += "\n"
    runner.code_cells(skipped)[1].execution_count = 9
    runner.code_cells(large)[1].outputs[-1]["text"] = "a" * 300_000
    runner.code_cells(private)[1].outputs[-1]["text"] = f"{Path.home()}/data"
    found = [runner.faults(each) for each in (changed, skipped, large, private)]
    words = ("has changed since", "not executed in order", "more than 300,000 bytes", "names a folder of this machine")
    assert [len(each) for each in found] == [1, 1, 1, 1]
    assert all(word in each[0] for word, each in zip(words, found, strict=True))
