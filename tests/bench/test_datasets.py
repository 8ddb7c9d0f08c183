"""The ObjaScale reader, and images that are decoded only when asked for."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.datasets import ImageError, Sample
from bench.datasets.objascale import read
from objascale.dataset import DatasetError


def test_an_objascale_folder_is_read_in_order_with_its_masks(discs):
    folder = discs(4)
    pd.read_parquet(folder / "annotations.parquet")[::-1].to_parquet(folder / "annotations.parquet")
    dataset = read(folder)
    assert [sample.image_id for sample in dataset.samples] == ["0", "1", "2", "3"]
    assert dataset.objects == 4
    for sample in dataset.samples:
        image, mask = sample.image(), sample.objects[0].mask()
        assert (image.dtype, image.shape) == (np.uint8, (sample.height, sample.width, 3))
        assert ((image == (220, 30, 30)).all(2) == mask.full()).all()


def test_several_objects_of_one_image_are_one_sample(discs):
    folder = discs(4)
    table = pd.read_parquet(folder / "annotations.parquet")
    table.loc[1, ["image_id", "file", "image_sha256"]] = table.loc[0, ["image_id", "file", "image_sha256"]]
    table.to_parquet(folder / "annotations.parquet")
    samples = read(folder).samples
    assert [len(sample.objects) for sample in samples] == [2, 1, 1]
    assert [truth.object_id for truth in samples[0].objects] == ["0", "1"]


def test_a_folder_that_is_none_is_named(tmp_path):
    with pytest.raises(DatasetError, match="nowhere"):
        read(tmp_path / "nowhere")


def sample(path, content: bytes, **changes) -> Sample:
    path.write_bytes(content)
    fields = {"width": 5, "height": 4, "sha256": hashlib.sha256(content).hexdigest(), **changes}
    return Sample(image_id="1", file=path.name, path=path, objects=(), **fields)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
def test_every_kind_of_picture_becomes_rgb(tmp_path, mode):
    Image.new("RGB", (5, 4), (255, 0, 0)).convert(mode).save(tmp_path / "a.png")
    image = sample(tmp_path / "b.png", (tmp_path / "a.png").read_bytes()).image()
    assert image.shape == (4, 5, 3)
    assert tuple(image[0, 0]) == ((76, 76, 76) if mode == "L" else (255, 0, 0))


def test_what_is_not_the_annotated_image_is_named(tmp_path):
    Image.new("RGB", (5, 4)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    with pytest.raises(ImageError, match="SHA-256 differs"):
        sample(tmp_path / "b.png", content, sha256="0" * 64).image()
    with pytest.raises(ImageError, match="5×4, its annotation says 4×4"):
        sample(tmp_path / "b.png", content, width=4).image()
    with pytest.raises(ImageError, match="can decode"):
        sample(tmp_path / "b.png", b"words").image()
    missing = sample(tmp_path / "b.png", content)
    missing.path.unlink()
    with pytest.raises(ImageError, match="No such file"):
        missing.image()
