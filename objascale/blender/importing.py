"""Any object file into the current Blender scene, centred, of radius 1, and nothing else with it.

What is rendered is the file's triangles: of glTF those of the default scene; cameras, lights, curves, text and volumes
are removed. Animated objects stand as they do at the first frame of their first animation. Surfaces are seen from both
sides, whatever the file says about back faces, in picture and mask alike. Several files can stand in one scene.
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
from mathutils import Matrix
from numpy.typing import NDArray

from objascale.blender.overlaps import let_touching_paths_pass, remove_duplicate_faces
from objascale.blender.surfaces import fully_transparent, show_vertex_colours, undo_wrong_transparency
from objascale.blender.textures import mend_textures
from objascale.gltf import MAX_FILE_BYTES, MAX_TRIANGLES, plain_gltf
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
    points, pivot = _normalise(path, collection, things, yaw, found)
    remove_duplicate_faces(things)
    let_touching_paths_pass(things)
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
                    guess_original_bind_pose=False,  # a guess that is wrong crumples skins
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
                raise Refusal("unreadable", f"{path} has the ending {other}, which no importer reads")
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
            if not len(mesh.vertices):  # USD points of a wrong type; Blender keeps the faces
                raise Refusal("unreadable", f"{path} has faces without vertices")
            matrix = np.array(instance.matrix_world)
            parts.append(_corners(mesh, matrix, [fully_transparent(slot.material) for slot in thing.material_slots]))
        thing.to_mesh_clear()
    if not triangles:
        raise Refusal("no-geometry", f"{path} has no visible triangles, only {_what(found, loose)}")
    points = np.concatenate(parts)
    if not len(points):
        raise Refusal("no-geometry", f"{path} has no extent: its triangles have no area or are fully transparent")
    if not np.isfinite(points).all():
        raise Refusal("not-finite", f"{path} has vertices that are not finite")
    return points


def _corners(mesh: bpy.types.Mesh, matrix: NDArray[np.float64], transparent: list[bool]) -> NDArray[np.float64]:
    """Return the world coordinates (n, 3) of the vertices that visible triangles use.

    Triangles without area, and those whose material (by slot) is fully transparent, are not visible.
    """
    positions = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", positions)
    world = positions.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
    corners = np.empty(3 * len(mesh.loop_triangles), np.int32)
    mesh.loop_triangles.foreach_get("vertices", corners)
    corners = corners.reshape(-1, 3)
    a, b, c = (world[corners[:, k]] for k in range(3))
    with np.errstate(invalid="ignore", over="ignore"):
        area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
        longest = np.maximum(((b - a) ** 2).sum(1), ((c - a) ** 2).sum(1))
        visible = ~(area <= 1e-7 * longest)  # the precision of float32; NaN stays, and is refused later
    if any(transparent):
        slots = np.empty(len(mesh.loop_triangles), np.int32)
        mesh.loop_triangles.foreach_get("material_index", slots)
        visible &= ~np.array(transparent)[np.clip(slots, 0, len(transparent) - 1)]
    used = np.zeros(len(world), bool)
    used[corners[visible]] = True
    return world[used]


def _what(found: Counter[str], loose: int) -> str:
    """What was there instead of triangles, in words."""
    names = {"MESH": f"{loose:,} points or lines", "CURVE": "curves", "CURVES": "curves", "FONT": "text"}
    things = sorted({names.get(kind, kind.lower().replace("_", " ")) for kind in found if kind != "MESH" or loose})
    return ", ".join(things) or "an empty scene"
