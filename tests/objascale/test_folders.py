"""Folders of images and of mask files, matched by file name."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from objascale.dataset import DatasetError
from objascale.datasets.folders import read
from objascale.datasets.formats import format_of, open_dataset

WIDTH, HEIGHT = 16, 12


def write(folder: Path, images: list[str], masks: list[str], names: tuple[str, str] = ("images", "masks")) -> Path:
    """Write grey images, and masks of the left quarter."""
    for file in images:
        path = folder / names[0] / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (99, 99, 99)).save(path)
    for file in masks:
        path = folder / names[1] / file
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(quarter().astype(np.uint8) * 255).save(path)
    return folder


def quarter() -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, : WIDTH // 4] = True
    return mask


@pytest.mark.parametrize(
    "names",
    [
        ("images", "masks"),
        ("img", "gt"),
        ("data_GT", "boundary_GT"),
        ("JPEGImages", "Annotations"),
        ("Images", "Masks"),
    ],
)
def test_two_folders_with_equal_file_names_are_a_data_set(tmp_path, all_objects, names):
    folder = write(tmp_path / "cats", ["b.jpg", "a.png"], ["a.png", "b.bmp"], names)
    (folder / names[1] / "._a.png").write_text("what macOS leaves")
    (folder / names[0] / "Thumbs.db").write_text("what Windows leaves")
    assert format_of(folder) == "masks"
    dataset = open_dataset(folder)
    assert (dataset.name, dataset.skipped) == ("masks/cats", {})
    assert [sample.image_id for sample in dataset.samples] == ["a.png", "b.jpg"]
    objects = all_objects(dataset)
    assert [(each.object_id, each.asset_id, each.category) for each in objects] == [
        ("a.png", "masks/cats/a.png", "object"),
        ("b.bmp", "masks/cats/b.jpg", "object"),
    ]
    assert all((each.mask().full() == quarter()).all() and not each.ignored for each in objects)


@pytest.mark.parametrize("content", ['{"name": "cats", "version": 2}', "[1, 2]", "{}"])
def test_a_json_file_without_annotations_does_not_make_a_folder_of_masks_another_format(tmp_path, content):
    write(tmp_path, ["a.jpg"], ["a.png"])
    for number in range(2):
        (tmp_path / f"about{number}.json").write_text(content)
    assert format_of(tmp_path) == "masks"
    assert len(open_dataset(tmp_path).samples) == 1
    (tmp_path / "annotations.json").write_text('{"images": [], "annotations": [], "categories": []}')
    assert format_of(tmp_path) == "coco"


def masks_of(folder: Path) -> dict[str, list[str]]:
    return {sample.image_id: [truth.object_id for truth in sample.objects()] for sample in open_dataset(folder).samples}


def test_an_image_may_have_several_mask_files(tmp_path):
    masks = ["239007.png", "239007a.png", "cat#001.png", "cat#002.png", "traffic light07_000000000724.png"]
    write(tmp_path, ["239007.jpg", "cat.jpg", "000000000724.jpg"], masks)
    assert masks_of(tmp_path) == {"000000000724.jpg": masks[4:], "239007.jpg": masks[:2], "cat.jpg": masks[2:4]}
    assert open_dataset(tmp_path).categories == {"object", "traffic light"}


def test_a_mask_of_no_image_or_of_several_is_skipped_and_counted(tmp_path):
    write(tmp_path, ["cat.jpg", "cat_2.jpg", "dog.jpg"], ["cat.png", "cat_2_a.png", "cat_dog.png", "cow.png"])
    assert masks_of(tmp_path) == {"cat.jpg": ["cat.png"]}
    assert open_dataset(tmp_path).skipped == {
        "mask file whose name begins or ends with the names of several images": 2,
        "mask file whose name neither begins nor ends with the name of an image": 1,
    }


def test_two_images_of_one_name_do_not_share_a_mask(tmp_path):
    write(tmp_path, ["a.jpg", "a.png", "b.jpg"], ["a.png", "b.png"])
    assert masks_of(tmp_path) == {"b.jpg": ["b.png"]}


@given(st.sets(st.integers(0, 999), min_size=1, max_size=8), st.sampled_from(["{}a", "{}#001", "{}_mask", "cup01_{}"]))
def test_a_number_in_a_name_is_matched_as_a_whole(tmp_path_factory, numbers, pattern):
    folder = tmp_path_factory.mktemp("numbers")
    for number in numbers:
        for file in (folder / "images" / f"{number}.jpg", folder / "masks" / f"{pattern.format(number)}.png"):
            file.parent.mkdir(exist_ok=True)
            file.touch()
    dataset = read(folder)
    assert {sample.image_id for sample in dataset.samples} == {f"{number}.jpg" for number in numbers}
    assert not dataset.skipped


def test_names_match_across_case_and_forms_of_accents(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Café") for form in ("NFC", "NFD"))
    write(tmp_path, [f"{composed}.JPG", "DOG.jpg"], [f"{decomposed}.png", "dog.PNG"])
    assert len(masks_of(tmp_path)) == 2


def test_a_name_that_is_not_utf8_is_skipped_and_counted(tmp_path):
    write(tmp_path, ["cat.jpg", "dog.jpg"], ["cat.png", "dog.png"])
    for file in ("images/dog.jpg", "masks/dog.png"):
        path = tmp_path / file
        path.rename(os.fsdecode(os.fsencode(path.parent) + b"/d\xf6g" + os.fsencode(path.suffix)))
    assert masks_of(tmp_path) == {"cat.jpg": ["cat.png"]}
    assert open_dataset(tmp_path).skipped == {"mask file whose name is not UTF-8": 1}


def test_frames_of_one_video_are_one_cluster(tmp_path):
    frames = ["bear/00000.png", "bear/00001.png", "dog/00000.png"]
    write(tmp_path, [f"480p/{each[:-4]}.jpg" for each in frames], [f"480p/{each}" for each in frames],
          ("JPEGImages", "Annotations"))  # fmt: skip
    samples = open_dataset(tmp_path).samples
    assert [sample.image_id for sample in samples] == [f"480p/{each[:-4]}.jpg" for each in frames]
    clusters = [sample.objects()[0].asset_id.removeprefix(f"masks/{tmp_path.name}/") for sample in samples]
    assert clusters == ["480p/bear", "480p/bear", "480p/dog"]


def test_folders_without_matching_names_are_refused(tmp_path):
    write(tmp_path / "other", ["a.jpg"], ["b.png", "c.png"])
    with pytest.raises(DatasetError, match=r"no mask in .*masks belongs .*skipped 2 records: 2 × mask file"):
        open_dataset(tmp_path / "other")
    write(tmp_path / "empty", ["a.jpg"], [])
    (tmp_path / "empty" / "masks").mkdir()
    with pytest.raises(DatasetError, match=r"empty must hold a folder of images \(images, .* masks \(masks, "):
        open_dataset(tmp_path / "empty", "masks")


@pytest.mark.parametrize(("name", "images", "objects", "banded"), [
    ("GrabCut50", 50, 50, 42), ("Berkeley100", 96, 100, 0), ("COCO_MVal", 722, 800, 0)
])  # fmt: skip
def test_published_data_sets_open_unchanged(shared, name, images, objects, banded):
    dataset = open_dataset(shared / "assets/photos" / name)
    assert (dataset.name, len(dataset.samples), dataset.skipped) == (f"masks/{name}", images, {})
    assert len(dataset.categories) == (80 if name == "COCO_MVal" else 1)
    some = range(images) if images < 100 else range(0, images, 40)
    truths = [truth for index in some for truth in dataset.samples[index].objects()]
    assert all(truth.mask().area for truth in truths)
    assert sum(truth.ignored_mask() is not None for truth in truths) == banded
    if images < 100:
        assert len(truths) == objects
