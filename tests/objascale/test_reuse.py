"""A scene that is used again holds nothing of the last picture, and its pictures are those of a new scene."""

from __future__ import annotations

import subprocess
import sys

REUSE = """
import sys
from pathlib import Path
import bpy, numpy as np
from objascale.blender.importing import import_object
from objascale.blender.reuse import empty_scene, forget
from objascale.blender import scene
from objascale.camera import Camera
from objascale.files import file_sha256
from objascale.maps import load_map, write_exr
from objascale.settings import RenderSettings

folder, files = Path(sys.argv[1]), [Path(file) for file in sys.argv[2:]]
for name, light in (("day", 1.0), ("night", 0.1)):
    texels = np.full((64, 128, 3), light, np.float32)
    texels[20, 30] = 1000 * light  # a sun, which Cycles finds only if it has sampled the map
    write_exr(folder / f"{name}.exr", texels)
day = load_map(folder / "day.exr", folder)
camera = Camera(48, 48, 0.6, 0.7, 0.4).looking_at_origin_through(24, 24, 4.0)
settings = RenderSettings(samples=16)

def picture(file, environment=day, settings=settings):
    with empty_scene(environment, settings, "cpu", 2, folder):
        assert not [thing for thing in bpy.data.objects if thing.type == "MESH"]
        assert not bpy.data.meshes and not bpy.data.materials and len(bpy.data.images) == 1
        assert (bpy.context.scene.render.fps, bpy.context.scene.frame_current) == (24, 1)
        made.append(bpy.context.scene.world.session_uid)
        import_object(file, file_sha256(file), 0.3)
        bpy.context.scene.render.fps, bpy.context.scene.frame_current = 30, 7
        scene.show_changes(folder)
        silhouette = scene.silhouette(camera, (0, 0, 48, 48), folder)
        traced = scene.trace(camera, (0, 0, 48, 48), settings.samples, settings.denoise, folder)
        assert (silhouette == (traced.index > 0)).all()
        return traced.rgba.tobytes(), traced.index.tobytes()

made, alone = [], []
for file in files:
    forget()
    alone.append(picture(file))
assert len(set(made)) == len(files) and len(set(alone)) == len(files)

for file, (expected, _) in zip(files, alone):  # the silhouettes, which are dark, have not changed the light
    scene.clear()
    scene.prepare(settings, False, 2)
    scene.surround(day.light)
    import_object(file, file_sha256(file), 0.3)
    light = scene.trace(camera, (0, 0, 48, 48), settings.samples, settings.denoise, folder)
    assert light.rgba.tobytes() == expected

made, forgotten = [], forget()
assert [picture(file) for file in (*files, *files[::-1])] == alone + alone[::-1]
assert len(set(made)) == 1  # one world

try:
    picture(folder / "missing.glb")
except Exception as error:
    assert "missing.glb" in str(error)
assert picture(files[0]) == alone[0]
assert len(set(made)) == 2  # a new one after an error

picture(files[0], settings=RenderSettings(samples=4))
assert len(set(made)) == 3
dark = picture(files[0], load_map(folder / "night.exr", folder))
assert len(set(made)) == 4
assert np.frombuffer(dark[0], np.float32).sum() < 0.6 * np.frombuffer(alone[0][0], np.float32).sum()
"""


def test_a_scene_that_is_used_again_holds_nothing_of_the_last_picture(shared, tmp_path):
    names = ("umbrella", "fireplug", "scissors", "cupcake")
    files = [str(next((shared / "assets/objects" / name).glob("*.glb"))) for name in names]
    result = subprocess.run([sys.executable, "-c", REUSE, str(tmp_path), *files], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]


SEVERAL = """
import sys
from pathlib import Path
import numpy as np
from objascale.blender import worker
from objascale.difficulty.ranges import DialRange
from objascale.files import file_sha256
from objascale.maps import write_exr
from objascale.plan import Plan
from objascale.settings import PlanSettings, RenderSettings
from objascale.records import RenderRequest
from objascale.sources import Asset

folder, files = Path(sys.argv[1]), [Path(file) for file in sys.argv[2:]]
write_exr(folder / "day.exr", np.full((64, 128, 3), 1.0, np.float32))

def asset(path, category):
    name = f"{category}/{path.stem}" if category else path.stem
    return Asset(name, category, path, file_sha256(path), "", "", "", "")

things = {each.id: each for each in (asset(file, "thing") for file in files)}
day = asset(folder / "day.exr", "")
dials = {"distractors": DialRange(low=2, high=2), "context": DialRange(low=3, high=3)}
ranges = PlanSettings(seed=1, min_px=96, max_px=96, min_fraction=0.01, max_fraction=0.03, difficulty=dials)
settings = RenderSettings(samples=16, paths=20_000)  # pictures with larger objects have fewer paths a pixel
plan = Plan(list(things.values()), [day], ranges, settings, 3)

def picture(slot):
    spec = plan.draw(slot)
    objects = tuple(things[item.object_id] for item in spec.objects)
    assert len(objects) > 2
    made = worker.render(RenderRequest(spec, plan.render, objects, day, folder, "picture.png"), "cpu", 2, folder)
    return made.annotations[0].image_sha256

first = [picture(slot) for slot in range(3)]
assert len(set(first)) == 3
again = (1, 0, 2, 0)  # with the first three, each picture follows each other one
assert [picture(slot) for slot in again] == [first[slot] for slot in again]
"""


def test_pictures_of_several_objects_do_not_depend_on_earlier_pictures(shared, tmp_path):
    names = ("umbrella", "fireplug", "scissors", "cupcake", "shoe", "vase")
    files = [str(next((shared / "assets/objects" / name).glob("*.glb"))) for name in names]
    result = subprocess.run([sys.executable, "-c", SEVERAL, str(tmp_path), *files], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]


MATERIALS = """
import sys
from dataclasses import replace
from pathlib import Path
import bpy
from objascale.blender import worker
from objascale.color import blender_datafiles
from objascale.files import file_sha256
from objascale.settings import RenderSettings
from objascale.spec import ObjectSpec, SceneSpec
from objascale.records import RenderRequest
from objascale.sources import Asset

assert "pandas" not in sys.modules, "a worker makes no table"
folder, files = Path(sys.argv[1]), [Path(file) for file in sys.argv[2:]]
light = blender_datafiles() / "studiolights/world/courtyard.exr"
things = tuple(Asset("things/thing", "things", file, file_sha256(file)) for file in files)
specs = tuple(
    ObjectSpec("things/thing", "things", thing.sha256, target_fraction=0.02, yaw=0.3, place_x=x, place_y=0.5)
    for thing, x in zip(things, (0.25, 0.75))
)
spec = SceneSpec(0, 0, "courtyard", file_sha256(light), 128, 128, 1.0, 0.7, 0.5, 7, specs)
settings = RenderSettings(samples=1, denoise=False)
request = RenderRequest(spec, settings, things, Asset("courtyard", "", light, spec.map_sha256), folder, "picture.png")
evaluated = []

def place_all(spec, imported, *more):
    placements = original(spec, imported, *more)
    for thing in imported:
        thing.collection.hide_viewport = True
    graph = bpy.context.evaluated_depsgraph_get()
    evaluated.append({each.name for each in graph.ids if isinstance(each, bpy.types.Material)})
    assert len(bpy.data.materials) > 1 and evaluated[0] == {each.name for each in bpy.data.materials}, evaluated
    for thing in imported:
        thing.collection.hide_viewport = False
    return placements

original, worker.place_all = worker.place_all, place_all
worker.render(request, "cpu", 2, folder)
assert len(evaluated) == 1
"""


def test_materials_of_hidden_objects_are_evaluated(shared, tmp_path):
    """Cycles never frees the textures of a material that comes back, and may show them in later pictures."""
    files = [str(next((shared / "assets/objects" / name).glob("*.glb"))) for name in ("cupcake", "scissors")]
    result = subprocess.run([sys.executable, "-c", MATERIALS, str(tmp_path), *files], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
