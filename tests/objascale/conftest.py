"""Fixtures: two small datasets, one rendered and one made by hand with several objects in an image.

Also functions that build GLBs and that import and render them in Blender.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objascale.camera import Camera
from objascale.color import blender_datafiles
from objascale.compose import encode
from objascale.dataset import OBJECTS_PER_IMAGE, DatasetWriter, image_file, mask_columns
from objascale.files import write_atomically
from objascale.masks import RegionMask
from objascale.pose import Pose, camera_columns, camera_matrix, object_columns
from objascale.settings import RenderSettings
from objascale.spec import ObjectSpec, SceneSpec, spec_id
from tests.looking import Looker, Seen
from tests.objascale_runs import objascale
from tests.warm_workers import warm_workers


@dataclass(frozen=True)
class Made:
    folder: Path
    objects: Path
    hdris: Path


@pytest.fixture(scope="session", autouse=True)
def _warm_workers() -> Iterator[None]:
    with warm_workers():
        yield


@pytest.fixture(scope="session")
def run_objascale():
    return objascale


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Made:
    """Five images of two credited objects before one environment map. All test processes share them."""
    base = tmp_path_factory.getbasetemp()
    base = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "made"
    made = Made(base / "set", base / "objects", base / "maps")
    base.mkdir(exist_ok=True)
    with (base / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
        if not (base / "ready").exists():
            render(made)
            (base / "ready").touch()
    return made


def render(made: Made) -> None:
    for category in ("crate", "wedge"):
        (made.objects / category).mkdir(parents=True)
    corners = "".join(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 2) for z in (0, 1.5))
    faces = "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"
    (made.objects / "crate/old.obj").write_text(corners + faces)
    (made.objects / "wedge/stop.obj").write_text(corners + "f 1 2 4 3\nf 1 5 6 2\nf 5 3 4 6\nf 1 3 5\nf 2 6 4\n")
    (made.objects / "credits.csv").write_text(
        "category,file,title,creator,license,source\n"
        "crate,old.obj,An old crate,Ann,CC-BY-4.0,https://example.org/crate\n"
        "wedge,stop.obj,A door stop,Bob,CC0-1.0,https://example.org/wedge\n"
    )
    made.hdris.mkdir()
    (made.hdris / "sunset.exr").symlink_to(blender_datafiles() / "studiolights/world/sunset.exr")
    result = objascale(
        *("render", "--source", "folder", "--objects", made.objects, "--hdris", made.hdris, "--out", made.folder),
        *("--n", 5, "--preset", "full", "--min-px", 256, "--max-px", 256, "--max-fraction", 0.01),
        *("--samples", 4, "--no-denoise", "--seed", 3),
        *("--workers", 1),
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture(scope="session")
def crowded(made, tmp_path_factory) -> Path:
    """A picture with two distractors and an occluder, and with depth."""
    folder = tmp_path_factory.mktemp("crowded") / "set"
    result = objascale(
        *("render", "--source", "folder", "--objects", made.objects, "--hdris", made.hdris, "--out", folder),
        *("--n", 1, "--preset", "photo", "--min-px", 256, "--max-px", 256, "--min-fraction", 0.005),
        *("--max-fraction", 0.01, "--place", "centre", "--samples", 4, "--no-denoise", "--seed", 3, "--workers", 1),
        *("--difficulty", "distractors=2,occlusion=4", "--depth"),
    )
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def copy(made, tmp_path) -> Path:
    """Return a copy of the rendered dataset that a test may damage."""
    return Path(shutil.copytree(made.folder, tmp_path / "copy"))


@pytest.fixture(scope="session")
def by_hand(tmp_path_factory) -> Path:
    """Two images made without Blender: one rectangle on noise, and three."""
    return write_by_hand(tmp_path_factory.mktemp("by_hand") / "set")


@pytest.fixture
def hand_copy(by_hand, tmp_path) -> Path:
    """Return a copy of the dataset made by hand that a test may damage."""
    return Path(shutil.copytree(by_hand, tmp_path / "hand_copy"))


@pytest.fixture(scope="session")
def write_pictures() -> Callable[..., Path]:
    """Return a function that writes such a dataset: `write_pictures(folder, image_format="png", credits=…)`."""
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
    """Write two images, of one object and of three; in the second, one object hides part of another."""
    settings = RenderSettings(format=image_format)
    dataset = DatasetWriter(folder)
    dataset.open({"fingerprint": {"source": "folder", "render": settings.model_dump()}, "credits": credits})
    for slot, names in enumerate(OBJECTS):
        dataset.append({"status": "progress", "slot": slot})
        dataset.append(_render(folder, slot, names, settings, {credit["id"]: credit for credit in credits}))
    dataset.append({"slot": 2, **dataset.failure("error", "no"), "object_ids": ["cup/tin"]})
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
        whole[7 + 11 * k, 30 * k] = False  # a notch, so that mask and box differ
        picture[whole & free] = (40, 60 * k, 200)
        masks.append((name, RegionMask.from_full(whole & free), RegionMask.from_full(whole)))
        free &= ~whole
    data = encode(picture, settings.format)
    file = image_file(slot, settings.format)
    write_atomically(folder / file, data)
    things = tuple(
        ObjectSpec(name, name.split("/")[0], "0" * 64, mask.fraction, 0.5, 0.5, 0.5, False) for name, mask, _ in masks
    )
    camera = Camera(width, height, 1.0, 0.0, 0.5)
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
            "visible": mask.area / whole.area,
            "missing_textures": [],
            "position": [1.0, 2.0, float(k)],
            **camera_columns(camera),
            **object_columns(Pose(np.eye(3), np.zeros(3))),
            "object_bounds": _card(camera, whole),
            "amodal_counts": whole.rle()["counts"],
            **shared,
            **mask_columns(mask),
        }
        for k, (name, mask, whole) in enumerate(masks)
    ]
    record = {"slot": slot, "attempt": 0, "status": "done", "spec_id": shared["spec_id"]}
    return {**record, "spec": asdict(spec), "annotations": rows}


def _card(camera: Camera, mask: RegionMask) -> list[float]:
    """Return the bounds of a card, at a distance of 1, that fills the box of a mask."""
    x0, y0, x1, y1 = mask.box
    seen = [[x0, y0, 1], [x1, y1, 1]] @ np.linalg.inv(camera_matrix(camera)).T
    return seen.ravel().tolist()


def make_glb(path: Path, parts: dict[str, np.ndarray | bytes], **document: Any) -> Path:
    """Write a GLB of `document`, where "@name" stands for the accessor of an array or the view of bytes in `parts`.

    By default, mesh 0 has material 0, and the only scene holds node 0, which is mesh 0.
    """
    data, views, accessors, numbers = b"", [], [], {}
    for name, part in parts.items():
        raw = part if isinstance(part, bytes) else part.tobytes()
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(raw)})
        data += raw + bytes(-len(raw) % 4)
        if isinstance(part, bytes):
            numbers[name] = len(views) - 1
            continue
        kind = {"float32": 5126, "uint32": 5125, "uint16": 5123, "uint8": 5121}[str(part.dtype)]
        shape = "SCALAR" if part.ndim == 1 else {2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}[part.shape[1]]
        accessors.append({"bufferView": len(views) - 1, "componentType": kind, "count": len(part), "type": shape})
        numbers[name] = len(accessors) - 1
    attributes = {name: f"@{name}" for name in parts if name.isupper() or name[-2:] in ("_0", "_1")}
    primitive = {"attributes": attributes} | ({"indices": "@indices"} if "indices" in parts else {})
    primitive |= {"material": 0} if "materials" in document else {}
    defaults = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(data)}],
    }

    def numbered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: numbered(item) for key, item in value.items()}
        if isinstance(value, list):
            return [numbered(item) for item in value]
        return numbers[value[1:]] if isinstance(value, str) and value[:1] == "@" else value

    whole = {key: value for key, value in (defaults | document).items() if value is not None}
    text = json.dumps(numbered(whole)).encode()
    text += b" " * (-len(text) % 4)
    header = struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(data))
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(data), b"BIN\0") + data
    path.write_bytes(header + chunks)
    return path


@pytest.fixture(scope="session")
def glb():
    return make_glb


@pytest.fixture(scope="session")
def looker() -> Iterator[Looker]:
    shared = Looker()
    yield shared
    shared.close()


@pytest.fixture
def look(looker, tmp_path):
    """Return a function that imports and renders jobs in one Blender process. A job is the files of one scene."""

    def look(*jobs: list[Path], azimuth: float = np.pi / 2, elevation: float = 0.0, then: str = "") -> list[Seen]:
        folder = tmp_path / "seen"
        folder.mkdir(exist_ok=True)
        view = {"azimuth": azimuth, "elevation": elevation, "then": then}
        return looker.look(folder, [{"files": [str(file) for file in job], **view} for job in jobs])

    return look
