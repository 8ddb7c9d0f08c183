"""Camera matrices and poses of objects, in the convention of OpenCV.

Camera coordinates: x to the right, y down, z forward. A point (x, y, z) in front of the camera is seen at the picture
point (u, v) with z (u, v, 1) = K (x, y, z). Picture points are in pixels, and pixel (c, r) has its centre at
(c+½, r+½).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from objascale.camera import Camera


@dataclass(frozen=True)
class Pose:
    """A similarity transform: a point x becomes scale · rotation x + translation.

    Attributes:
        rotation: (3, 3) rotation matrix.
        translation: (3,).
        scale: Positive factor.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]
    scale: float = 1.0

    def apply(self, points: ArrayLike) -> NDArray[np.float64]:
        """Transform points (n, 3)."""
        return self.scale * np.asarray(points, np.float64) @ self.rotation.T + self.translation

    def __matmul__(self, other: Pose) -> Pose:
        """Return the transform that applies `other` first."""
        translation = self.apply(other.translation[None])[0]
        return Pose(self.rotation @ other.rotation, translation, self.scale * other.scale)

    def inverse(self) -> Pose:
        """Return the transform back."""
        return Pose(self.rotation.T, -self.rotation.T @ self.translation / self.scale, 1 / self.scale)


def camera_matrix(camera: Camera) -> NDArray[np.float64]:
    """Return K, (3, 3)."""
    return np.array([[camera.focal, 0, camera.width / 2], [0, camera.focal, camera.height / 2], [0, 0, 1]])


def world_to_camera(camera: Camera) -> Pose:
    """Return the transform from world to camera coordinates. Its scale is 1."""
    rotation = np.diag((1.0, -1.0, -1.0)) @ camera.axes.T
    return Pose(rotation, -rotation @ np.asarray(camera.position))


def project(matrix: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Project points (n, 3) in camera coordinates to picture points (n, 2), px. Points behind the camera become NaN."""
    seen = points @ matrix.T
    return seen[:, :2] / np.where(seen[:, 2:] > 0, seen[:, 2:], np.nan)


def back_project(matrix: NDArray[np.float64], depth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the points (n, 3) in camera coordinates that a depth map shows, row by row; none where depth is 0."""
    rows, columns = np.nonzero(depth)
    z = depth[rows, columns].astype(np.float64)
    seen = np.stack([columns + 0.5, rows + 0.5, np.ones(len(z))], 1)
    return z[:, None] * (seen @ np.linalg.inv(matrix).T)


def corners(bounds: ArrayLike) -> NDArray[np.float64]:
    """Return the eight corners (8, 3) of bounds (x0, y0, z0, x1, y1, z1)."""
    low, high = np.asarray(bounds, np.float64).reshape(2, 3)
    return np.where(np.indices((2, 2, 2)).reshape(3, 8).T, high, low)


def camera_columns(camera: Camera) -> dict[str, Any]:
    """Return the annotation columns that describe the camera of a picture. Matrices are stored by rows."""
    pose = world_to_camera(camera)
    return {
        "camera_k": camera_matrix(camera).ravel().tolist(),
        "camera_rotation": pose.rotation.ravel().tolist(),
        "camera_translation": pose.translation.tolist(),
    }


def object_columns(pose: Pose) -> dict[str, Any]:
    """Return the annotation columns of the transform from an object's to camera coordinates."""
    return {
        "object_rotation": pose.rotation.ravel().tolist(),
        "object_translation": pose.translation.tolist(),
        "object_scale": pose.scale,
    }


def read_camera_matrix(row: Mapping[Any, Any]) -> NDArray[np.float64] | None:
    """Return K of a row of annotations.parquet, (3, 3); None if it is damaged, or of a version without it."""
    values = _numbers(row, "camera_k", 9)
    return None if values is None else values.reshape(3, 3)


def read_pose(row: Mapping[Any, Any], of: str = "object") -> Pose | None:
    """Return the pose in a row of annotations.parquet; None if it is damaged, or of a version without it.

    Args:
        row: The row.
        of: `object` for the transform from the object's to camera coordinates, `camera` for that from world to camera
            coordinates.
    """
    rotation, translation = _numbers(row, f"{of}_rotation", 9), _numbers(row, f"{of}_translation", 3)
    scale = row.get(f"{of}_scale", 1.0)
    if rotation is None or translation is None or not isinstance(scale, float) or not 0 < scale < np.inf:
        return None
    return Pose(rotation.reshape(3, 3), translation, scale)


def read_bounds(row: Mapping[Any, Any]) -> NDArray[np.float64] | None:
    """Return the smallest and the largest corner (2, 3) of an object; None as `read_pose`."""
    values = _numbers(row, "object_bounds", 6)
    return None if values is None else values.reshape(2, 3)


def _numbers(row: Mapping[Any, Any], column: str, count: int) -> NDArray[np.float64] | None:
    values = row.get(column)
    if not isinstance(values, list | np.ndarray):
        return None
    try:
        numbers = np.array(values, np.float64)
    except (ValueError, TypeError):
        return None
    return numbers if numbers.shape == (count,) and np.isfinite(numbers).all() else None
