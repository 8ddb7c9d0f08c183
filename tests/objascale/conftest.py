"""Two small datasets for all who read datasets: a rendered one, and one by hand with several objects in a picture."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objascale.color import blender_datafiles
from objascale.compose import encode
from objascale.dataset import OBJECTS_PER_IMAGE, Dataset, image_file, mask_columns
from objascale.files import write_atomically
from objascale.masks import RegionMask
from objascale.plan import ObjectSpec, RenderSettings, SceneSpec, spec_id


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
        *("--n", 5, "--preset", "full", "--max-px", 512, "--max-fraction", 0.01),
        *("--samples", 4, "--no-denoise", "--seed", 3),
        *("--workers", 1),
    )
    assert result.returncode == 0, result.stderr
    return made


@pytest.fixture
def copy(made, tmp_path) -> Path:
    """A copy of the rendered dataset, to be damaged."""
    return Path(shutil.copytree(made.folder, tmp_path / "copy"))


@pytest.fixture(scope="session")
def by_hand(tmp_path_factory) -> Path:
    """Two pictures without Blender: rectangles on noise, one and three of them."""
    return write_by_hand(tmp_path_factory.mktemp("by_hand") / "set")


@pytest.fixture
def hand_copy(by_hand, tmp_path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(by_hand, tmp_path / "hand_copy"))


@pytest.fixture(scope="session")
def write_pictures() -> Callable[..., Path]:
    """Makes such folders: `write_pictures(folder, image_format="png", credits=…)`."""
    return write_by_hand


CREDITS = [
    {
        "id": "crate/old",
        "title": "An old crate",
        "author": "Ann",
        "licence": "CC-BY-4.0",
        "url": "https://example.org/c",
    },
    {"id": "wedge/stop", "title": "Türstopper, klein", "author": "Bob", "licence": "CC0-1.0", "url": ""},
    {"id": "cup/tin", "title": "", "author": "", "licence": "", "url": ""},
    {"id": "sunset", "title": "Sunset", "author": "Cleo", "licence": "CC0-1.0", "url": "https://example.org/s"},
]
SIZES = [(96, 64), (120, 150)]  # width, height
OBJECTS = [["wedge/stop"], ["crate/old", "wedge/stop", "cup/tin"]]
STAGES = ("import", "place", "trace", "compose", "encode", "write")


def write_by_hand(folder: Path, image_format: Any = "png", credits: list[dict[str, str]] = CREDITS) -> Path:
    """Two pictures, of one object and of three, the second with an object that hides part of another."""
    settings = RenderSettings(format=image_format)
    dataset = Dataset(folder)
    dataset.open({"fingerprint": {"source": "folder", "render": settings.model_dump()}, "credits": credits})
    for slot, names in enumerate(OBJECTS):
        dataset.append({"status": "progress", "slot": slot})
        dataset.append(_render(folder, slot, names, settings, {credit["id"]: credit for credit in credits}))
    dataset.append({"status": "failed", "slot": 2, "reason": "error", "message": "no", "object_ids": ["cup/tin"]})
    dataset.write_annotations()
    return folder


def _render(folder: Path, slot: int, names: list[str], settings: RenderSettings, credits: dict) -> dict[str, Any]:
    width, height = SIZES[slot]
    picture = np.random.default_rng(slot).integers(0, 256, (height, width, 3), dtype=np.uint8)
    free = np.ones((height, width), bool)
    masks = []
    for k, name in enumerate(names):  # nearest first
        whole = np.zeros_like(free)
        whole[7 + 11 * k : 20 + 17 * k, 30 * k : 31 + 33 * k] = True
        whole[7 + 11 * k, 30 * k] = False  # no mere rectangle
        picture[whole & free] = (40, 60 * k, 200)
        masks.append((name, RegionMask.from_full(whole & free), (whole & free).sum() / whole.sum()))
        free &= ~whole
    data = encode(picture, settings.format)
    file = image_file(slot, settings.format)
    write_atomically(folder / file, data)
    things = tuple(
        ObjectSpec(name, name.split("/")[0], "0" * 64, mask.fraction, 0.5, 0.5, 0.5, False) for name, mask, _ in masks
    )
    spec = SceneSpec(
        slot=slot,
        attempt=0,
        map_id="sunset",
        map_sha256="1" * 64,
        width=width,
        height=height,
        fov=1.0,
        azimuth=0.0,
        elevation=0.5,
        seed=slot,
        objects=things,
    )
    shared = {
        "image_id": slot,
        "file": file,
        "hdri_id": "sunset",
        "spec_id": spec_id(spec, settings),
        "seed": slot,
        "image_sha256": hashlib.sha256(data).hexdigest(),
        **{f"seconds_{stage}": 0.1 + slot for stage in STAGES},
    }
    rows = [
        {
            "object_id": OBJECTS_PER_IMAGE * slot + k,
            "category": name.split("/")[0],
            "asset_id": name,
            "target_fraction": mask.fraction,
            **{key: credits[name][key] for key in ("title", "author", "licence", "url")},
            "visible": float(visible),
            "missing_textures": [],
            "position": [1.0, 2.0, float(k)],
            **shared,
            **mask_columns(mask),
        }
        for k, (name, mask, visible) in enumerate(masks)
    ]
    record = {"slot": slot, "attempt": 0, "status": "done", "spec_id": shared["spec_id"]}
    return {**record, "spec": asdict(spec), "annotations": rows}
