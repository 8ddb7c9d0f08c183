"""The BOP export: what its files say projects onto its own masks and depth images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from objascale.dataset import DatasetError, mask_of, read_annotations, write_parquet
from objascale.depth import read_depth
from objascale.export.bop import write_bop


def table(folder: Path, name: str) -> dict:
    return json.loads((folder / f"test/000000/{name}.json").read_text())


@pytest.fixture(scope="module")
def exported(crowded, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("bop") / "set"
    summary = write_bop(crowded, out)
    assert (summary.images, summary.objects, summary.depth) == (1, 4, 1)
    return out


def test_the_layout_is_that_of_bop(exported):
    scene = exported / "test/000000"
    assert sorted(path.name for path in scene.iterdir()) == [
        *("depth", "mask", "mask_visib", "rgb", "scene_camera.json", "scene_gt.json", "scene_gt_info.json"),
    ]
    assert [path.name for path in scene.glob("rgb/*")] == ["000000.jpg"]
    names = [f"000000_00000{number}.png" for number in range(4)]
    for kind in ("mask", "mask_visib"):
        assert sorted(path.name for path in (scene / kind).iterdir()) == names
    assert len((exported / "credits.csv").read_text().splitlines()) == 4  # two objects and a map
    camera, truth, info = (table(exported, name) for name in ("scene_camera", "scene_gt", "scene_gt_info"))
    assert camera.keys() == truth.keys() == info.keys() == {"0"}
    assert set(camera["0"]) == {"cam_K", "depth_scale", "cam_R_w2c", "cam_t_w2c"}
    assert set(truth["0"][0]) == {"cam_R_m2c", "cam_t_m2c", "obj_id"}


def test_masks_and_their_information_are_those_of_the_dataset(crowded, exported):
    rows = read_annotations(crowded).to_dict("records")
    for number, (row, info) in enumerate(zip(rows, table(exported, "scene_gt_info")["0"], strict=True)):
        visible, whole = (
            cv2.imread(str(exported / f"test/000000/{kind}/000000_{number:06d}.png"), cv2.IMREAD_UNCHANGED)
            for kind in ("mask_visib", "mask")
        )
        assert set(np.unique(visible)) == {0, 255}
        assert ((visible > 0) == mask_of(row).full()).all()
        assert info["px_count_visib"] == row["area"]
        assert info["px_count_all"] == info["px_count_valid"] == np.count_nonzero(whole)
        assert info["visib_fract"] == pytest.approx(np.count_nonzero(visible) / np.count_nonzero(whole))
        for mask, name in ((whole, "bbox_obj"), (visible, "bbox_visib")):
            assert info[name] == list(cv2.boundingRect(mask))
    assert min(info["visib_fract"] for info in table(exported, "scene_gt_info")["0"]) < 0.9


def test_the_corners_of_each_model_project_to_its_mask(crowded, exported):
    """The crate fills its bounds, so its eight corners are the corners of its mask. Pixel centres are integers here."""
    models = json.loads((exported / "models/models_info.json").read_text())
    assets = json.loads((exported / "models/assets.json").read_text())
    matrix = np.reshape(table(exported, "scene_camera")["0"]["cam_K"], (3, 3))
    crates = 0
    for number, truth in enumerate(table(exported, "scene_gt")["0"]):
        if assets[str(truth["obj_id"])]["category"] != "crate":
            continue
        crates += 1
        model = models[str(truth["obj_id"])]
        low = np.array([model[f"min_{axis}"] for axis in "xyz"])
        size = np.array([model[f"size_{axis}"] for axis in "xyz"])
        points = low + size * np.indices((2, 2, 2)).reshape(3, 8).T
        seen = points @ np.reshape(truth["cam_R_m2c"], (3, 3)).T + truth["cam_t_m2c"]
        seen = seen @ matrix.T
        seen = seen[:, :2] / seen[:, 2:]
        mask = cv2.imread(str(exported / f"test/000000/mask/000000_{number:06d}.png"), cv2.IMREAD_UNCHANGED)
        ys, xs = np.nonzero(mask)
        edges = np.array([seen.min(0), seen.max(0)]) - [[xs.min(), ys.min()], [xs.max(), ys.max()]]
        assert np.abs(edges).max() < 1
        hull = cv2.convexHull(np.float32(seen))
        inside = [cv2.pointPolygonTest(hull, (float(x), float(y)), True) for x, y in zip(xs, ys, strict=True)]
        assert min(inside) > -0.01
        assert np.count_nonzero(mask) == pytest.approx(cv2.contourArea(hull), rel=0.05)
    assert crates >= 2


def test_depth_images_are_the_depth_in_millimetres(crowded, exported):
    stored = cv2.imread(str(exported / "test/000000/depth/000000.png"), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    scale = table(exported, "scene_camera")["0"]["depth_scale"]
    depth = 1000 * read_depth(crowded / read_annotations(crowded).at[0, "depth_file"])
    assert ((stored > 0) == (depth > 0)).all()
    np.testing.assert_allclose(stored * scale, depth, atol=scale / 2 * 1.01)
    assert scale < 1  # mm


def test_an_asset_at_one_scale_is_one_model_and_depth_is_optional(made, tmp_path, run_objascale):
    result = run_objascale("export", "bop", made.folder, "--out", tmp_path / "bop")
    assert result.returncode == 0, result.stderr
    assert "5 images of 5 objects and 2 models in" in result.stdout
    assert "no depth maps" in result.stderr
    assert not any((tmp_path / "bop/test/000000/depth").iterdir())
    assert table(tmp_path / "bop", "scene_camera")["4"]["depth_scale"] == 1


def test_datasets_without_poses_or_with_damaged_files_are_refused(hand_copy, crowded, tmp_path, run_objascale):
    older: pd.DataFrame = read_annotations(hand_copy).drop(columns="object_rotation")
    write_parquet(older, hand_copy / "annotations.parquet")
    result = run_objascale("export", "bop", hand_copy, "--out", tmp_path / "out")
    assert result.returncode == 1
    assert "object 0 in" in result.stderr
    assert "has no pose, or a damaged one; render the dataset again" in result.stderr.replace("\n", " ")

    folder = Path(shutil.copytree(crowded, tmp_path / "copy"))
    (folder / "depth/000/000000.exr").unlink()
    with pytest.raises(DatasetError, match=r"depth map .*000000\.exr cannot be read \(No such file"):
        write_bop(folder, tmp_path / "out")
    rows: pd.DataFrame = read_annotations(folder).drop(columns=["depth_file", "amodal_counts"])
    write_parquet(rows, folder / "annotations.parquet")
    with pytest.raises(DatasetError, match="has no amodal mask"):
        write_bop(folder, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "hand_copy"]
