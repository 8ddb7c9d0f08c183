"""The HDF5 of FLIP's authors: written by their converter, by our export, and damaged."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from objascale.dataset import DatasetError
from objascale.datasets import ImageError, read_content
from objascale.datasets.flip_hdf5 import read
from objascale.datasets.formats import open_dataset
from objascale.export.coco import write_coco

WIDTH, HEIGHT = 14, 10


def jpeg(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (WIDTH, HEIGHT), (shade, 0, 0)).save(out, "jpeg")
    return out.getvalue()


def write(path: Path, masks: list[list[np.ndarray]], name: str | bytes | None = "COCO", **tables) -> Path:
    """Write a file in the authors' layout, of images with these masks (0 and 255, or 0 and 1)."""
    counts = np.array([len(each) for each in masks], np.int64)
    pngs = [cv2.imencode(".png", mask)[1].ravel() for each in masks for mask in each]
    with h5py.File(path, "w") as file:
        for key, values in (
            ("rgb_images", [np.frombuffer(jpeg(40 * index), np.uint8) for index in range(len(masks))]),
            ("instance_masks", pngs),
        ):
            stored = file.create_dataset(key, (len(values),), maxshape=(None,), dtype=h5py.vlen_dtype(np.uint8))
            for index, value in enumerate(values):
                stored[index] = value
        defaults = {
            "image_instance_indices": np.stack((np.cumsum(counts) - counts, counts), 1),
            "instance_masks_images": np.repeat(np.arange(len(masks)), counts)[:, None],
            "positions": np.zeros((len(pngs), 5), np.float32),
            "instance_mask_bboxes": np.full((len(pngs), 4), 1e6, np.float32),  # boxes are not read
        }
        for key, values in (defaults | tables).items():
            file.create_dataset(key, data=values)
        if name is not None:
            file.create_group("metadata").attrs["dataset_name"] = name
    return path


def square(value: int = 255) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[2:5, 3:9] = value
    return mask


def test_the_layout_of_the_authors_is_read(tmp_path, all_objects):
    path = write(tmp_path / "coco_val.h5", [[square(), square(1)], [], [square(), square(0)], [square()]])
    dataset = open_dataset(path)
    assert (dataset.name, dataset.path) == ("flip-hdf5/COCO", tmp_path)
    assert [sample.file for sample in dataset.samples] == ["coco_val.h5#0", "coco_val.h5#2", "coco_val.h5#3"]
    assert [int(sample.picture().decode()[0, 0, 0]) for sample in dataset.samples] == pytest.approx([0, 80, 120], abs=3)
    assert [(each.object_id, each.asset_id, each.category) for each in all_objects(dataset)] == [
        ("coco_val/0", "flip-hdf5/COCO/coco_val/0", "object"),
        ("coco_val/1", "flip-hdf5/COCO/coco_val/0", "object"),
        ("coco_val/2", "flip-hdf5/COCO/coco_val/2", "object"),
        ("coco_val/4", "flip-hdf5/COCO/coco_val/3", "object"),
    ]
    assert all((each.mask().full() == (square() > 0)).all() for each in all_objects(dataset))


def test_soft_edges_have_the_threshold_of_the_authors(tmp_path):
    mask = square()
    mask[0, :4] = (1, 128, 129, 254)
    (truth,) = read(write(tmp_path / "a.h5", [[mask]])).samples[0].objects()
    assert truth.mask().full()[0, :4].tolist() == [False, False, True, True]


def test_images_of_a_sequence_are_one_cluster(tmp_path, all_objects):
    sequences = np.array([[0, 2], [2, 1]])
    path = write(tmp_path / "kitti.hdf5", [[square()]] * 3, sequence_indices=sequences)
    assert [each.asset_id[-2:] for each in all_objects(open_dataset(path))] == ["/0", "/0", "/2"]


def test_the_files_of_a_folder_are_one_data_set(tmp_path, all_objects):
    for size in (352, 416):
        write(tmp_path / f"{size}.h5", [[square()], [square()]], np.bytes_(b"SA-1B"))
    dataset = open_dataset(tmp_path)
    assert dataset.name == "flip-hdf5/SA-1B"
    assert len(all_objects(dataset)) == 4
    write(tmp_path / "other.h5", [[square()]])
    with pytest.raises(DatasetError, match=r"2 data sets \(COCO, SA-1B\); give one file"):
        open_dataset(tmp_path)


def test_without_metadata_the_data_set_has_the_name_of_the_file(tmp_path):
    assert open_dataset(write(tmp_path / "hypersim.h5", [[square()]], None)).name == "flip-hdf5/hypersim"


@given(masks=st.lists(arrays(bool, (HEIGHT, WIDTH)), min_size=1, max_size=4), value=st.sampled_from([1, 255]))
def test_masks_are_read_back_exactly(tmp_path_factory, masks, value):
    path = tmp_path_factory.mktemp("hdf5") / "a.h5"
    dataset = read(write(path, [[mask.astype(np.uint8) * value for mask in masks]]))
    read_back = {int(each.object_id.split("/")[1]): each.mask().full() for each in dataset.samples[0].objects()}
    expected = {number: mask for number, mask in enumerate(masks) if mask.any()}
    assert read_back.keys() == expected.keys()
    assert all((read_back[number] == expected[number]).all() for number in expected)


@pytest.fixture
def exportable(discs) -> Path:
    """Return an ObjaScale folder with everything that the exports need."""
    folder = discs(4)
    table = pd.read_parquet(folder / "annotations.parquet")
    table.loc[1, ["image_id", "file", "image_sha256"]] = table.loc[0, ["image_id", "file", "image_sha256"]]
    table.assign(hdri_id="sky", spec_id="s", seed=1, visible=1.0).to_parquet(folder / "annotations.parquet")
    header = json.loads((folder / "dataset.json").read_text())
    credit = {"title": "", "author": "", "licence": "CC0-1.0", "url": ""}
    header["credits"] = [{"id": name, **credit} for name in ("sky", *table["asset_id"].unique())]
    (folder / "dataset.json").write_text(json.dumps(header))
    return folder


def test_an_export_of_objascale_is_read_back(exportable, tmp_path, all_objects):
    original = open_dataset(exportable)
    out = tmp_path / "flip.hdf5"
    command = [sys.executable, "-m", "objascale.cli", "export", "flip-hdf5", exportable, "--out", out]
    subprocess.run(command, check=True, capture_output=True)
    write_coco(exportable, exportable / "coco.json")
    hdf5, coco = open_dataset(out), open_dataset(exportable / "coco.json")
    assert (hdf5.name, coco.name, open_dataset(exportable).name) == ("flip-hdf5/objascale-suite", "coco", "objascale")
    masks = [truth.mask().full() for truth in all_objects(original)]
    for dataset in (hdf5, coco):
        assert len(dataset.samples) == len(original.samples) == 3
        read_back = [truth.mask().full() for truth in all_objects(dataset)]
        assert all((one == other).all() for one, other in zip(masks, read_back, strict=True))
    for one, other in zip(original.samples, coco.samples, strict=True):
        assert one.picture().sha256 == other.picture().sha256
    for one, other in zip(original.samples, hdf5.samples, strict=True):
        lost = one.picture().decode().astype(float) - other.picture().decode()
        assert np.sqrt((lost**2).mean()) < 8  # noise, compressed as JPEG of quality 95


def test_bad_bytes_cost_one_sample(tmp_path):
    path = write(tmp_path / "a.h5", [[square()], [square(), square()], [square()], [square()]])
    with h5py.File(path, "r+") as file:
        file["rgb_images"][0] = np.frombuffer(jpeg(0)[:-60], np.uint8)
        file["instance_masks"][1] = np.frombuffer(b"words", np.uint8)
        file["instance_masks"][3] = file["instance_masks"][3][:45]
    no_image, no_mask, cut_off, good = open_dataset(path).samples
    with pytest.raises(ImageError, match=r"a\.h5#0 is not an image that OpenCV can decode"):
        no_image.picture().decode()
    assert no_image.objects()
    for number, sample in ((1, no_mask), (3, cut_off)):
        with pytest.raises(DatasetError, match=rf"mask {number} of .*a\.h5 is cut off, damaged or no PNG"):
            sample.objects()
    assert len(good.objects()) == 1
    assert good.picture().decode().shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("kept", [0, 100, 0.5, -1])
def test_an_error_names_a_truncated_file(tmp_path, kept):
    path = write(tmp_path / "a.h5", [[square()]] * 3)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if kept == 0.5 else kept])
    with pytest.raises(DatasetError, match=r"a\.h5 is damaged or not as published"):
        open_dataset(path)


@pytest.mark.parametrize(
    "indices", [[[0, 1]], [[0, 1], [1, 2]], [[-1, 1], [0, 1]], [[0, 1], [2**62, 2**62]], [0, 1], [[0.0, "a"]]]
)
def test_an_error_names_an_index_that_does_not_fit(tmp_path, indices):
    indices = np.array(indices, "S") if isinstance(indices[0], list) and "a" in indices[0] else np.array(indices)
    path = write(tmp_path / "a.h5", [[square()], [square()]], image_instance_indices=indices)
    with pytest.raises(DatasetError, match=r"a\.h5 is damaged or not as published"):
        open_dataset(path)


def test_links_and_external_storage_are_not_followed(tmp_path):
    secret = write(tmp_path / "secret.h5", [[square()]])
    (tmp_path / "secret.txt").write_bytes(b"secret" * 10)
    for name in ("linked", "soft", "external", "group"):
        path = write(tmp_path / f"{name}.h5", [[square()]])
        with h5py.File(path, "r+") as file:
            del file["rgb_images"]
            if name == "linked":
                file["rgb_images"] = h5py.ExternalLink(str(secret), "rgb_images")
            if name == "soft":
                file["outside"] = h5py.ExternalLink(str(secret), "/")
                file["rgb_images"] = h5py.SoftLink("/outside/rgb_images")
            if name == "external":
                storage = [(str(tmp_path / "secret.txt"), 0, 60)]
                file.create_dataset("rgb_images", (1, 60), np.uint8, external=storage)
            if name == "group":
                file.create_group("rgb_images")
        with pytest.raises(DatasetError, match="rgb_images"):
            open_dataset(path)
        with pytest.raises(ImageError, match="rgb_images"):
            read_content(tmp_path, f"{name}.h5#0")


def test_files_of_a_data_set_are_read_only_from_its_folder(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    write(folder / "a.h5", [[square()]])
    write(tmp_path / "b.h5", [[square()]])
    (folder / "plain#1.jpg").write_bytes(jpeg(9))
    assert read_content(folder, "a.h5#0") == jpeg(0)
    assert read_content(folder, "plain#1.jpg") == jpeg(9)
    for outside in ("../b.h5#0", "../b.h5", "/etc/passwd", "x/../../b.h5", "", ".", "a\0"):
        with pytest.raises(ImageError, match="is outside the data set's folder"):
            read_content(folder, outside)
    for missing in ("a.h5#1", "c.h5#0", "a.h5#99999999999999999999"):
        with pytest.raises(ImageError, match=r"\.h5 is damaged or not as published"):
            read_content(folder, missing)
    with pytest.raises(FileNotFoundError):
        read_content(folder, "c.jpg")
