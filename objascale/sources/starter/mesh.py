"""Triangle meshes with smooth normals and creases, in glTF's frame: metres, +Y up, +Z to the viewer, right-handed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import ArrayLike, NDArray

AXES = {"x": 0, "y": 1, "z": 2}
CREASE_DEGREES = 40.0  # a choice: round shapes of 10 sides or more are smooth, and boxes have edges
_WELD_METRES = 1e-6  # points of one place differ by float32 rounding alone


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangle mesh. `a + b` joins two meshes.

    Attributes:
        positions: N×3 float32, metres.
        normals: N×3 float32, unit length.
        uvs: N×2 float32; v = 0 is the top of the texture.
        triangles: M×3 int32 indices, counter-clockwise as seen from outside.
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
        """Return the mesh translated, metres."""
        return replace(self, positions=self.positions + np.array([x, y, z], np.float32))

    def turned(self, axis: str, degrees: float) -> Mesh:
        """Return the mesh rotated about "x", "y" or "z", counter-clockwise as seen from the axis's positive end."""
        return self._transformed(rotation(axis, degrees))

    def aimed(self, direction: ArrayLike) -> Mesh:
        """Return the mesh rotated so that +Y turns to `direction`."""
        return self._transformed(frame(np.asarray(direction, float)).T)

    def scaled(self, x: float, y: float | None = None, z: float | None = None) -> Mesh:
        """Return the mesh scaled about the origin by positive factors. `x` is the default of `y` and `z`."""
        return self._transformed(np.diag([x, x if y is None else y, x if z is None else z]))

    def mirrored(self, axis: str) -> Mesh:
        """Return the mesh reflected along `axis`, with triangles reversed so that they face outwards."""
        flip = np.eye(3)
        flip[AXES[axis], AXES[axis]] = -1.0
        return replace(self._transformed(flip), triangles=self.triangles[:, ::-1].copy())

    def tiled(self, u: float, v: float) -> Mesh:
        """Return the mesh with the texture repeated `u` times across and `v` times down."""
        return replace(self, uvs=self.uvs * np.array([u, v], np.float32))

    def cross_grained(self) -> Mesh:
        """Return the mesh with the texture turned by 90°, so that wood grain runs along u."""
        return replace(self, uvs=self.uvs[:, ::-1].copy())

    def decalled(self, across: str, up: str, width: float, height: float) -> Mesh:
        """Return the mesh with the texture projected onto `width` × `height` of two axes, about the origin."""
        u = self.positions[:, AXES[across]] / width + 0.5
        v = 0.5 - self.positions[:, AXES[up]] / height
        return replace(self, uvs=np.stack([u, v], axis=1).astype(np.float32))

    def warped(
        self, move: Callable[[NDArray[np.float64]], NDArray[np.float64]], crease: float = CREASE_DEGREES
    ) -> Mesh:
        """Return the mesh with its N×3 positions mapped by `move`, and new normals."""
        return shaded(move(self.positions.astype(float)), self.uvs, self.triangles, crease)

    def _transformed(self, matrix: NDArray[np.float64]) -> Mesh:
        normals = self.normals @ np.linalg.inv(matrix)
        return replace(
            self,
            positions=(self.positions @ matrix.T).astype(np.float32),
            normals=(normals / np.linalg.norm(normals, axis=1, keepdims=True)).astype(np.float32),
        )


def join(*meshes: Mesh) -> Mesh:
    """Join meshes."""
    return reduce(add, meshes)


def rotation(axis: str, degrees: float) -> NDArray[np.float64]:
    """Return the 3×3 matrix of a counter-clockwise rotation about "x", "y" or "z"."""
    i = AXES[axis]
    j, k = (i + 1) % 3, (i + 2) % 3
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.eye(3)
    matrix[j, j], matrix[j, k], matrix[k, j], matrix[k, k] = c, -s, s, c
    return matrix


def frame(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a right-handed orthonormal frame as the rows of a 3×3 matrix; the second row is along `direction`."""
    along = direction / np.linalg.norm(direction)
    helper = np.array([0.0, 0.0, 1.0]) if abs(along[2]) < 0.9 else np.array([0.0, -np.sign(along[2]), 0.0])
    across = np.cross(along, helper)
    across /= np.linalg.norm(across)
    return np.stack([across, along, np.cross(across, along)])


def shaded(positions: ArrayLike, uvs: ArrayLike, triangles: ArrayLike, crease: float = CREASE_DEGREES) -> Mesh:
    """Return a mesh with normals that are smooth except across edges of more than `crease` degrees.

    The normal of a corner averages those of the triangles around its point that are within the crease angle of its own
    triangle, weighted by their angles at the point (Thürmer & Wüthrich 1998). Coincident points count as one. Triangles
    without area are removed.
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
    """Return all ordered pairs (i, j) of indices with group[i] == group[j], including i == j."""
    order = np.argsort(group, kind="stable")
    _, starts, counts = np.unique(group[order], return_index=True, return_counts=True)
    starts, counts = np.repeat(starts, counts), np.repeat(counts, counts)
    here = np.repeat(order, counts)
    within = np.arange(len(here)) - np.repeat(np.cumsum(counts) - counts, counts)
    return here, order[np.repeat(starts, counts) + within]
