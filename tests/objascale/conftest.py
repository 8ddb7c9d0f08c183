"""One small real dataset for all who read datasets: rendered once, copied by those who damage it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from objascale.color import blender_datafiles


@dataclass(frozen=True)
class Made:
    folder: Path
    objects: Path
    hdris: Path


def objascale(*arguments: object, **more) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "objascale.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **more)


@pytest.fixture(scope="session")
def run_objascale():
    return objascale


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Made:
    """Five pictures of two credited objects before one map."""
    base = tmp_path_factory.mktemp("made")
    for category in ("crate", "wedge"):
        (base / "objects" / category).mkdir(parents=True)
    corners = "".join(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 2) for z in (0, 1.5))
    faces = "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"
    (base / "objects/crate/old.obj").write_text(corners + faces)
    (base / "objects/wedge/stop.obj").write_text(corners + "f 1 2 4 3\nf 1 5 6 2\nf 5 3 4 6\nf 1 3 5\nf 2 6 4\n")
    (base / "objects/credits.csv").write_text(
        "category,file,title,creator,license,source\n"
        "crate,old.obj,An old crate,Ann,CC-BY-4.0,https://example.org/crate\n"
        "wedge,stop.obj,A door stop,Bob,CC0-1.0,https://example.org/wedge\n"
    )
    (base / "maps").mkdir()
    (base / "maps/sunset.exr").symlink_to(blender_datafiles() / "studiolights/world/sunset.exr")
    made = Made(base / "set", base / "objects", base / "maps")
    result = objascale(
        *("render", "--source", "folder", "--objects", made.objects, "--hdris", made.hdris, "--out", made.folder),
        *(
            "--n",
            5,
            "--preset",
            "full",
            "--max-px",
            512,
            "--max-fraction",
            0.01,
            "--samples",
            4,
            "--no-denoise",
            "--seed",
            3,
        ),
        *("--workers", 1),
    )
    assert result.returncode == 0, result.stderr
    return made


@pytest.fixture
def copy(made, tmp_path) -> Path:
    """A copy of the dataset, to be damaged."""
    return Path(shutil.copytree(made.folder, tmp_path / "copy"))
