"""Any object file into the current Blender scene, centred, of radius 1, and nothing else with it.

Animated objects stand as they do at the scene's first frame.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

MAX_TRIANGLES = 5_000_000


class Refusal(Exception):
    """A spec that cannot be rendered, with a short machine-readable reason beside the sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Imported:
    points: NDArray[np.float64]
    collection: bpy.types.Collection
    pivot: bpy.types.Object
    missing_textures: list[str]


def import_object(path: Path, sha256: str, yaw: float, index: int = 1) -> Imported:
    """Load the object into the empty scene, turned by `yaw` about z, its bounding sphere of radius 1 at the origin.

    Returns all its vertices as (n, 3) world coordinates. Raises Refusal with one of the reasons truncated,
    outside-reference, unreadable, no-geometry, too-many-triangles, not-finite.
    """
    if path.suffix.lower() in (".glb", ".gltf"):
        _check_gltf(path)
    before = set(bpy.data.objects)
    try:
        _load(path)
    except RuntimeError as error:  # what Blender's operators raise
        raise Refusal("unreadable", f"{path} cannot be imported: {_last_line(error)}") from error
    for thing in list(bpy.data.objects):
        if thing.type in ("CAMERA", "LIGHT", "LIGHT_PROBE", "SPEAKER"):
            bpy.data.objects.remove(thing)
    new = set(bpy.data.objects) - before
    collection = bpy.data.collections.new("c")
    bpy.context.scene.collection.children.link(collection)
    for thing in new:
        for c in thing.users_collection:
            c.objects.unlink(thing)
        collection.objects.link(thing)
    for other in before:
        other.hide_render = True
    bpy.context.view_layer.update()
    points = _vertices(path)
    for other in before:
        other.hide_render = False
    low, high = points.min(0), points.max(0)
    centre = (low + high) / 2
    radius = float(np.linalg.norm(points - centre, axis=1).max())
    if not 1e-12 < radius < 1e12:
        raise Refusal("no-geometry", f"{path} has no extent: all its vertices lie in one point")
    normalise = Matrix.Rotation(yaw, 4, "Z") @ Matrix.Diagonal([1 / radius] * 3 + [1]) @ Matrix.Translation(-centre)
    pivot = bpy.data.objects.new("pivot", None)
    collection.objects.link(pivot)
    for thing in new:
        thing.pass_index = index
        if thing.parent is None and thing is not pivot:
            thing.parent = pivot
    pivot.matrix_world = normalise
    turn = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    return Imported((points - centre) / radius @ turn.T, collection, pivot, [])


def _load(path: Path) -> None:
    file = str(path)
    match path.suffix.lower():
        case ".glb" | ".gltf":
            bpy.ops.import_scene.gltf(filepath=file)
        case ".fbx":
            bpy.ops.import_scene.fbx(filepath=file)
        case ".obj":
            bpy.ops.wm.obj_import(filepath=file)
        case ".ply":
            bpy.ops.wm.ply_import(filepath=file)
        case ".stl":
            bpy.ops.wm.stl_import(filepath=file)
        case ".usd" | ".usda" | ".usdc" | ".usdz":
            bpy.ops.wm.usd_import(filepath=file)
        case other:
            raise Refusal("unreadable", f"{path} has the ending {other}, which no importer reads")


def _vertices(path: Path) -> NDArray[np.float64]:
    """World coordinates of every vertex that would be rendered."""
    depsgraph = bpy.context.evaluated_depsgraph_get()
    parts, triangles = [], 0
    for instance in depsgraph.object_instances:
        thing = instance.object
        if thing.type != "MESH" or thing.hide_render:
            continue
        mesh = thing.to_mesh()
        mesh.calc_loop_triangles()
        triangles += len(mesh.loop_triangles)
        if len(mesh.loop_triangles):
            local = np.empty(3 * len(mesh.vertices), np.float32)
            mesh.vertices.foreach_get("co", local)
            matrix = np.array(instance.matrix_world)
            parts.append(local.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
        thing.to_mesh_clear()
    if not parts:
        raise Refusal("no-geometry", f"{path} has no geometry: not one triangle")
    if triangles > MAX_TRIANGLES:
        raise Refusal("too-many-triangles", f"{path} has {triangles:,} triangles, the limit is {MAX_TRIANGLES:,}")
    points = np.concatenate(parts)
    if not np.isfinite(points).all():
        raise Refusal("not-finite", f"{path} has vertices at infinity or without a number")
    return points


def _check_gltf(path: Path) -> None:
    """Refuse a GLB cut short, and glTF that points at files outside its own folder (glTF 2.0, sections 2.8, 4.4)."""
    try:
        data = path.read_bytes()
        if path.suffix.lower() == ".glb":
            magic, _, length = struct.unpack_from("<4sII", data)
            if magic != b"glTF":
                raise Refusal("unreadable", f"{path} is no GLB: it does not begin with glTF")
            if length > len(data):
                raise Refusal("truncated", f"{path} is cut short: {len(data):,} of {length:,} bytes")
            (size,) = struct.unpack_from("<I", data, 12)
            data = data[20 : 20 + size]
        description = json.loads(data)
        references = [item.get("uri") for key in ("buffers", "images") for item in description.get(key, [])]
    except (OSError, ValueError, AttributeError, TypeError, struct.error) as error:
        raise Refusal("unreadable", f"{path} is no readable glTF: {error}") from error
    folder = path.parent.resolve()
    for uri in references:
        if uri is None or str(uri).startswith("data:"):
            continue
        if "://" in str(uri) or not (folder / str(uri)).resolve().is_relative_to(folder):
            raise Refusal("outside-reference", f"{path} refers to {uri!r}, which is outside its own folder")


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
