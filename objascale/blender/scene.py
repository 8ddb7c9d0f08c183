"""A spec as a Blender scene: environment, camera, and the two ways of looking at it, a silhouette and a picture."""

from __future__ import annotations

import errno
from pathlib import Path

import bpy
import numpy as np
import OpenEXR
from mathutils import Matrix
from numpy.typing import NDArray

from objascale.camera import Camera
from objascale.masks import Box
from objascale.plan import RenderSettings

GPU_BACKENDS = {"optix": "OPTIX", "cuda": "CUDA", "hip": "HIP", "metal": "METAL"}
_MAX_SAMPLE_MAP = 2048  # directions across; half a degree of sun is still three of them
_TRANSPARENT = 0.001  # a surface whose alpha is below this is a hole in the mask


class DeviceError(RuntimeError):
    """The device that was asked for is not there."""


def clear() -> None:
    """An empty scene with the add-ons that rendering and importing need."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for addon in ("cycles", "io_scene_gltf2", "io_scene_fbx"):
        bpy.ops.preferences.addon_enable(module=addon)


def choose_device(name: str) -> str:
    """Tell Cycles where to compute: auto takes the first GPU, else the CPU. Returns what is used.

    Raises DeviceError if a GPU was named and there is none of its kind.
    """
    if name == "cpu":
        return "CPU"
    preferences = bpy.context.preferences.addons["cycles"].preferences
    for backend in GPU_BACKENDS.values() if name == "auto" else [GPU_BACKENDS[name]]:
        try:
            preferences.compute_device_type = backend
        except TypeError:  # not in this build
            continue
        preferences.get_devices()
        gpus = [device for device in preferences.devices if device.type == backend]
        if gpus:
            for device in preferences.devices:
                device.use = device in gpus
            return f"{backend} {gpus[0].name}"
    if name != "auto":
        raise DeviceError(f"Cycles finds no {name} device here; use --device auto or --device cpu")
    return "CPU"


def surround(environment: Path, turn: float = 0.0) -> None:
    """An environment map as the scene's world, turned by `turn` radians, clockwise seen from above."""
    world = bpy.data.worlds.new("environment")
    world.use_nodes = True
    texture = world.node_tree.nodes.new("ShaderNodeTexEnvironment")
    texture.image = bpy.data.images.load(str(environment), check_existing=True)
    texture.texture_mapping.rotation[2] = turn
    world.node_tree.links.new(texture.outputs["Color"], world.node_tree.nodes["Background"].inputs["Color"])
    world.cycles.sampling_method = "MANUAL"  # the automatic one samples 4096 × 2048 directions of any map
    world.cycles.sample_map_resolution = min(texture.image.size[0], _MAX_SAMPLE_MAP)
    texture.image.buffers_free()  # Cycles reads the file itself
    bpy.context.scene.world = world


def prepare(environment: Path, settings: RenderSettings, seed: int, gpu: bool, threads: int) -> None:
    """World and render settings for the scene that holds the object."""
    surround(environment)
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera

    layer = scene.view_layers[0]
    layer.use_pass_object_index = True
    layer.pass_alpha_threshold = _TRANSPARENT

    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.threads_mode, render.threads = "FIXED", threads
    render.use_persistent_data = True
    render.dither_intensity = 0
    cycles.device = "GPU" if gpu else "CPU"
    cycles.seed = seed
    cycles.use_adaptive_sampling = settings.noise_threshold > 0
    cycles.adaptive_threshold = settings.noise_threshold
    cycles.adaptive_min_samples = min(8, settings.samples)
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 6, 3, 3  # one object under an open sky
    cycles.transmission_bounces, cycles.transparent_max_bounces = 6, 64
    cycles.denoiser = "OPENIMAGEDENOISE"
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform = settings.view


def silhouette(camera: Camera, box: Box, scratch: Path) -> NDArray[np.bool_]:
    """Which pixels of `box` (xyxy edges) show the object, at their centres."""
    _aim(camera)
    _border(camera, box)
    return _trace(1, denoise=False, scratch=scratch)[1] > 0


def silhouette_on_grid(
    camera: Camera, corner: tuple[float, float], side: float, points: int, scratch: Path
) -> NDArray[np.bool_]:
    """Where a square of the picture, upper left `corner` and `side` in px, shows the object: points × points."""
    _aim(camera)
    _zoom(camera, corner, side, points)
    return _trace(1, denoise=False, scratch=scratch)[1] > 0


def trace(
    camera: Camera, box: Box, samples: int, denoise: bool, scratch: Path
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Path-trace the box of the picture on a transparent film, with so many paths a pixel.

    Returns (h, w, 4) scene-linear RGB premultiplied by alpha, and (h, w) pass indices: which object is seen at the
    pixel's centre, 0 for none.
    """
    _aim(camera)
    _border(camera, box)
    return _trace(samples, denoise, scratch)


def trace_full_frame(camera: Camera, settings: RenderSettings, path: Path) -> None:
    """Blender's own picture of the spec, background and view transform included, as a PNG: the reference."""
    _aim(camera)
    scene = bpy.context.scene
    scene.render.use_border = False
    scene.render.film_transparent = False
    scene.cycles.samples = settings.samples
    scene.cycles.use_denoising = settings.denoise
    image = scene.render.image_settings
    image.file_format, image.color_mode, image.color_depth = "PNG", "RGB", "8"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)


def _aim(camera: Camera) -> None:
    scene = bpy.context.scene
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = camera.axes, camera.position
    scene.camera.matrix_world = Matrix(matrix.tolist())
    distance = float(np.linalg.norm(camera.position))
    lens = scene.camera.data
    lens.clip_start, lens.clip_end = min(0.01, distance / 100), 1e6 * (distance + 1)
    lens.sensor_fit = "AUTO"
    lens.angle = camera.fov
    lens.shift_x = lens.shift_y = 0
    scene.render.resolution_x, scene.render.resolution_y = camera.width, camera.height
    scene.render.resolution_percentage = 100


def _border(camera: Camera, box: Box) -> None:
    """Render only `box`. Blender truncates border × size, so a quarter pixel keeps clear of rounding."""
    render = bpy.context.scene.render
    x0, y0, x1, y1 = box
    render.use_border = render.use_crop_to_border = True
    render.border_min_x, render.border_max_x = (x0 + 0.25) / camera.width, (x1 + 0.25) / camera.width
    render.border_min_y = (camera.height - y1 + 0.25) / camera.height
    render.border_max_y = (camera.height - y0 + 0.25) / camera.height


def _zoom(camera: Camera, corner: tuple[float, float], side: float, points: int) -> None:
    """Look at nothing but a square of the picture, through a longer lens shifted sideways: the same perspective."""
    scene = bpy.context.scene
    lens = scene.camera.data
    lens.lens *= max(camera.width, camera.height) / side
    lens.shift_x = (corner[0] + side / 2 - camera.width / 2) / side
    lens.shift_y = (camera.height / 2 - corner[1] - side / 2) / side
    scene.render.resolution_x = scene.render.resolution_y = points
    scene.render.use_border = False


def _trace(samples: int, denoise: bool, scratch: Path) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    scene = bpy.context.scene
    scene.render.film_transparent = True
    scene.cycles.samples = samples
    scene.cycles.use_denoising = denoise
    image = scene.render.image_settings
    image.file_format, image.color_depth, image.exr_codec = "OPEN_EXR_MULTILAYER", "32", "NONE"
    target = scratch / "trace.exr"
    scene.render.filepath = str(target)
    bpy.ops.render.render(write_still=True)
    try:
        with OpenEXR.File(str(target)) as file:
            channels = file.channels()
            rgba = next(channels[name].pixels for name in channels if name.endswith("Combined"))
            index = next(channels[name].pixels for name in channels if "IndexOB" in name)
    except ValueError as error:  # Blender does not raise when it fails to write
        raise OSError(errno.ENOSPC, "Blender's result is incomplete; is the disk full?", str(target)) from error
    finally:
        target.unlink(missing_ok=True)
    rgba[rgba[..., 3] == 0] = 0  # the denoiser bleeds colour into the film where nothing is
    return rgba, np.rint(index).astype(np.uint8)
