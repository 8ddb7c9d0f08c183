"""Any object file into the current Blender scene, centred, of radius 1, and nothing else with it.

What is rendered is the file's triangles: of glTF those of the default scene; cameras, lights, curves, text and volumes
are removed. Animated objects stand as they do at the first frame of their first animation. Surfaces are seen from both
sides, whatever the file says about back faces, in picture and mask alike. Several files can stand in one scene.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from objascale.blender.textures import mend_textures
from objascale.gltf import MAX_FILE_BYTES, MAX_TRIANGLES, check_gltf
from objascale.references import check_obj, check_usd
from objascale.refusal import Refusal, refuse_changed, refuse_lfs_pointer
from objascale.triangles import check_triangles


@dataclass(frozen=True)
class Imported:
    """An object in the scene."""

    points: NDArray[np.float64]
    """(n, 3) world coordinates of the corners of every triangle that is rendered; |point| ≤ 1."""
    collection: bpy.types.Collection
    """All that came with the file; `collection.hide_render` hides it."""
    pivot: bpy.types.Object
    """An empty at the world's origin, upright and of scale 1; what it does, the object does."""
    missing_textures: list[str]
    """Names of pictures that the materials want and that are not there, or cannot be decoded."""


def import_object(path: Path, sha256: str, yaw: float, index: int = 1) -> Imported:
    """Load an object into the scene, turned by `yaw` radians about z, its bounding sphere of radius 1 at the origin.

    sha256: of the file's bytes, hexadecimal. index: the pass index of all its objects. Other objects in the scene are
    left alone. Raises Refusal with one of the reasons changed, truncated, unreadable, outside-reference, no-geometry,
    too-large, too-many-triangles, not-finite; the scene may then hold remains of this file.
    """
    _check_file(path, sha256)
    document: dict[str, Any] = {}
    match path.suffix.lower():
        case ".glb" | ".gltf":
            document = check_gltf(path)
        case ".obj":
            check_obj(path)
        case ".usd" | ".usda":
            check_usd(path)
    before = _Before()
    collection = bpy.data.collections.new(path.stem)
    bpy.context.scene.collection.children.link(collection)
    first_frame = _load(path, collection)
    things = before.added("objects")
    _freeze(before, things, first_frame)
    _drop_other_scenes(collection, document)
    found = _keep_only_meshes(before)
    for scene in before.added("scenes"):  # glTF's importer makes one for each scene that is not the default one
        bpy.data.scenes.remove(scene)

    things = before.added("objects")
    for thing in things:
        thing.pass_index = index
        thing.hide_render = thing.hide_viewport = thing.hide_render or thing.hide_viewport
    missing = mend_textures(path, things)
    points, pivot = _normalise(path, collection, things, yaw, found)
    return Imported(points, collection, pivot, missing)


def _check_file(path: Path, sha256: str) -> None:
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise Refusal("too-large", f"{path} has {size:,} bytes, the limit is {MAX_FILE_BYTES:,}")
        refuse_lfs_pointer(path)
        check_triangles(path)  # first, as hashing a large file takes seconds
    except OSError as error:
        raise Refusal("unreadable", f"{path} cannot be read: {error.strerror}") from error
    refuse_changed(path, sha256)


class _Before:
    """What Blender holds before an import, so that what comes with it can be told."""

    def __init__(self) -> None:
        self._known = {kind: set(getattr(bpy.data, kind)) for kind in ("objects", "scenes", "cache_files")}

    def added(self, kind: str) -> list[Any]:
        """The data-blocks of one kind that have come since."""
        return [block for block in getattr(bpy.data, kind) if block not in self._known[kind]]


def _load(path: Path, collection: bpy.types.Collection) -> int | None:
    """Have Blender import the file into the collection; returns the file's first frame if the importer tells it."""
    scene, layer = bpy.context.scene, bpy.context.view_layer
    layer.active_layer_collection = layer.layer_collection.children[collection.name]
    frames = scene.frame_start, scene.frame_end
    file = str(path)
    try:
        match path.suffix.lower():
            case ".glb" | ".gltf":
                bpy.ops.import_scene.gltf(filepath=file, disable_bone_shape=True, import_scene_extras=False)
            case ".fbx":
                bpy.ops.import_scene.fbx(filepath=file)
            case ".obj":
                bpy.ops.wm.obj_import(filepath=file)
            case ".ply":
                bpy.ops.wm.ply_import(filepath=file)
            case ".stl":
                bpy.ops.wm.stl_import(filepath=file)
            case ".usd" | ".usda" | ".usdc" | ".usdz":
                bpy.ops.wm.usd_import(filepath=file, create_world_material=False)
                return scene.frame_start
            case other:
                raise Refusal("unreadable", f"{path} has the ending {other}, which no importer reads")
    except RuntimeError as error:  # what Blender's operators raise
        raise Refusal("unreadable", f"{path} cannot be imported by Blender", str(error)) from error
    finally:
        scene.frame_start, scene.frame_end = frames
        layer.active_layer_collection = layer.layer_collection
    return None


def _freeze(before: _Before, things: list[bpy.types.Object], first_frame: int | None) -> None:
    """Let everything stand as it does at its first frame, whatever frame the scene will be at."""
    blocks = {block for thing in things for block in (thing, thing.data, *_materials(thing)) if block is not None}
    blocks |= {part for block in blocks for part in (getattr(block, "shape_keys", None), _node_tree(block)) if part}
    animated = [block for block in blocks if getattr(block, "animation_data", None)]
    caches = before.added("cache_files")
    if not animated and not caches:
        return
    if first_frame is None:
        actions = [block.animation_data.action for block in animated]
        first_frame = int(min((action.frame_range[0] for action in actions if action), default=0))
    bpy.context.scene.frame_set(first_frame)
    for block in animated:
        block.animation_data_clear()
    for cache in caches:
        cache.override_frame, cache.frame = True, first_frame


def _materials(thing: bpy.types.Object) -> list[bpy.types.Material]:
    return [slot.material for slot in thing.material_slots if slot.material]


def _node_tree(block: bpy.types.ID) -> bpy.types.NodeTree | None:
    return getattr(block, "node_tree", None)


def _drop_other_scenes(collection: bpy.types.Collection, document: dict[str, Any]) -> None:
    """Remove the meshes that glTF's default scene does not show: those of other scenes, and of no scene.

    Blender puts each of several scenes into a collection of its own, in order, and nodes of no scene into one more.
    """
    scenes = len(document.get("scenes", []))
    if scenes == 0:
        return
    apart = list(collection.children)
    shown = set(apart.pop(document.get("scene", 0)).objects if scenes > 1 else collection.objects)
    for thing in {thing for child in apart for thing in child.objects} - shown:
        if thing.type == "MESH":
            bpy.data.objects.remove(thing)


def _keep_only_meshes(before: _Before) -> Counter[str]:
    """Remove all that is neither mesh nor carries one; returns what there was, by Blender's names of types."""
    found: Counter[str] = Counter()
    for thing in before.added("objects"):
        found[thing.type] += 1
        if thing.type not in ("MESH", "EMPTY", "ARMATURE"):
            bpy.data.objects.remove(thing)
    return found


def _normalise(
    path: Path, collection: bpy.types.Collection, things: list[bpy.types.Object], yaw: float, found: Counter[str]
) -> tuple[NDArray[np.float64], bpy.types.Object]:
    """Centre and scale the object below a new pivot; its points (n, 3) as they then are, and the pivot."""
    pivot, frame = (bpy.data.objects.new(f"{name} {path.stem}", None) for name in ("pivot", "frame"))
    for empty in (pivot, frame):
        bpy.context.scene.collection.objects.link(empty)
    frame.parent = pivot
    instances = [thing.instance_collection for thing in things if thing.instance_collection]
    instanced = {thing for originals in instances for thing in originals.all_objects}
    for thing in collection.all_objects:
        if thing.parent is None and thing not in instanced:  # an instance already moves with the empty that carries it
            thing.parent = frame
    points = _points(path, things, found)
    low, high = points.min(0), points.max(0)
    centre = (low + high) / 2
    radius = float(np.linalg.norm(points - centre, axis=1).max())
    if not 1e-12 < radius < 1e12:
        raise Refusal("no-geometry", f"{path} has no extent: its size is {radius:.3g}")
    frame.matrix_local = (
        Matrix.Rotation(yaw, 4, "Z") @ Matrix.Diagonal([1 / radius] * 3 + [1]) @ Matrix.Translation(-centre)
    )
    return _points(path, things, found), pivot  # measured again: far from the origin, Blender's floats are coarse


def _points(path: Path, things: list[bpy.types.Object], found: Counter[str]) -> NDArray[np.float64]:
    """World coordinates (n, 3) of the corners of every triangle that would be rendered."""
    bpy.context.view_layer.update()
    own = set(things)
    parts, triangles, loose = [], 0, 0
    for instance in bpy.context.evaluated_depsgraph_get().object_instances:
        thing = instance.object
        if thing.type != "MESH" or thing.original not in own or thing.hide_render:
            continue
        mesh = thing.to_mesh()
        mesh.calc_loop_triangles()
        triangles += len(mesh.loop_triangles)
        loose += len(mesh.vertices)
        if triangles > MAX_TRIANGLES:
            raise Refusal("too-many-triangles", f"{path} has more than {MAX_TRIANGLES:,} triangles")
        if len(mesh.loop_triangles):
            matrix = np.array(instance.matrix_world)
            parts.append(_corners(mesh) @ matrix[:3, :3].T + matrix[:3, 3])
        thing.to_mesh_clear()
    if not parts:
        raise Refusal("no-geometry", f"{path} has not one triangle, only {_what(found, loose)}")
    points = np.concatenate(parts)
    if not np.isfinite(points).all():
        raise Refusal("not-finite", f"{path} has vertices at infinity or without a number")
    return points


def _corners(mesh: bpy.types.Mesh) -> NDArray[np.float32]:
    """The vertices (n, 3) that triangles use, local."""
    positions = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", positions)
    corners = np.empty(3 * len(mesh.loop_triangles), np.int32)
    mesh.loop_triangles.foreach_get("vertices", corners)
    used = np.zeros(len(mesh.vertices), bool)
    used[corners] = True
    return positions.reshape(-1, 3)[used]


def _what(found: Counter[str], loose: int) -> str:
    """What was there instead of triangles, in words."""
    names = {"MESH": f"{loose:,} points or lines", "CURVE": "curves", "CURVES": "curves", "FONT": "text"}
    things = sorted({names.get(kind, kind.lower().replace("_", " ")) for kind in found if kind != "MESH" or loose})
    return ", ".join(things) or "an empty scene"
