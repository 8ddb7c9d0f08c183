"""Object files in Blender: which parts are rendered, with which size, colour and mask."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SQUARE = {
    "POSITION": np.float32([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]),
    "TEXCOORD_0": np.float32([[0, 1], [1, 1], [1, 0], [0, 0]]),
    "indices": np.uint16([0, 1, 2, 0, 2, 3]),
}
"""A square that faces +z of glTF, which is −y of Blender, towards the camera of `look`."""
HALF = 4.0 * np.sqrt(2) * np.tan(0.3)
"""Half the width of the image in units of the square, whose corners have radius 1."""


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def surface(**factors) -> dict:
    return {"pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 1, **factors}}


def textured(picture: bytes, **material) -> tuple[dict, dict]:
    """Return arrays and document of a square with a texture."""
    material = {**surface(baseColorTexture={"index": 0}), **material}
    images = [{"bufferView": "@picture", "mimeType": "image/png", "name": "picture"}]
    return {**SQUARE, "picture": picture}, {"materials": [material], "textures": [{"source": 0}], "images": images}


def square_mask(low=-1.0, high=1.0) -> np.ndarray:
    """Return the pixels whose centres lie in the square [low, high]² of the plane of the pane."""
    across = ((np.arange(64) + 0.5) / 32 - 1) * HALF
    inside = (across > low) & (across < high)
    return inside[:, None] & inside[None, :]


def colour(seen) -> np.ndarray:
    """Return the mean linear RGB of the object's pixels."""
    return seen.arrays["rgba"][seen.arrays["mask"]][:, :3].mean(0)


def test_the_mask_follows_alpha(glb, look, tmp_path):
    """BLEND 0.4 is in the mask, BLEND 0 is not, and the cut-out of a leaf is a hole with exact pixels."""
    leaf = np.full((64, 64, 4), 255, np.uint8)
    leaf[16:48, 16:48, 3] = 90
    parts, document = textured(png(leaf), alphaMode="MASK", alphaCutoff=0.5)
    files = [glb(tmp_path / "leaf.glb", parts, **document)]
    document["materials"][0]["alphaCutoff"] = 0.2
    files.append(glb(tmp_path / "whole.glb", parts, **document))
    for alpha in (0.4, 0.0):
        material = surface(baseColorFactor=[1, 0, 0, alpha]) | {"alphaMode": "BLEND"}
        files.append(glb(tmp_path / f"{alpha}.glb", SQUARE, materials=[material]))
    leaf_, whole, pane, none = look(*([file] for file in files))
    assert (whole.arrays["mask"] == square_mask()).all()
    assert (pane.arrays["mask"] == square_mask()).all()
    assert none.answer["refused"] == "no-geometry"
    assert "fully transparent" in none.answer["message"]
    expected = square_mask() & ~square_mask(-0.5, 0.5)
    assert (leaf_.arrays["mask"] != expected).sum() <= 8  # the texture is interpolated at the edge of the hole
    inner = square_mask(-0.9, 0.9)
    assert pane.arrays["rgba"][inner][:, 3] == pytest.approx(0.4, abs=0.15)
    assert pane.arrays["rgba"][inner][:, 3].mean() == pytest.approx(0.4, abs=0.01)


def test_colours_of_vertices_materials_and_textures_show(glb, look, tmp_path):
    """Vertex colours multiply the base colour; emission, unlit colours and transformed textures show."""
    reds = np.float32([[1, 0, 0, 1]] * 4)
    halves = np.zeros((8, 8, 3), np.uint8)
    halves[:, :4, 0] = halves[:, 4:, 2] = 255  # red, and blue from u = 0.5
    moved = {"index": 0, "extensions": {"KHR_texture_transform": {"offset": [0.5, 0], "scale": [0.4, 1]}}}
    parts, document = textured(png(halves))
    document["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"] = moved
    glow = surface(baseColorFactor=[0, 0, 0, 1]) | {"emissiveFactor": [0, 1, 0]}
    strength = {"extensions": {"KHR_materials_emissive_strength": {"emissiveStrength": 5}}}
    unlit = surface(baseColorFactor=[0.2, 0.4, 0.8, 1]) | {"extensions": {"KHR_materials_unlit": {}}}
    files = [
        glb(tmp_path / "red.glb", {**SQUARE, "COLOR_0": reds}, materials=[surface(baseColorFactor=[0.5, 1, 1, 1])]),
        glb(tmp_path / "glow.glb", SQUARE, materials=[glow]),
        glb(tmp_path / "bright.glb", SQUARE, materials=[glow | strength]),
        glb(tmp_path / "unlit.glb", SQUARE, materials=[unlit]),
        glb(tmp_path / "moved.glb", parts, **document),
    ]
    red, glowing, bright, flat, blue = (colour(seen) for seen in look(*([file] for file in files)))
    assert red[0] > 0.35
    assert red[1:].max() < 0.1
    assert glowing[1] - glowing[0] == pytest.approx(1, abs=0.05)
    assert bright[1] - bright[0] == pytest.approx(5, abs=0.1)
    assert flat == pytest.approx([0.2, 0.4, 0.8], abs=0.02)
    assert blue[2] > 10 * blue[0]


def test_glass_is_in_the_mask(glb, look, tmp_path):
    glass = surface() | {"extensions": {"KHR_materials_transmission": {"transmissionFactor": 1}}}
    (seen,) = look([glb(tmp_path / "glass.glb", SQUARE, materials=[glass])])
    assert (seen.arrays["mask"] == square_mask()).all()


def test_back_faces_show(glb, look, tmp_path):
    """A single-sided square seen from behind is in the image and in the mask."""
    file = glb(tmp_path / "back.glb", SQUARE, materials=[surface() | {"doubleSided": False}])
    for azimuth in (np.pi / 2, -np.pi / 2):
        (seen,) = look([file], azimuth=azimuth)
        assert (seen.arrays["mask"] == square_mask()).all()
        assert (seen.arrays["rgba"][seen.arrays["mask"]][:, 3] > 0.4).all()
        assert (seen.arrays["rgba"][square_mask(-0.9, 0.9)][:, 3] == 1).all()


def test_missing_textures_are_reported_and_replaced_by_neutral_values(glb, look, tmp_path):
    """For a damaged, missing or outside texture, the factor gives the colour; relief and emission are off."""
    whole = png(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    stream = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(stream, "JPEG")
    material = surface(baseColorFactor=[0.1, 0.8, 0.1, 1], baseColorTexture={"index": 0})
    material |= {"normalTexture": {"index": 0}, "emissiveTexture": {"index": 0}, "emissiveFactor": [1, 1, 1]}
    files = [glb(tmp_path / "plain.glb", SQUARE, materials=[surface(baseColorFactor=[0.1, 0.8, 0.1, 1])])]
    for name, picture in (("cut", whole[:500]), ("noise", b"x" * 99), ("jpeg", stream.getvalue()[:-200])):
        parts, document = textured(picture)
        files.append(glb(tmp_path / f"{name}.glb", parts, **{**document, "materials": [material]}))
    document["images"] = [{"uri": "not%20there.png"}]
    files.append(glb(tmp_path / "none.glb", SQUARE, **{**document, "materials": [material]}))
    document["textures"] = [{"extensions": {"KHR_texture_basisu": {"source": 0}}}]  # not read by Blender
    files.append(glb(tmp_path / "ktx.glb", SQUARE, **{**document, "materials": [material]}))
    plain, *others = look(*([file] for file in files))
    assert plain.answer["missing"] == [[]]
    for seen in others:
        assert colour(seen) == pytest.approx(colour(plain), abs=0.01)
    names = [seen.answer["missing"][0] for seen in others]
    assert names[:4] == [["picture"]] * 3 + [["not there.png"]]
    assert "BASE COLOR" in names[4]


def test_the_content_of_a_texture_wins_over_its_suffix_and_type(glb, look, tmp_path):
    red = png(np.full((8, 8, 3), (255, 0, 0), np.uint8))
    (tmp_path / "red.jpg").write_bytes(red)
    (tmp_path / "red.mtl").write_text("newmtl m\nKd 1 1 1\nmap_Kd red.jpg\n")
    (tmp_path / "red.obj").write_text("mtllib red.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nusemtl m\nf 1/1 2/1 3/1\n")
    parts, document = textured(red)
    document["images"][0]["mimeType"] = "image/jpeg"
    for seen in look([tmp_path / "red.obj"], [glb(tmp_path / "red.glb", parts, **document)]):
        assert seen.answer["missing"] == [[]]
        assert colour(seen)[0] > 5 * colour(seen)[2]


def test_too_large_textures_are_refused_before_reading(glb, look, tmp_path):
    """A PNG of a hundred bytes that declares 60,000 × 60,000 px, and seven complete ones of 40 million px."""
    ends = [b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b""), b"IEND"]
    chunks = [struct.pack(">I", len(end) - 4) + end + struct.pack(">I", zlib.crc32(end)) for end in ends]
    files = []
    for name, picture, times in (("bomb", b"\x89PNG\r\n\x1a\n" + b"".join(chunks), 1), ("many", None, 7)):
        parts, document = textured(picture or png(np.zeros((4000, 10000), np.uint8)))
        document["images"] *= times
        document["textures"] = [{"source": i} for i in range(times)]
        document["materials"] = [textured(b"")[1]["materials"][0] for _ in range(times)]
        faces = {"attributes": {"POSITION": "@POSITION", "TEXCOORD_0": "@TEXCOORD_0"}, "indices": "@indices"}
        for i, material in enumerate(document["materials"]):
            material["pbrMetallicRoughness"]["baseColorTexture"] = {"index": i}
        document["meshes"] = [{"primitives": [{**faces, "material": i} for i in range(times)]}]
        files.append(glb(tmp_path / f"{name}.glb", parts, **document))
    for seen in look(*([file] for file in files)):
        assert seen.answer["refused"] == "too-large"
        assert "px" in seen.answer["message"]


def test_textures_outside_the_folder_are_not_read(look, tmp_path):
    """OBJ materials name a texture above their folder, by path and by link; one inside the folder is used."""
    folder = tmp_path / "objects"
    folder.mkdir()
    for place in (tmp_path / "secret.png", folder / "own.png"):
        place.write_bytes(png(np.full((4, 4, 3), (255, 0, 0), np.uint8)))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    names = ("own.png", "../secret.png", "link.png", str(tmp_path / "secret.png"))
    for i, name in enumerate(names):
        (folder / f"{i}.mtl").write_text(f"newmtl paint\nKd 1 1 1\nmap_Kd {name}\n")
        (folder / f"{i}.obj").write_text(
            f"mtllib {i}.mtl\nv -1 -1 0\nv 1 -1 0\nv 1 1 0\nv -1 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
            "usemtl paint\nf 1/1 2/2 3/3 4/4\n"
        )
    own, *others = look(*([folder / f"{i}.obj"] for i in range(len(names))))
    assert own.answer["missing"] == [[]]
    assert colour(own)[0] > 5 * colour(own)[1]
    for seen in others:
        assert len(seen.answer["missing"][0]) == 1
        assert colour(seen)[0] == pytest.approx(colour(seen)[1], rel=0.1)


def test_files_in_one_scene_stay_separate(glb, look, tmp_path):
    """Two files with equal names of data-blocks keep their sizes, colours, indices, collections and pivots."""
    files = []
    for name, rgb, size in (("a", [1, 0, 0, 1], 7), ("b", [0, 0, 1, 1], 0.1)):
        (tmp_path / name).mkdir()
        material = surface(baseColorFactor=rgb) | {"name": "paint"}
        named = {"nodes": [{"mesh": 0, "name": "thing", "scale": [size] * 3}], "scenes": [{"nodes": [0], "name": "s"}]}
        files.append(glb(tmp_path / name / "thing.glb", SQUARE, materials=[material], **named))
    then = (
        "import mathutils\n"
        "assert [o.pass_index for t in things for o in t.collection.all_objects] == [1, 2]\n"
        "for thing, x in zip(things, (-0.6, 0.6)):\n"
        "    assert thing.pivot.matrix_world == mathutils.Matrix()\n"
        "    thing.pivot.location.x, thing.pivot.scale = x, [0.5] * 3\n"
    )
    (both,) = look(files, then=then)
    left, right = both.arrays["mask"].copy(), both.arrays["mask"].copy()
    left[:, 32:], right[:, :32] = False, False
    assert left.sum() == right.sum() > 50
    rgba = both.arrays["rgba"]
    assert rgba[left].mean(0)[0] > 5 * rgba[left].mean(0)[2]
    assert rgba[right].mean(0)[2] > 5 * rgba[right].mean(0)[0]
    for points in (both.arrays["points0"], both.arrays["points1"]):
        assert np.linalg.norm(points, axis=1) == pytest.approx(1, abs=1e-6)
    (one,) = look(files, then=then + "things[0].collection.hide_render = True\n")
    assert (one.arrays["mask"] == right).all()


CONVERT = """
import bpy, sys
for file in sys.argv[1:]:
    for ending in ("obj", "fbx", "usdc", "glb"):
        bpy.ops.wm.read_factory_settings(use_empty=True)
        for addon in ("io_scene_gltf2", "io_scene_fbx"):
            bpy.ops.preferences.addon_enable(module=addon)
        bpy.ops.import_scene.gltf(filepath=file)
        target = file.replace(".glb", ".out." + ending)
        if ending == "fbx":
            bpy.ops.export_scene.fbx(filepath=target)
        elif ending == "obj":
            bpy.ops.wm.obj_export(filepath=target)
        elif ending == "usdc":
            bpy.ops.wm.usd_export(filepath=target)
        else:
            bpy.ops.export_scene.gltf(filepath=target, export_draco_mesh_compression_enable=True)
"""


@pytest.fixture(scope="module")
def squares(glb, tmp_path_factory) -> Path:
    """Return a folder of GLBs of squares, and of these in other formats, exported by one process of Blender.

    The squares have sizes of 1e-6, 1 and 1e6 m, or are 1e5 m away. NAME.out.glb has Draco compression.
    """
    folder = tmp_path_factory.mktemp("squares")
    made = []
    for name, factor in (("tiny", 1e-6), ("metre", 1.0), ("huge", 1e6)):
        points = SQUARE["POSITION"] * np.float32(factor)
        made.append(glb(folder / f"{name}.glb", {**SQUARE, "POSITION": points}, materials=[surface()]))
    far = [{"mesh": 0, "translation": [1e5, -1e5, 1e5]}]
    made.append(glb(folder / "far.glb", SQUARE, materials=[surface()], nodes=far))
    result = subprocess.run([sys.executable, "-c", CONVERT, *map(str, made)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize("ending", ["glb", "out.obj", "out.fbx", "out.usdc"])
def test_units_and_position_do_not_change_the_picture(squares, look, ending):
    """A square of 1e-6, 1 or 1e6 m gives the same image; 1e5 m away, float32 moves it by up to 1 %."""
    names = ("tiny", "metre", "huge", "far")
    seen = dict(zip(names, look(*([squares / f"{name}.{ending}"] for name in names)), strict=True))
    for name in ("tiny", "metre", "huge"):
        assert (seen[name].arrays["mask"] != square_mask()).sum() <= (0 if ending == "glb" else 2), name
        assert np.linalg.norm(seen[name].arrays["points0"], axis=1).max() == pytest.approx(1, abs=1e-5)
    assert (seen["far"].arrays["mask"] != square_mask()).mean() < 0.02


def test_draco_compression_is_decoded(squares, look):
    compressed = squares / "metre.out.glb"
    assert b"KHR_draco_mesh_compression" in compressed.read_bytes()
    (seen,) = look([compressed])
    assert (seen.arrays["mask"] == square_mask()).all()
