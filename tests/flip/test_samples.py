"""The sample images of a validation."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from flip.released.model import ReleasedFlip
from flip.released.predictor import FlipPredictor
from flip.training.config import Config, Optimiser, Phase
from flip.training.loop import Machine, train
from flip.training.samples import TILE_SIDE, draw_samples
from flip.training.validation import load_validation
from objascale.datasets import Sample
from objascale.masks import RegionMask
from objascale.scenes.stored import StoredSource


@pytest.fixture(scope="module")
def held(shared: Path) -> list[Sample]:
    return load_validation(shared / "assets/photos/coco128", 5)


def test_sheets_are_repeatable_and_have_a_tile_per_image(tiny: ReleasedFlip, held: list[Sample]) -> None:
    predictor = FlipPredictor(tiny, tokens=64)
    sheet = draw_samples(predictor, held)
    assert np.array_equal(sheet, draw_samples(predictor, held))
    tiles = [sheet[TILE_SIDE * (k // 4) :][:TILE_SIDE, TILE_SIDE * (k % 4) :][:, :TILE_SIDE] for k in range(8)]
    assert [tile.any() for tile in tiles] == [True] * 5 + [False] * 3


def test_the_true_outline_is_white_and_the_predicted_one_orange(tiny: ReleasedFlip, tmp_path: Path) -> None:
    grey = np.full((80, 100, 3), 90, np.uint8)
    grey[30:50, 20:60] = 160
    cv2.imwrite(str(tmp_path / "a.png"), grey)
    truth = RegionMask.from_full(grey[..., 0] == 160)
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 80}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 800, "bbox": [20, 30, 40, 20]}
            | {"segmentation": truth.rle()}
        ],
    }
    (tmp_path / "instances.json").write_text(json.dumps(content))
    sheet = draw_samples(FlipPredictor(tiny), load_validation(tmp_path / "instances.json", 1))
    tile = sheet[:TILE_SIDE, :TILE_SIDE].astype(int)
    scale = TILE_SIDE / (40 * 1.7 + 4)
    edges = TILE_SIDE / 2 + scale * np.array((-20, 20, -10, 10))
    rows, columns = np.nonzero((tile[: TILE_SIDE - 40] == 255).all(2))
    assert np.allclose((columns.min(), columns.max() + 1, rows.min(), rows.max() + 1), edges, atol=3)
    inner = tile[int(edges[2]) + 8 : int(edges[3]) - 8, int(edges[0]) + 8 : int(edges[1]) - 8]
    assert (inner[..., 0] - inner[..., 2]).mean() > 60
    outer = tile[: int(edges[2]) - 12]
    assert (outer[..., 0] - outer[..., 2]).mean() < 10


def test_a_run_writes_a_sheet_at_every_validation(shared: Path, held: list[Sample], tmp_path: Path) -> None:
    source = StoredSource(shared / "assets/photos/coco128", seed=0, short_side=100)
    config = Config(
        model="flip-s",
        scenes=1,
        masks=1,
        phases=(Phase(steps=3, tokens=8, outputs=8),),
        optimiser=Optimiser(rate=1e-4),
        validate_every=2,
    )
    train(config, source, tmp_path, Machine("cpu", 1, precision="fp32", workers=0), held[:2])
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == ["2.png", "3.png"]
    picture = cv2.imread(str(tmp_path / "samples/3.png"))
    assert picture is not None
    assert picture.shape == (2 * TILE_SIDE, 4 * TILE_SIDE, 3)
    board = b"".join(path.read_bytes() for path in (tmp_path / "tensorboard").iterdir())
    assert board.count(b"validation/samples") == 2
