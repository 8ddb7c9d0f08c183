from __future__ import annotations

import numpy as np
import pytest

from flip.gaussian import Gaussian
from flip.sampler import PAPER, Patches, sample
from flip.show import COLOURS, PICTURE_SIDE, show_patches
from objascale.masks import RegionMask

NOTHING = RegionMask.empty(65_000, 400)


def lone(size: int, x: float, y: float) -> Patches:
    return Patches(
        {size: np.zeros((1, size, size, 3), np.uint8)},
        {size: np.array(((x, y),))},
    )


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(-1).any())


@pytest.mark.parametrize(
    ("size", "name"), [(16, "purple"), (8, "yellow"), (4, "green"), (2, "blue"), (1, "red")], ids=str
)
def test_colours_of_the_paper(size: int, name: str) -> None:
    """The test checks the strong channels of each colour."""
    strong = {"purple": (1, 0, 1), "yellow": (1, 1, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "red": (1, 0, 0)}
    assert tuple(int(channel > 130) for channel in COLOURS[size]) == strong[name]
    middle = 50 + size % 2 / 2
    picture = show_patches(np.zeros((100, 100, 3), np.uint8), lone(size, middle, middle), RegionMask.empty(100, 100))
    assert (picture[0, 0] == COLOURS[size]).all()
    assert (picture[-1, -1] == COLOURS[size]).all()


def test_patches_are_drawn_at_their_places() -> None:
    """The test checks the outlines of a 4 px and a 1 px patch in a drawing enlarged by 32."""
    both = Patches(
        {4: np.zeros((1, 4, 4, 3), np.uint8), 1: np.zeros((1, 1, 1, 3), np.uint8)},
        {4: np.array(((32.0, 52.0),)), 1: np.array(((38.5, 50.5),))},
    )
    picture = show_patches(np.zeros((100, 100, 3), np.uint8), both, RegionMask.empty(100, 100))
    assert picture.shape == (4 * 32, 9 * 32, 3)
    for size, columns, rows in ((4, (0, 4 * 32), (0, 4 * 32)), (1, (8 * 32, 9 * 32), (0, 32))):
        where = np.argwhere((picture == COLOURS[size]).all(-1))
        assert where.min(0).tolist() == [rows[0], columns[0]]
        assert where.max(0).tolist() == [rows[1] - 1, columns[1] - 1]


def test_a_patch_of_a_shrunk_image_is_drawn_in_pixels_of_the_image() -> None:
    """2×2 samples of 3×3 px have 6 px, enlarged by 32."""
    patches = Patches({2: np.zeros((1, 2, 2, 3), np.uint8)}, {2: np.array(((53.0, 33.0),))}, unit=3)
    picture = show_patches(np.zeros((100, 100, 3), np.uint8), patches, RegionMask.empty(100, 100))
    assert picture.shape == (6 * 32, 6 * 32, 3)
    assert (picture[[0, -1], [0, -1]] == COLOURS[2]).all()


def test_small_patches_are_drawn_over_large_ones() -> None:
    both = Patches(
        {1: np.zeros((1, 1, 1, 3), np.uint8), 16: np.zeros((1, 16, 16, 3), np.uint8)},
        {1: np.array(((50.5, 50.5),)), 16: np.array(((50.0, 50.0),))},
    )
    picture = show_patches(np.zeros((100, 100, 3), np.uint8), both, RegionMask.empty(100, 100))
    assert has(picture, COLOURS[1])
    assert has(picture, COLOURS[16])


def test_the_outline_of_the_mask_is_drawn() -> None:
    """The outline is white, the inside is not, and the drawing is cut around patches and mask."""
    mask = RegionMask(10, 20, np.ones((30, 30), bool), 100, 100)
    picture = show_patches(np.full((100, 100, 3), 90, np.uint8), lone(2, 25, 35), mask)
    assert picture.shape == (30 * 32, 30 * 32, 3)
    assert (picture[0, 480] == 255).all()
    assert (picture[200, 200] == 90).all()


@pytest.mark.parametrize("recipe_size", [3.0, 60.0, 400.0])
def test_a_drawing_of_a_wide_strip_is_cropped(recipe_size: float) -> None:
    """The drawing of a strip of 65,000 px fits into the maximum side, for any object."""
    image = np.zeros((400, 65_000, 3), np.uint8)
    patches = sample(image, Gaussian.from_point(40_000, 200, recipe_size), 512, 0)
    before = image.copy()
    picture = show_patches(image, patches, NOTHING)
    assert max(picture.shape) <= PICTURE_SIDE
    assert np.array_equal(image, before)


def test_a_thin_object_across_a_strip_is_drawn() -> None:
    image = np.zeros((40, 65_000, 3), np.uint8)
    line = Gaussian.from_ellipse(32_500, 20, 32_000, 2, 0)
    picture = show_patches(image, sample(image, line, 512, 0, PAPER), line.ellipse_mask(65_000, 40))
    assert picture.shape[1] == PICTURE_SIDE
    assert picture.shape[0] >= 1
