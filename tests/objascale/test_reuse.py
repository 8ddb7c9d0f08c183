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
from objascale.plan import RenderSettings

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
