"""Files with scenes, hierarchies, skins, animations, lights and lines; and refusals."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

SQUARE = {
    "POSITION": np.float32([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]),
    "indices": np.uint16([0, 1, 2, 0, 2, 3]),
}
POINTS = {"primitives": [{"attributes": {"POSITION": "@POSITION"}, "mode": 0}]}
LINES = {"primitives": [{"attributes": {"POSITION": "@POSITION"}, "indices": "@indices", "mode": 1}]}
FACES = {"primitives": [{"attributes": {"POSITION": "@POSITION"}, "indices": "@indices"}]}
TURN = [0, 0, np.sin(np.pi / 8), np.cos(np.pi / 8)]
"""45° about the axis towards the camera."""


@pytest.fixture
def masks(look):
    """Return a function that renders each file alone and returns its mask."""

    def masks(*files):
        seen = look(*([file] for file in files))
        assert all("missing" in one.answer for one in seen), [one.answer for one in seen]
        return [one.arrays["mask"] for one in seen]

    return masks


def test_only_the_default_scene_is_rendered(glb, masks, tmp_path):
    """Other scenes, nodes of no scene and nodes with the same name are left out; without a scene, all nodes count."""
    aside = {"mesh": 0, "translation": [5, 0, 0]}
    nodes = [{"mesh": 0}, aside, aside]
    plain = glb(tmp_path / "plain.glb", SQUARE)
    files = [
        glb(tmp_path / "second.glb", SQUARE, nodes=nodes, scene=1,
            scenes=[{"nodes": [1], "name": "s"}, {"nodes": [0], "name": "s"}]),
        glb(tmp_path / "orphan.glb", SQUARE, nodes=nodes),
        glb(tmp_path / "first.glb", SQUARE, nodes=nodes, scene=None, scenes=[{"nodes": [0]}, {"nodes": [1]}]),
        glb(tmp_path / "alone.glb", SQUARE, nodes=nodes, scene=None),
        glb(tmp_path / "roots.glb", SQUARE, nodes=[{"mesh": 0}, {"mesh": 0, "scale": [0.5, 0.5, 1]}],
            scenes=[{"nodes": [0, 1]}]),
    ]  # fmt: skip
    reference, *same = masks(plain, *files)
    for mask in same:
        assert (mask == reference).all()
    both, library = masks(
        glb(tmp_path / "both.glb", SQUARE, nodes=nodes[:2], scenes=[{"nodes": [0, 1]}]),
        glb(tmp_path / "library.glb", SQUARE, nodes=nodes[:2], scene=None, scenes=None),
    )
    assert (both == library).all()
    assert both.sum() < reference.sum() / 2


def test_transforms_of_a_hierarchy_follow_gltf(glb, look, tmp_path):
    """Negative, non-uniform and matrix transforms give the points of glTF's formula."""
    matrix = [0, 2, 0, 0, -1, 0, 0, 0, 0, 0, 3, 0, 4, 5, 6, 1]  # column-major
    nodes = [{"children": [1], "matrix": matrix}, {"mesh": 0, "scale": [-1, 2, 0.5], "translation": [1, 2, 3]}]
    (seen,) = look([glb(tmp_path / "tree.glb", SQUARE, nodes=nodes)])
    local = SQUARE["POSITION"] * [-1, 2, 0.5] + [1, 2, 3]
    there = local @ np.reshape(matrix, (4, 4))[:3, :3] + [4, 5, 6]
    blender = there[:, [0, 2, 1]] * [1, -1, 1]
    blender -= (blender.min(0) + blender.max(0)) / 2
    blender /= np.linalg.norm(blender, axis=1).max()
    points = seen.arrays["points0"]
    assert np.linalg.norm(points[:, None] - blender[None], axis=-1).min(0) == pytest.approx(0, abs=1e-5)


def test_cameras_lights_and_lines_are_left_out(glb, look, tmp_path):
    """The image is equal pixel by pixel without them; lines and points beside the mesh do not count for its size."""
    light = {"translation": [0, 0, 3], "extensions": {"KHR_lights_punctual": {"light": 0}}}
    far = [9, 9, 9]
    plain, full = look(
        [glb(tmp_path / "plain.glb", SQUARE)],
        [
            glb(
                tmp_path / "full.glb",
                SQUARE,
                extensionsUsed=["KHR_lights_punctual"],
                extensions={"KHR_lights_punctual": {"lights": [{"type": "point", "intensity": 500}]}},
                cameras=[{"type": "perspective", "perspective": {"yfov": 1, "znear": 0.1}}],
                meshes=[FACES, POINTS, LINES],
                nodes=[{"mesh": 0}, light, {"camera": 0}, {"mesh": 1, "translation": far},
                       {"mesh": 2, "translation": far}, {"translation": far}],
                scenes=[{"nodes": [0, 1, 2, 3, 4, 5]}],
            )
        ],
    )  # fmt: skip
    assert (plain.arrays["rgba"] == full.arrays["rgba"]).all()
    assert (plain.arrays["points0"] == full.arrays["points0"]).all()


def animation(path: str, values: str, interpolation: str = "LINEAR") -> dict:
    sampler = {"input": "@times", "output": f"@{values}", "interpolation": interpolation}
    return {"channels": [{"sampler": 0, "target": {"node": 0, "path": path}}], "samplers": [sampler]}


def test_animations_are_rendered_at_their_first_frame(glb, masks, tmp_path):
    """The first key of rotation and morph weights differs from the values of the node and of the scene's frame."""
    wide = {"wide": np.float32([[-3, 0, 0], [3, 0, 0], [3, 0, 0], [-3, 0, 0]])}
    times = {"times": np.float32([0, 0.04, 1])}
    morph = [{"primitives": [{**FACES["primitives"][0], "targets": [{"POSITION": "@wide"}]}], "weights": [0]}]
    expected = [
        glb(tmp_path / "turned.glb", SQUARE, nodes=[{"mesh": 0, "rotation": TURN}]),
        glb(tmp_path / "wide.glb", {**SQUARE, **wide}, meshes=[{**morph[0], "weights": [1]}]),
    ]
    turns = {"turns": np.float32([TURN, [0, 0, 0, 1], [0, 0, 0, 1]])}
    weights = {"weights": np.float32([1, 0, 0])}
    moving = [
        glb(tmp_path / "turning.glb", {**SQUARE, **times, **turns}, animations=[animation("rotation", "turns")]),
        glb(tmp_path / "widening.glb", {**SQUARE, **wide, **times, **weights}, meshes=morph,
            animations=[animation("weights", "weights")]),
    ]  # fmt: skip
    turned, widened, plain, *first = masks(*expected, glb(tmp_path / "plain.glb", SQUARE), *moving)
    assert (turned != plain).mean() > 0.05
    assert (widened != plain).mean() > 0.05
    for mask, still in zip(first, (turned, widened), strict=True):
        assert (mask == still).all()


def skinned(glb, path, first_turn):
    """Return the square bound to one joint, which an animation turns."""
    parts = {
        **SQUARE,
        "JOINTS_0": np.zeros((4, 4), np.uint8),
        "WEIGHTS_0": np.float32([[1, 0, 0, 0]] * 4),
        "times": np.float32([0, 0.04]),
        "turns": np.float32([first_turn, [0, 0, 0, 1]]),
    }
    joints = {"nodes": [{"name": "bone"}, {"mesh": 0, "skin": 0}], "scenes": [{"nodes": [0, 1]}]}
    return glb(path, parts, **joints, skins=[{"joints": [0]}], animations=[animation("rotation", "turns")])


def test_skins_deform_the_mesh_at_the_first_frame(glb, look, tmp_path):
    """An armature deforms the mesh at its first frame, and its bones are not rendered."""
    plain, turned, moving = look(
        [glb(tmp_path / "plain.glb", SQUARE)],
        [glb(tmp_path / "turned.glb", SQUARE, nodes=[{"mesh": 0, "rotation": TURN}])],
        [skinned(glb, tmp_path / "skinned.glb", TURN)],
    )
    assert (plain.arrays["mask"] != turned.arrays["mask"]).mean() > 0.05
    assert (turned.arrays["mask"] != moving.arrays["mask"]).sum() <= 2
    assert not any("sphere" in name.lower() for name in moving.answer["objects"])


WRITE = """
import bpy, sys
bpy.ops.wm.read_factory_settings(use_empty=True)
curve = bpy.data.objects.new("curve", bpy.data.curves.new("curve", "CURVE"))
spline = curve.data.splines.new("POLY")
spline.points.add(3)
for i, point in enumerate(spline.points):
    point.co = (i, i * i, 0, 1)
curve.data.bevel_depth = 0.5
link = bpy.context.scene.collection.objects.link
link(curve)
bpy.ops.wm.usd_export(filepath=sys.argv[1] + "/curve.usdc")
bpy.ops.mesh.primitive_plane_add(rotation=(1.5707963, 0, 0))
bpy.ops.wm.usd_export(filepath=sys.argv[1] + "/mixed.usdc")
bpy.data.objects.remove(curve)
bpy.ops.wm.usd_export(filepath=sys.argv[1] + "/plane.usdc")
proto = bpy.data.collections.new("proto")
plane = bpy.context.object
bpy.context.scene.collection.objects.unlink(plane)
proto.objects.link(plane)
for x in (-2, 2):
    copy = bpy.data.objects.new("copy", None)
    copy.instance_type, copy.instance_collection, copy.location.x = "COLLECTION", proto, x
    link(copy)
bpy.ops.wm.usd_export(filepath=sys.argv[1] + "/instances.usdc", use_instancing=True)
"""


MOVE = """
import bpy, sys
bpy.ops.wm.read_factory_settings(use_empty=True)
for addon in ("io_scene_gltf2", "io_scene_fbx"):
    bpy.ops.preferences.addon_enable(module=addon)
bpy.ops.mesh.primitive_plane_add(rotation=(1.5707963, 0, 0))
thing, scene = bpy.context.object, bpy.context.scene
scene.frame_start, scene.frame_end = 0, 10
for name in ("moving", "still"):
    for frame, turn in ((0, 0.7), (1, 0), (10, 0)):
        thing.rotation_euler.y = turn
        thing.keyframe_insert("rotation_euler", frame=frame)
    if name == "still":
        thing.animation_data_clear()
        thing.rotation_euler.y = 0.7
    target = sys.argv[1] + "/" + name
    bpy.ops.export_scene.gltf(filepath=target + ".glb")
    bpy.ops.export_scene.fbx(filepath=target + ".fbx")
    bpy.ops.wm.usd_export(filepath=target + ".usdc", export_animation=name == "moving")
"""


def test_every_format_is_rendered_at_its_first_frame(masks, tmp_path):
    """At frame 0, a turned square begins to turn back."""
    subprocess.run([sys.executable, "-c", MOVE, str(tmp_path)], check=True, capture_output=True)
    files = [tmp_path / f"{name}.{ending}" for name in ("moving", "still") for ending in ("glb", "fbx", "usdc")]
    *moving, still, _, _ = masks(*files)
    for mask in moving:
        assert (mask != still).mean() < 0.002


def test_usd_curves_are_left_out_and_instances_are_rendered(look, tmp_path):
    """A file of curves alone is refused, curves beside a mesh are left out; instances have the index of the object."""
    subprocess.run([sys.executable, "-c", WRITE, str(tmp_path)], check=True, capture_output=True)
    curve, mixed, plane, instances = look(
        *([tmp_path / f"{name}.usdc"] for name in ("curve", "mixed", "plane", "instances"))
    )
    assert curve.answer["refused"] == "no-geometry"
    assert "curve" in curve.answer["message"].rpartition("only")[2]
    assert (mixed.arrays["mask"] == plane.arrays["mask"]).all()
    assert plane.arrays["mask"].sum() > 500
    mask = instances.arrays["mask"]
    assert (mask == (instances.arrays["rgba"][..., 3] > 0.5)).mean() > 0.98
    assert mask[:, :32].sum() == mask[:, 32:].sum() > 100
    assert not mask[:, 31:33].any()


def test_refusals_have_a_message(glb, look, tmp_path):
    nan = SQUARE["POSITION"].copy()
    nan[2, 1] = np.nan
    files = {
        "points.glb": ({"meshes": [POINTS]}, SQUARE, "no-geometry", "only 4 points or lines"),
        "lines.glb": ({"meshes": [LINES]}, SQUARE, "no-geometry", "points or lines"),
        "empty.glb": ({"nodes": [{}]}, SQUARE, "no-geometry", "empty"),
        "nan.glb": ({}, {**SQUARE, "POSITION": nan}, "not-finite", "vertices that are not finite"),
        "one.glb": ({}, {**SQUARE, "POSITION": np.ones((4, 3), np.float32)}, "no-geometry", "no extent"),
    }
    seen = look(*([glb(tmp_path / name, parts, **more)] for name, (more, parts, _, _) in files.items()))
    for (name, (_, _, reason, words)), one in zip(files.items(), seen, strict=True):
        assert one.answer.get("refused") == reason, (name, one.answer)
        assert words in one.answer["message"]
        assert name in one.answer["message"]


def test_text_files_with_outside_references_or_nan_are_refused(look, tmp_path):
    folder = tmp_path / "objects"
    folder.mkdir()
    (tmp_path / "secret.mtl").write_text("newmtl secret\n")
    (folder / "link.mtl").symlink_to(tmp_path / "secret.mtl")
    faces = "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
    (folder / "up.obj").write_text("mtllib ../secret.mtl\n" + faces)
    (folder / "back.obj").write_text("mtllib ..\\secret.mtl\n" + faces)
    (folder / "nan.obj").write_text(faces.replace("v 1 0 0", "v 1 NaN 0"))
    (folder / "link.obj").write_text(faces)  # Blender also reads the library of the same name
    (folder / "up.usda").write_text('#usda 1.0\ndef "thing" (references = @../secret.usda@) {}\n')
    names = ("up.obj", "back.obj", "link.obj", "up.usda", "nan.obj")
    *outside, nan = look(*([folder / name] for name in names))
    assert [seen.answer["refused"] for seen in outside] == ["outside-reference"] * 4
    assert nan.answer["refused"] == "not-finite"


def test_changed_or_huge_files_are_refused_before_reading(glb, tmp_path):
    files = [glb(tmp_path / "square.glb", SQUARE), tmp_path / "huge.stl", tmp_path / "none.glb"]
    with files[1].open("wb") as file:
        file.truncate(2**30 + 1)
    code = (
        "import sys, json; from pathlib import Path\n"
        "from objascale.blender.importing import Refusal, import_object\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n        import_object(Path(name), '0' * 64, 0.0)\n"
        "    except Refusal as refusal:\n        print(json.dumps([refusal.kind, str(refusal)]))"
    )
    command = [sys.executable, "-c", code, *map(str, files)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    refusals = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("[")]
    assert [reason for reason, _ in refusals] == ["changed", "too-large", "unreadable"]
    for file, (_, message) in zip(files, refusals, strict=True):
        assert file.name in message
