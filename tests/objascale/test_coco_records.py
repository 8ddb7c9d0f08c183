"""COCO files of other programs: bad records are skipped and counted, unusual forms are read."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from bench.cli import app
from objascale.dataset import DatasetError
from objascale.datasets.formats import open_dataset
from objascale.datasets.outlines import segmentation_mask
from objascale.export.coco import write_coco
from objascale.masks import MaskError, RegionMask

WIDTH, HEIGHT = 24, 16
SQUARE = [[2, 2, 10, 2, 10, 8, 2, 8]]


def image(number, name: str = "a.png", **more) -> dict:
    return {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT, **more}


def annotation(number, image_id=1, segmentation=SQUARE, **more) -> dict:
    return {"id": number, "image_id": image_id, "category_id": 1, "segmentation": segmentation, **more}


def write(folder: Path, images: list[dict], annotations: list, name: str = "labels.json", files=("a.png",)) -> Path:
    folder.mkdir(exist_ok=True)
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / file)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "cup"}]}
    path.write_text(json.dumps(content))
    return path


def run(data: Path, out: Path, *more: object):
    command = ["run", "--models", "box", "--data", data, "--out", out, *more]
    return CliRunner().invoke(app, [str(each) for each in command])


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (annotation(1), "annotation with the id of an earlier one"),
        (annotation("1"), "annotation with the id of an earlier one"),
        (annotation(2, 99), "annotation of an image that the file does not list"),
        (annotation(2, [1]), "annotation of an image that the file does not list"),
        (annotation(2, segmentation=None), "annotation without a segmentation"),
        (annotation(2, segmentation=[]), "annotation without a segmentation"),
        (annotation(None), "annotation without an id"),
        (annotation(2, category_id=7), "annotation of a category that the file does not list"),
        (annotation(2, 5), "annotation of an image id that several images have"),
        (annotation(2, 6), "annotation of an image without a file name"),
        ("words", "annotation that is no JSON object"),
    ],
)
def test_a_bad_record_is_skipped_and_counted(tmp_path, bad, reason):
    images = [image(1), image(5), image(5, "b.png"), {"id": 6, "width": 1, "height": 1}, {"width": 3}, 7]
    write(tmp_path, images, [annotation(1), bad])
    dataset = open_dataset(tmp_path)
    assert [[each.object_id for each in sample.objects()] for sample in dataset.samples] == [["1"]]
    assert dataset.skipped == {reason: 1}


def test_counts_are_printed_and_written_and_strict_refuses_them(tmp_path):
    data = write(tmp_path / "data", [image(1)], [annotation(1), annotation(1), annotation(2, 99)])
    result = run(data, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "skipped 2 records: 1 × annotation with the id of an earlier one" in result.stderr
    skipped = json.loads((tmp_path / "out/run.json").read_text())["dataset"]["skipped"]
    assert sorted(skipped.values()) == [1, 1]
    result = run(data, tmp_path / "strict", "--strict")
    assert result.exit_code == 1
    assert "omit --strict" in result.stderr
    assert not (tmp_path / "strict").exists()


def test_strict_refuses_a_malformed_mask_too(tmp_path):
    data = write(tmp_path / "data", [image(1)], [annotation(1), annotation(2, segmentation=[[1, 2, 3, 4, 5, 6, 7]])])
    result = run(data, tmp_path / "out")
    assert (result.exit_code, "odd number of coordinates, 7" in result.stderr) == (0, True)
    result = run(data, tmp_path / "strict", "--strict")
    assert result.exit_code == 1
    assert "object 2: a polygon has an odd number of coordinates, 7; correct it" in result.stderr
    assert run(write(tmp_path / "good", [image(1)], [annotation(1)]), tmp_path / "fine", "--strict").exit_code == 0


def test_ids_of_different_types_are_equal(tmp_path):
    write(tmp_path, [image("7"), image(8, "b.png")], [annotation(1, 7), annotation("2", "8"), annotation(3.0, 8.0)])
    dataset = open_dataset(tmp_path)
    assert [[each.object_id for each in sample.objects()] for sample in dataset.samples] == [["1"], ["2", "3.0"]]
    assert not dataset.skipped


@pytest.mark.parametrize(("value", "objects"), [("0", 1), (0, 1), (None, 1), (False, 1), ("1", 0), (1, 0), (True, 0)])
def test_a_crowd_may_be_written_as_text(tmp_path, value, objects):
    write(tmp_path, [image(1)], [annotation(1, iscrowd=value), annotation(2)])
    assert len(open_dataset(tmp_path).samples[0].objects()) == objects + 1


@pytest.mark.parametrize("size", [{}, {"width": 0, "height": 3}, {"width": 10**6, "height": 10**6}, {"width": "x"}])
def test_a_missing_or_impossible_size_is_read_from_the_image(tmp_path, size):
    write(tmp_path, [{"id": 1, "file_name": "a.png", **size}], [annotation(1)])
    (sample,) = open_dataset(tmp_path).samples
    (truth,) = sample.objects()
    assert (truth.size, truth.mask().box) == ((HEIGHT, WIDTH), (2, 2, 10, 8))


def test_equal_records_of_one_image_are_one_image(tmp_path):
    write(tmp_path, [image(1), image(1)], [annotation(1)])
    assert (len(open_dataset(tmp_path).samples), open_dataset(tmp_path).skipped) == (1, {})


RLE = RegionMask.from_full(np.pad(np.ones((6, 8), bool), ((2, 8), (2, 14)))).rle()


@pytest.mark.parametrize(
    "segmentation",
    [
        SQUARE,
        SQUARE[0],
        [[2, 2], [10, 2], [10, 8], [2, 8]],
        [[[2, 2], [10, 2], [10, 8], [2, 8]]],
        [[[2, 2, 10, 2, 10, 8, 2, 8]]],
        [[2 / 24, 2 / 16, 10 / 24, 2 / 16, 10 / 24, 8 / 16, 2 / 24, 8 / 16]],
        RLE,
        [RLE],
        [RLE, *SQUARE],
    ],
    ids=lambda each: str(each)[:40],
)
def test_every_form_of_a_segmentation_is_read(segmentation):
    mask = segmentation_mask(segmentation, (HEIGHT, WIDTH))
    assert (mask.box, mask.area) == ((2, 2, 10, 8), 48)


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        (None, "no segmentation"),
        ("words", "neither RLE nor polygons but str"),
        ([[1, 2, 3, 4, 5, 6, 7]], "odd number of coordinates, 7"),
        ([[0, 0, 1, 0, 1, float("inf")]], "not finite"),
        ([[0, 0, 1e9, 0, 1, 1]], "beyond 100000 px"),
        ([[[[[[1, 1, 5, 1, 5, 5]]]]]], "nested too deeply"),
        ({"size": [HEIGHT, WIDTH]}, "the RLE has no counts"),
        ({"counts": [384]}, "the RLE has no size"),
        ({"size": "big", "counts": [384]}, "not a height and a width"),
        ({"size": [HEIGHT, 9], "counts": [384]}, "the RLE has 9×16 px, but its image has 24×16"),
        ({"size": [HEIGHT, WIDTH], "counts": [3, 4]}, "RLE runs cover 7 pixels, the mask has 24×16"),
        ({"size": [HEIGHT, WIDTH], "counts": ["a"]}, "neither text nor a list of numbers"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_each_kind_of_malformed_segmentation_has_a_reason(segmentation, reason):
    with pytest.raises(MaskError, match=reason):
        segmentation_mask(segmentation, (HEIGHT, WIDTH))


@pytest.mark.parametrize(
    ("annotations", "what"),
    [
        ([{"image_id": 1, "id": 1, "caption": "a cup"}], "COCO's captions"),
        ([{"image_id": 1, "file_name": "a.png", "segments_info": []}], "COCO's panoptic segmentation"),
        ([{"image_id": 1, "id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}], "boxes"),
        ([{"image_id": 1, "id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "keypoints": [0] * 51}], "keypoints"),
    ],
)
def test_an_error_names_a_file_of_another_kind(tmp_path, annotations, what):
    write(tmp_path, [image(1)], annotations)
    with pytest.raises(DatasetError, match=rf"labels\.json holds {what} and no masks"):
        open_dataset(tmp_path)


def test_a_keypoint_file_with_masks_is_chosen_before_a_caption_file(tmp_path):
    write(tmp_path, [image(1)], [annotation(1, keypoints=[0] * 51)], "annotations/person_keypoints_val2017.json")
    write(tmp_path, [image(1)], [{"caption": "a cup"}], "annotations/captions_val2017.json")
    assert len(open_dataset(tmp_path).samples) == 1


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("sub\\a.png", "sub/a.png"),
        ("SUB/A.PNG", "sub/a.png"),
        ("sub/a.png", "Sub/A.png"),
        (unicodedata.normalize("NFD", "Tür.png"), unicodedata.normalize("NFC", "Tür.png")),
        (unicodedata.normalize("NFC", "Tür.png"), unicodedata.normalize("NFD", "Tür.png")),
        ("/home/someone/photos/sub/a.png", "sub/a.png"),
        ("C:\\photos\\sub\\a.png", "sub/a.png"),
        ("file:///photos/a.png", "a.png"),
        ("../images/a.png", "a.png"),
        ("./a.png", "a.png"),
    ],
)
@pytest.mark.parametrize("below", ["", "images/"])
def test_a_file_name_of_another_system_is_resolved(tmp_path, name, file, below):
    write(tmp_path, [image(1, name)], [annotation(1)], files=[below + file])
    (sample,) = open_dataset(tmp_path).samples
    assert sample.file == below + file
    assert sample.picture().decode().shape == (HEIGHT, WIDTH, 3)


def test_an_ambiguous_or_outside_file_name_matches_no_file(tmp_path):
    images = [image(1, "A.png"), image(2, "other/b.png"), image(3, "c.png")]
    write(
        tmp_path,
        images,
        [annotation(number, number) for number in (1, 2, 3)],
        files=["a.PNG", "a.png", "b.png", "c.png"],
    )
    assert [(tmp_path / sample.file).is_file() for sample in open_dataset(tmp_path).samples] == [False, False, True]


@pytest.mark.parametrize(
    ("json_file", "file", "opened"),
    [
        ("labels.json", "data/a.png", ""),  # FiftyOne
        ("train/_annotations.coco.json", "train/a.png", ""),  # Roboflow
        ("train/_annotations.coco.json", "train/a.png", "train"),
        ("annotations/instances_default.json", "images/default/a.png", ""),  # CVAT
        ("annotations/instances_default.json", "images/a.png", ""),
        ("annotations/cups.json", "images/a.png", ""),
    ],
)
def test_layouts_of_other_programs_open_unchanged(tmp_path, json_file, file, opened):
    write(tmp_path, [image(1)], [annotation(1)], json_file, [file])
    (sample,) = open_dataset(tmp_path / opened).samples
    assert sample.picture().decode().shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_json_file_without_annotations_beside_the_annotations_is_ignored(tmp_path, encoding):
    path = write(tmp_path, [image(1)], [annotation(1)], "cups.json", ["a.png"])
    path.write_text(path.read_text(), encoding)
    (tmp_path / "about.json").write_text('{"licence": "CC0-1.0"}')
    assert len(open_dataset(tmp_path).samples) == 1


def test_an_error_names_a_damaged_json_file_of_a_folder(tmp_path):
    (tmp_path / "cups.json").write_text('{"images": [')
    with pytest.raises(DatasetError, match=r"cups\.json does not have the format of COCO or LVIS"):
        open_dataset(tmp_path)


def test_an_export_elsewhere_opens_with_an_images_folder(tmp_path, by_hand):
    folder, elsewhere = by_hand, tmp_path / "elsewhere/labels.json"
    write_coco(folder, elsewhere)
    with pytest.raises(DatasetError, match="--images"):
        open_dataset(elsewhere)
    result = run(elsewhere, tmp_path / "out", "--images", folder)
    assert result.exit_code == 0, result.output
    dataset = open_dataset(elsewhere, images=folder)
    assert (dataset.path, len(dataset.samples)) == (folder, 2)
    assert all(sample.picture() for sample in dataset.samples)
    with pytest.raises(DatasetError, match="there is no folder of images"):
        open_dataset(elsewhere, images=tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="a folder of images goes with data sets of the formats coco, not objascale"):
        open_dataset(folder, images=folder)


def test_faulty_coco_files(shared):
    faults = shared / "faults/coco"
    for name, reason in (
        ("imgid-dup", "2 × annotation of an image id that several images have"),
        ("keypoints", "holds keypoints and no masks"),
        ("latin1", "is not in UTF-8: byte 293 is 0xfc; convert it"),
        ("poly-null", "1 × annotation without a segmentation"),
    ):
        with pytest.raises(DatasetError, match=reason) as refusal:
            open_dataset(faults / name)
        assert len(str(refusal.value)) < 400
    for name in ("poly-pairs", "wh-one-bad"):
        objects = [each for sample in open_dataset(faults / name).samples for each in sample.objects()]
        assert {(each.mask().box, each.area) for each in objects} == {((10, 12, 50, 40), 1120)}


def test_lvis_0_5_images_are_named_by_their_url(shared):
    dataset = open_dataset(shared / "faults/real/lvis05")
    assert (dataset.name, sum(len(sample.objects()) for sample in dataset.samples)) == ("lvis", 977)
    assert dataset.samples[0].file == "val2017/000000266409.jpg"


@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        ("hypersim/scenes", "**/*.jpg"),
        ("openimages", "**/*.jpg"),
        ("sa1b", "**/*.jpg"),
    ],
)
def test_a_data_set_without_images_is_refused(tmp_path, shared, name, pictures):
    folder = tmp_path / "set"
    shutil.copytree(shared / "faults/real" / name, folder, copy_function=shutil.copyfile)
    for path in (folder, *folder.glob("**/")):
        path.chmod(0o755)
    assert len(open_dataset(folder).samples)
    for path in folder.glob(pictures):
        path.unlink()
    with pytest.raises(DatasetError, match=r"none of the \d+ images of .* is there, such as .*\.jpg"):
        open_dataset(folder)


def test_a_damaged_rle_of_sa1b_has_a_reason(shared):
    objects = [each for sample in open_dataset(shared / "faults/real/sa1b").samples for each in sample.objects()]
    (damaged,) = [each for each in objects if each.problem]
    assert len(objects) == 12
    with pytest.raises(MaskError, match=r"object 3032002/.*: RLE"):
        damaged.mask()
