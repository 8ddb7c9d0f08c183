"""Where each object must stand so that its silhouette has the area and place that the spec asks for.

The silhouette is measured, not guessed: the same renderer looks at the object through a fine grid, the distance is
corrected by the square root of the ratio, and again until it fits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from objascale.blender import scene
from objascale.blender.importing import Imported
from objascale.camera import Camera
from objascale.masks import Box
from objascale.plan import ObjectSpec, SceneSpec
from objascale.refusal import Refusal

_GRID = 256  # points across the measured silhouette
_CLOSE_ENOUGH = 0.01  # relative error of the measured area
_ROUNDS = 24
_MARGIN = 3  # px around the object that its pixel filter can reach
_APART = 1.01  # factor between the far side of an object and the near side of the next


@dataclass(frozen=True)
class Placement:
    """One object alone before the camera."""

    camera: Camera  # stands relative to this object, which keeps its place at the origin
    box: Box  # xyxy px that must be traced to see all of it
    inside: float  # share of its silhouette that lies in the picture
    alone: int | None = None  # px that it would cover if it were alone; None if it is

    def visible(self, area: int) -> float:
        """The share of the whole silhouette that `area` px of it, seen in the picture, are."""
        return self.inside * (1.0 if self.alone is None else min(area / self.alone, 1.0))


def place_all(spec: SceneSpec, imported: Sequence[Imported], min_area: int, scratch: Path) -> list[Placement]:
    """Place each object as its spec says, and all of them in one scene.

    The camera of the first placement sees them all. Raises Refusal: does-not-fit, too-thin.
    """
    if len(imported) == 1:
        return [place(spec, spec.objects[0], imported[0].points, min_area, scratch)]
    placements = []
    for item, thing in zip(spec.objects, imported, strict=True):
        for other in imported:
            other.collection.hide_render = other is not thing
        placement = place(spec, item, thing.points, min_area, scratch)
        alone = int(np.count_nonzero(scene.silhouette(placement.camera, placement.box, scratch)))
        placements.append(replace(placement, alone=alone))
    for thing in imported:
        thing.collection.hide_render = False
    _arrange(placements, imported)
    return placements


def place(spec: SceneSpec, item: ObjectSpec, points: NDArray[np.float64], min_area: int, scratch: Path) -> Placement:
    """How the camera must stand to show this object, alone in the scene, at its target size and place.

    points: the object's vertices (n, 3), world. Raises Refusal: does-not-fit if the object would leave the picture
    at that size, too-thin if it stays below `min_area` px.
    """
    target = item.target_fraction * spec.width * spec.height
    camera = Camera(spec.width, spec.height, spec.fov, spec.azimuth, spec.elevation)
    x, y = spec.width / 2, spec.height / 2
    distance = camera.focal / math.sqrt(target / math.pi)
    for _ in range(_ROUNDS):
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
        if abs(ratio - 1) < _CLOSE_ENOUGH and max(abs(move_x), abs(move_y)) < 1:
            break
        x, y = x + move_x, y + move_y
        distance *= math.sqrt(max(ratio, 1e-3))
    else:
        raise Refusal("does-not-fit", f"{item.object_id} has no place for {item.target_fraction:.2g} of the picture")
    if not item.cut and not _framed(camera, bounds):
        raise Refusal(
            "does-not-fit", f"{item.object_id} at {item.target_fraction:.2g} of the picture would leave the frame"
        )
    camera, box = _visible(camera, points, (x, y), distance, min_area, scratch)
    return Placement(camera, box, inside)


def _left_edge(place: float, width: float, frame: int, cut: bool) -> float:
    """Where bounds of this width begin in the frame; likewise for the upper edge."""
    return place * frame - width / 2 if cut else 1 + place * max(frame - 2 - width, 0)


def _arrange(placements: Sequence[Placement], imported: Sequence[Imported]) -> None:
    """Put objects that were placed one at a time into one scene, before the camera of the first, the nearest.

    Scaling an object about the camera leaves its picture as it is, so each gets the scale at which it begins where the
    one before it ends: none runs through another, and the order of depth is the order given. Raises Refusal
    does-not-fit if the camera would stand inside an object's bounding sphere, which leaves no room before it.
    """
    origin = np.array(placements[0].camera.position)
    end = 0.0
    for placement, thing in zip(placements, imported, strict=True):
        position = np.array(placement.camera.position)
        distance = float(np.linalg.norm(position))
        if distance <= _APART:
            raise Refusal("does-not-fit", "an object is too near for others to stand before or behind it")
        scale = end * _APART / (distance - 1) if end else 1.0
        end = scale * (distance + 1)
        offset = Matrix.Translation((origin - scale * position).tolist()) @ Matrix.Diagonal([scale] * 3 + [1])
        thing.pivot.matrix_world = offset @ thing.pivot.matrix_world


def disjoint(boxes: Sequence[Box]) -> list[Box]:
    """Boxes that cover all given ones and do not overlap: those that do are replaced by the box around both."""
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
    """Whether a box lies wholly in another."""
    return outer[0] <= inner[0] and outer[1] <= inner[1] and outer[2] >= inner[2] and outer[3] >= inner[3]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _visible(
    camera: Camera, points: NDArray[np.float64], at: tuple[float, float], distance: float, min_area: int, scratch: Path
) -> tuple[Camera, Box]:
    """Come a little nearer while a tiny object covers fewer pixel centres than it must."""
    for _ in range(_ROUNDS):
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
    raise Refusal("too-thin", f"an object stays below {min_area} px: it is too thin at this size")


def projected_bounds(camera: Camera, points: NDArray[np.float64]) -> tuple[float, float, float, float] | None:
    """Tight xyxy of the projected vertices in px, None if one is not in front of the camera."""
    projected = camera.project(points)
    if not np.isfinite(projected).all():
        return None
    (x0, y0), (x1, y1) = projected.min(0).tolist(), projected.max(0).tolist()
    return x0, y0, x1, y1


def _framed(camera: Camera, bounds: tuple[float, float, float, float]) -> bool:
    x0, y0, x1, y1 = bounds
    return x0 >= 0 and y0 >= 0 and x1 <= camera.width and y1 <= camera.height


def pixel_box(camera: Camera, bounds: tuple[float, float, float, float]) -> Box:
    x0, y0, x1, y1 = bounds
    return (
        max(math.floor(x0) - _MARGIN, 0),
        max(math.floor(y0) - _MARGIN, 0),
        min(math.ceil(x1) + _MARGIN, camera.width),
        min(math.ceil(y1) + _MARGIN, camera.height),
    )


def _measure(camera: Camera, bounds: tuple[float, float, float, float], scratch: Path) -> tuple[float, float]:
    """Area of the silhouette in px, also where it leaves the frame, and the share of it inside the frame."""
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
