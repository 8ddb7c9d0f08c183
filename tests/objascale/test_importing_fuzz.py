"""Mutated GLBs in real worker processes: each gives an image or one record with a reason, and the run continues."""

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
ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1.5,
    7,
    10**6,
    2**31,
    2**40,
    1e30,
    "",
    "x",
    "../x",
    [],
    [0],
    [-1],
    {},
    {"index": 9},
]

Generator = np.random.Generator
Document = dict[str, Any]


def split(data: bytes) -> tuple[Document, bytes]:
    (size,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[20 : 20 + size]), data[28 + size :]


def joined(document: Document, binary: bytes) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    head = struct.pack("<4sIII4s", b"glTF", 2, 28 + len(text) + len(binary), len(text), b"JSON")
    return head + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary


def flip(data: bytes, rng: Generator, low: int, high: int) -> bytes:
    """Replace one to eight bytes in a part of the file by random ones."""
    flipped = bytearray(data)
    for at in rng.integers(low, max(high, low + 1), rng.integers(1, 9)):
        flipped[min(int(at), len(data) - 1)] = int(rng.integers(256))
    return bytes(flipped)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) of a JSON document."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    return [place for key in keys for place in ((value, key), *places(value[key]))]


def change_value(data: bytes, rng: Generator) -> bytes:
    document, binary = split(data)
    for _ in range(rng.integers(1, 3)):
        choices = places(document)
        holder, key = choices[rng.integers(len(choices))]
        holder[key] = ODD[rng.integers(len(ODD))]
    return joined(document, binary)


def nudge_number(data: bytes, rng: Generator) -> bytes:
    """Make an integer slightly or much too large, or negative."""
    document, binary = split(data)
    choices = [(holder, key) for holder, key in places(document) if type(holder[key]) is int]
    holder, key = choices[rng.integers(len(choices))]
    holder[key] += int(rng.choice([-1, 1, 4, 1000, 2**31, -(2**31)]))
    return joined(document, binary)


def drop_value(data: bytes, rng: Generator) -> bytes:
    document, binary = split(data)
    choices = places(document)
    holder, key = choices[rng.integers(len(choices))]
    del holder[key]
    return joined(document, binary)


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


MUTATIONS: list[Callable[[bytes, Generator], bytes]] = [
    lambda data, rng: flip(data, rng, 0, 20),
    lambda data, rng: flip(data, rng, 20, 20 + struct.unpack_from("<I", data, 12)[0]),
    lambda data, rng: flip(data, rng, 28 + struct.unpack_from("<I", data, 12)[0], len(data)),
    lambda data, rng: data[: rng.integers(len(data))],
    change_value,
    change_value,
    nudge_number,
    nudge_number,
    drop_value,
    tangle_nodes,
    nest,
    lie_in_chunks,
    double_chunks,
]


def render_mutants(originals: list[bytes], first: int, last: int, folder: Path) -> Counter[str]:
    """Return the outcome of each mutant by its number: `picture`, or the reason of the refusal."""
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


def test_forty_mutants_give_pictures_or_refusals(starters, tmp_path):
    outcomes = render_mutants(starters, 0, 40, tmp_path)
    assert outcomes.total() == 40
    assert outcomes["picture"] > 0
    assert outcomes["worker-lost"] <= 2


@pytest.mark.slow
def test_two_hundred_mutants_give_pictures_or_refusals(starters, shared, tmp_path):
    real = [next((shared / "assets/objects" / name).glob("*.glb")).read_bytes() for name in ("hammer", "apple")]
    outcomes = render_mutants([*starters, *real], 0, 200, tmp_path)
    print(outcomes)
    assert outcomes.total() == 200
    assert outcomes["worker-lost"] <= 10
