"""The check of glTF files that runs before Blender imports them, without Blender."""

from __future__ import annotations

import base64
import contextlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from objascale.gltf import check_gltf
from objascale.refusal import Refusal
from objascale.sources.starter import CATEGORIES, starter_glb

SQUARE = {
    "POSITION": np.float32([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]),
    "indices": np.uint16([0, 1, 2, 0, 2, 3]),
}
ACCESSOR = {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"}
INDICES = {"bufferView": 1, "componentType": 5123, "count": 6, "type": "SCALAR"}


def refusal(path: Path) -> Refusal:
    with pytest.raises(Refusal) as caught:
        check_gltf(path)
    assert path.name in str(caught.value)
    return caught.value


def test_real_files_pass(shared, tmp_path):
    for path in sorted(shared.glob("assets/objects/*/*.glb")):
        assert check_gltf(path)["meshes"]
    for category in CATEGORIES:
        (tmp_path / "thing.glb").write_bytes(starter_glb(category, 0))
        check_gltf(tmp_path / "thing.glb")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"asset": None}, "has no asset"),
        ({"asset": {"version": "3.0"}}, "asset/version"),
        ({"nodes": {"mesh": 0}, "scenes": None, "scene": None}, "nodes is not an array"),
        ({"nodes": [{"mesh": 1}]}, "nodes/0/mesh is 1"),
        ({"nodes": [{"mesh": -1}]}, "nodes/0/mesh is -1"),
        ({"nodes": [{"mesh": True}]}, "nodes/0/mesh is True"),
        ({"nodes": [{"mesh": 0, "scale": [1, 1]}]}, "nodes/0/scale is not an array of 3"),
        ({"nodes": [{"mesh": 0, "scale": [1, 1, 10**400]}]}, "scale/2 is not a finite number"),
        ({"nodes": [{"mesh": 0, "children": [0]}]}, "cycle"),
        ({"nodes": [{"mesh": 0}, {"children": [2]}, {"children": [1]}]}, "cycle"),
        ({"nodes": [{"children": [2]}, {"children": [2]}, {"mesh": 0}]}, "two parents"),
        ({"nodes": [{"children": [i + 1]} for i in range(500)] + [{"mesh": 0}]}, "deep"),
        ({"scenes": [{"nodes": [7]}]}, "scenes/0/nodes/0"),
        ({"meshes": [{"primitives": [{}]}]}, "has no attributes"),
        ({"materials": [{"normalTexture": {"index": 0}}]}, "materials/0/normalTexture/index"),
        ({"materials": [{"extensions": {"KHR_x": {"glossTexture": {}}}}]}, "glossTexture has no index"),
        ({"bufferViews": [{"buffer": 0, "byteLength": 999}] * 2}, "bufferViews/0 leaves its buffer"),
        ({"buffers": [{"byteLength": 999}]}, "60 of 999 bytes"),
        ({"accessors": [{**ACCESSOR, "count": 5}, INDICES]}, "accessors/0 leaves its buffer view"),
        ({"accessors": [{**ACCESSOR, "count": 0}, INDICES]}, "0 elements"),
        ({"accessors": [{**ACCESSOR, "count": 10**9}, INDICES]}, "1,000,000,000 elements"),
        ({"accessors": [{**ACCESSOR, "componentType": 5130}, INDICES]}, "componentType is 5130"),
        ({"accessors": [{**ACCESSOR, "bufferView": 9}, INDICES]}, "bufferView is 9"),
        ({"accessors": [{**ACCESSOR, "count": 3}, INDICES]}, "index 3 of 3 vertices"),
        ({"accessors": [ACCESSOR, {**INDICES, "componentType": 5122}]}, "not unsigned integers"),
    ],
)
def test_errors_name_contradictions(glb, tmp_path, change, words):
    found = refusal(glb(tmp_path / "bad.glb", SQUARE, **change))
    assert found.kind == "unreadable"
    assert words in str(found)


def test_oversized_files_are_refused_before_reading(glb, tmp_path):
    """Triangles of all nodes count; accessors without bytes can declare any number."""
    claimed = [{key: value for key, value in ACCESSOR.items() if key != "bufferView"} | {"count": 15_000_000}]
    meshes = [{"primitives": [{"attributes": {"POSITION": 0}}]}]
    claim = {"accessors": claimed, "meshes": meshes}
    check_gltf(glb(tmp_path / "most.glb", SQUARE, **claim))
    found = refusal(glb(tmp_path / "twice.glb", SQUARE, nodes=[{"mesh": 0}, {"mesh": 0}], **claim))
    assert found.kind == "too-many-triangles"
    assert "10,000,000" in str(found)
    instances = {"extensions": {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": "@POSITION"}}}}
    assert refusal(glb(tmp_path / "copies.glb", SQUARE, nodes=[{"mesh": 0, **instances}], **claim)).kind == (
        "too-many-triangles"
    )


def test_a_vertex_that_is_not_finite_is_refused(glb, tmp_path):
    points = SQUARE["POSITION"].copy()
    points[3, 2] = np.nan
    assert refusal(glb(tmp_path / "nan.glb", {**SQUARE, "POSITION": points})).kind == "not-finite"


@pytest.mark.parametrize(
    "uri",
    [
        "../secret.bin",
        "%2e%2e/secret.bin",
        "..%2Fsecret.bin",
        "..\\secret.bin",
        "a/../../secret.bin",
        "/etc/passwd",
        "%2Fetc%2Fpasswd",
        "C:\\secret.bin",
        "file:///etc/passwd",
        "http://example.org/secret.bin",
        "data:/../../secret.bin",  # Blender opens a data URI without base64 as a path
        "link.bin",
        "\0",
    ],
)
@pytest.mark.parametrize("kind", ["buffers", "images"])
def test_references_outside_the_folder_are_refused(tmp_path, uri, kind):
    folder = tmp_path / "objects"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(60))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = folder / "away.gltf"
    path.write_text(json.dumps({"asset": {"version": "2.0"}, kind: [{"uri": uri, "byteLength": 60}]}))
    assert refusal(path).kind == "outside-reference"


def test_references_inside_the_folder_are_accepted(tmp_path):
    (tmp_path / "a b.bin").write_bytes(bytes(60))
    embedded = "data:application/octet-stream;base64," + base64.b64encode(bytes(60)).decode()
    path = tmp_path / "here.gltf"
    for uri in ("a%20b.bin", "./a b.bin", embedded):
        path.write_text(json.dumps({"asset": {"version": "2.0"}, "buffers": [{"uri": uri, "byteLength": 60}]}))
        check_gltf(path)
    path.write_text(json.dumps({"asset": {"version": "2.0"}, "buffers": [{"uri": "none.bin", "byteLength": 60}]}))
    assert refusal(path).kind == "missing-file"
    (tmp_path / "none.bin").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 60\n")
    assert refusal(path).kind == "git-lfs"


def test_containers_with_wrong_sizes_are_refused(glb, tmp_path):
    whole = glb(tmp_path / "whole.glb", SQUARE).read_bytes()
    for name, data, reason in (
        ("short.glb", whole[:-1], "truncated"),
        ("long.glb", whole + b"\0", "unreadable"),
        ("old.glb", whole[:4] + struct.pack("<I", 1) + whole[8:], "gltf-1"),
        ("chunk.glb", whole[:12] + struct.pack("<I", len(whole)) + whole[16:], "truncated"),
        ("bin.glb", whole[:16] + b"BIN\0" + whole[20:], "unreadable"),
        ("head.glb", whole[:9], "unreadable"),
        ("nan.gltf", b'{"asset": {"version": "2.0"}, "x": NaN}', "unreadable"),
        ("deep.gltf", b"[" * 100_000, "unreadable"),
        ("list.gltf", b"[]", "unreadable"),
        ("utf16.gltf", '{"asset": {"version": "2.0"}}'.encode("utf-16"), "unreadable"),
    ):
        (tmp_path / name).write_bytes(data)
        assert refusal(tmp_path / name).kind == reason, name


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_json_value_is_accepted_or_refused(glb, tmp_path, data):
    """With any value at any place of the document, the check returns a document or raises Refusal."""
    whole = glb(tmp_path / "whole.glb", SQUARE, materials=[{"pbrMetallicRoughness": {}}]).read_bytes()
    size = struct.unpack_from("<I", whole, 12)[0]
    document = json.loads(whole[20 : 20 + size])
    holder, key = document, data.draw(st.sampled_from(sorted(document)))
    while isinstance(holder[key], dict | list) and holder[key] and data.draw(st.booleans()):
        holder = holder[key]
        key = data.draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
    leaves = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8)
    holder[key] = data.draw(leaves | st.lists(leaves, max_size=3) | st.dictionaries(st.text(max_size=5), leaves))
    text = json.dumps(document).encode()
    rest = whole[20 + size :]
    header = struct.pack("<4sIII4s", b"glTF", 2, 20 + len(text) + len(rest), len(text), b"JSON")
    path = tmp_path / "any.glb"
    path.write_bytes(header + text + rest)
    with contextlib.suppress(Refusal):
        assert check_gltf(path) == json.loads(text)
