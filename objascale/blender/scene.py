"""The Blender scene of a spec: environment, camera, and rendering of silhouettes and pictures."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
import OpenEXR
from mathutils import Matrix
from numpy.typing import NDArray

from objascale.camera import Camera
from objascale.masks import Box
from objascale.settings import RenderSettings

GPU_BACKENDS = {"optix": "OPTIX", "cuda": "CUDA", "hip": "HIP", "metal": "METAL"}
_MAX_SAMPLE_MAP = 2048  # directions around the horizon; a choice: the sun, half a degree, covers three
_MAX_BOUNCES = 6  # a choice: one object under an open sky
_MIN_ALPHA = 0.001  # surfaces with less alpha are holes in the mask; a choice below 1/255

_max_samples = 0  # paths per pixel of any render in the session of Cycles


@dataclass(frozen=True)
class Traced:
    """A traced box of a picture.

    Attributes:
        rgba: (h, w, 4) scene-linear RGB premultiplied by alpha.
        index: (h, w) pass index of the object at the centre of each pixel, 0 for none.
        depth: (h, w) distance of that object's surface along the viewing direction, 0 for none. None unless
            `keep_depth` is on.
    """

    rgba: NDArray[np.float32]
    index: NDArray[np.uint8]
    depth: NDArray[np.float32] | None


class DeviceError(RuntimeError):
    """The requested device does not exist."""


def clear() -> None:
    """Open an empty scene, and enable the add-ons for rendering and importing."""
    global _max_samples
    _max_samples = 0
    bpy.ops.wm.read_factory_settings(use_empty=True)
    for addon in ("cycles", "io_scene_gltf2", "io_scene_fbx"):
        bpy.ops.preferences.addon_enable(module=addon)


def choose_device(name: str) -> str:
    """Set the device of Cycles.

    Args:
        name: `auto` for the first GPU, else the CPU; `cpu`; or a key of GPU_BACKENDS.

    Returns:
        The name of the device.

    Raises:
        DeviceError: A GPU was named, and there is none of its kind.
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
        raise DeviceError(f"Cycles has no {name} device on this machine; use --device auto or --device cpu")
    return "CPU"


def surround(environment: Path, turn: float = 0.0) -> None:
    """Set an environment map as the world of the scene, turned by `turn` radians, clockwise from above."""
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


def prepare(settings: RenderSettings, gpu: bool, threads: int) -> None:
    """Set the camera and the render settings of a new scene."""
    scene = bpy.context.scene
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera

    layer = scene.view_layers[0]
    layer.use_pass_object_index = True
    layer.pass_alpha_threshold = _MIN_ALPHA

    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.threads_mode, render.threads = "FIXED", threads
    render.use_persistent_data = True
    render.dither_intensity = 0
    cycles.device = "GPU" if gpu else "CPU"
    cycles.use_adaptive_sampling = settings.noise_threshold > 0
    cycles.adaptive_threshold = settings.noise_threshold
    cycles.adaptive_min_samples = min(8, settings.samples)
    cycles.diffuse_bounces = cycles.glossy_bounces = 3
    cycles.transmission_bounces, cycles.transparent_max_bounces = 6, 64
    cycles.denoiser = "OPENIMAGEDENOISE"
    scene.display_settings.display_device = "sRGB"
    scene.view_settings.view_transform = settings.view


def keep_depth(on: bool) -> None:
    """Set whether traces have depth."""
    bpy.context.scene.view_layers[0].use_pass_z = on


def reseed(seed: int) -> None:
    """Set the seed of the path tracer."""
    bpy.context.scene.cycles.seed = seed


def keep_materials() -> None:
    """Let an object without faces use all materials. To be called before objects are hidden.

    Blender evaluates only the materials of objects that are not hidden. A material that comes back is a new one to
    Cycles, which never frees the textures of the old one. Later Blender may put another texture at the same address,
    and Cycles would show the old one instead.
    """
    mesh = bpy.data.meshes.new("materials")
    for material in bpy.data.materials:
        mesh.materials.append(material)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("materials", mesh))


def show_changes(scratch: Path) -> None:
    """Render a pixel in the light. To be called after objects are added, changed, hidden or shown.

    Cycles updates its lights at the next render after such a change. If that is a silhouette, which is dark, the world
    is missing among them, and later pictures have more noise.
    """
    _aim(camera := Camera(2, 2, 1.0, 0.0, 0.0).looking_at_origin_through(1, 1, 3.0))
    _border(camera, (0, 0, 1, 1))
    _light(True)
    _trace(1, denoise=False, scratch=scratch)


def silhouette(camera: Camera, box: Box, scratch: Path) -> NDArray[np.bool_]:
    """Render which pixels of `box` (xyxy edges) show an object at their centres."""
    _aim(camera)
    _border(camera, box)
    return _silhouette(scratch)


def silhouette_on_grid(
    camera: Camera, corner: tuple[float, float], side: float, points: int, scratch: Path
) -> NDArray[np.bool_]:
    """Render where a square of the picture shows an object.

    Args:
        camera: Camera of the picture.
        corner: Upper left corner of the square, px.
        side: Side of the square, px.
        points: Points along each side.
        scratch: Folder for temporary files.

    Returns:
        (points, points) bool.
    """
    _aim(camera)
    _zoom(camera, corner, side, points)
    return _silhouette(scratch)


def trace(camera: Camera, box: Box, samples: int, denoise: bool, scratch: Path) -> Traced:
    """Path-trace a box of the picture on a transparent film, lit by the world.

    Args:
        camera: Camera of the picture.
        box: The box, xyxy edges.
        samples: Paths per pixel.
        denoise: Whether Open Image Denoise cleans the result.
        scratch: Folder for temporary files.

    Returns:
        The box.
    """
    if samples < _max_samples:
        _end_session(scratch)
    _aim(camera)
    _border(camera, box)
    _light(True)
    return _trace(samples, denoise, scratch)


def shadow_on_grid(
    camera: Camera, corner: tuple[float, float], side: float, points: int, samples: int, scratch: Path
) -> NDArray[np.float32]:
    """Trace the share of light that shadow catchers in a square of the picture lose, (points, points).

    The arguments are those of `silhouette_on_grid`, and the number of paths per point. The colour and the normals of a
    flat ground would not help the denoiser, so it does without them, in a third of the time.
    """
    _aim(camera)
    _zoom(camera, corner, side, points)
    _light(True)
    cycles = bpy.context.scene.cycles
    guides = cycles.denoising_input_passes
    cycles.denoising_input_passes = "RGB"
    try:
        return np.ascontiguousarray(_trace(samples, denoise=True, scratch=scratch).rgba[..., 3])
    finally:
        cycles.denoising_input_passes = guides


def trace_full_frame(camera: Camera, settings: RenderSettings, path: Path) -> None:
    """Write the reference: Blender's own picture with background and view transform, as a PNG."""
    _aim(camera)
    _light(True)
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
    """Render only `box`. Blender truncates border × size; an offset of a quarter pixel avoids rounding errors."""
    render = bpy.context.scene.render
    x0, y0, x1, y1 = box
    render.use_border = render.use_crop_to_border = True
    render.border_min_x, render.border_max_x = (x0 + 0.25) / camera.width, (x1 + 0.25) / camera.width
    render.border_min_y = (camera.height - y1 + 0.25) / camera.height
    render.border_max_y = (camera.height - y0 + 0.25) / camera.height


def _zoom(camera: Camera, corner: tuple[float, float], side: float, points: int) -> None:
    """Restrict the view to a square of the picture by a longer, shifted lens. The perspective stays the same."""
    scene = bpy.context.scene
    lens = scene.camera.data
    lens.lens *= max(camera.width, camera.height) / side
    lens.shift_x = (corner[0] + side / 2 - camera.width / 2) / side
    lens.shift_y = (camera.height / 2 - corner[1] - side / 2) / side
    scene.render.resolution_x = scene.render.resolution_y = points
    scene.render.use_border = False


def _silhouette(scratch: Path) -> NDArray[np.bool_]:
    """Render where an object is seen: one path a pixel, which ends at the first opaque surface, in the dark."""
    _light(False)
    return _trace(1, denoise=False, scratch=scratch).index > 0


def _light(on: bool) -> None:
    """Switch light and bounces on or off. Cycles keeps what it knows of the map."""
    scene = bpy.context.scene
    scene.view_layers[0].use_sky = on
    scene.cycles.max_bounces = _MAX_BOUNCES if on else 0


def _end_session(scratch: Path) -> None:
    """Let Cycles begin anew. Otherwise its random numbers depend on the largest number of paths of earlier renders."""
    global _max_samples
    render = bpy.context.scene.render
    render.use_persistent_data = False  # Blender ends the session after the next render
    _trace(1, denoise=False, scratch=scratch)
    render.use_persistent_data = True
    _max_samples = 0


def _trace(samples: int, denoise: bool, scratch: Path) -> Traced:
    global _max_samples
    _max_samples = max(samples, _max_samples)
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
            depth = next((channels[name].pixels for name in channels if name.endswith("Depth.Z")), None)
    except ValueError as error:  # Blender does not raise when it fails to write
        raise OSError(errno.ENOSPC, "Blender's result is incomplete; is the disk full?", str(target)) from error
    finally:
        target.unlink(missing_ok=True)
    rgba[rgba[..., 3] == 0] = 0  # the denoiser spreads colour into empty pixels
    return Traced(rgba, np.rint(index).astype(np.uint8), None if depth is None else np.where(index > 0, depth, 0))
