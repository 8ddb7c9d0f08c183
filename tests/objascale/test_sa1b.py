"""SA-1B in its published layout: one JPEG and one JSON an image."""

from __future__ import annotations

import json
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
from objascale.datasets.sa1b import read
from objascale.masks import MaskError, RegionMask

WIDTH, HEIGHT = 15, 10


def write(folder: Path, number: int, outlines: list[dict]) -> Path:
    """Write sa_N.jpg and sa_N.json."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"sa_{number}"
    Image.new("RGB", (WIDTH, HEIGHT), (200, 99, 9)).save(folder / f"{name}.jpg")
    about = {"predicted_iou": 0.9, "stability_score": 0.96, "crop_box": [0, 0, 15, 10], "point_coords": [[3.5, 4.5]]}
    content = {
        "image": {"image_id": number, "width": WIDTH, "height": HEIGHT, "file_name": f"{name}.jpg"},
        "annotations": [
            {"id": 562 + index, "segmentation": outline, "bbox": [0, 0, 1, 1], "area": 7, **about}
            for index, outline in enumerate(outlines)
        ],
    }
    (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def rle(mask: np.ndarray) -> dict:
    return RegionMask.from_full(mask).rle()


ONE = rle(np.eye(HEIGHT, WIDTH, dtype=bool))


def test_archives_may_be_unpacked_side_by_side_or_in_one_folder(tmp_path, all_objects):
    write(tmp_path / "sa_000001", 11200, [ONE])
    write(tmp_path / "sa_000000", 10, [ONE, ONE])
    write(tmp_path / "sa_000000", 9, [ONE])
    write(tmp_path, 223700, [ONE])
    (tmp_path / "sa_000002").write_text("an archive's name, but no folder")
    (tmp_path / "sa_images_ids.txt").write_text("")
    dataset = open_dataset(tmp_path)
    assert dataset.name == "sa1b"
    files = ["sa_223700.jpg", "sa_000000/sa_9.jpg", "sa_000000/sa_10.jpg", "sa_000001/sa_11200.jpg"]
    assert [sample.file for sample in dataset.samples] == files
    about = [(each.object_id, each.asset_id, each.category) for each in all_objects(dataset)]
    assert about[1:3] == [("9/562", "sa1b/9", "object"), ("10/562", "sa1b/10", "object")]
    assert about[3:] == [("10/563", "sa1b/10", "object"), ("11200/562", "sa1b/11200", "object")]
    assert open_dataset(tmp_path / "sa_000000").samples[1].file == "sa_10.jpg"


@given(masks=st.lists(arrays(bool, (HEIGHT, WIDTH)), max_size=4))
def test_masks_are_read_back_exactly(tmp_path_factory, masks):
    (sample,) = read(write(tmp_path_factory.mktemp("sa1b"), 1, [rle(mask) for mask in masks])).samples
    read_back = {truth.object_id: truth.mask().full() for truth in sample.objects()}
    expected = {f"1/{562 + index}": mask for index, mask in enumerate(masks) if mask.any()}
    assert read_back.keys() == expected.keys()
    assert all((read_back[name] == expected[name]).all() for name in expected)


def test_opening_reads_only_file_names(tmp_path):
    for number in range(3000):
        (tmp_path / f"sa_{number}.json").touch()
    (tmp_path / "sa_0.jpg").touch()
    samples = open_dataset(tmp_path).samples
    assert len(samples) == 3000
    assert [sample.file for sample in samples[1999:][:2]] == ["sa_1999.jpg", "sa_2000.jpg"]
    assert samples[-1].file == "sa_2999.jpg"
    with pytest.raises(IndexError):
        samples[3000]


def test_a_mask_that_does_not_fit_its_image_costs_one_object(tmp_path):
    turned = rle(np.ones((WIDTH, HEIGHT), bool))
    cut_off = {"size": [HEIGHT, WIDTH], "counts": ONE["counts"][:-1]}
    (sample,) = read(write(tmp_path, 1, [turned, cut_off, ONE])).samples
    other_size, broken, whole = sample.objects()
    assert whole.mask().area == HEIGHT
    with pytest.raises(MaskError, match=r"object 1/562: sa_1\.json: the RLE has 10×15 px, but its image has 15×10"):
        other_size.mask()
    with pytest.raises(MaskError, match="RLE"):
        broken.mask()


@pytest.mark.parametrize(
    "content",
    ["", "{}", '{"image": {"width": 0, "height": 1}, "annotations": []}', "[1]", '{"image": [], "annotations"'],
)
def test_a_broken_json_costs_one_sample(tmp_path, content):
    write(tmp_path, 1, [ONE])
    write(tmp_path, 2, [ONE])
    (tmp_path / "sa_1.json").write_text(content)
    broken, whole = open_dataset(tmp_path).samples
    with pytest.raises(DatasetError, match=r"sa_1\.json does not have the format of SA-1B"):
        broken.objects()
    assert len(whole.objects()) == 1


def test_a_bad_image_costs_one_sample(tmp_path):
    for number in (1, 2, 3):
        write(tmp_path, number, [ONE])
    (tmp_path / "sa_1.jpg").write_bytes((tmp_path / "sa_1.jpg").read_bytes()[:-60])
    (tmp_path / "sa_2.jpg").unlink()
    cut_off, missing, whole = open_dataset(tmp_path).samples
    with pytest.raises(ImageError, match="can decode"):
        cut_off.picture().decode()
    with pytest.raises(ImageError, match="No such file"):
        missing.picture()
    assert whole.picture().decode().shape == (HEIGHT, WIDTH, 3)


def test_an_error_names_a_folder_without_annotations(tmp_path):
    (tmp_path / "sa_000000").mkdir()
    with pytest.raises(DatasetError, match="holds no sa_"):
        open_dataset(tmp_path)


def test_images_and_annotations_may_be_in_different_folders(tmp_path, all_objects):
    write(tmp_path / "images", 7, [ONE])
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images/sa_7.json").rename(tmp_path / "annotations/sa_7.json")
    dataset = open_dataset(tmp_path)
    assert (dataset.name, [sample.file for sample in dataset.samples]) == ("sa1b", ["images/sa_7.jpg"])
    assert [truth.object_id for truth in all_objects(dataset)] == ["7/562"]
