"""Centre and size of an imported object, by the triangles of it that can be seen."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from objascale.blender.surfaces import fully_transparent
from objascale.gltf import MAX_TRIANGLES
from objascale.pose import Pose
from objascale.refusal import Refusal


@dataclass(frozen=True)
class Normalised:
    """An object whose bounds have their centre at the origin, and whose farthest visible point has the distance 1.

    Attributes:
        points: World coordinates (n, 3) of the corners of all visible triangles.
        pivot: Parent of the object.
        pose: Transform from the coordinates of the object, as Blender imports it, to the world.
        bounds: Smallest and largest x, y, z of the visible triangles in the coordinates of the object.
    """

    points: NDArray[np.float64]
    pivot: bpy.types.Object
    pose: Pose
    bounds: tuple[float, ...]


def normalise(
    path: Path, collection: bpy.types.Collection, things: list[bpy.types.Object], yaw: float, found: Counter[str]
) -> Normalised:
    """Centre an object and scale it to radius 1, below a new pivot.

    Args:
        path: The object's file, for messages.
        collection: All that came with the file.
        things: The objects of the file.
        yaw: The angle about z in radians.
        found: The number of objects of the file by Blender's types, for messages.

    Returns:
        The object.

    Raises:
        Refusal: If no triangle is visible, there are too many, or one is not finite.
    """
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
    turn = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
    pose = Pose(turn, -turn @ centre / radius, 1 / radius)
    points = _points(path, things, found)  # measured again: far from the origin, Blender's floats are coarse
    return Normalised(points, pivot, pose, (*low.tolist(), *high.tolist()))


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
