"""A small ObjaScale folder, written from nothing but NumPy and Pillow."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.datasets import Dataset, TruthObject, read_content
from objascale.dataset import SCHEMA, mask_columns
from objascale.masks import RegionMask


def write_folder(folder: Path, images: int, *, size: int = 96, seed: int = 0) -> Path:
    """Red discs of growing radius on a noisy blue ground, one object an image, as `objascale render` leaves them."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({"schema": SCHEMA, "fingerprint": {"seed": seed}}))
    ys, xs = np.mgrid[:size, :size] + 0.5
    rows = []
    for i in range(images):
        radius = 1 + (size / 5 - 1) * i / max(images - 1, 1)
        x, y = rng.uniform(size * 0.3, size * 0.7, 2)
        disc = (xs - x) ** 2 + (ys - y) ** 2 <= radius**2
        disc[int(y), int(x)] = True
        picture = rng.integers(0, 60, (size, size, 3), dtype=np.uint8)
        picture[..., 2] += 120
        picture[disc] = (220, 30, 30)
        path = folder / f"images/000/{i:06d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
        rows.append(
            {
                "object_id": i,
                "image_id": i,
                "file": str(path.relative_to(folder)),
                "category": "disc",
                "asset_id": f"disc/{i % 3}",
                "image_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                **mask_columns(RegionMask.from_full(disc)),
            }
        )
    pd.DataFrame(rows).to_parquet(folder / "annotations.parquet")
    return folder


@pytest.fixture
def discs(tmp_path: Path) -> Callable[..., Path]:
    """Makes ObjaScale folders: `discs(images, name="data", size=96, seed=0)`."""

    def make(images: int, name: str = "data", **settings: int) -> Path:
        return write_folder(tmp_path / name, images, **settings)

    return make


@pytest.fixture
def all_objects() -> Callable[[Dataset], list[TruthObject]]:
    """Every object of a data set that keeps what the harness demands: unique ids, samples that travel to workers."""

    def check(dataset: Dataset) -> list[TruthObject]:
        samples = [pickle.loads(pickle.dumps(sample)) for sample in dataset.samples]
        assert dataset.path.is_absolute()
        assert len({sample.image_id for sample in samples}) == len(samples) == len(dataset.samples)
        assert [sample.image_id for sample in dataset.samples[1:]] == [sample.image_id for sample in samples[1:]]
        for sample in samples:
            assert read_content(dataset.path, sample.file) == sample.content()
            assert sample.picture().decode().dtype == np.uint8
        objects = [truth for sample in samples for truth in sample.objects()]
        assert len({truth.object_id for truth in objects}) == len(objects)
        assert all(truth.mask().area == truth.area > 0 for truth in objects)
        return objects

    return check
