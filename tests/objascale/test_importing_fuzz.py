"""Mutated GLBs in real worker processes: each gives an image or one record with a reason, and the run continues."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from objascale.color import blender_datafiles
from objascale.engine import EngineSettings, WorkerLost
from objascale.engine.local import LocalWorker
from objascale.engine.messages import Refused, Rendered
from objascale.files import file_sha256
from objascale.records import RenderRequest
from objascale.refusal import REASONS
from objascale.settings import RenderSettings
from objascale.sources import Asset
from objascale.sources.starter import starter_glb
from objascale.spec import ObjectSpec, SceneSpec
from tests.doors import MEMORY_LIMIT, is_sentence
from tests.mutants import (
    BINARY,
    TEXT,
    Generator,
    Mutation,
    change_value,
    drop_value,
    flip,
    mutant,
    nudge_number,
)

KINDS = REASONS.keys() - {"changed", "bad-map", "error"}
Document = dict[str, Any]


def split(data: bytes) -> tuple[Document, bytes]:
    (size,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def joined(document: Document, binary: bytes) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIII4s", b"glTF", 2, 28 + len(text) + len(binary), len(text), b"JSON")
    return head + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary


def changed(change: Callable[[Document, Generator], None]) -> Mutation:
    """A mutation of the GLB's document."""

    def mutate(data: bytes, rng: Generator) -> bytes:
        document, binary = split(data)
        change(document, rng)
        return joined(document, binary)

    return mutate


def tangle_nodes(data: bytes, rng: Generator) -> bytes:
    """Make a cycle, a node with two parents, or a chain of a thousand nodes."""
    document, binary = split(data)
    first = len(document["nodes"])
    count = int(rng.choice([1, 3, 1000]))
    document["nodes"] += [{"children": [first + i + 1]} for i in range(count)] + [{"mesh": 0}]
    if rng.random() < 0.6:
        document["nodes"][-1]["children"] = [int(rng.integers(len(document["nodes"])))]
    document["scenes"][0]["nodes"] = [first]
    return joined(document, binary)


def nest(data: bytes, rng: Generator) -> bytes:
    document, binary = split(data)
    depth = int(rng.choice([50, 900, 100_000]))
    document["extras"] = "@"
    return joined(document, binary).replace(b'"@"', b"[" * depth + b"]" * depth)


def lie_in_chunks(data: bytes, rng: Generator) -> bytes:
    at = int(rng.choice([8, 12, 20 + struct.unpack_from("<I", data, 12)[0]]))
    return data[:at] + struct.pack("<I", int(rng.integers(2**32))) + data[at + 4 :]


def double_chunks(data: bytes, rng: Generator) -> bytes:
    (size,) = struct.unpack_from("<I", data, 12)
    body = data[12:] + data[12 : 20 + size] if rng.random() < 0.5 else data[12 : 20 + size] * 2 + data[20 + size :]
    return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


MUTATIONS: list[Mutation] = [
    lambda data, rng: flip(data, rng, 0, 20),
    lambda data, rng: flip(data, rng, 20, 20 + struct.unpack_from("<I", data, 12)[0]),
    lambda data, rng: flip(data, rng, 28 + struct.unpack_from("<I", data, 12)[0], len(data)),
    lambda data, rng: data[: rng.integers(len(data))],
    changed(change_value),
    changed(change_value),
    changed(nudge_number),
    changed(nudge_number),
    changed(drop_value),
    tangle_nodes,
    nest,
    lie_in_chunks,
    double_chunks,
]


@dataclass(frozen=True)
class Sample:
    """A sound file and the mutations of it."""

    suffix: str
    data: bytes
    mutations: list[Mutation]


@pytest.fixture(scope="module")
def worker() -> Iterator[LocalWorker]:
    started = LocalWorker(EngineSettings(workers=1, threads=2, device="cpu", timeout=60))
    yield started
    started.stop()


def render_mutants(worker: LocalWorker, samples: list[Sample], first: int, last: int, folder: Path) -> Counter[str]:
    """Render mutants by number, each sample's in turn. Returns the number of each suffix with each outcome.

    An outcome is `picture`, or the reason of a refusal.
    """
    outcomes: Counter[str] = Counter()
    map_file = blender_datafiles() / "studiolights/world/courtyard.exr"
    environment = Asset("map", "", map_file, file_sha256(map_file))
    for number in range(first, last):
        sample = samples[number // len(samples[0].mutations) % len(samples)]
        file, image = folder / f"{number}{sample.suffix}", folder / f"{number}.png"
        file.write_bytes(mutant(sample.data, sample.mutations, number))
        item = ObjectSpec("thing", "thing", file_sha256(file), 0.05, 0.3, 0.5, 0.5)
        picture = (0, 0, "map", environment.sha256, 64, 64)
        spec = SceneSpec(*picture, fov=1.0, azimuth=0.7, elevation=0.5, seed=1, objects=(item,))
        assets = (Asset("thing", "thing", file, item.sha256),)
        settings = RenderSettings(samples=1, denoise=False, noise_threshold=0)
        try:
            reply = worker.ask(RenderRequest(spec, settings, assets, environment, folder, image.name))
        except WorkerLost as error:
            reply = Refused("worker-lost", f"{file} {error}")
        assert isinstance(reply, Rendered) == image.exists(), number
        outcome = reply.kind if isinstance(reply, Refused) else "picture"
        assert outcome in KINDS | {"picture"}, (number, reply)
        if isinstance(reply, Refused):
            assert is_sentence(reply.message), (number, reply)
            assert file.name in reply.message or "thing" in reply.message, (number, reply)
        else:
            assert all(row.peak_mib < MEMORY_LIMIT >> 20 for row in reply.annotations), (number, reply)
        outcomes[f"{sample.suffix} {outcome}"] += 1
    return outcomes


@pytest.fixture
def starters() -> list[Sample]:
    return [Sample(".glb", starter_glb(category, 0), MUTATIONS) for category in ("mug", "book", "cone")]


def test_two_mutants_by_each_mutation_give_pictures_or_refusals(worker, starters, tmp_path):
    outcomes = render_mutants(worker, starters, 0, 2 * len(MUTATIONS), tmp_path)
    assert outcomes.total() == 2 * len(MUTATIONS)
    assert outcomes[".glb picture"] > 0
    assert outcomes[".glb worker-lost"] == 0


@pytest.mark.slow
def test_two_hundred_mutants_give_pictures_or_refusals(worker, starters, shared, tmp_path):
    real = [next((shared / "assets/objects" / name).glob("*.glb")) for name in ("hammer", "apple")]
    samples = [*starters, *(Sample(".glb", path.read_bytes(), MUTATIONS) for path in real)]
    outcomes = render_mutants(worker, samples, 0, 200, tmp_path)
    print(outcomes)
    assert outcomes.total() == 200
    assert outcomes[".glb worker-lost"] == 0


CORNERS = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
QUADS = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def cube_obj() -> bytes:
    lines = [f"v {x} {y} {z} 0.{x + 1} 0.5 0.5" for x, y, z in CORNERS]
    lines += [f"vt 0.{number} 0.5" for number in range(4)] + ["vn 0 0 1"]
    return "\n".join([*lines, *("f " + " ".join(f"{i + 1}/1/1" for i in quad) for quad in QUADS), ""]).encode()


def cube_ply(binary: bool) -> bytes:
    form = "binary_little_endian" if binary else "ascii"
    head = [f"ply\nformat {form} 1.0\nelement vertex 8", *(f"property float {axis}" for axis in "xyz")]
    head += ["element face 6", "property list uchar int vertex_indices", "end_header", ""]
    if binary:
        body = struct.pack("<24f", *(value for corner in CORNERS for value in corner))
        body += b"".join(struct.pack("<B4i", 4, *quad) for quad in QUADS)
    else:
        rows = [*CORNERS, *((4, *quad) for quad in QUADS)]
        body = "".join(" ".join(map(str, row)) + "\n" for row in rows).encode()
    return "\n".join(head).encode() + body


def cube_stl(binary: bool) -> bytes:
    triangles = [three for a, b, c, d in QUADS for three in ((a, b, c), (a, c, d))]
    if binary:
        corners = [[value for corner in three for value in CORNERS[corner]] for three in triangles]
        body = b"".join(struct.pack("<12fH", 0, 0, 1, *each, 0) for each in corners)
        return bytes(80) + struct.pack("<I", len(triangles)) + body
    loops = ["".join("vertex {} {} {}\n".format(*CORNERS[corner]) for corner in three) for three in triangles]
    facets = "".join(f"facet normal 0 0 1\nouter loop\n{loop}endloop\nendfacet\n" for loop in loops)
    return f"solid cube\n{facets}endsolid cube\n".encode()


def other_formats(models: Path) -> list[list[Sample]]:
    """The samples of each format: OBJ, PLY, STL, FBX, and GLB with compressed buffers and pictures."""
    fbx = ("blender_279_default_7400_binary.fbx", "cubes_with_names.fbx")
    packed = [Sample(".glb", (models / f"gltf/{name}.glb").read_bytes(), MUTATIONS) for name in PACKED]
    return [
        [Sample(".obj", cube_obj(), TEXT)],
        [Sample(".ply", cube_ply(False), TEXT), Sample(".ply", cube_ply(True), BINARY)],
        [Sample(".stl", cube_stl(False), TEXT), Sample(".stl", cube_stl(True), BINARY)],
        [Sample(".fbx", (models / f"fbx/{name}").read_bytes(), BINARY) for name in fbx],
        packed,
    ]


PACKED = ("BoxMeshopt", "grip-compressed")


def render_formats(worker: LocalWorker, models: Path, count: int, folder: Path) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for number, samples in enumerate(other_formats(models)):
        own = folder / str(number)
        own.mkdir()
        found = render_mutants(worker, samples, 0, count, own)
        print(found)
        assert found[f"{samples[0].suffix} picture"] > 0
        outcomes += found
    return outcomes


def test_fifteen_mutants_of_each_other_format(worker, shared, tmp_path):
    outcomes = render_formats(worker, shared / "faults/models", 15, tmp_path)
    assert outcomes.total() == 75
    assert sum(count for name, count in outcomes.items() if name.endswith("worker-lost")) == 0


@pytest.mark.slow
def test_two_hundred_mutants_of_each_other_format(worker, shared, tmp_path):
    outcomes = render_formats(worker, shared / "faults/models", 200, tmp_path)
    assert outcomes.total() == 1000
    assert sum(count for name, count in outcomes.items() if name.endswith("worker-lost")) == 0
