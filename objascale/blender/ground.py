"""The shadow of an object on a horizontal ground below it, without the object."""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

from objascale.blender import scene
from objascale.blender.importing import Imported
from objascale.blender.placing import Placement
from objascale.camera import Camera
from objascale.difficulty.context import Shadow

_RADIUS = 3.0  # of the ground, in radii of the object; a choice: longer shadows are cut
_CORNERS = 64
_POINTS = 96  # along each side of the traced square; a choice: shadows are soft
_SAMPLES = 8  # a choice: after denoising, the error of 16 is lower by a sixth


def trace_shadow(placement: Placement, thing: Imported, camera: Camera, scratch: Path) -> Shadow | None:
    """Trace the shadow that one object of the scene casts on a round ground, which touches its lowest point.

    The object's own picture and mask are traced without the ground.

    Args:
        placement: Its placement.
        thing: The object in the scene. Others must be hidden.
        camera: Camera of the picture in the scene.
        scratch: Folder for temporary files.

    Returns:
        The shadow; None if no ground is in the picture.
    """
    bottom = float(thing.points[:, 2].min())
    angles = np.arange(_CORNERS) * 2 * math.pi / _CORNERS
    ring = np.stack([_RADIUS * np.cos(angles), _RADIUS * np.sin(angles), np.full(_CORNERS, bottom)], 1)
    seen = placement.camera.project(ring)
    seen = seen[np.isfinite(seen).all(1)]
    if not len(seen):
        return None
    frame = (camera.width, camera.height)
    (x0, y0), (x1, y1) = np.clip(seen.min(0), 0, frame), np.clip(seen.max(0), 0, frame)
    side = float(max(x1 - x0, y1 - y0))
    if min(x1 - x0, y1 - y0) <= 0:
        return None

    ground = _disc(ring, thing)
    for item in thing.collection.all_objects:
        item.visible_camera = False
    try:
        alpha = scene.shadow_on_grid(camera, (float(x0), float(y0)), side, _POINTS, _SAMPLES, scratch)
    finally:
        bpy.data.objects.remove(ground)
        for item in thing.collection.all_objects:
            item.visible_camera = True
    return Shadow(alpha, float(x0), float(y0), side)


def _disc(ring: NDArray[np.float64], thing: Imported) -> bpy.types.Object:
    """Add a disc that catches shadows, in the coordinates of the object."""
    mesh = bpy.data.meshes.new("ground")
    corners = [thing.pivot.matrix_world @ Vector(point) for point in ring.tolist()]
    mesh.from_pydata(corners, [], [tuple(range(len(corners)))])
    ground = bpy.data.objects.new("ground", mesh)
    ground.is_shadow_catcher = True
    bpy.context.scene.collection.objects.link(ground)
    return ground
