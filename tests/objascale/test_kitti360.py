"""KITTI-360 in its published layout: frames, and instance images of 16 bits."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from objascale.dataset import DatasetError
from objascale.datasets import ImageError
from objascale.datasets.formats import open_dataset
from objascale.datasets.kitti360 import read

WIDTH, HEIGHT = 20, 6
SEQUENCE = "2013_05_28_drive_0000_sync"


def write(folder: Path, frame: int, labels: np.ndarray, camera: str = "image_00", sequence: str = SEQUENCE) -> Path:
    """Write a frame below data_2d_raw and its labels below data_2d_semantics; return the instance image."""
    raw = folder / f"data_2d_raw/{sequence}/{camera}/data_rect"
    semantics = folder / f"data_2d_semantics/train/{sequence}/{camera}"
    for each in (raw, semantics / "instance", semantics / "semantic", semantics / "confidence"):
        each.mkdir(parents=True, exist_ok=True)
    name = f"{frame:010d}.png"
    Image.new("RGB", (WIDTH, HEIGHT), (9, 200, 99)).save(raw / name)
    Image.fromarray(labels.astype(np.uint16)).save(semantics / "instance" / name)
    Image.fromarray((labels // 1000).astype(np.uint8)).save(semantics / "semantic" / name)
    (folder / f"data_2d_semantics/train/{sequence}/instanceDict.json").write_text("{}")
    return semantics / "instance" / name


def street() -> np.ndarray:
    labels = np.full((HEIGHT, WIDTH), 7000)  # road
    labels[1:3, 2:7] = 26004
    labels[4, 19] = 17012
    labels[:, 10] = 26000  # cars without instance ids
    return labels


def test_the_published_layout_is_read(tmp_path, all_objects):
    write(tmp_path, 250, street())
    write(tmp_path, 251, street())
    write(tmp_path, 250, street(), "image_01")
    write(tmp_path, 250, street(), sequence="2013_05_28_drive_0010_sync")
    (tmp_path / "data_2d_semantics/train/2013_05_28_drive_train_frames.txt").touch()
    dataset = open_dataset(tmp_path)
    assert dataset.name == "kitti360"
    assert [sample.image_id for sample in dataset.samples] == [
        f"{SEQUENCE}/image_00/0000000250",
        f"{SEQUENCE}/image_00/0000000251",
        f"{SEQUENCE}/image_01/0000000250",
        "2013_05_28_drive_0010_sync/image_00/0000000250",
    ]
    assert dataset.samples[0].file == f"data_2d_raw/{SEQUENCE}/image_00/data_rect/0000000250.png"
    objects = all_objects(dataset)
    # One pole and one car over all frames.
    assert [each.category for each in objects] == ["pole", "car"] * 4
    assert {each.asset_id for each in objects} == {
        f"kitti360/{sequence}/{label}"
        for sequence in (SEQUENCE, "2013_05_28_drive_0010_sync")
        for label in (17012, 26004)
    }
    assert objects[1].object_id == f"{SEQUENCE}/image_00/0000000250/26004"
    assert objects[1].mask().box == (2, 1, 7, 3)


@given(labels=arrays(np.uint16, (HEIGHT, WIDTH), elements=st.sampled_from([0, 7000, 7001, 26001, 44999, 65535])))
def test_masks_are_read_back_exactly(tmp_path_factory, labels):
    folder = tmp_path_factory.mktemp("kitti360")
    write(folder, 0, labels)
    masks = {int(each.asset_id.split("/")[-1]): each.mask().full() for each in read(folder).samples[0].objects()}
    assert masks.keys() == set(labels.ravel().tolist()) - {0, 7000}
    assert all((mask == (labels == number)).all() for number, mask in masks.items())


def test_a_bad_label_image_costs_one_sample(tmp_path):
    rng = np.random.default_rng(0)
    paths = [write(tmp_path, frame, rng.integers(0, 9999, (HEIGHT, WIDTH))) for frame in range(6)]
    paths[0].write_bytes(paths[0].read_bytes()[:150])
    paths[1].write_bytes(b"words")
    Image.fromarray(np.ones((HEIGHT, WIDTH), np.uint8)).save(paths[2])
    Image.new("RGB", (WIDTH, HEIGHT)).save(paths[3])
    Image.new("L", (WIDTH, HEIGHT)).save(paths[4], format="JPEG")
    *bad, good = open_dataset(tmp_path).samples
    for number, sample in enumerate(bad):
        with pytest.raises(DatasetError, match=rf"instance/000000000{number}\.png"):
            sample.objects()
    assert good.objects()


def test_a_bad_frame_costs_one_sample(tmp_path):
    for frame in (0, 1):
        write(tmp_path, frame, street())
    cut_off, missing = open_dataset(tmp_path).samples
    path = tmp_path / cut_off.file
    path.write_bytes(path.read_bytes()[:-30])
    (tmp_path / missing.file).unlink()
    with pytest.raises(ImageError, match="can decode"):
        cut_off.picture().decode()
    with pytest.raises(ImageError, match=r"0000000001\.png \(No such file"):
        missing.picture()


def test_an_error_names_labels_that_are_not_unpacked(tmp_path):
    (tmp_path / "data_2d_semantics/train").mkdir(parents=True)
    with pytest.raises(DatasetError, match="unpack the labels there"):
        open_dataset(tmp_path)


def test_labels_without_any_image_are_refused(tmp_path):
    write(tmp_path, 250, street())
    shutil.rmtree(tmp_path / "data_2d_raw")
    with pytest.raises(DatasetError, match=r"none of the 1 images of .* is there, such as data_2d_raw/"):
        open_dataset(tmp_path)
