"""Checks of amodal masks, uncertain bands, poses and depth maps. Columns that a data set lacks are not checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from objascale.dataset import DatasetError, depth_file
from objascale.depth import read_depth
from objascale.files import file_sha256
from objascale.masks import MaskError, RegionMask
from objascale.pose import corners, project, read_bounds, read_camera_matrix, read_pose

_EDGE = 1.0  # px between a mask and the projection of the object; a choice: pixel centres are half a pixel apart


def object_problems(row: Mapping[str, Any], mask: RegionMask) -> list[str]:
    """Return what is wrong with the other truth of an object, as sentences.

    Args:
        row: Row of annotations.parquet.
        mask: The object's mask.
    """
    name = row["object_id"]
    problems = []
    for column, words in (("uncertain_counts", "uncertain band"), ("amodal_counts", "amodal mask")):
        try:
            counts = row.get(column)
            if isinstance(counts, str) and counts:
                other = RegionMask.from_rle({"size": row["rle_size"], "counts": counts})
                if column == "amodal_counts" and mask.intersection(other) < mask.area:
                    problems.append(f"the amodal mask of object {name} does not contain its mask")
        except MaskError as error:
            problems.append(f"the {words} of object {name} is damaged: {error}")
    return problems + _pose_problems(row, mask)


def _pose_problems(row: Mapping[str, Any], mask: RegionMask) -> list[str]:
    """Check that the mask lies inside the projection of the object's bounds."""
    if not isinstance(row.get("camera_k"), list):
        return []
    matrix, pose, bounds = read_camera_matrix(row), read_pose(row), read_bounds(row)
    if matrix is None or pose is None or bounds is None:
        return [f"the pose of object {row['object_id']} is damaged"]
    seen = project(matrix, pose.apply(corners(bounds)))
    if not np.isfinite(seen).all():
        return []  # the bounds reach behind the camera
    (x0, y0), (x1, y1) = seen.min(0) - _EDGE, seen.max(0) + _EDGE
    left, top, right, bottom = mask.box or (0, 0, 0, 0)
    if left < x0 or top < y0 or right > x1 or bottom > y1:
        return [f"the mask of object {row['object_id']} lies outside of the projection of its bounds by its pose"]
    return []


def depth_problem(folder: Path, row: Mapping[str, Any], masks: Iterable[RegionMask]) -> str:
    """Return what is wrong with the depth map of a picture, as a sentence; "" for nothing, or if it has none.

    Args:
        folder: The data set.
        row: A row of the picture.
        masks: The masks of all objects of the picture.
    """
    name = row.get("depth_file")
    if not isinstance(name, str) or not name:
        return ""
    if name != depth_file(row["image_id"]):
        return f"the annotations name it as the depth map of image {row['image_id']}"
    try:
        depth = read_depth(folder / name)
        digest = file_sha256(folder / name)
    except (DatasetError, OSError) as error:
        return str(error)
    if depth.shape != (row["height"], row["width"]):
        return f"the depth map is {depth.shape[1]}×{depth.shape[0]}, its picture {row['width']}×{row['height']}"
    covered = np.zeros(depth.shape, bool)
    for mask in masks:
        height, width = mask.data.shape
        covered[mask.y : mask.y + height, mask.x : mask.x + width] |= mask.data
    differing = np.count_nonzero(((depth > 0) & np.isfinite(depth)) != covered)
    if differing:
        return f"the depth map and the masks disagree on {differing} px"
    if digest != row["depth_sha256"]:
        return f"its SHA-256 is {digest[:16]}…, but the annotations have {row['depth_sha256'][:16]}…"
    return ""
