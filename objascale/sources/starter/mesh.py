"""Triangle meshes with smooth normals and creases. glTF's frame: metres, +Y up, +Z towards the viewer, right-handed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import ArrayLike, NDArray

AXES = {"x": 0, "y": 1, "z": 2}
CREASE_DEGREES = 40.0
_WELD_METRES = 1e-6


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles seen counter-clockwise from outside.

    `positions` and unit `normals` are N×3 float32, `uvs` N×2 float32 with v = 0 at the top of the texture,
    `triangles` M×3 int32. `a + b` is both meshes in one.
    """

    positions: NDArray[np.float32]
    normals: NDArray[np.float32]
    uvs: NDArray[np.float32]
    triangles: NDArray[np.int32]

    def __add__(self, other: Mesh) -> Mesh:
        return Mesh(
            np.concatenate([self.positions, other.positions]),
            np.concatenate([self.normals, other.normals]),
            np.concatenate([self.uvs, other.uvs]),
            np.concatenate([self.triangles, other.triangles + np.int32(len(self.positions))]),
        )

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Mesh:
        """Translated by so many metres."""
        return replace(self, positions=self.positions + np.array([x, y, z], np.float32))

    def turned(self, axis: str, degrees: float) -> Mesh:
        """Rotated about "x", "y" or "z", counter-clockwise as seen from the axis's positive end."""
        return self._transformed(rotation(axis, degrees))

    def aimed(self, direction: ArrayLike) -> Mesh:
        """Rotated so that what pointed along +Y points along `direction`."""
        return self._transformed(frame(np.asarray(direction, float)).T)

    def scaled(self, x: float, y: float | None = None, z: float | None = None) -> Mesh:
        """Scaled about the origin by positive factors; one factor serves all three axes."""
        return self._transformed(np.diag([x, x if y is None else y, x if z is None else z]))

    def mirrored(self, axis: str) -> Mesh:
        """Reflected through the plane across `axis`, still with its outside outside."""
        flip = np.eye(3)
        flip[AXES[axis], AXES[axis]] = -1.0
        return replace(self._transformed(flip), triangles=self.triangles[:, ::-1].copy())

    def tiled(self, u: float, v: float) -> Mesh:
        """With the texture repeated `u` times across and `v` times down."""
        return replace(self, uvs=self.uvs * np.array([u, v], np.float32))

    def cross_grained(self) -> Mesh:
        """With the texture turned by 90°, so that wood grain runs along u instead of v."""
        return replace(self, uvs=self.uvs[:, ::-1].copy())

    def decalled(self, across: str, up: str, width: float, height: float) -> Mesh:
        """With the texture projected: it spans `width` along one axis and `height` along another, about the origin."""
        u = self.positions[:, AXES[across]] / width + 0.5
        v = 0.5 - self.positions[:, AXES[up]] / height
        return replace(self, uvs=np.stack([u, v], axis=1).astype(np.float32))

    def warped(
        self, move: Callable[[NDArray[np.float64]], NDArray[np.float64]], crease: float = CREASE_DEGREES
    ) -> Mesh:
        """With every N×3 position passed through `move`, and normals made anew."""
        return shaded(move(self.positions.astype(float)), self.uvs, self.triangles, crease)

    def _transformed(self, matrix: NDArray[np.float64]) -> Mesh:
        normals = self.normals @ np.linalg.inv(matrix)
        return replace(
            self,
            positions=(self.positions @ matrix.T).astype(np.float32),
            normals=(normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32),
        )


def join(*meshes: Mesh) -> Mesh:
    """All meshes in one."""
    return reduce(add, meshes)


def rotation(axis: str, degrees: float) -> NDArray[np.float64]:
    """The 3×3 matrix of a counter-clockwise rotation about "x", "y" or "z"."""
    i = AXES[axis]
    j, k = (i + 1) % 3, (i + 2) % 3
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    matrix[j, j], matrix[j, k], matrix[k, j], matrix[k, k] = c, -s, s, c
    return matrix


def frame(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """A right-handed orthonormal frame as the rows of a 3×3 matrix, the second row along `direction`."""
    along = direction / np.linalg.norm(direction)
    helper = np.array([0.0, 0.0, 1.0]) if abs(along[2]) < 0.9 else np.array([0.0, -np.sign(along[2]), 0.0])
    across = np.cross(along, helper)
    across /= np.linalg.norm(across)
    return np.stack([across, along, np.cross(across, along)])


def shaded(positions: ArrayLike, uvs: ArrayLike, triangles: ArrayLike, crease: float = CREASE_DEGREES) -> Mesh:
    """A mesh whose normals are smooth except across edges that bend by more than `crease` degrees.

    Each corner averages the normals of the triangles around its point that lie within the crease angle of its own
    triangle, weighted by the angles that they take there (Thürmer & Wüthrich 1998). Points that coincide count as
    one, whatever their texture coordinates; triangles without area vanish.
    """
    points, texture = np.asarray(positions, float), np.asarray(uvs, float)
    faces = np.asarray(triangles, np.int64)
    _, welded = np.unique(np.round(points / _WELD_METRES).astype(np.int64), axis=0, return_inverse=True)
    corners = points[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    solid = area > _WELD_METRES**2
    faces, corners, face_normals = faces[solid], corners[solid], cross[solid] / area[solid, None]

    sides = np.roll(corners, -1, axis=1) - corners
    sides = sides / np.linalg.norm(sides, axis=2, keepdims=True)
    angles = np.arccos(np.clip(-np.sum(sides * np.roll(sides, 1, axis=1), axis=2), -1, 1)).ravel()
    corner_point = welded.ravel()[faces.ravel()]
    corner_face = np.repeat(np.arange(len(faces)), 3)

    here, there = _pairs(corner_point)
    alike = np.sum(face_normals[corner_face[here]] * face_normals[corner_face[there]], axis=1)
    smooth = alike >= np.cos(np.radians(crease))
    here, there = here[smooth], there[smooth]
    share = face_normals[corner_face[there]] * angles[there, None]
    normals = np.stack([np.bincount(here, share[:, k], len(corner_face)) for k in range(3)], axis=1)
    normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)

    texture = texture[faces.ravel()]
    key = np.column_stack([corner_point, np.round(texture * 1e5), np.round(normals * 1e3)]).astype(np.int64)
    _, first, index = np.unique(key, axis=0, return_index=True, return_inverse=True)
    return Mesh(
        points[faces.ravel()][first].astype(np.float32),
        normals[first].astype(np.float32),
        texture[first].astype(np.float32),
        index.reshape(-1, 3).astype(np.int32),
    )


def _pairs(group: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Every ordered pair (i, j) of indices with group[i] == group[j], i == j included."""
    order = np.argsort(group, kind="stable")
    _, starts, counts = np.unique(group[order], return_index=True, return_counts=True)
    starts, counts = np.repeat(starts, counts), np.repeat(counts, counts)
    here = np.repeat(order, counts)
    within = np.arange(len(here)) - np.repeat(np.cumsum(counts) - counts, counts)
    return here, order[np.repeat(starts, counts) + within]
