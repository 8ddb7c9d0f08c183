"""Placement of objects, so that their silhouettes have the area and the position of the spec.

The area of the silhouette is rendered on a fine grid. The distance is multiplied by the square root of the ratio of
measured and wanted area, until they agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from objascale.blender import scene
from objascale.blender.importing import Imported
from objascale.camera import Camera
from objascale.masks import Box, RegionMask
from objascale.pose import Pose
from objascale.refusal import Refusal
from objascale.spec import ObjectSpec, SceneSpec

_GRID = 256  # points across the measured silhouette; a choice: the area has an error below 1 %
_MAX_AREA_ERROR = 0.01  # relative; a choice
_MAX_ROUNDS = 24  # a choice: most objects take two or three
_FILTER_MARGIN = 3  # px around an object, twice the radius of the pixel filter
_DEPTH_GAP = 1.01  # distance of an object's near side / far side of the object before it; a choice


@dataclass(frozen=True)
class Placement:
    """Placement of one object.

    Attributes:
        camera: Camera relative to the object, which stays at the origin.
        box: Box to trace for the whole object, xyxy px.
        inside: Share of the silhouette inside the picture.
        alone: Silhouette of the object without the others, in its box; None if there are no others.
    """

    camera: Camera
    box: Box
    inside: float
    alone: NDArray[np.bool_] | None = None

    def visible(self, area: int) -> float:
        """Return the share of the whole silhouette that a visible area, px, is."""
        return self.inside * (1.0 if self.alone is None else min(area / int(np.count_nonzero(self.alone)), 1.0))

    def whole(self, mask: RegionMask) -> RegionMask:
        """Return the amodal mask inside the picture, from the visible mask.

        It includes the visible mask: rounding differs between two traces, and with it rarely a pixel of the edge.
        """
        if self.alone is None:
            return mask
        return RegionMask(*self.box[:2], self.alone | mask.window(self.box), mask.width, mask.height).tight()


def place_all(spec: SceneSpec, imported: Sequence[Imported], min_area: int, scratch: Path) -> list[Placement]:
    """Place all objects of a spec in one scene.

    Args:
        spec: The spec.
        imported: Its objects, in the same order.
        min_area: Smallest area of an object, px.
        scratch: Folder for temporary files.

    Returns:
        A placement for each object. The camera of the first one sees all objects.

    Raises:
        Refusal: does-not-fit or too-thin.
    """
    if len(imported) == 1:
        return [place(spec, spec.objects[0], imported[0].points, min_area, scratch)]
    placements = []
    for item, thing in zip(spec.objects, imported, strict=True):
        for other in imported:
            other.collection.hide_render = other is not thing
        placement = place(spec, item, thing.points, min_area, scratch)
        alone = scene.silhouette(placement.camera, placement.box, scratch)
        placements.append(replace(placement, alone=alone))
    for thing in imported:
        thing.collection.hide_render = False
    _arrange(placements, imported)
    return placements


def place(spec: SceneSpec, item: ObjectSpec, points: NDArray[np.float64], min_area: int, scratch: Path) -> Placement:
    """Place the camera so that an object, alone in the scene, has its target size and position.

    Args:
        spec: The spec.
        item: The object in the spec.
        points: Vertices of the object (n, 3), world.
        min_area: Smallest area of the object, px.
        scratch: Folder for temporary files.

    Raises:
        Refusal: does-not-fit if the object leaves the picture at this size, too-thin if it stays below `min_area`.
    """
    scene.show_changes(scratch)
    target = item.target_fraction * spec.width * spec.height
    camera = Camera(spec.width, spec.height, spec.fov, spec.azimuth, spec.elevation)
    x, y = spec.width / 2, spec.height / 2
    distance = camera.focal / math.sqrt(target / math.pi)
    for _ in range(_MAX_ROUNDS):
        camera = camera.looking_at_origin_through(x, y, distance)
        bounds = projected_bounds(camera, points)
        if bounds is None:
            distance *= 1.2
            continue
        area, inside = _measure(camera, bounds, scratch)
        ratio = area / target
        x0, y0, x1, y1 = bounds
        move_x = _left_edge(item.place_x, x1 - x0, spec.width, item.cut) - x0
        move_y = _left_edge(item.place_y, y1 - y0, spec.height, item.cut) - y0
        if abs(ratio - 1) < _MAX_AREA_ERROR and max(abs(move_x), abs(move_y)) < 1:
            break
        x, y = x + move_x, y + move_y
        distance *= math.sqrt(max(ratio, 1e-3))
    else:
        raise Refusal("does-not-fit", f"{item.object_id} cannot cover {item.target_fraction:.2g} of the picture")
    if not item.cut and not _framed(camera, bounds):
        raise Refusal(
            "does-not-fit", f"{item.object_id} at {item.target_fraction:.2g} of the picture would leave the frame"
        )
    camera, box = _visible(camera, points, (x, y), distance, min_area, scratch)
    return Placement(camera, box, inside)


def _left_edge(place: float, width: float, frame: int, cut: bool) -> float:
    """Return the left edge of bounds of a width in the frame. The same holds for the upper edge."""
    return place * frame - width / 2 if cut else 1 + place * max(frame - 2 - width, 0)


def _arrange(placements: Sequence[Placement], imported: Sequence[Imported]) -> None:
    """Combine objects that were placed one at a time into one scene, before the camera of the first object.

    An object that is scaled about the camera keeps its picture. Each object is scaled so that it begins behind the one
    before it: no object intersects another, and the order of depth is the order given.

    Raises:
        Refusal: does-not-fit if the camera is inside the bounding sphere of an object.
    """
    origin = np.array(placements[0].camera.position)
    end = 0.0
    for placement, thing in zip(placements, imported, strict=True):
        position = np.array(placement.camera.position)
        distance = float(np.linalg.norm(position))
        if distance <= _DEPTH_GAP:
            raise Refusal(
                "does-not-fit", "an object is too close to the camera for other objects in front of or behind it"
            )
        scale = end * _DEPTH_GAP / (distance - 1) if end else 1.0
        end = scale * (distance + 1)
        offset = Matrix.Translation((origin - scale * position).tolist()) @ Matrix.Diagonal([scale] * 3 + [1])
        thing.pivot.matrix_world = offset @ thing.pivot.matrix_world


def arranged(pivot: bpy.types.Object) -> Pose:
    """Return the transform by which `place_all` moves an object from the origin to its place in the scene."""
    matrix = np.array(pivot.matrix_world, np.float64)
    return Pose(np.eye(3), matrix[:3, 3], float(matrix[0, 0]))


def disjoint(boxes: Sequence[Box]) -> list[Box]:
    """Return boxes without overlap that cover all given ones. Overlapping boxes become the box around them."""
    found: list[Box] = []
    for box in boxes:
        while overlapping := [other for other in found if _overlap(box, other)]:
            found = [other for other in found if other not in overlapping]
            corners = np.array([box, *overlapping])
            x0, y0 = corners[:, :2].min(0).tolist()
            x1, y1 = corners[:, 2:].max(0).tolist()
            box = (x0, y0, x1, y1)
        found.append(box)
    return found


def contains(outer: Box, inner: Box) -> bool:
    """Return whether a box lies inside another."""
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _visible(
    camera: Camera, points: NDArray[np.float64], at: tuple[float, float], distance: float, min_area: int, scratch: Path
) -> tuple[Camera, Box]:
    """Move the camera nearer while a tiny object covers fewer pixel centres than `min_area`."""
    for _ in range(_MAX_ROUNDS):
        bounds = projected_bounds(camera, points)
        assert bounds is not None
        box = pixel_box(camera, bounds)
        if box[0] >= box[2] or box[1] >= box[3]:
            break
        wide = (box[2] - box[0]) * (box[3] - box[1]) > 64 * min_area + 4096
        if wide or np.count_nonzero(scene.silhouette(camera, box, scratch)) >= min_area:
            return camera, box
        distance *= 0.97
        camera = camera.looking_at_origin_through(*at, distance)
    raise Refusal("too-thin", f"an object covers fewer than {min_area} px at this size, because it is too thin")


def projected_bounds(camera: Camera, points: NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """Return the tight box, xyxy px, of projected vertices; None if one is not in front of the camera."""
    projected = camera.project(points)
    if not np.isfinite(projected).all():
        return None
    (x0, y0), (x1, y1) = projected.min(0).tolist(), projected.max(0).tolist()
    return x0, y0, x1, y1


def _framed(camera: Camera, bounds: tuple[float, float, float, float]) -> bool:
    x0, y0, x1, y1 = bounds
    return x0 >= 0 and y0 >= 0 and x1 <= camera.width and y1 <= camera.height


def pixel_box(camera: Camera, bounds: tuple[float, float, float, float]) -> Box:
    """Return the pixels that bounds reach under the pixel filter, inside the picture."""
    x0, y0, x1, y1 = bounds
    return (
        max(math.floor(x0) - _FILTER_MARGIN, 0),
        max(math.floor(y0) - _FILTER_MARGIN, 0),
        min(math.ceil(x1) + _FILTER_MARGIN, camera.width),
        min(math.ceil(y1) + _FILTER_MARGIN, camera.height),
    )


def _measure(camera: Camera, bounds: tuple[float, float, float, float], scratch: Path) -> tuple[float, float]:
    """Return the area of the whole silhouette, px, and the share of it inside the frame."""
    x0, y0, x1, y1 = bounds
    side = 1.02 * max(x1 - x0, y1 - y0)
    left, top = (x0 + x1 - side) / 2, (y0 + y1 - side) / 2
    seen = scene.silhouette_on_grid(camera, (left, top), side, _GRID, scratch)
    cell = side / _GRID
    area = float(np.count_nonzero(seen)) * cell**2
    if _framed(camera, bounds):
        return area, 1.0
    columns = left + (np.arange(_GRID) + 0.5) * cell
    rows = top + (np.arange(_GRID) + 0.5) * cell
    inside = seen[(rows >= 0) & (rows < camera.height)][:, (columns >= 0) & (columns < camera.width)]
    return area, np.count_nonzero(inside) / max(np.count_nonzero(seen), 1)
