"""Hypersim in its published layout: scenes with previews and HDF5 images."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from objascale.dataset import DatasetError
from objascale.datasets import ImageError
from objascale.datasets.formats import open_dataset
from objascale.datasets.hypersim import read

WIDTH, HEIGHT = 16, 12


def write(
    folder: Path, frame: int, instances: np.ndarray, semantic: np.ndarray | None = None, scene="ai_001_001"
) -> Path:
    """Write the preview and the instances of a frame; return the file of the instances."""
    images = folder / scene / "images"
    preview, geometry = images / "scene_cam_00_final_preview", images / "scene_cam_00_geometry_hdf5"
    for each in (preview, geometry, images / "scene_cam_00_final_hdf5", images / "scene_cam_00_geometry_preview"):
        each.mkdir(parents=True, exist_ok=True)
    (folder / scene / "_detail").mkdir(exist_ok=True)
    for kind in ("tonemap", "color", "gamma"):
        shade = 200 if kind == "tonemap" else 0
        Image.new("RGB", (WIDTH, HEIGHT), (shade, shade, shade)).save(preview / f"frame.{frame:04d}.{kind}.jpg")
    (geometry / f"frame.{frame:04d}.depth_meters.hdf5").touch()
    for kind, values in (("semantic_instance", instances), ("semantic", semantic)):
        if values is not None:
            with h5py.File(geometry / f"frame.{frame:04d}.{kind}.hdf5", "w") as file:
                file.create_dataset("dataset", data=values.astype(np.int32), compression="gzip")
    return geometry / f"frame.{frame:04d}.semantic_instance.hdf5"


def two_instances() -> np.ndarray:
    instances = np.full((HEIGHT, WIDTH), -1)
    instances[2:5, 3:9] = 17
    instances[7:, 10:] = 3
    return instances


def test_the_published_layout_is_read(tmp_path, all_objects):
    semantic = np.full((HEIGHT, WIDTH), -1)
    semantic[2:4] = 5  # two of the three rows of instance 17; the third has no label
    write(tmp_path, 3, two_instances(), semantic)
    write(tmp_path, 0, two_instances(), semantic)
    write(tmp_path, 0, two_instances(), scene="ai_055_010")
    (tmp_path / "metadata_images.csv").touch()
    dataset = open_dataset(tmp_path)
    assert dataset.name == "hypersim"
    assert [sample.image_id for sample in dataset.samples] == [
        "ai_001_001/cam_00/frame.0000",
        "ai_001_001/cam_00/frame.0003",
        "ai_055_010/cam_00/frame.0000",
    ]
    assert dataset.samples[0].file == "ai_001_001/images/scene_cam_00_final_preview/frame.0000.tonemap.jpg"
    assert (dataset.samples[0].picture().decode() == 200).all()
    about = [(each.object_id, each.asset_id, each.category) for each in all_objects(dataset)]
    assert about == [
        ("ai_001_001/cam_00/frame.0000/3", "hypersim/ai_001_001/3", "unlabelled"),
        ("ai_001_001/cam_00/frame.0000/17", "hypersim/ai_001_001/17", "chair"),
        ("ai_001_001/cam_00/frame.0003/3", "hypersim/ai_001_001/3", "unlabelled"),
        ("ai_001_001/cam_00/frame.0003/17", "hypersim/ai_001_001/17", "chair"),
        ("ai_055_010/cam_00/frame.0000/3", "hypersim/ai_055_010/3", "unlabelled"),
        ("ai_055_010/cam_00/frame.0000/17", "hypersim/ai_055_010/17", "unlabelled"),
    ]
    assert all_objects(dataset)[1].mask().box == (3, 2, 9, 5)


def test_a_scene_opened_alone_has_the_same_ids(tmp_path, all_objects):
    write(tmp_path, 0, two_instances())
    whole, scene = open_dataset(tmp_path), open_dataset(tmp_path / "ai_001_001")
    assert [each.object_id for each in all_objects(scene)] == [each.object_id for each in all_objects(whole)]
    assert scene.samples[0].file == "images/scene_cam_00_final_preview/frame.0000.tonemap.jpg"


@given(instances=arrays(np.int32, (HEIGHT, WIDTH), elements=st.sampled_from([-1, 1, 2, 40, 70000])))
def test_masks_are_read_back_exactly(tmp_path_factory, instances):
    folder = tmp_path_factory.mktemp("hypersim")
    write(folder, 0, instances)
    masks = {int(each.asset_id.split("/")[-1]): each.mask().full() for each in read(folder).samples[0].objects()}
    assert masks.keys() == set(instances.ravel().tolist()) - {-1}
    assert all((mask == (instances == number)).all() for number, mask in masks.items())


def test_a_bad_file_costs_one_sample(tmp_path):
    paths = [write(tmp_path, frame, two_instances(), two_instances()) for frame in range(7)]
    paths[0].write_bytes(paths[0].read_bytes()[:-500])
    paths[1].write_bytes(b"")
    for path, data in ((paths[2], {"other": [1]}), (paths[3], {"dataset": np.zeros((3, 3, 3))})):
        with h5py.File(path, "w") as file:
            file.update(data)
    with h5py.File(paths[4], "w") as file:
        file["dataset"] = h5py.ExternalLink(str(paths[6]), "dataset")
    with h5py.File(paths[5].with_name("frame.0005.semantic.hdf5"), "w") as file:
        file["dataset"] = np.zeros((3, 3), np.int32)
    *bad, good = open_dataset(tmp_path).samples
    for number, sample in enumerate(bad):
        with pytest.raises(DatasetError, match=rf"frame\.000{number}\.semantic"):
            sample.objects()
    assert len(good.objects()) == 2


def test_a_bad_preview_costs_one_sample(tmp_path):
    for frame in (0, 1):
        write(tmp_path, frame, two_instances())
    cut_off, missing = open_dataset(tmp_path).samples
    path = tmp_path / cut_off.file
    path.write_bytes(path.read_bytes()[:-60])
    (tmp_path / missing.file).unlink()
    with pytest.raises(ImageError, match="can decode"):
        cut_off.picture().decode()
    with pytest.raises(ImageError, match=r"frame\.0001\.tonemap\.jpg \(No such file"):
        missing.picture()


def test_an_error_names_scenes_without_instances(tmp_path):
    (tmp_path / "ai_001_001/images").mkdir(parents=True)
    with pytest.raises(DatasetError, match="holds no images/scene_cam"):
        open_dataset(tmp_path)


def test_a_real_frame_has_thirty_objects(shared, all_objects):
    assert len(all_objects(open_dataset(shared / "faults/real/hypersim/scenes"))) == 30
