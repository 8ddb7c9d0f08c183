"""Mask images, and text files with polygons."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from objascale.dataset import DatasetError
from objascale.datasets import TruthObject
from objascale.datasets.formats import open_dataset
from objascale.datasets.mask_files import class_names, read_mask_file
from objascale.masks import MaskError

VALUES = np.zeros((6, 8), np.uint8)
VALUES[1:3, 1:4] = 1
VALUES[4:, 5:] = 2
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0] + [7, 8, 9] * 253


def truths_of(folder: Path, image: Image.Image | bytes, name: str = "a.png") -> list[TruthObject]:
    """Return the objects of a mask file for an image of 8×6 px."""
    (folder / name).write_bytes(image) if isinstance(image, bytes) else image.save(folder / name)
    Image.new("RGB", (8, 6)).save(folder / "image.jpg")
    return read_mask_file(folder, name, folder / "image.jpg", asset_id="x", category="object", names={3: "cup"})


def indexed(values: np.ndarray, palette: list[int] = PALETTE) -> Image.Image:
    image = Image.fromarray(values).convert("P")
    image.putdata(values.ravel().tolist())
    image.putpalette(palette)
    return image


@pytest.mark.parametrize("image", [
    Image.fromarray(VALUES == 1),
    Image.fromarray(np.where(VALUES == 1, 1, 0).astype(np.uint8)),
    Image.fromarray(np.where(VALUES == 1, 255, 0).astype(np.uint8)),
    Image.fromarray(np.where(VALUES == 1, 65535, 0).astype(np.uint16)),
    Image.fromarray(np.where(VALUES == 1, 255, 0).astype(np.uint8)).convert("RGB"),
    Image.fromarray(np.where(VALUES == 1, 255, 0).astype(np.uint8)).convert("RGBA"),
    indexed((VALUES == 1).astype(np.uint8), [0, 0, 0, 255, 255, 255]),
], ids=["1 bit", "0 and 1", "0 and 255", "16 bits", "RGB", "RGBA", "black and white palette"])  # fmt: skip
def test_a_picture_of_one_value_is_one_mask(tmp_path, image):
    (truth,) = truths_of(tmp_path, image)
    assert (truth.object_id, truth.ignored) == ("a.png", "")
    assert (truth.mask().full() == (VALUES == 1)).all()


@pytest.mark.parametrize("image", [Image.fromarray(VALUES), Image.fromarray(VALUES.astype(np.uint16)), indexed(VALUES)])
def test_each_index_is_an_object(tmp_path, image):
    truths = truths_of(tmp_path, image)
    assert [truth.object_id for truth in truths] == ["a.png/1", "a.png/2"]
    for number, truth in enumerate(truths, 1):
        assert (truth.mask().full() == (number == VALUES)).all()


def test_a_grey_of_128_beside_255_is_ignored(tmp_path):
    (truth,) = truths_of(tmp_path, Image.fromarray(np.choose(VALUES, [0, 255, 128]).astype(np.uint8)))
    assert (truth.mask().full() == (VALUES == 1)).all()
    assert (truth.ignored_mask().full() == (VALUES == 2)).all()


def test_the_index_255_of_coloured_pictures_is_ignored_for_each_object(tmp_path):
    values = VALUES.copy()
    values[0] = 255
    truths = truths_of(tmp_path, indexed(values))
    assert [truth.object_id for truth in truths] == ["a.png/1", "a.png/2"]
    assert all((truth.ignored_mask().full() == (values == 255)).all() for truth in truths)


def test_an_empty_mask_is_no_object(tmp_path):
    assert truths_of(tmp_path, Image.fromarray(np.zeros_like(VALUES))) == []
    assert truths_of(tmp_path, b"\n", "a.txt") == []


@pytest.mark.parametrize(("image", "problem"), [
    (b"words", "cut off, damaged or no picture"),
    (Image.fromarray(np.choose(VALUES, [0, 255, 17]).astype(np.uint8)), "2 grey values besides 0, such as 17, 255"),
    (Image.fromarray(VALUES.astype(np.float32)), "float32 values"),
    (Image.new("RGB", (8, 6), (1, 2, 3)), "colours without a palette"),
    (Image.new("RGBA", (8, 6), (1, 1, 1, 9)), "transparent pixels"),
])  # fmt: skip
def test_a_picture_that_is_no_mask_costs_one_object(tmp_path, image, problem):
    (truth,) = truths_of(tmp_path, image, "a.tif" if getattr(image, "mode", "") == "F" else "a.png")
    with pytest.raises(MaskError, match=rf"object a\.\w+: the mask file .*{problem}"):
        truth.mask()


def test_the_content_of_pictures_and_masks_wins_over_their_suffixes(tmp_path, all_objects):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    Image.new("RGB", (8, 6), (1, 2, 3)).save(tmp_path / "images/a.jpg", "PNG")
    Image.fromarray(VALUES == 1).save(tmp_path / "masks/a.jpg", "PNG")
    dataset = open_dataset(tmp_path)
    (truth,) = all_objects(dataset)
    assert (truth.problem, truth.area) == ("", 6)
    assert (dataset.samples[0].picture().decode() == (1, 2, 3)).all()


def test_a_jpeg_is_refused_because_its_values_are_changed(tmp_path):
    Image.fromarray(VALUES * 100).save(tmp_path / "a.jpg")
    (truth,) = truths_of(tmp_path, (tmp_path / "a.jpg").read_bytes())
    assert "is a JPEG" in truth.problem


def test_polygons_are_fractions_of_the_image(tmp_path):
    text = b"3 0.25 0 0.5 0 0.5 0.5 0.25 0.5\n0 0 0 1 0 1 1 0 1.004\n"
    cup, other = truths_of(tmp_path, text, "a.txt")
    assert [(each.object_id, each.category) for each in (cup, other)] == [("a.txt/1", "cup"), ("a.txt/2", "class 0")]
    assert (cup.mask().box, cup.size, other.area) == ((2, 0, 4, 3), (6, 8), 48)


@pytest.mark.parametrize(("line", "problem"), [
    ("0 0.1 0.2 0.3 0.4", "a box and no polygon"),
    ("0 0.1 0.2 0.3 0.4 0.5", "5 coordinates"),
    ("0 1 2 300 4 5 6", "outside 0 to 1"),
    ("0 0.1 0.2 0.3 nan 0.5 0.6", "outside 0 to 1"),
    ("cup 0.1 0.2 0.3 0.4 0.5 0.6", "not a class and a polygon"),
    ("0.5 0.1 0.2 0.3 0.4 0.5 0.6", "class 0.5"),
    ("inf 0.1 0.2 0.3 0.4 0.5 0.6", "class inf"),
])  # fmt: skip
def test_a_bad_line_costs_one_object(tmp_path, line, problem):
    bad, good = truths_of(tmp_path, f"{line}\n3 0 0 1 0 1 1\n".encode(), "a.txt")
    assert problem in bad.problem
    assert good.mask().area


def test_a_polygon_refers_to_the_image_as_it_is_displayed(tmp_path):
    image, exif = Image.new("RGB", (8, 6)), Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    (tmp_path / "a.txt").write_text("0 0 0 1 0 1 0.5 0 0.5")
    (truth,) = read_mask_file(tmp_path, "a.txt", tmp_path / "turned.jpg", asset_id="", category="", names={})
    assert (truth.size, truth.mask().box) == ((8, 6), (0, 0, 6, 4))


def test_class_names_of_a_yolo_folder_are_read(tmp_path, all_objects):
    for folder in ("images/train", "labels/train"):
        (tmp_path / folder).mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(tmp_path / "images/train/1.jpg")
    (tmp_path / "labels/train/1.txt").write_text("1 0 0 1 0 1 1\n")
    (tmp_path / "data.yaml").write_text("train: images/train\nnames:\n  0: cup\n  1: jug\n")
    dataset = open_dataset(tmp_path)
    assert dataset.categories == {"cup", "jug"}
    assert [(each.object_id, each.category) for each in all_objects(dataset)] == [("train/1.txt/1", "jug")]


def test_a_split_of_a_yolo_export_has_the_class_names_of_the_file_above_it(tmp_path, all_objects):
    for folder in ("valid/images", "valid/labels"):
        (tmp_path / folder).mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(tmp_path / "valid/images/1_jpg.rf.0a.jpg")
    (tmp_path / "valid/labels/1_jpg.rf.0a.txt").write_text("1 0 0 1 0 1 1\n")
    (tmp_path / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['cup', 'jug']\n")
    dataset = open_dataset(tmp_path / "valid")
    assert [each.category for each in all_objects(dataset)] == ["jug"]


def test_all_splits_of_a_yolo_export_open_together(tmp_path, all_objects):
    for split, file in (("train", "1"), ("valid", "1"), ("valid", "2"), ("test", "3")):
        for folder in ("images", "labels"):
            (tmp_path / split / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6)).save(tmp_path / split / f"images/{file}.jpg")
        (tmp_path / split / f"labels/{file}.txt").write_text("1 0 0 1 0 1 1\n")
    (tmp_path / "test/labels/3.txt").rename(tmp_path / "test/labels/4.txt")
    (tmp_path / "data.yaml").write_text("names: ['cup', 'jug']\n")
    dataset = open_dataset(tmp_path)
    assert [sample.image_id for sample in dataset.samples] == [
        "train/images/1.jpg",
        "valid/images/1.jpg",
        "valid/images/2.jpg",
    ]
    assert all(sample.picture().decode().shape == (6, 8, 3) for sample in dataset.samples)
    objects = all_objects(dataset)
    files = ("train/labels/1.txt", "valid/labels/1.txt", "valid/labels/2.txt")
    assert [each.object_id for each in objects] == [f"{file}/1" for file in files]
    assert {each.category for each in objects} == {"jug"}
    assert all(each.mask().area for each in objects)
    assert dataset.skipped == {"mask file whose name neither begins nor ends with the name of an image": 1}


def test_lists_of_class_names_are_read(tmp_path):
    assert class_names(tmp_path) == {}
    (tmp_path / "classes.txt").write_text("cup\njug")
    assert class_names(tmp_path) == {0: "cup", 1: "jug"}
    (tmp_path / "data.yaml").write_text("names: [mug, pot]")
    assert class_names(tmp_path) == {0: "mug", 1: "pot"}


@pytest.mark.parametrize(
    "text", ["nc: 2", "names: 7", "[", "", "!!python/object/apply:os.system [true]", "names: {a: b}"]
)
def test_an_error_names_a_damaged_list_of_class_names(tmp_path, text):
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(DatasetError, match=r"data.yaml holds no names of classes"):
        class_names(tmp_path)
