"""Export to the layout of BOP, the benchmark of 6D object pose estimation, in its scene-wise form.

    models/models_info.json          bounds of each model, mm
    models/assets.json               the asset of each model, and the transform from its file's coordinates
    test/000000/scene_camera.json    K, pose of the camera and scale of the depth, by image
    test/000000/scene_gt.json        poses of the objects, by image
    test/000000/scene_gt_info.json   boxes and visible shares of the objects, by image
    test/000000/rgb, depth, mask, mask_visib
    credits.csv

Source: docs/bop_datasets_format.md of thodan/bop_toolkit. A unit of a picture's world is a metre. Models have the
origin in the centre of their bounds, z up, and poses are rigid. An asset that appears at several scales is a model for
each of them. In K, the centre of the first pixel is (0, 0), as in the code of bop_toolkit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from objascale.dataset import DatasetError
from objascale.datasets import stays_inside
from objascale.depth import read_depth
from objascale.export.coco import xywh
from objascale.export.credits import write_credits
from objascale.export.output import new_folder
from objascale.export.pictures import ExportImage, amodal_mask_in, mask_in, pictures
from objascale.masks import RegionMask
from objascale.pose import Pose, read_bounds, read_camera_matrix, read_pose

_MM = 1000.0  # per unit of the world
_IMAGES_PER_SCENE = 1000
_DIGITS = 9  # significant ones of a scale that tell models of one asset apart
_MAX_DEPTH_VALUE = 65535


@dataclass(frozen=True)
class BopSummary:
    """Numbers of what an export wrote: images, objects in them, models, and depth images."""

    images: int
    objects: int
    models: int
    depth: int


@dataclass(frozen=True)
class _Posed:
    """An object of an image.

    Attributes:
        row: Its annotations.
        pose: Transform from its own to camera coordinates.
        bounds: (2, 3), its bounds in its own coordinates.
    """

    row: dict[str, Any]
    pose: Pose
    bounds: NDArray[np.float64]

    @property
    def model(self) -> tuple[str, float]:
        """Its asset, and the length of a unit of its own coordinates in the world."""
        return self.row["asset_id"], float(f"{self.pose.scale:.{_DIGITS}g}")


def write_bop(folder: Path, out: Path) -> BopSummary:
    """Write a dataset in BOP's layout. Images of a dataset without depth have no depth images.

    Equal datasets give equal bytes.

    Args:
        folder: The dataset.
        out: Folder to write, new or empty.

    Raises:
        DatasetError: If the dataset has no poses or amodal masks, a file of it is damaged, or `out` holds files.
    """
    found = pictures(folder)
    posed = {picture.image_id: [_posed(picture, row) for row in picture.objects] for picture in found}
    models = sorted({thing.model for things in posed.values() for thing in things})
    numbers = {model: number for number, model in enumerate(models, 1)}
    scenes: dict[int, dict[str, dict[str, Any]]] = {}
    depths = 0
    with new_folder(out) as partial:
        for picture in found:
            scene, image = divmod(picture.image_id, _IMAGES_PER_SCENE)
            place = partial / f"test/{scene:06d}"
            tables = scenes.setdefault(scene, {"scene_camera": {}, "scene_gt": {}, "scene_gt_info": {}})
            if not tables["scene_camera"]:
                for name in ("rgb", "depth", "mask", "mask_visib"):
                    (place / name).mkdir(parents=True)
            things = posed[picture.image_id]
            (place / f"rgb/{image:06d}{picture.path.suffix}").write_bytes(picture.read())
            scale, has_depth = _write_depth(folder, things[0].row, place / f"depth/{image:06d}.png")
            depths += has_depth
            tables["scene_camera"][str(image)] = _camera(things[0].row, scale)
            tables["scene_gt"][str(image)] = [_truth(thing, numbers) for thing in things]
            tables["scene_gt_info"][str(image)] = [
                _info(picture, thing.row, place, f"{image:06d}_{number:06d}.png", has_depth)
                for number, thing in enumerate(things)
            ]
        for scene, tables in scenes.items():
            for name, table in tables.items():
                _write_json(partial / f"test/{scene:06d}/{name}.json", table)
        (partial / "models").mkdir()
        shown = {thing.model: thing for things in posed.values() for thing in things}
        _write_json(partial / "models/models_info.json", {str(numbers[m]): _bounds(shown[m]) for m in models})
        _write_json(partial / "models/assets.json", {str(numbers[m]): _asset(shown[m]) for m in models})
        write_credits(partial / "credits.csv", found)
    return BopSummary(len(found), sum(map(len, posed.values())), len(models), depths)


def _posed(picture: ExportImage, row: dict[str, Any]) -> _Posed:
    """Return an object with its pose. Raises DatasetError if the pose is missing or damaged."""
    name = f"object {row['object_id']} in {picture.path}"
    matrix, camera, pose, bounds = read_camera_matrix(row), read_pose(row, "camera"), read_pose(row), read_bounds(row)
    if matrix is None or camera is None or pose is None or bounds is None:
        raise DatasetError(f"{name} has no pose, or a damaged one; render the dataset again with this version")
    return _Posed(row, pose, bounds)


def _camera(row: dict[str, Any], depth_scale: float) -> dict[str, Any]:
    matrix, pose = read_camera_matrix(row), read_pose(row, "camera")
    assert matrix is not None
    assert pose is not None
    matrix[:2, 2] -= 0.5
    return {
        "cam_K": matrix.ravel().tolist(),
        "depth_scale": depth_scale,
        "cam_R_w2c": pose.rotation.ravel().tolist(),
        "cam_t_w2c": (pose.translation * _MM).tolist(),
    }


def _truth(thing: _Posed, numbers: dict[tuple[str, float], int]) -> dict[str, Any]:
    centre = thing.pose.apply(thing.bounds.mean(0)[None])[0]
    return {
        "cam_R_m2c": thing.pose.rotation.ravel().tolist(),
        "cam_t_m2c": (centre * _MM).tolist(),
        "obj_id": numbers[thing.model],
    }


def _info(picture: ExportImage, row: dict[str, Any], place: Path, file: str, has_depth: bool) -> dict[str, Any]:
    """Write the two masks of an object, and return its entry of scene_gt_info.json."""
    visible, whole = mask_in(picture, row), amodal_mask_in(picture, row)
    _write_mask(place / "mask" / file, whole)
    _write_mask(place / "mask_visib" / file, visible)
    return {
        "bbox_obj": xywh(list(whole.box or ())),
        "bbox_visib": xywh(list(visible.box or ())),
        "px_count_all": round(visible.area / row["visible"]),
        "px_count_valid": whole.area if has_depth else 0,
        "px_count_visib": visible.area,
        "visib_fract": row["visible"],
    }


def _bounds(thing: _Posed) -> dict[str, float]:
    size = (thing.bounds[1] - thing.bounds[0]) * thing.model[1] * _MM
    low = {f"min_{axis}": -value / 2 for axis, value in zip("xyz", size.tolist(), strict=True)}
    return low | {f"size_{axis}": value for axis, value in zip("xyz", size.tolist(), strict=True)}


def _asset(thing: _Posed) -> dict[str, Any]:
    """Return the asset of a model. A point X of its file is the point scale · (X − centre) of the model, mm."""
    row = thing.row
    named = {name: row[name] for name in ("asset_id", "category", "asset_sha256") if name in row}
    return named | {"scale": thing.model[1] * _MM, "centre": thing.bounds.mean(0).tolist()}


def _write_depth(folder: Path, row: dict[str, Any], path: Path) -> tuple[float, bool]:
    """Write the depth image of a picture, if it has a depth map. Return its scale, and whether it was written."""
    if not isinstance(row.get("depth_file"), str):
        return 1.0, False
    if not stays_inside(row["depth_file"]):
        raise DatasetError(f"{row['depth_file']} is outside of {folder}; objascale verify lists all damage")
    depth = read_depth(folder / row["depth_file"]).astype(np.float64) * _MM
    scale = float(depth.max()) / _MAX_DEPTH_VALUE or 1.0
    values = np.where(depth > 0, np.clip(np.rint(depth / scale), 1, _MAX_DEPTH_VALUE), 0).astype(np.uint16)
    path.write_bytes(cv2.imencode(".png", values)[1].tobytes())
    return scale, True


def _write_mask(path: Path, mask: RegionMask) -> None:
    path.write_bytes(cv2.imencode(".png", mask.full().view(np.uint8) * np.uint8(255))[1].tobytes())


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
