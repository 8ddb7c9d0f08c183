"""Images and crops of objects as items of PyTorch's DataLoader."""

from __future__ import annotations

import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from objascale.dataset import DatasetError
from objascale.datasets import ImageError
from objascale.datasets.formats import FORMATS, open_dataset
from objascale.torch_dataset import ImageDataset, ObjectDataset, _square
from tests import sound_files

WRITERS = {
    "kitti360": sound_files.write_kitti,
    "sa1b": sound_files.write_sa1b,
    "hypersim": sound_files.write_hypersim,
    "openimages": sound_files.write_openimages,
    "flip-hdf5": sound_files.write_hdf5,
    "coco": sound_files.write_coco,
    "masks": sound_files.write_mask_folder,
    "objascale": sound_files.write_dataset,
}


@pytest.fixture(params=FORMATS)
def folder(request, tmp_path) -> Path:
    """A small data set of each format."""
    WRITERS[request.param](tmp_path)
    return tmp_path


def test_items_are_the_pictures_and_masks_of_every_format_also_in_another_process(folder):
    images = ImageDataset(folder)
    crops = ObjectDataset(images.dataset, context=1.5)
    images, crops = pickle.loads(pickle.dumps((images, crops)))
    samples = open_dataset(folder).samples
    assert len(images) == len(samples)
    assert len(crops) == sum(len(sample.objects()) for sample in samples)
    index = 0
    for image, sample in zip(images, samples, strict=True):
        pixels, truths = sample.picture().decode(), sample.objects()
        assert image["image_id"] == sample.image_id
        assert image["image"].dtype == torch.uint8
        assert np.array_equal(image["image"].permute(1, 2, 0), pixels)
        assert image["masks"].dtype == torch.bool
        for number, truth in enumerate(truths):
            mask = truth.mask()
            assert np.array_equal(image["masks"][number], mask.full())
            assert (image["categories"][number], image["object_ids"][number]) == (truth.category, truth.object_id)
            assert tuple(image["boxes"][number].tolist()) == mask.box
            assert image["sizes"][number] == mask.area
            crop = crops[index]
            left, top, right, bottom = crop["window"].tolist()
            assert np.array_equal(crop["image"].permute(1, 2, 0), pixels[top:bottom, left:right])
            assert np.array_equal(crop["mask"], mask.full()[top:bottom, left:right])
            assert crop["mask"].sum() == crop["size"] == mask.area
            assert tuple((crop["box"] + torch.tensor([left, top, left, top])).tolist()) == mask.box
            assert (crop["object_id"], crop["image_id"]) == (truth.object_id, sample.image_id)
            index += 1
    if index:
        assert crops[-1]["object_id"] == crops[index - 1]["object_id"]
    with pytest.raises(IndexError, match=f"no object {index}; the data set has {index}"):
        crops[index]


def test_spawned_workers_read_the_items_in_order(discs):
    data = discs(5)
    loader = DataLoader(
        ImageDataset(data), batch_size=2, num_workers=2, multiprocessing_context="spawn", collate_fn=list
    )
    read = [item for batch in loader for item in batch]
    assert [item["image_id"] for item in read] == ["0", "1", "2", "3", "4"]
    assert torch.equal(read[3]["masks"], ImageDataset(data)[3]["masks"])


@given(
    box=st.tuples(*[st.integers(0, 39)] * 4).filter(lambda box: box[0] < box[2] and box[1] < box[3]),
    context=st.floats(1, 5),
    size=st.tuples(st.integers(40, 60), st.integers(40, 60)),
)
def test_a_crop_holds_its_box_and_stays_in_the_image(box, context, size):
    left, top, right, bottom = _square(box, context, *size)
    assert 0 <= left <= box[0] < box[2] <= right <= size[0]
    assert 0 <= top <= box[1] < box[3] <= bottom <= size[1]
    side = max(box[2] - box[0], box[3] - box[1])
    assert right - left == min(np.ceil(context * side), size[0])
    assert bottom - top == min(np.ceil(context * side), size[1])


def test_the_loader_of_the_documentation_gives_every_object_once(discs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    discs(3, "data/mine")
    page = (Path(__file__).parents[2] / "docs/datasets.md").read_text()
    (block,) = re.findall(r"```python\n(from torch.*?)```", page, re.DOTALL)
    space: dict = {}
    exec(compile(block.replace("num_workers=4", "num_workers=0"), "datasets.md", "exec"), space)
    assert sorted(item["object_id"] for batch in space["loader"] for item in batch) == ["0", "1", "2"]


def test_an_image_without_objects_has_empty_tensors(discs):
    dataset = open_dataset(discs(1))
    bare = replace(dataset.samples[0], objects=tuple)
    item = ImageDataset(replace(dataset, samples=[bare]))[0]
    assert item["masks"].shape == (0, 96, 96)
    assert item["boxes"].shape == (0, 4)
    assert item["sizes"].shape == (0,)
    assert len(ObjectDataset(replace(dataset, samples=[bare]))) == 0


def test_a_changed_copy_of_a_data_set_is_not_opened_again_whole(discs):
    dataset = open_dataset(discs(3))
    part = replace(dataset, samples=dataset.samples[1:2])
    assert [sample.image_id for sample in pickle.loads(pickle.dumps(part)).samples] == ["1"]
    assert len(pickle.dumps(dataset)) < 1000


def test_an_item_can_be_transformed(discs):
    assert ObjectDataset(discs(1), transform=lambda item: item["image"].float().mean())[0].ndim == 0
    assert ImageDataset(discs(1), transform=lambda item: item["image_id"])[0] == "0"


def test_wrong_arguments_and_damaged_files_are_sentences(discs, tmp_path):
    with pytest.raises(DatasetError, match="there is no data set"):
        ImageDataset(tmp_path / "nowhere")
    data = discs(2)
    with pytest.raises(ValueError, match=r"context is 0\.5; give a number of at least 1"):
        ObjectDataset(data, context=0.5)
    (data / "images/000/000001.png").write_bytes(b"")
    assert ImageDataset(data)[0]["image_id"] == "0"
    with pytest.raises(ImageError, match=r"000001\.png is not the annotated file"):
        ObjectDataset(data)[1]
    table = pd.read_parquet(data / "annotations.parquet")
    table["area"] += 1
    table.to_parquet(data / "annotations.parquet")
    with pytest.raises(ValueError, match=r"object 0: the mask has \d+ px, its annotation says"):
        ImageDataset(data)[0]


def test_items_of_rendered_images_have_camera_poses_and_depth(crowded):
    row = pd.read_parquet(crowded / "annotations.parquet").iloc[1]
    (item,) = list(pickle.loads(pickle.dumps(ImageDataset(crowded, depth=True))))
    assert item["camera_matrix"].ravel().tolist() == row["camera_k"].tolist()
    assert item["rotations"][1].ravel().tolist() == row["object_rotation"].tolist()
    assert item["translations"][1].tolist() == row["object_translation"].tolist()
    assert item["scales"].shape == (4,)
    assert item["scales"][1] == row["object_scale"]
    assert item["depth"].dtype == torch.float32
    assert torch.equal(item["depth"] > 0, item["masks"].any(0))
    assert "depth" not in ImageDataset(crowded)[0]


def test_images_without_depth_are_refused_and_without_poses_have_none(folder, by_hand):
    with pytest.raises(DatasetError, match="has no depth map; objascale render --depth"):
        ImageDataset(folder, depth=True)[0]
    assert "rotations" not in ImageDataset(folder)[0]
    assert ImageDataset(by_hand)[1]["rotations"].shape == (3, 3, 3)
