"""The renderer with real Blender: masks, images, reproducible bytes, broken objects."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from objascale.camera import Camera
from objascale.color import blender_datafiles
from objascale.dataset import mask_of
from objascale.engine import EngineSettings
from objascale.engine.local import LocalWorker
from objascale.engine.messages import Rendered, Reply
from objascale.files import file_sha256
from objascale.maps import write_exr
from objascale.masks import RegionMask
from objascale.records import RenderRequest
from objascale.settings import RenderSettings
from objascale.sources import Asset
from objascale.spec import ObjectSpec, SceneSpec

MAP = blender_datafiles() / "studiolights/world/courtyard.exr"
THING = ObjectSpec(
    object_id="thing/thing", category="thing", sha256="", target_fraction=0.02, yaw=0.3, place_x=0.3, place_y=0.6
)
SPEC = SceneSpec(
    slot=0,
    attempt=0,
    map_id="courtyard",
    map_sha256="",
    width=256,
    height=256,
    fov=1.0,
    azimuth=0.7,
    elevation=0.5,
    seed=7,
    objects=(THING,),
)
QUICK = RenderSettings(samples=4, denoise=False, noise_threshold=0)


@pytest.fixture(scope="module")
def worker():
    blender = LocalWorker(EngineSettings(workers=1, threads=2, device="cpu", timeout=300))
    yield blender
    blender.close()


def ask(worker, things: Path | list[Path], image: Path, spec=SPEC, settings=QUICK, map=MAP, full_frame=None) -> Reply:
    """Render one spec of the given files. The SHA-256 of each object, and of the map if missing, is filled in."""
    files = things if isinstance(things, list) else [things]
    assets = tuple(Asset("thing/thing", "thing", file, file_sha256(file)) for file in files)
    items = (replace(item, sha256=asset.sha256) for item, asset in zip(spec.objects, assets, strict=True))
    environment = Asset("courtyard", "", map, spec.map_sha256 or file_sha256(map))
    spec = replace(spec, map_sha256=environment.sha256, objects=tuple(items))
    return worker.ask(RenderRequest(spec, settings, assets, environment, image.parent, image.name, full_frame))


def rows_of(reply: Reply) -> list[dict]:
    """Return the annotations of an image."""
    assert isinstance(reply, Rendered), reply
    return [asdict(row) for row in reply.annotations]


def changed(spec=SPEC, **values) -> SceneSpec:
    """Return a spec with other values; keywords may also name fields of its only object."""
    own = {name: values.pop(name) for name in list(values) if hasattr(THING, name)}
    return replace(spec, **values, objects=(replace(spec.objects[0], **own),))


def only(reply: Reply) -> dict:
    """Return the annotation of the only object of an image."""
    (row,) = rows_of(reply)
    return row


@pytest.fixture(scope="module")
def sphere(tmp_path_factory) -> Path:
    """Write a finely faceted unit sphere as OBJ, exact to 2e-4 of the radius."""
    path = tmp_path_factory.mktemp("objects") / "sphere.obj"
    rings, sectors = 80, 160
    theta, phi = np.linspace(0, np.pi, rings + 1)[:, None], np.arange(sectors) * 2 * np.pi / sectors
    points = np.stack(
        np.broadcast_arrays(
            np.sin(theta) * np.cos(phi), np.cos(theta) * np.ones_like(phi), np.sin(theta) * np.sin(phi)
        ),
        axis=-1,
    ).reshape(-1, 3)
    lines = [f"v {x:.7f} {y:.7f} {z:.7f}" for x, y, z in points]
    for ring in range(rings):
        for sector in range(sectors):
            a, b = ring * sectors + sector, ring * sectors + (sector + 1) % sectors
            lines.append(f"f {a + 1} {b + 1} {b + sectors + 1} {a + sectors + 1}")
    path.write_text("\n".join(lines))
    return path


def camera_of(spec: SceneSpec, annotation: dict) -> Camera:
    return Camera(spec.width, spec.height, spec.fov, spec.azimuth, spec.elevation, tuple(annotation["position"]))


def sphere_mask(camera: Camera) -> RegionMask:
    """Return the pixels whose centre rays hit the unit sphere at the origin."""
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    local = np.stack(
        [columns - camera.width / 2, camera.height / 2 - rows, np.full(columns.shape, -camera.focal)], axis=-1
    )
    rays = local @ camera.axes.T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    position = np.array(camera.position)
    nearest = position - rays * (rays @ position)[..., None]
    return RegionMask.from_full((np.linalg.norm(nearest, axis=-1) < 1) & (rays @ position < 0))


@pytest.mark.parametrize(
    ("pixels", "area"), [(256, 4), (256, 12), (300, 40), (512, 100), (512, 317), (640, 1000), (512, 20000)]
)
def test_masks_equal_analytic_spheres(worker, sphere, tmp_path, pixels, area):
    spec = changed(width=pixels, height=pixels, target_fraction=area / pixels**2, place_x=0.81, place_y=0.13)
    annotation = only(ask(worker, sphere, tmp_path / "s.png", spec))
    mask, expected = mask_of(annotation), sphere_mask(camera_of(spec, annotation))
    differing = mask.area + expected.area - 2 * mask.intersection(expected)
    assert differing <= 2e-3 * area, (mask.area, expected.area)
    if area >= 100:
        assert abs(mask.area / area - 1) < 0.1


def spheres(*items: tuple[float, float, float], **values) -> SceneSpec:
    """Return a spec of spheres (fraction, place_x, place_y), the nearest first."""
    objects = (replace(THING, target_fraction=f, place_x=x, place_y=y) for f, x, y in items)
    return replace(SPEC, width=400, height=400, objects=tuple(objects), **values)


def test_masks_of_several_objects_respect_occlusion(worker, sphere, tmp_path):
    """Of three overlapping analytic spheres, each mask is the disc minus the discs of nearer spheres."""
    spec = spheres((0.04, 0.45, 0.5), (0.004, 0.55, 0.5), (0.09, 0.55, 0.6))
    rows = rows_of(ask(worker, [sphere] * 3, tmp_path / "s.png", spec))
    nearer = np.zeros((400, 400), bool)
    for row in rows:
        disc = sphere_mask(camera_of(spec, row)).full()
        mask, expected = mask_of(row), RegionMask.from_full(disc & ~nearer)
        differing = mask.area + expected.area - 2 * mask.intersection(expected)
        assert differing <= 4e-3 * disc.sum() + 1, (mask.area, expected.area)
        assert row["visible"] == pytest.approx(expected.area / disc.sum(), abs=0.02)
        nearer |= disc
    assert rows[0]["visible"] == 1
    assert rows[2]["visible"] < 0.9


def test_depth_follows_the_order_of_the_spec(worker, sphere, tmp_path):
    """A small sphere in front of a large one hides part of it; behind it, it is hidden and refused by name."""
    small, large = (0.003, 0.5, 0.5), (0.1, 0.5, 0.5)
    before = rows_of(ask(worker, [sphere] * 2, tmp_path / "s.png", spheres(small, large)))
    assert [row["visible"] < 1 for row in before] == [False, True]
    behind = ask(worker, [sphere] * 2, tmp_path / "s.png", spheres(large, small))
    assert behind.kind == "hidden"


def test_distant_objects_are_traced_separately_and_look_as_alone(worker, sphere, tmp_path):
    one, other = (0.002, 0.1, 0.2), (0.003, 0.9, 0.8)
    both = rows_of(ask(worker, [sphere] * 2, tmp_path / "both.png", spheres(one, other)))
    for row, item in zip(both, (one, other), strict=True):
        alone = only(ask(worker, sphere, tmp_path / "alone.png", spheres(item)))
        mask, expected = mask_of(row), mask_of(alone)
        assert mask.area + expected.area - 2 * mask.intersection(expected) <= 2  # the scales differ by rounding
    together, single = (cv2.imread(str(tmp_path / name)).astype(int) for name in ("both.png", "alone.png"))
    empty = np.ones((400, 400), bool)
    for row in both:
        x0, y0, x1, y1 = row["box"]
        empty[y0 - 5 : y1 + 5, x0 - 5 : x1 + 5] = False
    assert (together[empty] == single[empty]).all()


def test_an_object_may_be_cut_by_the_frame(worker, sphere, tmp_path):
    """With its centre on the edge of the image, half of the disc is seen, and `visible` is 0.5."""
    spec = spheres((0.04, 0.0, 0.5))
    spec = replace(spec, objects=(replace(spec.objects[0], cut=True),))
    row = only(ask(worker, sphere, tmp_path / "s.png", spec))
    mask, disc = mask_of(row), sphere_mask(camera_of(spec, row))
    assert mask.iou(disc) > 0.995
    assert row["visible"] == pytest.approx(0.5, abs=0.03)
    assert row["box"][0] == 0


def test_the_picture_equals_a_full_frame_of_blender(worker, shared, tmp_path):
    """99.9 % of background pixels are within 1 of 255; object pixels equal the full render with the same samples."""
    settings = RenderSettings(samples=128, denoise=False, noise_threshold=0)
    full = tmp_path / "full.png"
    thing = next((shared / "assets/objects/teapot").glob("*.glb"))
    annotation = only(ask(worker, thing, tmp_path / "crop.png", SPEC, settings, full_frame=full))
    ours, theirs = (cv2.imread(str(tmp_path / name)).astype(int) for name in ("crop.png", "full.png"))
    difference = np.abs(ours - theirs).max(2)
    mask = mask_of(annotation).full()
    near = cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    inside = cv2.erode(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert (difference[~near] <= 1).mean() >= 0.999
    assert inside.sum() > 200
    assert (difference[inside] <= 1).mean() >= 0.999
    assert difference[near & ~inside].mean() < 3  # the antialiased edge, where noise of the background shows


def test_negative_light_is_clamped_in_background_and_lighting(worker, sphere, tmp_path):
    """A map with negative radiance renders as if those texels were black, and equals the full frame."""
    import OpenEXR

    pixels = np.full((32, 64, 3), 0.5, np.float32)
    pixels[14:18, ::3] = -40
    header = {"compression": OpenEXR.NO_COMPRESSION, "type": OpenEXR.scanlineimage}
    OpenEXR.File(header, {"RGB": pixels}).write(str(tmp_path / "holes.exr"))
    OpenEXR.File(header, {"RGB": np.maximum(pixels, 0)}).write(str(tmp_path / "black.exr"))
    for name in ("holes", "black"):
        spec = changed(map_id=name)
        ask(worker, sphere, tmp_path / f"{name}.png", spec, map=tmp_path / f"{name}.exr")
    assert (tmp_path / "holes.png").read_bytes() == (tmp_path / "black.png").read_bytes()


def test_pixels_outside_the_object_are_background(worker, sphere, tmp_path):
    """The sphere and its surroundings differ in colour, so the mask is at the position of the object."""
    annotation = only(ask(worker, sphere, tmp_path / "a.png", settings=RenderSettings(samples=16)))
    mask = mask_of(annotation)
    moved = changed(place_x=0.9, place_y=0.05)
    other = mask_of(only(ask(worker, sphere, tmp_path / "b.png", moved, RenderSettings(samples=16))))
    a, b = (cv2.imread(str(tmp_path / name)).astype(int) for name in ("a.png", "b.png"))
    differs = np.abs(a - b).max(2) > 0
    near = cv2.dilate((mask.full() | other.full()).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert not differs[~near].any()
    assert differs[mask.full()].mean() > 0.9


def test_equal_specs_give_equal_bytes(worker, sphere, shared, tmp_path):
    """Also with denoising and adaptive sampling, in another process and with another number of threads."""
    thing = next((shared / "assets/objects/cupcake").glob("*.glb"))
    settings = RenderSettings(samples=16)
    ask(worker, sphere, tmp_path / "before.png")  # an earlier render must not change the result
    ask(worker, thing, tmp_path / "here.png", settings=settings)
    other = LocalWorker(EngineSettings(workers=1, threads=1, device="cpu", timeout=300))
    try:
        ask(other, thing, tmp_path / "there.png", settings=settings)
    finally:
        other.close()
    assert (tmp_path / "here.png").read_bytes() == (tmp_path / "there.png").read_bytes()


def test_masks_of_transparent_and_cut_out_surfaces(worker, tmp_path):
    """A pane of alpha 0.4 is fully in the mask; a pane with a cut-out texture is in the mask around the hole."""
    from PIL import Image

    picture = np.full((64, 64, 4), 255, np.uint8)
    picture[16:48, 16:48, 3] = 0
    Image.fromarray(picture).save(tmp_path / "hole.png")
    for name, material in (
        ("pane", {"alphaMode": "BLEND", "pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 0.4]}}),
        ("hole", {"alphaMode": "MASK", "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}),
    ):
        write_pane(tmp_path / f"{name}.gltf", material)
    level = changed(elevation=0.0, azimuth=math.pi / 2, yaw=0.0, target_fraction=0.05, place_x=0.5, place_y=0.5)
    pane = mask_of(only(ask(worker, tmp_path / "pane.gltf", tmp_path / "p.png", level)))
    x0, y0, x1, y1 = pane.box
    assert pane.area == (x1 - x0) * (y1 - y0)
    hole = mask_of(only(ask(worker, tmp_path / "hole.gltf", tmp_path / "h.png", level)))
    x0, y0, x1, y1 = hole.box
    assert hole.area / ((x1 - x0) * (y1 - y0)) == pytest.approx(0.75, abs=0.04)
    assert not hole.window(((x0 + x1) // 2 - 3, (y0 + y1) // 2 - 3, (x0 + x1) // 2 + 3, (y0 + y1) // 2 + 3)).any()


def write_pane(path: Path, material: dict, nodes=({"mesh": 0},)) -> None:
    """Write a square with one material that faces −z of glTF, which is +y of Blender."""
    import base64

    points = np.float32([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]])
    uvs = np.float32([[0, 1], [1, 1], [1, 0], [0, 0]])
    data = points.tobytes() + uvs.tobytes() + np.uint16([0, 1, 2, 0, 2, 3]).tobytes()
    views = [(0, 48), (48, 32), (80, 12)]
    path.write_text(
        json.dumps(
            {
                "asset": {"version": "2.0"},
                "scenes": [{"nodes": [0]}],
                "scene": 0,
                "nodes": list(nodes),
                "meshes": [
                    {"primitives": [{"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}]}
                ],
                "materials": [{"doubleSided": True, **material}],
                "textures": [{"source": 0}],
                "images": [{"uri": "hole.png"}],
                "buffers": [
                    {
                        "byteLength": len(data),
                        "uri": "data:application/octet-stream;base64," + base64.b64encode(data).decode(),
                    }
                ],
                "bufferViews": [{"buffer": 0, "byteOffset": start, "byteLength": size} for start, size in views],
                "accessors": [
                    {
                        "bufferView": 0,
                        "componentType": 5126,
                        "count": 4,
                        "type": "VEC3",
                        "min": [-1, -1, 0],
                        "max": [1, 1, 0],
                    },
                    {"bufferView": 1, "componentType": 5126, "count": 4, "type": "VEC2"},
                    {"bufferView": 2, "componentType": 5123, "count": 6, "type": "SCALAR"},
                ],
            }
        )
    )


EXPORT = """
import bpy, sys
bpy.ops.wm.read_factory_settings(use_empty=True)
for addon in ("io_scene_gltf2", "io_scene_fbx"):
    bpy.ops.preferences.addon_enable(module=addon)
bpy.ops.mesh.primitive_monkey_add(location=(300, -20, 5))
bpy.ops.object.camera_add(), bpy.ops.object.light_add()
bpy.ops.object.select_all(action="SELECT")
name = sys.argv[1] + "/monkey."
bpy.ops.export_scene.gltf(filepath=name + "glb")
bpy.ops.export_scene.gltf(filepath=name + "gltf", export_format="GLTF_SEPARATE")
bpy.ops.export_scene.fbx(filepath=name + "fbx")
bpy.ops.wm.obj_export(filepath=name + "obj")
bpy.ops.wm.ply_export(filepath=name + "ply")
bpy.ops.wm.stl_export(filepath=name + "stl")
for ending in ("usda", "usdc", "usdz"):
    bpy.ops.wm.usd_export(filepath=name + ending)
"""


def test_every_format_gives_the_same_silhouette(worker, tmp_path):
    """One head in nine formats, far from the origin, with a camera and a light that must be left out."""
    subprocess.run([sys.executable, "-c", EXPORT, str(tmp_path)], check=True, capture_output=True)
    endings = ("glb", "gltf", "fbx", "obj", "ply", "stl", "usda", "usdc", "usdz")
    masks = {}
    for ending in endings:
        reply = ask(worker, tmp_path / f"monkey.{ending}", tmp_path / "m.png", changed(elevation=1.57, yaw=0.0))
        masks[ending] = mask_of(only(reply))
    for ending in endings:
        assert masks[ending].iou(masks["glb"]) > 0.97, ending


def test_refusals_name_broken_objects(worker, shared, tmp_path):
    whole = next((shared / "assets/objects/apple").glob("*.glb")).read_bytes()
    files = {
        "cut.glb": (whole[: len(whole) // 2], "truncated"),
        "none.glb": (b"this is no GLB", "unreadable"),
        "empty.glb": (b"", "unreadable"),
        "noise.obj": (b"\x00\xff" * 50, "unreadable"),
        "points.ply": (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\n"
                       b"property float z\nend_header\n0 0 0\n", "no-geometry"),
        "away.gltf": (json.dumps({"asset": {"version": "2.0"}, "images": [{"uri": "../../secret.png"}]}).encode(),
                      "outside-reference"),
        "web.gltf": (json.dumps({"asset": {"version": "2.0"}, "images": [{"uri": "https://x.org/a"}]}).encode(),
                     "outside-reference"),
    }  # fmt: skip
    for name, (data, reason) in files.items():
        (tmp_path / name).write_bytes(data)
        reply = ask(worker, tmp_path / name, tmp_path / "x.png")
        assert reply.kind == reason, (name, reply)
        assert name in reply.message
    huge = {"scale": [1e30] * 3}
    write_pane(tmp_path / "far.gltf", {}, nodes=[{"children": [1], **huge}, {"mesh": 0, **huge}])
    assert ask(worker, tmp_path / "far.gltf", tmp_path / "x.png").kind == "not-finite"
    assert not (tmp_path / "x.png").exists()


def test_an_object_that_cannot_fit_is_refused(worker, tmp_path):
    needle = tmp_path / "needle.obj"
    needle.write_text("v 0 0 0\nv 1 0 0\nv 1 0 0.01\nv 0 0.01 0\nf 1 2 3\nf 1 2 4\n")
    reply = ask(worker, needle, tmp_path / "x.png", changed(target_fraction=0.25))
    assert reply.kind == "does-not-fit"


def test_a_file_that_is_no_map_is_refused(worker, sphere, tmp_path):
    bad = tmp_path / "bad.exr"
    bad.write_bytes(b"no EXR")
    reply = ask(worker, sphere, tmp_path / "x.png", map=bad)
    assert reply.kind == "bad-map"
    assert "bad.exr" in reply.message
    reply = ask(worker, sphere, tmp_path / "x.png", changed(map_sha256="0" * 64), map=tmp_path / "none.exr")
    assert reply.kind == "unreadable"
    assert "none.exr cannot be read" in reply.message


def test_a_map_that_changed_after_the_plan_is_refused(worker, sphere, tmp_path):
    """Also if the process has read the planned file, and the new file has the same size and date."""
    file, picture = tmp_path / "map.exr", tmp_path / "x.png"
    write_exr(file, np.full((16, 32, 3), 0.5, np.float32))
    planned, dates = changed(map_sha256=file_sha256(file)), file.stat()
    only(ask(worker, sphere, picture, planned, map=file))
    before = picture.read_bytes()

    write_exr(file, np.full((16, 32, 3), 0.1, np.float32))
    os.utime(file, ns=(dates.st_atime_ns, dates.st_mtime_ns))
    assert file.stat().st_size == dates.st_size
    picture.unlink()
    reply = ask(worker, sphere, picture, planned, map=file)
    assert reply.kind == "changed"
    assert f"{file} is no longer the file that the plan names" in reply.message
    assert not picture.exists()

    write_exr(file, np.full((16, 32, 3), 0.5, np.float32))
    only(ask(worker, sphere, picture, planned, map=file))
    assert picture.read_bytes() == before
