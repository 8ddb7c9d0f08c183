"""The reader of ObjaScale folders, the common interface of data sets, and lazy decoding."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from objascale.dataset import DatasetError
from objascale.datasets import ImageError, LazySamples, Sample, from_file
from objascale.datasets.formats import FORMATS, open_dataset


def test_an_objascale_folder_is_read_in_order_with_its_masks(discs):
    folder = discs(4)
    pd.read_parquet(folder / "annotations.parquet")[::-1].to_parquet(folder / "annotations.parquet")
    dataset = open_dataset(folder)
    assert dataset.name == "objascale"
    assert [sample.image_id for sample in dataset.samples] == ["0", "1", "2", "3"]
    for sample in dataset.samples:
        image, (truth,) = sample.picture().decode(), sample.objects()
        assert (image.dtype, image.shape) == (np.uint8, (*truth.size, 3))
        assert ((image == (220, 30, 30)).all(2) == truth.mask().full()).all()


def test_several_objects_of_one_image_are_one_sample(discs):
    folder = discs(4)
    table = pd.read_parquet(folder / "annotations.parquet")
    table.loc[1, ["image_id", "file", "image_sha256"]] = table.loc[0, ["image_id", "file", "image_sha256"]]
    table.to_parquet(folder / "annotations.parquet")
    samples = open_dataset(folder).samples
    assert [len(sample.objects()) for sample in samples] == [2, 1, 1]
    assert [truth.object_id for truth in samples[0].objects()] == ["0", "1"]


def test_an_error_names_a_path_that_is_no_data_set(tmp_path, discs):
    with pytest.raises(DatasetError, match=r"nowhere.*objascale render"):
        open_dataset(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match=r"none of the known formats.*objascale"):
        open_dataset(tmp_path)
    with pytest.raises(DatasetError, match="no data set format is called cocoa; the formats are objascale"):
        open_dataset(discs(1), "cocoa")


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_that_does_not_match_the_folder_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("words")
    for path in (tmp_path / "empty", tmp_path / "file"):
        with pytest.raises(DatasetError, match=str(path)):
            open_dataset(path, name)


def test_a_relative_path_works_in_a_worker_with_another_folder(tmp_path, discs, monkeypatch):
    folder = discs(1)
    monkeypatch.chdir(folder.parent)
    dataset = open_dataset(Path(folder.name))
    monkeypatch.chdir("/")
    assert dataset.path == folder
    assert dataset.samples[0].picture().decode().shape == (96, 96, 3)


def test_lazy_samples_are_made_on_access(tmp_path):
    made: list[int] = []

    def make(index: int) -> Sample:
        made.append(index)
        return Sample(str(index), "a.png", from_file(tmp_path, "a.png"), list)

    samples = LazySamples(range(10), make)
    assert len(samples[2:8]) == 6
    assert made == []
    assert [each.image_id for each in samples[2:8][::-2]] == ["7", "5", "3"]
    assert samples[-1].image_id == "9"
    assert made == [7, 5, 3, 9]


def sample(path, content: bytes, **changes) -> Sample:
    path.write_bytes(content)
    fields = {"size": (5, 4), "sha256": hashlib.sha256(content).hexdigest(), **changes}
    return Sample("1", path.name, from_file(path.parent, path.name), list, **fields)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "I;16"])
def test_every_colour_mode_becomes_rgb(tmp_path, mode):
    if mode == "I;16":
        Image.fromarray(np.full((4, 5), 76 * 256, np.uint16)).save(tmp_path / "a.png")
    else:
        Image.new("RGB", (5, 4), (255, 0, 0)).convert(mode).save(tmp_path / "a.png")
    image = sample(tmp_path / "b.png", (tmp_path / "a.png").read_bytes()).picture().decode()
    assert image.shape == (4, 5, 3)
    assert tuple(image[0, 0]) == ((76, 76, 76) if mode in ("L", "I;16") else (255, 0, 0))


def test_an_error_names_an_image_that_differs_from_its_annotation(tmp_path):
    Image.new("RGB", (5, 4)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    with pytest.raises(ImageError, match="SHA-256 differs"):
        sample(tmp_path / "b.png", content, sha256="0" * 64).picture()
    with pytest.raises(ImageError, match="5×4, its annotation says 4×4"):
        sample(tmp_path / "b.png", content, size=(4, 4)).picture().decode()
    for broken in (b"words", b"", content[:40]):
        with pytest.raises(ImageError, match="can decode"):
            sample(tmp_path / "b.png", broken).picture().decode()
    missing = sample(tmp_path / "b.png", content)
    (tmp_path / "b.png").unlink()
    with pytest.raises(ImageError, match="No such file"):
        missing.picture()


def test_without_annotated_size_and_hash_any_image_is_accepted(tmp_path):
    Image.new("RGB", (5, 4)).save(tmp_path / "a.png")
    picture = sample(tmp_path / "b.png", (tmp_path / "a.png").read_bytes(), size=None, sha256=None).picture()
    assert picture.sha256 == hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    assert picture.decode().shape == (4, 5, 3)
