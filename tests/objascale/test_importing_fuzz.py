"""Mutated GLBs through real worker processes: each gives a picture or one record with a reason, and the run goes on."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from objascale.color import blender_datafiles
from objascale.engine import EngineSettings, WorkerLost
from objascale.engine.local import LocalWorker
from objascale.engine.messages import Refused, Rendered
from objascale.files import file_sha256
from objascale.plan import ObjectSpec, RenderSettings, SceneSpec
from objascale.records import RenderRequest
from objascale.sources import Asset
from objascale.sources.starter import starter_glb
from tests.mutants import Generator, Mutation, change_value, drop_value, flip, nudge_number

KINDS = {
    "truncated",
    "unreadable",
    "missing-file",
    "outside-reference",
    "no-geometry",
    "not-finite",
    "too-large",
    "too-many-triangles",
}
KINDS |= {"does-not-fit", "too-thin", "worker-lost"}
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
    """Cycles, two parents, or a chain a thousand nodes deep."""
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


def render_mutants(originals: list[bytes], first: int, last: int, folder: Path) -> Counter[str]:
    """What became of the mutants by their numbers: `picture`, or the reason of its refusal."""
    worker = LocalWorker(EngineSettings(workers=1, threads=2, device="cpu", timeout=60))
    outcomes: Counter[str] = Counter()
    map_file = blender_datafiles() / "studiolights/world/courtyard.exr"
    environment = Asset("map", "", map_file, file_sha256(map_file))
    try:
        for number in range(first, last):
            rng = np.random.default_rng(number)
            mutant = MUTATIONS[number % len(MUTATIONS)](originals[number // len(MUTATIONS) % len(originals)], rng)
            file, image = folder / f"{number}.glb", folder / f"{number}.png"
            file.write_bytes(mutant)
            item = ObjectSpec("thing", "thing", file_sha256(file), 0.05, 0.3, 0.5, 0.5)
            picture = (0, 0, "map", environment.sha256, 64, 64)
            spec = SceneSpec(*picture, fov=1.0, azimuth=0.7, elevation=0.5, seed=1, objects=(item,))
            assets = (Asset("thing", "thing", file, item.sha256),)
            settings = RenderSettings(samples=1, denoise=False, noise_threshold=0)
            try:
                reply = worker.ask(RenderRequest(spec, settings, assets, environment, folder, image.name))
            except WorkerLost as error:
                reply = Refused("worker-lost", str(error))
            assert isinstance(reply, Rendered) == image.exists(), number
            outcome = reply.kind if isinstance(reply, Refused) else "picture"
            assert outcome in KINDS | {"picture"}, (number, reply)
            outcomes[outcome] += 1
    finally:
        worker.stop()
    return outcomes


@pytest.fixture
def starters() -> list[bytes]:
    return [starter_glb(category, 0) for category in ("mug", "book", "cone")]


def test_forty_mutants(starters, tmp_path):
    outcomes = render_mutants(starters, 0, 40, tmp_path)
    assert outcomes.total() == 40
    assert outcomes["picture"] > 0
    assert outcomes["worker-lost"] <= 2


@pytest.mark.slow
def test_two_hundred_mutants(starters, shared, tmp_path):
    real = [next((shared / "assets/objects" / name).glob("*.glb")).read_bytes() for name in ("hammer", "apple")]
    outcomes = render_mutants([*starters, *real], 0, 200, tmp_path)
    print(outcomes)
    assert outcomes.total() == 200
    assert outcomes["worker-lost"] <= 10
