"""Segmentations of Open Images in their published layout: a CSV, one PNG a mask in its own size, images by split."""

from __future__ import annotations

import csv
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
from objascale.datasets.openimages import read, resized
from objascale.masks import MaskError

COLUMNS = "MaskPath,ImageID,LabelName,BoxID,BoxXMin,BoxXMax,BoxYMin,BoxYMax,PredictedIoU,Clicks"
WIDTH, HEIGHT = 24, 16
CAT, DOG = "/m/01yrx", "/m/0bt9lr"


def write(
    folder: Path,
    masks: list[tuple[str, str, str, np.ndarray]],
    split: str = "validation",
    images: str = "validation",
    pngs: str = "validation-masks-{digit}",
) -> Path:
    """Write the CSV of (image id, label, box id, mask), 1-bit PNGs, images and class names; return the CSV's path."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for image_id, label, box_id, mask in masks:
        name = f"{image_id}_{label.removeprefix('/').replace('/', '')}_{box_id}.png"
        image = folder / images.format(digit=image_id[0]) / f"{image_id}.jpg"
        png = folder / pngs.format(digit=image_id[0]) / name
        for path in (image, png):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), (99, 9, 200)).save(image)
        Image.fromarray(mask).save(png)
        clicks = "0.95498 0.65197 1;0.89370 0.56579 1"
        rows.append([name, image_id, label, box_id, 0.1, 0.9, -0.2, 1.5, 0.86864, clicks])  # a box outside the image
    path = folder / f"{split}-annotations-object-segmentation.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS.split(","), *rows])
    (folder / "oidv7-class-descriptions-boxable.csv").write_text(f"LabelName,DisplayName\n{CAT},Cat\n")
    return path


def square(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[: height // 2, : width // 4] = True
    return mask


def test_the_published_layout_is_read(tmp_path, all_objects):
    masks = [
        ("ff00000000000001", DOG, "9a041d52", square()),
        ("0001eeaf4aed83f9", CAT, "b64632f9", square(12, 8)),
        ("0001eeaf4aed83f9", CAT, "00000000", square(12, 8)),
        ("0001eeaf4aed83f9", CAT, "11111111", np.zeros((8, 12), bool)),
    ]
    path = write(tmp_path, masks)
    (tmp_path / "validation-annotations-bbox.csv").touch()
    for opened in (tmp_path, path):
        dataset = open_dataset(opened)
        assert (dataset.name, dataset.path) == ("openimages", tmp_path)
        assert dataset.categories == {"Cat", DOG}  # a name of the table, or the label where it has none
        files = ["validation/0001eeaf4aed83f9.jpg", "validation/ff00000000000001.jpg"]
        assert [sample.file for sample in dataset.samples] == files
        assert [(each.object_id, each.asset_id, each.category) for each in all_objects(dataset)] == [
            ("0001eeaf4aed83f9_m01yrx_00000000", "openimages/0001eeaf4aed83f9", "Cat"),
            ("0001eeaf4aed83f9_m01yrx_b64632f9", "openimages/0001eeaf4aed83f9", "Cat"),
            ("ff00000000000001_m0bt9lr_9a041d52", "openimages/ff00000000000001", DOG),
        ]
        assert all((each.mask().full() == square()).all() for each in all_objects(dataset))


@pytest.mark.parametrize(
    ("split", "images", "pngs"),
    [("train", "train_{digit}", "train-masks-{digit}"), ("test", "test", "test-masks"), ("train", "images", "masks")],
)
def test_archives_may_be_unpacked_separately_or_together(tmp_path, all_objects, split, images, pngs):
    masks = [(f"{digit}000000000000000", CAT, "0", square()) for digit in "0f"]
    write(tmp_path, masks, split, images, pngs)
    assert len(all_objects(open_dataset(tmp_path))) == 2


@given(mask=arrays(bool, (HEIGHT, WIDTH)))
def test_masks_are_read_back_exactly(tmp_path_factory, mask):
    path = write(tmp_path_factory.mktemp("openimages"), [("00", CAT, "1", mask)])
    found = [each.mask().full() for each in read(path).samples[0].objects()]
    assert len(found) == mask.any()
    assert all((each == mask).all() for each in found)


@given(
    mask=arrays(bool, st.tuples(*[st.integers(1, 9)] * 2)),
    width=st.integers(1, 30),
    height=st.integers(1, 30),
)
def test_a_mask_is_resized_by_pixel_centres(mask, width, height):
    out = resized(mask, width, height)
    assert out.shape == (height, width)
    for row, column in np.ndindex(out.shape):
        y, x = (row + 0.5) * mask.shape[0] / height, (column + 0.5) * mask.shape[1] / width
        assert out[row, column] in {mask[int(y - 1e-9), int(x - 1e-9)], mask[int(y + 1e-9), int(x + 1e-9)]}
    assert (resized(mask, mask.shape[1], mask.shape[0]) == mask).all()
    assert (resized(resized(mask, mask.shape[1] * 3, mask.shape[0] * 2), mask.shape[1], mask.shape[0]) == mask).all()


def test_a_bad_file_costs_one_object(tmp_path):
    """The first image has a good mask and a mask with each kind of damage; the last has no image file."""
    bad, good = (np.random.default_rng(seed).random((99, 99)) > 0.5 for seed in range(2))
    write(tmp_path, [(f"0{digit}", CAT, box, mask) for digit in range(5) for box, mask in (("1", bad), ("2", good))])
    paths = [tmp_path / f"validation-masks-0/0{digit}_m01yrx_1.png" for digit in range(4)]
    paths[0].write_bytes(paths[0].read_bytes()[:200])
    paths[1].unlink()
    paths[2].write_bytes(b"words")
    Image.new("RGB", (WIDTH, HEIGHT)).save(paths[3])
    *damaged, no_image = open_dataset(tmp_path).samples
    (tmp_path / no_image.file).unlink()
    for path, sample in zip(paths, damaged, strict=True):
        unreadable, readable = sample.objects()
        with pytest.raises(MaskError) as caught:
            unreadable.mask()
        assert str(caught.value).count(str(path)) == 1
        assert (unreadable.size, readable.mask().area > 0) == ((HEIGHT, WIDTH), True)
        assert sample.picture().of(sample.objects()).decode().shape == (HEIGHT, WIDTH, 3)
    for unreadable in no_image.objects():
        with pytest.raises(MaskError) as caught:
            unreadable.mask()
        assert str(caught.value).count(str(tmp_path / no_image.file)) == 1
    with pytest.raises(ImageError, match=r"validation/04\.jpg"):
        no_image.picture()


def test_the_size_of_a_truncated_image_is_read(tmp_path):
    write(tmp_path, [("00", CAT, "1", square(12, 8)), ("01", CAT, "1", square(12, 8))])
    path = tmp_path / "validation/00.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    (tmp_path / "validation/01.jpg").write_bytes(b"")
    cut_off, empty = open_dataset(tmp_path).samples
    assert cut_off.objects()[0].size == (HEIGHT, WIDTH)
    with pytest.raises(ImageError, match="can decode"):
        cut_off.picture().decode()
    with pytest.raises(MaskError, match=r"the size of .*01\.jpg cannot be read"):
        empty.objects()[0].mask()


@pytest.mark.parametrize("row", ["../../x.png,00,/m/1,0", "a.png,../../00,/m/1,0", "a.png,../../../etc/00,/m/1,0"])
def test_paths_outside_the_folder_are_refused(tmp_path, row):
    (tmp_path / "x.png").touch()
    folder = tmp_path / "set"
    path = write(folder, [("00", CAT, "1", square())])
    path.write_text(f"{COLUMNS}\n{row},0,1,0,1,1,\n")
    with pytest.raises((DatasetError, MaskError), match=r"is outside the data set's folder|none of the 1 images"):
        open_dataset(folder).samples[0].objects()[0].mask()


@pytest.mark.parametrize(
    "content", ["", "words\n1\n", f"{COLUMNS}\n", "MaskPath,ImageID\na.png,0\n", "\udcff\udcfe,\x00"]
)
def test_an_error_names_a_table_of_another_layout(tmp_path, content):
    write(tmp_path, [("00", CAT, "1", square())]).write_text(content, errors="surrogateescape")
    with pytest.raises(DatasetError, match=r"validation-annotations-object-segmentation\.csv .*download it again"):
        open_dataset(tmp_path)


def test_an_error_names_a_broken_table_of_class_names(tmp_path):
    write(tmp_path, [("00", CAT, "1", square())])
    for content in (b"\xff\xfe\x00,", b"a" * 200_000):
        (tmp_path / "class-descriptions.csv").write_bytes(content)
        with pytest.raises(DatasetError, match=r"class-descriptions\.csv is no table of class names"):
            open_dataset(tmp_path)


def test_the_user_must_name_one_of_several_tables(tmp_path):
    path = write(tmp_path, [("00", CAT, "1", square())])
    (tmp_path / "test-annotations-object-segmentation.csv").write_bytes(path.read_bytes())
    with pytest.raises(DatasetError, match="but it holds 2; give one of them"):
        open_dataset(tmp_path)
    assert len(open_dataset(path).samples) == 1


def test_the_layouts_of_fiftyone_and_datumaro_are_read(tmp_path, all_objects):
    """FiftyOne: SPLIT/data, SPLIT/labels, SPLIT/metadata. Datumaro: annotations, images/SPLIT, masks/SPLIT."""
    masks = [("00000000000000a1", CAT, "1", square()), ("f0000000000000b2", CAT, "1", square(12, 8))]
    published = open_dataset(write(tmp_path / "published", masks))
    objects = all_objects(published)
    one, datumaro = tmp_path / "open-images-v7", tmp_path / "datumaro"
    split = one / "validation"
    write(split, masks, images="data", pngs="labels/masks/{digit}")
    (split / "labels/masks/f").rename(split / "labels/masks/F")
    (split / "validation-annotations-object-segmentation.csv").rename(split / "labels/segmentations.csv")
    (split / "metadata").mkdir()
    (split / "metadata/classes.csv").write_text(f"{CAT},Cat\n")
    (split / "oidv7-class-descriptions-boxable.csv").unlink()
    write(datumaro, masks, images="images/validation", pngs="masks/validation")
    (datumaro / "annotations").mkdir()
    for table in list(datumaro.glob("*.csv")):
        table.rename(datumaro / "annotations" / table.name)
    for path in (split, split / "labels/segmentations.csv", one, datumaro):
        dataset = open_dataset(path)
        assert all_objects(dataset) == objects
        assert {sample.collection for sample in dataset.samples} == {"openimages-validation"}


def test_a_real_data_set_without_one_mask_has_one_error(shared, tmp_path):
    for path in (shared / "faults/real/openimages").rglob("*.*"):
        copy = tmp_path / path.relative_to(shared / "faults/real")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    (gone,) = tmp_path.glob("openimages/test-masks-0/0a9e4fa5b0806fc2_*_2aa2bf3a.png")
    gone.unlink()
    objects = [truth for sample in open_dataset(tmp_path / "openimages").samples for truth in sample.objects()]
    assert len(objects) == 15
    assert [truth.object_id for truth in objects if truth.problem] == [gone.stem]


def test_a_row_that_repeats_a_mask_is_skipped_and_counted(tmp_path, all_objects):
    path = write(tmp_path, [("00", CAT, "1", square()), ("01", CAT, "1", square())])
    with path.open("a") as file:
        file.write(path.read_text().splitlines()[1] + "\n")
    dataset = open_dataset(tmp_path)
    assert dataset.skipped == {"row with the mask of another one": 1}
    assert len(all_objects(dataset)) == 2
