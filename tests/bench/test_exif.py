"""Photographs with an EXIF orientation: the pixels that are measured, and the notes in output and results."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps
from typer.testing import CliRunner

from baselines.registry import MODELS
from baselines.segmenter import Options
from bench.cli import app
from bench.prompts import PromptSettings
from bench.run_file import read_run
from bench.selection import EVERYTHING
from bench.setup import Setup
from objascale.datasets import EncodedImage, ImageError, TruthObject
from objascale.datasets.formats import open_dataset
from objascale.masks import RegionMask

HEIGHT, WIDTH = 6, 9
INVERSE = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}  # the orientation that undoes each


def bench(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def photograph(shown: np.ndarray, orientation: int, kind: str = "PNG") -> bytes:
    """Write a file that viewers show as `shown`, stored with turned pixels and an EXIF orientation."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = INVERSE[orientation]
    Image.fromarray(shown).save(buffer, "PNG", exif=exif)
    stored = ImageOps.exif_transpose(Image.open(buffer))
    exif[0x0112], buffer = orientation, io.BytesIO()
    stored.save(buffer, kind, exif=exif)
    return buffer.getvalue()


def noise(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def picture(content: bytes, size: tuple[int, int] | None) -> EncodedImage:
    return EncodedImage("a.png", content, "", size)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_if_only_the_turned_one_has_the_annotated_size(orientation):
    shown = noise()
    content = photograph(shown, orientation)
    stored = np.asarray(Image.open(io.BytesIO(content)))
    as_displayed = picture(content, (WIDTH, HEIGHT))
    assert as_displayed.ambiguous == (orientation in (2, 3, 4))
    assert np.array_equal(as_displayed.decode("displayed"), shown)
    assert np.array_equal(as_displayed.decode(), stored if as_displayed.ambiguous else shown)
    as_stored = picture(content, stored.shape[1::-1])
    assert as_stored.ambiguous == (orientation in (2, 3, 4))
    assert np.array_equal(as_stored.decode(), stored)
    assert np.array_equal(as_stored.decode("displayed"), shown if orientation <= 4 else stored)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_option_decides_if_both_sizes_fit_or_none_is_annotated(orientation):
    for shown, size in ((noise(7, 7), (7, 7)), (noise(), None)):
        content = photograph(shown, orientation)
        both = picture(content, size)
        assert both.ambiguous == (orientation > 1)
        assert np.array_equal(both.decode("displayed"), shown)
        assert np.array_equal(both.decode(), np.asarray(Image.open(io.BytesIO(content))))


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_size_that_fits_neither_turned_nor_unturned_is_refused(orientation):
    with pytest.raises(ImageError, match="its annotation says 8×8"):
        picture(photograph(noise(), orientation), (8, 8)).decode("displayed")


def test_the_masks_give_the_size_if_no_annotation_does():
    shown = noise()
    content = photograph(shown, 6)
    truth = TruthObject.of(RegionMask.from_full(shown[..., 0] > 128), "1", "a", "thing")
    told = picture(content, None).of([truth, truth])
    assert not told.ambiguous
    assert np.array_equal(told.decode(), shown)
    other = TruthObject.of(RegionMask.from_full(np.ones((3, 3))), "2", "a", "thing")
    for truths in ([], [truth, other]):
        assert picture(content, None).of(truths).size is None
    assert picture(content, (5, 5)).of([truth]).size == (5, 5)


def coco(folder: Path, shown: np.ndarray, orientation: int) -> Path:
    """Write an image with an object from (2, 1) to (5, 4), annotated as displayed."""
    height, width = shown.shape[:2]
    folder.mkdir()
    (folder / "a.png").write_bytes(photograph(shown, orientation))
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": width, "height": height}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[2, 1, 5, 1, 5, 4, 2, 4]]}],
        "categories": [{"id": 1, "name": "thing"}],
    }
    (folder / "ann.json").write_text(json.dumps(content))
    return folder


def test_sa1b_images_are_turned_to_the_size_of_their_masks(tmp_path):
    shown = noise()
    (tmp_path / "sa_1.jpg").write_bytes(photograph(shown, 8, "JPEG"))
    annotation = {"id": 5, "segmentation": RegionMask.from_full(shown[..., 0] > 128).rle()}
    about = {"image_id": 1, "width": WIDTH, "height": HEIGHT}
    (tmp_path / "sa_1.json").write_text(json.dumps({"image": about, "annotations": [annotation]}))
    (sample,) = open_dataset(tmp_path).samples
    assert sample.picture().of(sample.objects()).decode().shape == shown.shape


@pytest.mark.parametrize("as_displayed", [True, False])
def test_the_shape_of_open_images_masks_decides_the_orientation(tmp_path, as_displayed):
    """The masks have their own size; the longer side shows whether they were drawn on the turned image."""
    shown = noise(30, 45)
    content = photograph(shown, 6, "JPEG")
    for path in ("test/ab.jpg", "test-masks-a/ab_m1_0.png", "test-annotations-object-segmentation.csv"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / "test/ab.jpg").write_bytes(content)
    small = np.zeros((20, 30) if as_displayed else (30, 20), np.uint8)
    small[:5, :10] = 255
    Image.fromarray(small).save(tmp_path / "test-masks-a/ab_m1_0.png")
    rows = "MaskPath,ImageID,LabelName\nab_m1_0.png,ab,/m/1\n"
    (tmp_path / "test-annotations-object-segmentation.csv").write_text(rows)
    (sample,) = open_dataset(tmp_path).samples
    (truth,) = sample.objects()
    assert truth.size == ((30, 45) if as_displayed else (45, 30))
    pixels = sample.picture().of([truth]).decode()
    assert pixels.shape[:2] == truth.size
    assert truth.mask().box == (0, 0, 15, 7)


def run(data: Path, out: Path, *more: object):
    return bench("run", "--models", "box", "--data", data, "--out", out, *more)


def test_ambiguous_pictures_are_counted_and_reported(tmp_path, shared):
    data = shared / "faults/coco/exif3-displayed"
    for exif, more in (("stored", ()), ("displayed", ("--exif", "displayed"))):
        result = run(data, tmp_path / exif, *more)
        assert result.exit_code == 0, result.output
        assert "1 images have an EXIF orientation and fit their annotations with and without it" in result.stderr
        assert f"they were measured as {exif}" in result.stderr
        about = read_run(tmp_path / exif)
        assert (about["exif"], about["exif_ambiguous"]) == (exif, 1)


def test_a_picture_that_fits_only_turned_is_turned_without_a_warning(tmp_path, shared):
    result = run(shared / "faults/coco/exif6-displayed", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (0, "")
    assert read_run(tmp_path / "out")["exif_ambiguous"] == 0


def test_the_count_survives_resuming_and_merging(tmp_path):
    data = coco(tmp_path / "data", noise(), 3)
    for _ in range(2):
        result = run(data, tmp_path / "out")
        assert "1 images have an EXIF orientation" in result.stderr
        assert read_run(tmp_path / "out")["exif_ambiguous"] == 1
    result = bench("merge", tmp_path / "out", "--out", tmp_path / "merged")
    assert "1 images have an EXIF orientation" in result.stderr
    assert read_run(tmp_path / "merged")["exif_ambiguous"] == 1


def test_a_run_does_not_resume_with_another_orientation_option(tmp_path):
    data = coco(tmp_path / "data", noise(), 3)
    run(data, tmp_path / "out")
    result = run(data, tmp_path / "out", "--exif", "displayed")
    assert result.exit_code == 1
    assert "exif: stored → displayed" in result.stderr


def test_a_run_older_than_the_option_resumes_with_stored_orientation(tmp_path):
    data = coco(tmp_path / "data", noise(), 1)
    run(data, tmp_path / "out")
    about = read_run(tmp_path / "out")
    del about["exif"], about["exif_ambiguous"]
    (tmp_path / "out/run.json").write_text(json.dumps(about))
    assert run(data, tmp_path / "out").exit_code == 0
    assert run(data, tmp_path / "out", "--exif", "displayed").exit_code == 1


def test_the_option_reaches_other_processes(tmp_path):
    shown = noise()
    data = coco(tmp_path / "data", shown, 3)
    for exif, expected in (("displayed", shown), ("stored", shown[::-1, ::-1])):
        setup = Setup([MODELS["box"]], {"box": ()}, Options(), data, None, [PromptSettings()], EVERYTHING, [512], exif)
        measurer, (sample,) = setup.load()
        image = measurer.prepare(sample, lambda key: False)
        assert np.array_equal(image.pixels, expected)
        assert image.exif == exif


def test_timing_reads_pictures_like_a_run(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("baselines.trivial.BoxFill.set_image", lambda self, image: seen.append(image))
    monkeypatch.setattr("baselines.trivial.BoxFill.predict", lambda self, prompt: RegionMask.empty(WIDTH, HEIGHT))
    shown = noise()
    data = coco(tmp_path / "data", shown, 3)
    result = run(data, tmp_path / "out", "--timing", "--warmup", 0, "--repeats", 1, "--exif", "displayed")
    assert result.exit_code == 0, result.output
    assert np.array_equal(seen[0], shown)
    assert json.loads((tmp_path / "out/timing.json").read_text())["exif"] == "displayed"


def test_models_on_pictures_of_different_orientation_are_not_compared(tmp_path):
    data = coco(tmp_path / "data", noise(), 3)
    for exif in ("stored", "displayed"):
        assert run(data, tmp_path / exif, "--exif", exif).exit_code == 0
    result = bench("compare", tmp_path / "stored", "box", "box", "--with", tmp_path / "displayed")
    assert result.exit_code == 1
    assert "1 objects lie on images that one side rotated by EXIF" in result.stderr
    assert bench("compare", tmp_path / "stored", "box", "box").exit_code == 0


def test_results_older_than_the_option_can_be_compared(tmp_path):
    data = coco(tmp_path / "data", noise(), 3)
    run(data, tmp_path / "out")
    path = tmp_path / "out/results.parquet"
    pd.read_parquet(path).drop(columns="exif").to_parquet(path)
    assert bench("compare", tmp_path / "out", "box", "box").exit_code == 0
