"""Import of object files into the current Blender scene, centred and of radius 1.

Only triangles are kept, of glTF those of the default scene; cameras, lights, curves, text and volumes are removed.
Animated objects have the pose of the first frame of their first animation. Surfaces are visible from both sides in
picture and mask, even if the file culls back faces. A scene can hold several files.
"""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from objascale.blender.extent import normalise
from objascale.blender.overlaps import let_touching_paths_pass, remove_duplicate_faces
from objascale.blender.surfaces import show_vertex_colours, undo_wrong_transparency
from objascale.blender.textures import mend_textures
from objascale.gltf import MAX_FILE_BYTES, plain_gltf
from objascale.pose import Pose
from objascale.references import check_obj, check_usd
from objascale.refusal import Refusal, refuse_changed, refuse_lfs_pointer
from objascale.triangles import check_triangles


@dataclass(frozen=True)
class Imported:
    """An object in the scene.

    Attributes:
        points: World coordinates (n, 3) of the corners of all rendered triangles; |point| ≤ 1.
        collection: All that the file holds; `collection.hide_render` hides it.
        pivot: Parent of the object: an empty at the origin, upright and of scale 1.
        pose: Transform from the coordinates of the object, as Blender imports it, to those of the pivot.
        bounds: Smallest and largest x, y, z of the rendered triangles in the coordinates of the object.
        missing_textures: Names of pictures of the materials that are missing or cannot be decoded.
    """

    points: NDArray[np.float64]
    collection: bpy.types.Collection
    pivot: bpy.types.Object
    pose: Pose
    bounds: tuple[float, ...]
    missing_textures: list[str]


def import_object(path: Path, sha256: str, yaw: float, index: int = 1) -> Imported:
    """Load an object into the scene, turned by `yaw` radians about z, its bounding sphere of radius 1 at the origin.

    Other objects in the scene are left alone.

    Args:
        path: The object's file.
        sha256: SHA-256 of the file's bytes, in hexadecimal.
        yaw: The angle, radians.
        index: The pass index of all its objects.

    Raises:
        Refusal: The kinds are those of `objascale.refusal.REASONS`. The scene may then hold remains of this file.
    """
    _check_file(path, sha256)
    before = _Before()
    collection = bpy.data.collections.new(path.stem)
    bpy.context.scene.collection.children.link(collection)
    document: dict[str, Any] = {}
    file = path
    missing: list[str] = []
    with tempfile.TemporaryDirectory(prefix="objascale-") as scratch:
        match path.suffix.lower():
            case ".glb" | ".gltf":
                document, file, missing = plain_gltf(path, Path(scratch))
            case ".obj":
                check_obj(path)
            case ".usd" | ".usda":
                check_usd(path)
        first_frame = _load(path, file, collection)
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
    missing = sorted({*missing, *mend_textures(path, things)})
    if path.suffix.lower() in (".obj", ".ply"):
        show_vertex_colours(things)
    if path.suffix.lower() in (".obj", ".fbx"):
        undo_wrong_transparency(path, things)
    normal = normalise(path, collection, things, yaw, found)
    remove_duplicate_faces(things)
    let_touching_paths_pass(things)
    return Imported(normal.points, collection, normal.pivot, normal.pose, normal.bounds, missing)


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
    """The data-blocks of Blender before an import."""

    def __init__(self) -> None:
        self._known = {kind: set(getattr(bpy.data, kind)) for kind in ("objects", "scenes", "cache_files")}

    def added(self, kind: str) -> list[Any]:
        """Return the data-blocks of one kind that the import added."""
        return [block for block in getattr(bpy.data, kind) if block not in self._known[kind]]


def _load(path: Path, plain: Path, collection: bpy.types.Collection) -> int | None:
    """Import an object into the collection, and return the first frame of the file if the importer reads it.

    Args:
        path: The object, for messages.
        plain: The file that is imported: `path`, or what Blender can read of it.
        collection: Where the objects are put.
    """
    scene, layer = bpy.context.scene, bpy.context.view_layer
    layer.active_layer_collection = layer.layer_collection.children[collection.name]
    frames = scene.frame_start, scene.frame_end
    file = str(plain)
    try:
        match plain.suffix.lower():
            case ".glb" | ".gltf":
                bpy.ops.import_scene.gltf(
                    filepath=file,
                    disable_bone_shape=True,
                    import_scene_extras=False,
                    guess_original_bind_pose=False,  # a wrong guess distorts skinned meshes
                )
            case ".fbx":
                bpy.ops.wm.fbx_import(filepath=file)
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
                raise Refusal("unreadable", f"{path} has the suffix {other}, which no importer reads")
    except RuntimeError as error:  # what Blender's operators raise
        if extension := re.search(r"Extension (\w+) is not available", str(error)):
            message = f"{path} needs the glTF extension {extension[1]}, which is not supported; export it without it"
            raise Refusal("unsupported", message) from error
        raise Refusal("unreadable", f"{path} cannot be imported by Blender", str(error)) from error
    finally:
        scene.frame_start, scene.frame_end = frames
        layer.active_layer_collection = layer.layer_collection
    return None


def _freeze(before: _Before, things: list[bpy.types.Object], first_frame: int | None) -> None:
    """Apply the pose of the first frame, and remove all animation."""
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
    """Remove the meshes that are not in the default scene of a glTF file.

    Blender puts each of several scenes into its own collection, in order, and nodes without scene into a further one.
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
    """Remove everything but meshes and their parents. Return the number of objects by Blender's type."""
    found: Counter[str] = Counter()
    for thing in before.added("objects"):
        found[thing.type] += 1
        if thing.type not in ("MESH", "EMPTY", "ARMATURE"):
            bpy.data.objects.remove(thing)
    return found
