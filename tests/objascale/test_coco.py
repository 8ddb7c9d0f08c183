"""COCO and LVIS: the published layouts, and damaged files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from objascale.dataset import DatasetError
from objascale.datasets import ImageError
from objascale.datasets.coco import read
from objascale.datasets.formats import open_dataset
from objascale.masks import MaskError, RegionMask

WIDTH, HEIGHT = 12, 8
TRIANGLE = [[1, 1, 9, 1, 1, 7]]
CATEGORIES = [{"supercategory": "animal", "id": 18, "name": "dog"}]


def image(number: int, **more) -> dict:
    return {"id": number, "file_name": f"{number:012d}.jpg", "width": WIDTH, "height": HEIGHT, **more}


def annotation(number: int, segmentation, image_id: int = 139, **more) -> dict:
    about = {"area": 20.5, "iscrowd": 0, "bbox": [1, 1, 8, 6], "category_id": 18}
    return {"id": number, "image_id": image_id, "segmentation": segmentation, **about, **more}


def write(folder: Path, annotations: list[dict], images: list[dict] | None = None, **more) -> Path:
    """Write annotations/instances_val2017.json and val2017/; return the path of the JSON."""
    images = [image(139)] if images is None else images
    for each in images:
        path = folder / "val2017" / each["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (9, 99, 200)).save(path)
    content = {"info": {}, "images": images, "annotations": annotations, "categories": CATEGORIES, **more}
    path = folder / "annotations/instances_val2017.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def runs(mask: np.ndarray) -> list[int]:
    """Return COCO's uncompressed RLE by its definition: column by column, background first."""
    counts, value = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def test_the_published_layout_opens_by_folder_and_by_file(tmp_path, all_objects):
    disc = np.hypot(*(np.mgrid[:HEIGHT, :WIDTH] - 4)) < 3
    annotations = [
        annotation(7, TRIANGLE),
        annotation(8, {"size": [HEIGHT, WIDTH], "counts": runs(disc)}, 632),
        annotation(9, RegionMask.from_full(disc).rle(), 632),
        annotation(900, {"size": [HEIGHT, WIDTH], "counts": runs(disc)}, 632, iscrowd=1),
    ]
    path = write(tmp_path, annotations, [image(632), image(139), image(724)])
    for opened in (path, tmp_path):
        dataset = open_dataset(opened)
        assert (dataset.name, dataset.path) == ("coco", tmp_path)
        # In the order of the file, without the image that has no object.
        assert [sample.file for sample in dataset.samples] == ["val2017/000000000632.jpg", "val2017/000000000139.jpg"]
        assert {sample.size for sample in dataset.samples} == {(WIDTH, HEIGHT)}
        about = [(each.object_id, each.asset_id, each.category) for each in all_objects(dataset)]
        assert about == [("8", "coco/632", "dog"), ("9", "coco/632", "dog"), ("7", "coco/139", "dog")]
    masks = {each.object_id: each.mask().full() for each in all_objects(dataset)}
    assert (masks["8"] == disc).all()
    assert (masks["9"] == disc).all()
    expected = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(TRIANGLE, HEIGHT, WIDTH)))
    assert (masks["7"] == expected).all()


@pytest.mark.parametrize("folder", ["train2017", "images/train2017", "images", "."])
def test_images_are_read_from_the_usual_folders(tmp_path, folder):
    path = write(tmp_path, [annotation(1, TRIANGLE)])
    path = path.rename(tmp_path / "instances_train2017.json")
    path.with_name("annotations").rmdir()
    with pytest.raises(DatasetError, match=r"no image 000000000139\.jpg in .*train2017"):
        open_dataset(tmp_path)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / "val2017/000000000139.jpg").rename(tmp_path / folder / "000000000139.jpg")
    assert open_dataset(tmp_path).samples[0].picture().decode().shape == (HEIGHT, WIDTH, 3)


def test_lvis_images_are_named_by_their_url(tmp_path, all_objects):
    lvis = {"id": 139, "coco_url": "http://images.cocodataset.org/val2017/000000000139.jpg"}
    write(tmp_path, [])
    (tmp_path / "annotations/instances_val2017.json").unlink()
    content = {
        "images": [{**lvis, "width": WIDTH, "height": HEIGHT, "not_exhaustive_category_ids": []}],
        "annotations": [{"id": 1, "image_id": 139, "category_id": 4, "area": 1.0, "segmentation": TRIANGLE}],
        "categories": [{"id": 4, "name": "alligator", "synset": "alligator.n.02", "frequency": "r"}],
    }
    (tmp_path / "lvis_v1_val.json").write_text(json.dumps(content))
    dataset = open_dataset(tmp_path)
    (truth,) = all_objects(dataset)
    assert (dataset.name, dataset.samples[0].file) == ("lvis", "val2017/000000000139.jpg")
    assert (truth.asset_id, truth.category) == ("lvis/139", "alligator")


@given(masks=st.lists(arrays(bool, (HEIGHT, WIDTH)), max_size=4), compressed=st.booleans())
def test_masks_are_read_back_exactly(tmp_path_factory, masks, compressed):
    outlines = [
        RegionMask.from_full(mask).rle() if compressed else {"size": [HEIGHT, WIDTH], "counts": runs(mask)}
        for mask in masks
    ]
    annotations = [annotation(number, outline) for number, outline in enumerate(outlines)]
    path = write(tmp_path_factory.mktemp("coco"), [*annotations, annotation(99, TRIANGLE)])
    read_back = {int(each.object_id): each.mask().full() for each in read(path).samples[0].objects()}
    del read_back[99]
    expected = {number: mask for number, mask in enumerate(masks) if mask.any()}
    assert read_back.keys() == expected.keys()
    assert all((read_back[number] == expected[number]).all() for number in expected)


def test_real_masks_are_those_of_pycocotools(shared, all_objects):
    folder = shared / "assets/photos/coco128"
    coco = COCO(folder / "instances_train2017.json")
    objects = all_objects(open_dataset(folder))
    assert len(objects) == 887
    assert all((each.mask().full() == coco.annToMask(coco.anns[int(each.object_id)])).all() for each in objects)


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [HEIGHT, WIDTH], "counts": [0] * 2},
        {"size": [HEIGHT, WIDTH], "counts": [0, 10**30]},
        {"size": [HEIGHT, WIDTH], "counts": "no such ☃"},
        {"size": [10**9, 10**9], "counts": [0, 10**18]},
        {"counts": [0, HEIGHT * WIDTH]},
        [[0, 0, 4, 0, float("nan"), 4]],
        [[0, 0, 1e12, 0, 4, 4]],
        [[0, 0, 4, 0, 4, 4, 1]],
        [[[[[[0, 0, 4, 0, 4, 4]]]]]],
        "words",
    ],
    ids=str,
)
def test_a_contradictory_outline_costs_one_object(tmp_path, segmentation):
    (sample,) = read(write(tmp_path, [annotation(1, segmentation), annotation(2, TRIANGLE)])).samples
    broken, whole = sample.objects()
    assert (broken.object_id, broken.area) == ("1", 20)
    with pytest.raises(MaskError):
        broken.mask()
    assert whole.mask().area == whole.area


@pytest.mark.parametrize("value", [True, False])
def test_an_outline_of_another_size_than_its_image_is_an_error(tmp_path, value):
    turned = RegionMask.from_full(np.full((WIDTH, HEIGHT), value))
    (sample,) = read(write(tmp_path, [annotation(1, turned.rle())])).samples
    (truth,) = sample.objects()
    with pytest.raises(MaskError, match="object 1: the RLE has 8×12 px, but its image has 12×8"):
        truth.mask()


@pytest.mark.parametrize(
    "segmentation",
    [[[]], [[1, 1, 5, 5]], [[50, 50, 60, 50, 60, 60]], {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}],
    ids=str,
)
def test_an_object_without_pixels_is_left_out(tmp_path, segmentation):
    (sample,) = read(write(tmp_path, [annotation(1, segmentation)])).samples
    assert sample.objects() == []


def test_boxes_are_not_read(tmp_path):
    (sample,) = read(write(tmp_path, [annotation(1, TRIANGLE, bbox=[-50, 90, 1e9, -3])])).samples
    assert sample.objects()[0].mask().box == (1, 1, 8, 7)


@pytest.mark.parametrize("file_name", ["../../etc/passwd", "/etc/passwd", "a/../../b.jpg", "a\0.jpg"])
def test_an_image_outside_the_folder_is_not_read(tmp_path, file_name):
    path = write(tmp_path, [annotation(1, TRIANGLE, 7), annotation(2, TRIANGLE)], [image(7), image(139)])
    content = json.loads(path.read_text())
    content["images"][1]["file_name"] = file_name
    path.write_text(json.dumps(content))
    _, outside = open_dataset(tmp_path).samples
    with pytest.raises(ImageError, match=r"outside the data set's folder|cannot read val2017/a/\.\./\.\./b\.jpg"):
        outside.picture()
    path.write_text(json.dumps(content | {"images": content["images"][1:]}))
    with pytest.raises(DatasetError, match="no image "):
        open_dataset(tmp_path)


def test_a_bad_image_costs_one_sample(tmp_path):
    images = [image(1), image(2), image(3), image(4)]
    write(tmp_path, [annotation(each["id"], TRIANGLE, each["id"]) for each in images], images)
    whole = (tmp_path / "val2017/000000000001.jpg").read_bytes()
    (tmp_path / "val2017/000000000001.jpg").write_bytes(whole[:-60])
    (tmp_path / "val2017/000000000002.jpg").unlink()
    Image.new("RGB", (HEIGHT, WIDTH)).save(tmp_path / "val2017/000000000003.jpg")
    *bad, good = open_dataset(tmp_path).samples
    for sample, message in zip(bad, ["can decode", "No such file", "its annotation says 12×8"], strict=True):
        assert sample.objects()
        with pytest.raises(ImageError, match=message):
            sample.picture().decode()
    assert good.picture().decode().shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize(
    "change",
    [
        {"categories": []},
        {"categories": None},
        {"images": []},
        {"images": [{"id": 139, "width": 3, "height": 3}]},
        {"annotations": {"1": "words"}},
        {"annotations": []},
    ],
    ids=str,
)
def test_an_error_names_a_file_that_is_not_coco(tmp_path, change):
    path = write(tmp_path, [annotation(1, TRIANGLE)])
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DatasetError, match=r"instances_val2017\.json .*(download it again|no object)"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "[" * 10**5, '{"images": 3}'])
def test_an_error_names_a_truncated_file(tmp_path, content):
    path = write(tmp_path, [])
    path.write_text(content, errors="surrogateescape")
    with pytest.raises(DatasetError, match=r"instances_val2017\.json does not have the format of COCO or LVIS"):
        open_dataset(path)


def test_the_user_must_name_one_of_several_annotation_files(tmp_path):
    path = write(tmp_path, [annotation(1, TRIANGLE)])
    path.with_name("instances_train2017.json").write_bytes(path.read_bytes())
    with pytest.raises(DatasetError, match=r"instances_train2017\.json, .*instances_val2017\.json; give one of them"):
        open_dataset(tmp_path)
    assert len(open_dataset(path).samples) == 1
