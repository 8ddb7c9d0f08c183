"""The search returns the mask of the full field, for any field and for the trained network."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO

from flip.gaussian import Gaussian
from flip.refine import MaskSearch, Pixels
from flip.released.model import ReleasedFlip
from flip.released.predictor import FlipPredictor
from flip.released.target import first_step, own_lattice
from objascale.masks import RegionMask

Field = Callable[[NDArray, NDArray], NDArray]
steps = st.sampled_from((1, 2, 4, 8, 16))
sides = st.integers(1, 70)


def search(
    field: Field, width: int, height: int, step: int, seeds: Pixels | None = None
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return the mask, and the number of evaluations of each pixel of the frame."""
    asked = np.zeros((height, width), np.int64)
    found = MaskSearch(width, height, step, seeds)
    while (pixels := found.ask()) is not None:
        columns, rows = pixels
        inside = (columns < width) & (rows < height)
        assert (columns >= 0).all()
        assert (columns < width + step - 1).all()
        assert (rows < height + step - 1).all()
        np.add.at(asked, (rows[inside], columns[inside]), 1)
        found.tell(field(columns, rows).astype(np.float32))
    return found.mask(), asked


def hills(seed: int, count: int, size: float) -> Field:
    """Return a smooth field: hills and valleys of random places and heights on a plane slightly below 0."""
    x, y, height, width = np.random.default_rng(seed).uniform((0, 0, -9, 0.3), (70, 70, 9, 1), (count, 4)).T

    def field(columns: NDArray, rows: NDArray) -> NDArray:
        distance = (columns[..., None] - x) ** 2 + (rows[..., None] - y) ** 2
        return (height * np.exp(-distance / (size * width) ** 2)).sum(-1) - 0.5

    return field


def whole(field: Field, width: int, height: int) -> NDArray[np.bool_]:
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return field(columns, rows).astype(np.float32) > 0


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 30), st.floats(0.5, 25), sides, sides, steps)
def test_the_search_misses_only_complete_regions(
    seed: int, count: int, size: float, width: int, height: int, step: int
) -> None:
    field = hills(seed, count, size)
    truth = whole(field, width, height)
    found, asked = search(field, width, height, step)
    assert asked.max() <= 1
    assert (found == truth)[asked > 0].all()
    if step == 1:
        assert asked.all()
    for kind in (truth, ~truth):
        count, regions = cv2.connectedComponents(kind.astype(np.uint8), connectivity=4)
        for region in range(1, count):
            seen = regions == region
            assert (found == truth)[seen].all() or not asked[seen].any()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), sides, sides, steps, st.sampled_from((-1, 1)))
def test_a_square_of_the_first_spacing_is_found(x: int, y: int, width: int, height: int, step: int, sign: int) -> None:
    """This also holds for a field that is sharper or flatter than that of any network."""

    def field(columns: NDArray, rows: NDArray) -> NDArray:
        inside = (columns >= x) & (columns < x + step) & (rows >= y) & (rows < y + step)
        return np.where(inside, sign, -sign)

    assume(x + step <= width and y + step <= height)
    found, _ = search(field, width, height, step)
    assert np.array_equal(found, whole(field, width, height))


def test_the_search_follows_a_thin_line() -> None:
    """The line is one pixel wide and between the points of the lattice, except for its start."""

    def field(columns: NDArray, rows: NDArray) -> NDArray:
        line = ((rows == 16) & (columns >= 16) & (columns <= 205)) | ((columns == 205) & (rows > 16) & (rows < 150))
        return np.where(line, 3, -3)

    found, asked = search(field, 300, 200, 16)
    assert np.array_equal(found, whole(field, 300, 200))
    assert asked.sum() < 300 * 200 / 3


def test_a_needle_is_found_by_its_prompt() -> None:
    """A slanted object is thinner than the spacing of the first lattice, and the field around it is flat."""
    needle = Gaussian.from_ellipse(210.2, 150.4, 160, 2, math.degrees(0.3))
    truth = needle.ellipse_mask(420, 300).full()

    def field(columns: NDArray, rows: NDArray) -> NDArray:
        return np.where(truth[np.minimum(rows, 299), np.minimum(columns, 419)], 3, -3)

    box = (0, 0, 420, 300)
    found, asked = search(field, 420, 300, first_step(needle, box), own_lattice(needle, box))
    assert np.array_equal(found, truth)
    assert asked.sum() < 420 * 300 / 5


def test_the_cost_of_a_large_object_grows_with_its_outline() -> None:
    def field(columns: NDArray, rows: NDArray) -> NDArray:
        return 10 - np.hypot(columns - 1000.3, rows - 900.7) / 60

    found, asked = search(field, 2048, 2048, 64)
    assert np.array_equal(found, whole(field, 2048, 2048))
    assert asked.sum() < 12 * 2 * np.pi * 600


@pytest.mark.parametrize("step", [0, 3, -2])
def test_other_spacings_are_an_error(step: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        MaskSearch(5, 5, step)


def test_the_first_step_grows_with_the_object() -> None:
    def step(sigma: float, side: int) -> int:
        return first_step(Gaussian.from_point(50, 50, sigma), (0, 0, side, side))

    assert [step(sigma, int(10 * sigma)) for sigma in (0.3, 3, 12, 24, 800)] == [1, 1, 4, 8, 256]
    assert step(800, 64) == 4


def test_real_objects_have_the_masks_of_every_pixel(shared: Path, tiny: ReleasedFlip) -> None:
    folder = shared / "assets" / "photos" / "coco128"
    coco = COCO(str(folder / "instances_train2017.json"))
    chosen = [a for a in coco.dataset["annotations"] if not a["iscrowd"] and 60 < a["area"] < 2500][::25]
    sparse, dense = FlipPredictor(tiny), FlipPredictor(tiny, dense=True)
    ious = []
    for annotation in chosen:
        picture = folder / "images" / coco.imgs[annotation["image_id"]]["file_name"]
        image = np.asarray(Image.open(picture).convert("RGB"))
        truth = RegionMask.from_full(coco.annToMask(annotation))
        masks = []
        for predictor in (sparse, dense):
            predictor.set_image(image)
            masks.append(predictor.predict(mask=truth))
        ious.append(masks[0].iou(masks[1]))
    assert len(ious) > 15
    assert np.mean(ious) > 0.995
    assert min(ious) > 0.98


def test_the_authors_objects_have_the_masks_of_every_pixel(golden: dict, shared: Path, tiny: ReleasedFlip) -> None:
    photo = np.asarray(Image.open(shared / "assets/photos/flip-demo.png").convert("RGB"))
    masks = []
    for dense in (False, True):
        predictor = FlipPredictor(tiny, dense=dense)
        predictor.set_image(photo)
        masks.append([predictor.predict(gaussian=golden[name].gaussian) for name in ("plate", "clip")])
    assert all(one.iou(other) > 0.98 for one, other in zip(*masks, strict=True))
