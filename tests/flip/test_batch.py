"""Predictions of several prompts equal those of single prompts."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flip.gaussian import Gaussian
from flip.prompts import PredictorError
from flip.released.model import ReleasedFlip
from flip.released.predictor import FlipPredictor
from flip.sampler import NoPatches, sample, sample_many
from objascale.masks import RegionMask


@pytest.fixture(scope="module")
def photo(shared: Path) -> np.ndarray:
    return np.asarray(Image.open(shared / "assets/photos/flip-demo.png").convert("RGB"))


@pytest.fixture(scope="module")
def prompts() -> list[Gaussian]:
    """Return objects of 1 to 40 px, some at the edge of the image."""
    rng = np.random.default_rng(0)
    places = rng.uniform((2, 2), (766, 510), (12, 2))
    return [
        Gaussian.from_ellipse(*place, size, size * rng.uniform(0.2, 1), math.degrees(rng.uniform(0, 3)))
        for place, size in zip(places, np.geomspace(1, 40, 12), strict=True)
    ]


def test_masks_of_a_batch_equal_those_of_single_prompts(
    photo: np.ndarray, prompts: list[Gaussian], tiny: ReleasedFlip
) -> None:
    predictor = FlipPredictor(tiny)
    predictor.set_image(photo)
    together = predictor.predict_many(prompts)
    assert sum(mask.area > 0 for mask in together) >= 8
    for mask, prompt in zip(together, prompts, strict=True):
        alone = predictor.predict(gaussian=prompt)
        assert mask.rle() == alone.rle() or mask.iou(alone) >= 0.9999


def test_logits_of_a_batch_equal_those_of_single_prompts(
    photo: np.ndarray, prompts: list[Gaussian], tiny: ReleasedFlip
) -> None:
    predictor = FlipPredictor(tiny)
    predictor.set_image(photo)
    chosen = prompts[1:8:2]
    for prompt, (box, logits) in zip(chosen, predictor.logits(chosen), strict=True):
        ((box_alone, alone),) = predictor.logits([prompt])
        assert box == box_alone
        assert logits.shape == (box[3] - box[1], box[2] - box[0])
        assert np.abs(logits - alone).max() < 5e-4  # float32 itself is up to 35e-4 from float64 here, see docs/flip.md
        dense = FlipPredictor(tiny, dense=True)
        dense.set_image(photo)
        assert np.array_equal(dense.predict(gaussian=prompt).window(box), logits > 0)


def test_the_size_of_a_group_does_not_change_the_masks(
    photo: np.ndarray, prompts: list[Gaussian], tiny: ReleasedFlip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With low limits, each prompt is a group of its own, and a call of the network has a few points."""
    predictor = FlipPredictor(tiny)
    predictor.set_image(photo)
    whole = predictor.predict_many(prompts[:6])
    monkeypatch.setattr("flip.released.predictor.PIXELS_PER_GROUP", 1)
    monkeypatch.setattr("flip.released.predictor.POINTS_PER_CALL", {"cpu": 37})
    for mask, other in zip(predictor.predict_many(prompts[:6]), whole, strict=True):
        assert mask.rle() == other.rle() or mask.iou(other) >= 0.9999


def test_the_number_of_threads_does_not_change_the_patches(photo: np.ndarray, prompts: list[Gaussian]) -> None:
    alone = [sample(photo, prompt, 512, seed) for seed, prompt in enumerate(prompts)]
    for threads in (1, 2, 5):
        for one, other in zip(sample_many(photo, prompts, 512, range(12), threads=threads), alone, strict=True):
            assert all(np.array_equal(one.pixels[p], other.pixels[p]) for p in one.pixels)
            assert all(np.array_equal(one.centres[p], other.centres[p]) for p in one.centres)


def test_a_batch_may_mix_kinds_of_prompts(photo: np.ndarray, tiny: ReleasedFlip) -> None:
    predictor = FlipPredictor(tiny)
    predictor.set_image(photo)
    box = (150.0, 350.0, 165.0, 375.0)
    mask = RegionMask(155, 352, np.ones((20, 7), bool), 768, 512)
    masks = predictor.predict_many([box, mask, Gaussian.from_box(box)])
    assert masks[0].rle() == masks[2].rle()
    assert masks[1].iou(predictor.predict(mask=mask)) >= 0.9999
    assert predictor.predict_many([]) == []


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision_gives_nearly_the_same_masks(
    dtype: str, photo: np.ndarray, golden: dict, tiny: ReleasedFlip
) -> None:
    prompts = [golden[name].gaussian for name in ("plate", "clip")]
    masks = []
    for kind in ("float32", dtype):
        predictor = FlipPredictor(tiny, dtype=kind)
        predictor.set_image(photo)
        masks.append(predictor.predict_many(prompts))
    ious = [one.iou(other) for one, other in zip(*masks, strict=True)]
    assert min(ious) > 0.95
    assert any(one.rle() != other.rle() for one, other in zip(*masks, strict=True))


def test_wrong_arguments_are_named(photo: np.ndarray, tiny: ReleasedFlip) -> None:
    predictor = FlipPredictor(tiny)
    with pytest.raises(PredictorError, match="set_image"):
        predictor.predict_many([Gaussian.from_point(5, 5, 2)])
    predictor.set_image(photo)
    with pytest.raises(NoPatches, match=r"\(2000, "):
        predictor.predict_many([Gaussian.from_point(50, 50, 5), Gaussian.from_point(2000, 5, 5)])
    with pytest.raises(PredictorError, match=r"int64 values, whose range is unknown"):
        predictor.set_image(np.zeros((8, 9, 3), np.int64))
    with pytest.raises(PredictorError, match=r"image must be a path, a PIL image or a NumPy array .* not a list"):
        predictor.set_image([[[1, 2, 3]]])
    with pytest.raises(PredictorError, match=r"not \(0, 9, 3\)"):
        predictor.set_image(np.zeros((0, 9, 3), np.uint8))
    with pytest.raises(PredictorError, match="not int8"):
        FlipPredictor(tiny, dtype="int8")
