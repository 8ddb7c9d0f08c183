"""The starter objects: valid GLBs, sound meshes, reproducible bytes, and their import into Blender."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from objascale.sources.starter import (
    CATEGORIES,
    STARTER_LICENCE,
    UnknownStarterObject,
    starter_glb,
    write_object,
)
from objascale.sources.starter.mesh import Mesh, rotation, shaded
from objascale.sources.starter.shapes import (
    box,
    cylinder,
    extrude,
    inset,
    oval,
    rounded,
    sphere,
    torus,
    triangulated,
    tube,
)

VARIANTS = range(3)
OBJECTS = [(category, variant) for category in CATEGORIES for variant in VARIANTS]
COMPONENTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}
TYPES = {5126: np.dtype("<f4"), 5125: np.dtype("<u4")}


class Glb:
    """A GLB parsed by the specification: header, JSON chunk, binary chunk."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        size, kind = struct.unpack_from("<I4s", data, 12)
        assert kind == b"JSON"
        assert size % 4 == 0
        self.document = json.loads(data[20 : 20 + size])
        binary_size, kind = struct.unpack_from("<I4s", data, 20 + size)
        assert kind == b"BIN\0"
        self.binary = data[28 + size :]
        assert len(self.binary) == binary_size == self.document["buffers"][0]["byteLength"]

    def view(self, index: int) -> bytes:
        view = self.document["bufferViews"][index]
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= len(self.binary)
        return self.binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]

    def accessor(self, index: int) -> NDArray:
        accessor = self.document["accessors"][index]
        width = COMPONENTS[accessor["type"]]
        array = np.frombuffer(self.view(accessor["bufferView"]), TYPES[accessor["componentType"]])
        array = array.reshape(-1, width)
        assert len(array) == accessor["count"]
        np.testing.assert_allclose(array.min(axis=0), accessor["min"])
        np.testing.assert_allclose(array.max(axis=0), accessor["max"])
        return array

    def meshes(self) -> list[Mesh]:
        primitives = self.document["meshes"][0]["primitives"]
        result = []
        for primitive in primitives:
            assert 0 <= primitive["material"] < len(self.document["materials"])
            arrays = [self.accessor(primitive["attributes"][k]) for k in ("POSITION", "NORMAL", "TEXCOORD_0")]
            triangles = self.accessor(primitive["indices"]).reshape(-1, 3).astype(np.int32)
            result.append(Mesh(arrays[0], arrays[1], arrays[2], triangles))
        return result


@cache
def glb(category: str, variant: int) -> Glb:
    return Glb(starter_glb(category, variant))


def face_vectors(mesh: Mesh) -> NDArray:
    """Return the normal of each triangle times twice its area."""
    corners = mesh.positions.astype(float)[mesh.triangles]
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def volume(mesh: Mesh) -> float:
    """Return the enclosed volume, positive if the faces point outward."""
    return float(np.sum(mesh.positions.astype(float)[mesh.triangles[:, 0]] * face_vectors(mesh)) / 6)


# ---- the files


def test_there_are_enough_categories_for_a_demonstration() -> None:
    assert len(CATEGORIES) >= 16
    assert {"apple", "mug", "bottle", "chair", "lamp", "cone", "fireplug", "airplane", "truck"} <= CATEGORIES.keys()
    assert STARTER_LICENCE == "CC0-1.0"


@pytest.mark.parametrize(("category", "variant"), OBJECTS)
def test_arrays_are_sound(category: str, variant: int) -> None:
    meshes = glb(category, variant).meshes()
    for mesh in meshes:
        assert all(np.isfinite(a).all() for a in (mesh.positions, mesh.normals, mesh.uvs))
        np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-3)
        assert len(mesh.positions) == len(mesh.normals) == len(mesh.uvs)
        assert mesh.triangles.max() == len(mesh.positions) - 1, "a vertex that no triangle uses, or one too few"
        faces = face_vectors(mesh)
        assert (np.linalg.norm(faces, axis=1) > 0).mean() > 0.999
        along = np.sum(mesh.normals[mesh.triangles] * faces[:, None], axis=2)
        assert (along > 0).mean() > 0.999, "triangles wound against their normals"
    assert 500 <= sum(len(mesh.triangles) for mesh in meshes) <= 20_000
    extent = np.ptp(np.concatenate([mesh.positions for mesh in meshes]), axis=0)
    assert 0.05 < extent.max() < 60, "metres"


@pytest.mark.parametrize(("category", "variant"), OBJECTS)
def test_the_surface_faces_outward(category: str, variant: int) -> None:
    assert sum(volume(mesh) for mesh in glb(category, variant).meshes()) > 0


@pytest.mark.parametrize(("category", "variant"), OBJECTS)
def test_materials_and_textures(category: str, variant: int) -> None:
    file = glb(category, variant)
    images = file.document["images"]
    for image in images:
        assert image["mimeType"] == "image/png"
        picture = Image.open(io.BytesIO(file.view(image["bufferView"])))
        picture.load()
        assert picture.mode == "RGB"
        assert max(picture.size) <= 512
        assert np.asarray(picture).std() > 1, "a texture of one colour"
    used = [m["pbrMetallicRoughness"].get("baseColorTexture") for m in file.document["materials"]]
    assert sorted(t["index"] for t in used if t) == list(range(len(images)))


@pytest.mark.parametrize("category", CATEGORIES)
def test_files_are_small_repeatable_and_varied(category: str, tmp_path: Path) -> None:
    variants = [glb(category, variant).data for variant in VARIANTS]
    assert all(len(data) < 1_000_000 for data in variants)
    assert len(set(variants)) == len(VARIANTS)
    write_object(category, 0, tmp_path / "first.glb")
    assert (tmp_path / "first.glb").read_bytes() == variants[0]
    assert [path.name for path in tmp_path.iterdir()] == ["first.glb"], "no temporary file remains"


def test_bytes_do_not_depend_on_the_process() -> None:
    code = (
        "import sys; from objascale.sources.starter import starter_glb; sys.stdout.buffer.write(starter_glb('mug', 1))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert runs == {glb("mug", 1).data}


def test_an_error_names_an_unknown_object() -> None:
    with pytest.raises(UnknownStarterObject, match=r"no starter object is called 'dragon'; choose one of .*apple"):
        starter_glb("dragon", 0)
    with pytest.raises(UnknownStarterObject, match="variants count from 0"):
        starter_glb("apple", -1)


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "apple.glb"
    path.write_bytes(b"old")
    with pytest.raises(UnknownStarterObject):
        write_object("dragon", 0, path)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


# ---- the building blocks


def watertight(mesh: Mesh) -> bool:
    """Return True if the faces use every edge between welded points once in each direction."""
    _, point = np.unique(np.round(mesh.positions / 1e-5).astype(int), axis=0, return_inverse=True)
    corners = point.ravel()[mesh.triangles]
    edges = [tuple(edge) for k in range(3) for edge in corners[:, [k, (k + 1) % 3]].tolist()]
    return len(set(edges)) == len(edges) and {(b, a) for a, b in edges} == set(edges)


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        (box(1, 2, 3), 6.0),
        (box(1, 2, 3, 0.1), 6 - 6 * 4 * 0.01 * (1 - np.pi / 4)),
        (sphere(1, 96), 4 / 3 * np.pi),
        (cylinder(1, 2, segments=128), 2 * np.pi),
        (torus(2, 0.5, 96, 64), 2 * np.pi**2 * 2 * 0.25),
        (tube([(0, 0, 0), (0, 1, 0), (0, 2, 0)], 0.5, sides=96), np.pi * 0.5),
        (extrude([(0, 0), (2, 0), (2, 2), (1, 0.5), (0, 2)], 1.0), 2.5),
    ],
    ids=["box", "rounded box", "sphere", "cylinder", "torus", "tube", "extrude"],
)
def test_solids_are_closed_and_of_the_right_volume(mesh: Mesh, expected: float) -> None:
    assert watertight(mesh)
    assert volume(mesh) == pytest.approx(expected, rel=0.01)


LOPSIDED = extrude([(0, 0), (2, 0), (2, 2), (1, 0.5), (0, 2)], 1.0) + box(1, 2, 3).moved(3)
"""A mesh of flat faces: each corner has the normal of its face under any transform."""


def test_normals_are_smooth_on_a_sphere_and_flat_on_a_box() -> None:
    ball = sphere(2.0, 32)
    np.testing.assert_allclose(ball.normals, ball.positions / 2, atol=0.02)
    cube = box(1, 1, 1)
    assert set(map(tuple, np.round(cube.normals, 6))) == {tuple(s * np.eye(3)[k]) for k in range(3) for s in (-1, 1)}


@settings(max_examples=30, deadline=None)
@given(
    axis=st.sampled_from("xyz"),
    degrees=st.floats(-360, 360),
    stretch=st.tuples(*[st.floats(0.2, 5)] * 3),
    mirror=st.sampled_from("xyz"),
)
def test_transforms_keep_faces_outward(
    axis: str, degrees: float, stretch: tuple[float, float, float], mirror: str
) -> None:
    moved = LOPSIDED.turned(axis, degrees).scaled(*stretch).mirrored(mirror)
    assert volume(moved) == pytest.approx(volume(LOPSIDED) * np.prod(stretch), rel=1e-3)
    faces = face_vectors(moved)
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    np.testing.assert_allclose(moved.normals[moved.triangles], np.repeat(faces[:, None], 3, axis=1), atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(direction=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda d: np.linalg.norm(d) > 0.01))
def test_aiming_points_the_top_along_the_direction(direction: tuple[float, float, float]) -> None:
    pole = cylinder(0.1, 1.0).aimed(direction)
    unit = np.array(direction) / np.linalg.norm(direction)
    assert (pole.positions @ unit).max() == pytest.approx(1.0, abs=1e-5)
    assert volume(pole) > 0


@settings(max_examples=40, deadline=None)
@given(radii=st.lists(st.floats(0.2, 2.0), min_size=3, max_size=14))
def test_ear_clipping_covers_the_outline_exactly_once(radii: list[float]) -> None:
    angle = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    outline = np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.array(radii)[:, None]
    x, y = outline.T
    area = 0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))
    a, b, c = outline[triangulated(outline)].swapaxes(0, 1)
    pieces = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert (pieces > -1e-9).all()
    assert pieces.sum() == pytest.approx(area)


def test_inset_moves_each_side_by_the_distance() -> None:
    square = np.array([(0, 0), (4, 0), (4, 4), (0, 4)], float)
    np.testing.assert_allclose(inset(square, 0.5), [(0.5, 0.5), (3.5, 0.5), (3.5, 3.5), (0.5, 3.5)])


def test_rounded_corners_stay_inside_the_corner() -> None:
    arc = rounded([(0, 0), (1, 0), (1, 1)], 0.25)
    assert arc[0].tolist() == [0, 0]
    assert arc[-1].tolist() == [1, 1]
    assert arc[1].tolist() == [0.75, 0]
    assert (arc >= 0).all()
    assert (arc <= 1).all()


def test_a_superellipse_has_the_given_size() -> None:
    np.testing.assert_allclose(np.ptp(oval(3, 2, 64, power=6), axis=0), [3, 2], rtol=0.01)


def test_triangles_without_area_are_dropped() -> None:
    points = np.array([(0, 0, 0), (1, 0, 0), (0, 1, 0), (0.5, 0, 0)], float)
    mesh = shaded(points, np.zeros((4, 2)), [(0, 1, 2), (0, 3, 1)])
    assert len(mesh.triangles) == 1
    np.testing.assert_allclose(mesh.normals, [[0, 0, 1]] * 3)


def test_rotations_are_counter_clockwise() -> None:
    np.testing.assert_allclose(rotation("y", 90) @ [0, 0, 1], [1, 0, 0], atol=1e-12)


# ---- Blender

IMPORT_ALL = """
import json, sys
from pathlib import Path
import bpy
found = {}
for path in sorted(Path(sys.argv[1]).glob("*.glb")):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(path))
    (mesh,) = [o for o in bpy.context.scene.objects if o.type == "MESH"]
    low, high = ([f(v.co[k] for v in mesh.data.vertices) for k in range(3)] for f in (min, max))
    found[path.stem] = {
        "materials": len(mesh.data.materials),
        "polygons": len(mesh.data.polygons),
        "images": sum(min(image.size) > 0 for image in bpy.data.images),
        "height": high[2] - low[2],
    }
Path(sys.argv[2]).write_text(json.dumps(found))
"""


@pytest.mark.skipif(find_spec("bpy") is None, reason="needs Blender's Python package, which is not installed")
def test_blender_imports_every_object(tmp_path: Path) -> None:
    for category in CATEGORIES:
        write_object(category, 0, tmp_path / f"{category}.glb")
    report = tmp_path / "report.json"
    run = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(tmp_path), str(report)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(report.read_text())
    assert found.keys() == CATEGORIES.keys()
    for category, seen in found.items():
        file = glb(category, 0)
        meshes = file.meshes()
        assert seen["materials"] == len(file.document["materials"]), category
        assert seen["polygons"] == sum(len(mesh.triangles) for mesh in meshes), category
        assert seen["images"] == len(file.document["images"]), category
        tall = np.ptp(np.concatenate([mesh.positions[:, 1] for mesh in meshes]))
        assert seen["height"] == pytest.approx(tall, rel=1e-4), category
