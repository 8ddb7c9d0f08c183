"""Public object files that importers read wrongly or that were refused by mistake."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import meshopt
import numpy as np
import pytest
from PIL import Image
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from objascale.gltf_schema import COMPONENT_TYPES, ELEMENT_TYPES


@pytest.fixture
def models(shared):
    return shared / "faults/models"


def colour(seen) -> np.ndarray:
    """Return the mean linear RGB of the object's pixels."""
    return seen.arrays["rgba"][seen.arrays["mask"]][:, :3].mean(0)


def test_fbx_files_of_all_versions_are_read(models, look):
    """Binary 6100 and 7400, ASCII, and transparency factors that make every material invisible."""
    for seen in look(*([file] for file in sorted((models / "fbx").glob("*.fbx")))):
        assert "missing" in seen.answer, seen.answer
        assert seen.arrays["mask"].sum() > 50
        assert seen.arrays["rgba"][seen.arrays["mask"]][:, 3].mean() > 0.8


def test_invisible_parts_do_not_move_the_camera(models, look):
    """A transparent cube far away and a node of scale 0 do not change the image of the cube."""
    plain = models / "doubled-faces/cube_plain.glb"
    alone, *others = look([plain], *([file] for file in sorted((models / "framing").glob("*.glb"))))
    assert len(others) == 2
    for seen in others:
        assert (seen.arrays["mask"] == alone.arrays["mask"]).all()
        assert colour(seen) == pytest.approx(colour(alone), abs=0.01)


@pytest.mark.parametrize("unseen", ["hidden", "zero scale", "zero area", "transparent"])
def test_an_invisible_far_part_does_not_change_the_frame(unseen, glb, tmp_path, look):
    triangle = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    thin = np.float32([[0, 0, 0], [1, 0, 0], [2, 0, 0]])
    parts = {"POSITION": triangle, "FAR_0": thin if unseen == "zero area" else triangle}
    node = {"mesh": 1, "translation": [50, 0, 0]}
    if unseen == "zero scale":
        node["scale"] = [0, 0, 0]
    if unseen == "hidden":
        node["extensions"] = {"KHR_node_visibility": {"visible": False}}
    clear = {"alphaMode": "BLEND", "pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 0]}}
    whole = glb(
        tmp_path / "whole.glb",
        parts,
        extensionsUsed=["KHR_node_visibility"],
        materials=[{}, clear if unseen == "transparent" else {}],
        meshes=[
            {"primitives": [{"attributes": {"POSITION": name}, "material": material}]}
            for name, material in (("@POSITION", 0), ("@FAR_0", 1))
        ],
        nodes=[{"mesh": 0}, node],
        scenes=[{"nodes": [0, 1]}],
    )
    alone = glb(tmp_path / "alone.glb", {"POSITION": triangle}, materials=[{}])
    seen, expected = look([whole], [alone])
    np.testing.assert_allclose(seen.arrays["points0"], expected.arrays["points0"], atol=1e-6)
    assert (seen.arrays["mask"] == expected.arrays["mask"]).all()


def skinned_points(path: Path) -> np.ndarray:
    """Return the vertices (n, 3) of the only skinned mesh of a GLB, in Blender's axes, by glTF's formula."""
    data = path.read_bytes()
    (size,) = struct.unpack_from("<I", data, 12)
    document, binary = json.loads(data[20 : 20 + size]), data[28 + size :]

    def array(number: int) -> np.ndarray:
        accessor = document["accessors"][number]
        view = document["bufferViews"][accessor["bufferView"]]
        kind = np.dtype(COMPONENT_TYPES[accessor["componentType"]])
        shape = accessor["count"], ELEMENT_TYPES[accessor["type"]]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        strides = view.get("byteStride", kind.itemsize * shape[1]), kind.itemsize
        return np.ndarray(shape, kind, binary, start, strides)

    worlds: dict[int, np.ndarray] = {}

    def walk(number: int, parent: np.ndarray) -> None:
        node = document["nodes"][number]
        if "matrix" in node:
            local = np.reshape(node["matrix"], (4, 4)).T
        else:
            local = np.eye(4)
            turn = Rotation.from_quat(node.get("rotation", [0, 0, 0, 1])).as_matrix()
            local[:3, :3] = turn * node.get("scale", [1, 1, 1])
            local[:3, 3] = node.get("translation", [0, 0, 0])
        worlds[number] = parent @ local
        for child in node.get("children", []):
            walk(child, worlds[number])

    for root in document["scenes"][document.get("scene", 0)]["nodes"]:
        walk(root, np.eye(4))
    (node,) = (node for node in document["nodes"] if "skin" in node)
    skin = document["skins"][node["skin"]]
    binds = array(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
    joints = np.array([worlds[joint] for joint in skin["joints"]]) @ binds
    (primitive,) = document["meshes"][node["mesh"]]["primitives"]
    position, joint, weight = (array(primitive["attributes"][name]) for name in ("POSITION", "JOINTS_0", "WEIGHTS_0"))
    matrix = (weight[..., None, None] * joints[joint]).sum(1)
    points = np.einsum("nij,nj->ni", matrix, np.c_[position, np.ones(len(position))])[:, :3]
    return points[:, [0, 2, 1]] * [1, -1, 1]


def test_skins_keep_the_bind_pose_of_the_file(models, look):
    file = models / "bind-pose/lumberjack-skin-only.glb"
    expected = skinned_points(file)
    expected -= (expected.min(0) + expected.max(0)) / 2
    expected /= np.linalg.norm(expected, axis=1).max()
    (seen,) = look([file])
    distance, _ = cKDTree(expected).query(seen.arrays["points0"])
    assert distance.max() < 2e-3
    distance, _ = cKDTree(seen.arrays["points0"]).query(expected)
    assert distance.max() < 2e-3


def test_a_white_transmission_filter_is_opaque(models, look):
    """3ds Max writes `Tf 1 1 1` in MTL for opaque materials."""
    then = (
        "answer['transmission'] = [node.inputs['Transmission Weight'].default_value for material in bpy.data.materials"
        " for node in material.node_tree.nodes if node.type == 'BSDF_PRINCIPLED']\n"
    )
    (seen,) = look([models / "obj/tf1.obj"], then=then)
    assert seen.answer["transmission"] == [0]


def test_vertex_colours_show_and_nan_colours_are_dropped(models, look):
    obj, ply, dropped = look(*([models / name] for name in ("obj/vcol.obj", "ply/vcol.ply", "obj/nancolor.obj")))
    for seen in (obj, ply):
        assert np.ptp(colour(seen)) > 0.1
    assert np.ptp(colour(dropped)) < 0.01
    assert colour(dropped).min() > 0.3


def test_compressed_gltf_is_decoded(models, look):
    """EXT_meshopt_compression: a red cube of radius 1. KHR_texture_basisu: a dark grip with a light end."""
    box, grip = look([models / "gltf/BoxMeshopt.glb"], [models / "gltf/grip-compressed.glb"], azimuth=1.0)
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / np.sqrt(3)
    assert len(np.unique(box.arrays["points0"].round(3), axis=0)) == 8
    assert cKDTree(corners).query(box.arrays["points0"])[0].max() < 1e-3
    assert colour(box)[0] > 10 * colour(box)[1]
    assert grip.answer["missing"] == [[]]
    brightness = grip.arrays["rgba"][grip.arrays["mask"]][:, :3].mean(1)
    assert brightness.min() < 0.1
    assert brightness.max() > 0.5


def test_all_modes_and_filters_of_meshopt_are_decoded(glb, tmp_path, look):
    """A square with filtered positions and an index sequence, whose fallback buffer is a placeholder."""
    positions = np.float32([[-1, 0, 1], [1, 0, 1], [1, 0, -1], [-1, 0, -1]])
    indices = np.uint16([0, 1, 2, 0, 2, 3])
    packed = {
        "a": meshopt.encode_gltf_buffer(meshopt.encode_filter_exp(positions, 20), "ATTRIBUTES"),
        "b": meshopt.encode_gltf_buffer(indices, "INDICES"),
    }
    sizes = {"a": (12, 4, "ATTRIBUTES", "EXPONENTIAL"), "b": (2, 6, "INDICES", "NONE")}
    views, start = [], 0
    for name, (stride, count, mode, filter_name) in sizes.items():
        extension = {"buffer": 0, "byteOffset": start, "byteLength": len(packed[name]), "byteStride": stride}
        extension |= {"count": count, "mode": mode, "filter": filter_name}
        view = {"buffer": 1, "byteLength": stride * count, "extensions": {"EXT_meshopt_compression": extension}}
        views.append(view)
        start += len(packed[name])
    document = {
        "extensionsUsed": ["EXT_meshopt_compression"],
        "extensionsRequired": ["EXT_meshopt_compression"],
        "bufferViews": views,
        "buffers": [
            {"byteLength": start},
            {"byteLength": 60, "extensions": {"EXT_meshopt_compression": {"fallback": True}}},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 6, "type": "SCALAR"},
        ],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
    }
    good = glb(tmp_path / "good.glb", {"all": packed["a"] + packed["b"]}, **document)
    bad = glb(tmp_path / "bad.glb", {"all": bytes(start)}, **document)
    seen, refused = look([good], [bad])
    expected = np.array([[x, y, 0] for x in (-1, 1) for y in (-1, 1)]) / np.sqrt(2)
    assert cKDTree(expected).query(seen.arrays["points0"])[0].max() < 1e-3
    assert refused.answer["refused"] == "unreadable"
    assert "bufferViews/0 is damaged" in refused.answer["message"]


def test_invisible_nodes_of_gltf_are_not_rendered(models, look):
    plain, seen = look([models / "doubled-faces/cube_plain.glb"], [models / "gltf/KHR_node_visibility.glb"])
    assert (seen.arrays["mask"] == plain.arrays["mask"]).all()


def test_the_refusal_of_a_gltf_file_names_its_cause(models, glb, tmp_path, look):
    square = {"POSITION": np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 0]])}
    foreign = glb(tmp_path / "foreign.glb", square, extensionsUsed=["EXT_foo"], extensionsRequired=["EXT_foo"])
    old, unknown = look([models / "gltf/gltf1-box.gltf"], [foreign])
    assert old.answer["refused"] == "gltf-1"
    assert "convert it to glTF 2.0" in old.answer["message"]
    assert unknown.answer["refused"] == "unsupported"
    assert "EXT_foo" in unknown.answer["message"]


def test_an_object_with_a_missing_texture_is_rendered_and_the_texture_reported(models, look):
    folder = models / "gltf/specgloss-missing-texture"
    (seen,) = look([folder / "BoxTextured-specgloss-texture-missing.gltf"])
    assert seen.answer["missing"] == [["CesiumLogoFlat.png", "specgloss.png"]]
    assert seen.arrays["mask"].sum() > 500


def test_mtl_textures_may_have_backslashes_and_another_case(models, look, tmp_path):
    """Windows paths, another case and absolute paths of another computer lead to textures in the object's folder."""
    (tmp_path / "Maps").mkdir()
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "Maps/Red.PNG")
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "red.png")
    files = [models / "obj/tex_backslash.obj", models / "obj/tex_case.obj"]
    for number, name in enumerate(("maps\\red.png", "MAPS/RED.png", "C:\\Users\\me\\Red.png")):
        file = tmp_path / f"{number}.obj"
        file.write_text(f"mtllib {number}.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nusemtl m\nf 1/1 2/1 3/1\n")
        file.with_suffix(".mtl").write_text(f"newmtl m\nKd 1 1 1\nmap_Kd {name}\n")
        files.append(file)
    seen_files = look(*([file] for file in files))
    for file, seen in zip(files, seen_files, strict=True):
        assert seen.answer["missing"] == [[]], file
        assert colour(seen)[0] > 5 * colour(seen)[2], file  # neither texture has blue; a missing texture is white


def test_unreadable_files_are_refused_with_a_message(models, look):
    utf16, usd = look([models / "obj/box_UTF16BE.obj"], [models / "usd/pointsTypes.usda"])
    assert "save it as UTF-8" in utf16.answer["message"]
    assert "faces without vertices" in usd.answer["message"]
