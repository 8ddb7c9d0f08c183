from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from flip.gaussian import Gaussian, GaussianError
from objascale.export.flip_hdf5 import position
from objascale.masks import MaskError, RegionMask

coordinate = st.floats(-100, 9000)
length = st.floats(0.1, 3000)
angle = st.floats(-7, 7)


@given(coordinate, coordinate, length, length, angle)
def test_moments_survive_a_round_trip(x: float, y: float, semi1: float, semi2: float, turn: float) -> None:
    gaussian = Gaussian.from_ellipse(x, y, semi1, semi2, math.degrees(turn))
    again = Gaussian.from_moments(gaussian.mean, gaussian.covariance())
    assert (again.x, again.y) == (x, y)
    # The minor variance is a difference of numbers as large as the major one.
    assert again.sigma1**2 == pytest.approx(gaussian.sigma1**2, rel=1e-9, abs=1e-14 * gaussian.sigma2**2)
    assert again.sigma2 == pytest.approx(gaussian.sigma2, rel=1e-9)
    assert np.allclose(again.covariance(), gaussian.covariance(), rtol=1e-9, atol=1e-9 * gaussian.sigma2**2)


@given(coordinate, coordinate, length, length, angle)
def test_order_of_axes_is_canonical(x: float, y: float, semi1: float, semi2: float, turn: float) -> None:
    gaussian = Gaussian.from_ellipse(x, y, semi1, semi2, math.degrees(turn))
    assert gaussian.sigma1 <= gaussian.sigma2
    assert gaussian.b >= 0
    along = np.array((gaussian.b, gaussian.a))  # the major axis
    assert along @ gaussian.covariance() @ along == pytest.approx(gaussian.sigma2**2)
    across = np.array((gaussian.a, -gaussian.b))
    assert across @ gaussian.covariance() @ across == pytest.approx(gaussian.sigma1**2, abs=1e-12 * gaussian.sigma2**2)


def test_ellipse_angle_turns_towards_y() -> None:
    covariance = Gaussian.from_ellipse(0, 0, 20, 2, 30).covariance()
    expected = np.array((math.cos(math.radians(30)), math.sin(math.radians(30))))
    assert expected @ covariance @ expected == pytest.approx(100)


def test_upright_symmetric_shape_is_not_turned() -> None:
    tall = Gaussian.from_moments((5, 5), ((4, 0), (0, 25)))
    assert (tall.sigma1, tall.sigma2, tall.a, tall.b) == pytest.approx((2, 5, 1, 0))
    wide = Gaussian.from_moments((5, 5), ((25, 0), (0, 4)))
    assert (wide.sigma1, wide.sigma2, wide.a, wide.b) == pytest.approx((2, 5, 0, 1))


def test_box_gives_inscribed_ellipse() -> None:
    gaussian = Gaussian.from_box((10, 20, 18, 60))
    assert gaussian.mean.tolist() == [14, 40]
    assert np.allclose(gaussian.covariance(), np.diag((4.0, 100.0)))


def test_one_pixel_has_the_deviation_of_a_unit_square() -> None:
    mask = RegionMask(3, 5, np.ones((1, 1), bool), 10, 10)
    gaussian = Gaussian.from_mask(mask)
    assert gaussian.mean.tolist() == [3.5, 5.5]
    assert gaussian.sigma1 == pytest.approx(math.sqrt(1 / 12))
    assert gaussian.ellipse_mask(10, 10).iou(mask) == 1


def test_the_shape_of_the_image_does_not_matter() -> None:
    """A shape has the same Gaussian in a wide and in a tall image."""
    shape = np.zeros((20, 60), bool)
    shape[5:9, 3:50] = True
    wide = Gaussian.from_mask(RegionMask(0, 0, shape, 900, 100))
    assert wide == Gaussian.from_mask(RegionMask(0, 0, shape, 100, 900))
    assert wide.sigma2 == pytest.approx(47 / math.sqrt(12))


@given(st.floats(40, 120), st.floats(40, 90), st.floats(8, 40), st.floats(8, 40), angle)
def test_ellipse_mask_equals_the_pixel_centres_inside(
    x: float, y: float, semi1: float, semi2: float, turn: float
) -> None:
    mask = Gaussian.from_ellipse(x, y, semi1, semi2, math.degrees(turn)).ellipse_mask(160, 130)
    columns, rows = np.meshgrid(np.arange(160) + 0.5 - x, np.arange(130) + 0.5 - y)
    u = columns * math.cos(turn) + rows * math.sin(turn)
    v = rows * math.cos(turn) - columns * math.sin(turn)
    depth = (u / semi1) ** 2 + (v / semi2) ** 2
    clear = abs(depth - 1) > 1e-9
    assert ((depth < 1) == mask.full())[clear].all()


@given(st.floats(50, 60), st.floats(50, 60), st.floats(12, 40), st.floats(12, 40), angle)
@example(50.0, 50.0, 12.0, 13.4375, 0.0)  # the outline runs along the edges of pixels
def test_gaussian_of_a_rendered_ellipse(x: float, y: float, semi1: float, semi2: float, turn: float) -> None:
    drawn = Gaussian.from_ellipse(x, y, semi1, semi2, math.degrees(turn))
    mask = drawn.ellipse_mask(110, 110)
    seen = Gaussian.from_mask(mask)
    assert np.abs(seen.mean - drawn.mean).max() < 0.3
    # Whole pixels move the outline by up to half a pixel. σ is half a semi-axis.
    assert seen.sigma1 == pytest.approx(drawn.sigma1, abs=0.25)
    assert seen.sigma2 == pytest.approx(drawn.sigma2, abs=0.25)
    assert seen.ellipse_mask(110, 110).iou(mask) > 0.95


@given(st.floats(-5, 25), st.floats(-5, 25), st.floats(0.001, 0.4), st.floats(0.001, 30), angle)
def test_ellipse_mask_keeps_the_pixel_of_its_centre(
    x: float, y: float, semi1: float, semi2: float, turn: float
) -> None:
    mask = Gaussian.from_ellipse(x, y, semi1, semi2, math.degrees(turn)).ellipse_mask(20, 20)
    if 0 <= x < 20 and 0 <= y < 20:
        assert mask.area >= 1


def test_ellipse_outside_the_frame_is_empty() -> None:
    assert Gaussian.from_point(-50, 5, 3).ellipse_mask(20, 20).area == 0
    assert Gaussian.from_point(5, 500, 3).ellipse_mask(20, 20).area == 0


def test_ellipse_cut_by_the_frame() -> None:
    mask = Gaussian.from_point(0, 0, 5).ellipse_mask(8, 8)
    assert mask.box == (0, 0, 8, 8)
    assert mask.full()[0].all()


def authors_conversion(mask: np.ndarray) -> np.ndarray:
    """Convert a mask to a prompt as the authors' converter and loader do, from the definition, in units of 128 px."""
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    x, y = np.linspace(-1, 1, width)[columns], np.linspace(-1, 1, height)[rows]
    vx, vy, vxy = x.var(), y.var(), ((x - x.mean()) * (y - y.mean())).mean()
    t = math.sqrt((vx - vy) ** 2 + 4 * vxy**2)
    axis = np.array((2 * vxy / (vx - vy + t), 1))
    a, b = axis / np.hypot(*axis)
    s1, s2 = math.sqrt((vx + vy - t) / 2), math.sqrt((vx + vy + t) / 2)
    return np.array((x.mean() * width, y.mean() * height, s1 * width, s2 * height, 256 * a, 256 * b)) / 256


@given(st.sampled_from(((640, 427), (427, 640), (512, 512))), st.floats(60, 90), st.floats(20, 40), st.floats(0.1, 3))
def test_released_numbers_are_those_of_the_authors(
    size: tuple[int, int], semi1: float, semi2: float, turn: float
) -> None:
    width, height = size
    mask = Gaussian.from_ellipse(200.3, 222.2, semi1, semi2, math.degrees(turn)).ellipse_mask(width, height)
    ours = Gaussian.from_mask(mask).released(width, height)
    assert ours.dtype == np.float32
    # They take pixels for points, which leaves out a variance of 1/12 px².
    assert ours == pytest.approx(authors_conversion(mask.full()), abs=2e-3)


def test_released_numbers_of_a_wide_object_in_a_wide_picture() -> None:
    """In the authors' code, 17.3 and 50.7 px become 25.9 and 33.9 px in 768×512."""
    wide = Gaussian.from_ellipse(330.0, 353.0, 2 * 50.7, 2 * 17.3, 0.0)
    assert wide.released(768, 512)[2:4] * 128 == pytest.approx([25.9, 33.9], rel=0.005)


def test_released_numbers_in_a_square_picture_are_lengths() -> None:
    numbers = Gaussian.from_ellipse(256.5, 256.5, 40, 20, math.degrees(0.3)).released(513, 513)
    assert numbers[:2].tolist() == [0, 0]
    assert numbers[2:4] * 128 == pytest.approx([10, 20], rel=2e-3)
    assert numbers[4:] == pytest.approx([math.sin(0.3), math.cos(0.3)])


def converted(mask: RegionMask) -> np.ndarray:
    """Return the five numbers of the authors' converter, from its definition: points on a grid from −1 to 1."""
    rows, columns = np.nonzero(mask.full())
    x, y = np.linspace(-1, 1, mask.width)[columns], np.linspace(-1, 1, mask.height)[rows]
    return np.array((x.mean(), y.mean(), x.var(), y.var(), ((x - x.mean()) * (y - y.mean())).mean()), np.float32)


def exported(mask: RegionMask) -> np.ndarray:
    """Return the five numbers that `objascale export` writes."""
    (mean_x, mean_y), ((cov_xx, cov_xy), (_, cov_yy)) = mask.moments()
    row = {"mean_x": mean_x, "mean_y": mean_y, "cov_xx": cov_xx, "cov_yy": cov_yy, "cov_xy": cov_xy}
    return position(row, mask.width, mask.height)


def loaded(moments: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the network's six numbers in units of 128 px, as the authors' loader computes them in float32."""
    x, y, vx, vy, vxy = torch.from_numpy(moments)
    t = ((vx - vy) ** 2 + 4 * vxy**2).clamp_min(1e-16).sqrt()
    s1, s2 = (((vx + vy) / 2 + side * t / 2).clamp_min(1e-16).sqrt() for side in (-1, 1))
    axis = torch.stack((2 * vxy / (vx - vy + t).clamp_min(1e-16), torch.ones(())))
    a, b = axis / axis.norm()
    half = torch.tensor((width, height, width, height, 256, 256)) / 256
    return (torch.stack((x, y, s1, s2, a, b)) * half).numpy()


SHAPES = {
    "slanted": Gaussian.from_ellipse(70.3, 51.1, 30, 12, math.degrees(0.6)).ellipse_mask(160, 90),
    "in a tall picture": Gaussian.from_ellipse(40.3, 71.1, 30, 12, math.degrees(0.6)).ellipse_mask(90, 160),
    "upright rectangle": RegionMask(40, 20, np.ones((41, 11), bool), 101, 101),
    "lying rectangle": RegionMask(20, 40, np.ones((11, 41), bool), 101, 101),
    "square": RegionMask(20, 20, np.ones((9, 9), bool), 49, 49),
    "line": RegionMask(5, 30, np.ones((1, 60), bool), 120, 80),
    "upright line": RegionMask(30, 5, np.ones((60, 1), bool), 120, 80),
    "pixel": RegionMask(7, 9, np.ones((1, 1), bool), 120, 80),
    "pixel of a strip": RegionMask(65_000, 9, np.ones((1, 1), bool), 65_535, 20),
    "whole picture": RegionMask(0, 0, np.ones((80, 120), bool), 120, 80),
}


@pytest.mark.parametrize("mask", SHAPES.values(), ids=SHAPES)
def test_the_authors_numbers_are_reproduced_exactly(mask: RegionMask) -> None:
    """They agree to a few units of the last place of float32, including the errors of the loader."""
    theirs = converted(mask)
    assert exported(mask) == pytest.approx(theirs, rel=1e-5, abs=1e-9)
    again = Gaussian.from_released_moments(theirs, mask.width, mask.height).released(mask.width, mask.height, math.inf)
    assert again == pytest.approx(loaded(theirs, mask.width, mask.height), rel=1e-6, abs=1e-7)


def test_the_authors_turn_an_upright_rectangle() -> None:
    upright = exported(SHAPES["upright rectangle"])
    assert upright[4] == 0
    theirs, ours = Gaussian.from_released_moments(upright, 101, 101), Gaussian.from_mask(SHAPES["upright rectangle"])
    assert (theirs.a, theirs.b) == pytest.approx((0, 1))
    assert (ours.a, ours.b) == pytest.approx((1, 0))


@given(coordinate, coordinate, length, length, angle)
def test_axes_survive_a_round_trip(x: float, y: float, semi1: float, semi2: float, turn: float) -> None:
    gaussian = Gaussian.from_ellipse(x, y, semi1, semi2, math.degrees(turn))
    again = Gaussian.from_axes(gaussian.mean, gaussian.axes())
    assert (again.sigma1, again.sigma2) == pytest.approx((gaussian.sigma1, gaussian.sigma2), rel=1e-9)
    assert np.allclose(again.covariance(), gaussian.covariance(), rtol=1e-9, atol=1e-9 * gaussian.sigma2**2)


def test_axes_are_exact_for_a_needle_with_a_singular_covariance() -> None:
    needle = Gaussian.from_axes((0, 0), ((3e6, -4e-6), (4e6, 3e-6)))
    assert (needle.sigma1, needle.sigma2) == pytest.approx((5e-6, 5e6))
    assert (needle.b, needle.a) == pytest.approx((0.6, 0.8))
    with pytest.raises(GaussianError, match="length above 0"):
        Gaussian.from_axes((0, 0), np.zeros((2, 2)))


@settings(deadline=None)
@given(coordinate, coordinate, length, length, angle, st.integers(0, 2**32))
def test_perturbations_turn_and_scale_with_the_prompt(
    x: float, y: float, semi1: float, semi2: float, turn: float, seed: int
) -> None:
    """The noise turns and scales with the prompt."""
    gaussian = Gaussian.from_ellipse(x, y, semi1, semi2, math.degrees(turn))
    noisy = gaussian.perturbed(np.random.default_rng(seed))
    assert noisy == gaussian.perturbed(np.random.default_rng(seed))
    ratio = max(semi1, semi2) / min(semi1, semi2)
    standard = Gaussian.from_ellipse(0, 0, ratio, 1, 0).perturbed(np.random.default_rng(seed))
    carry = np.array(((gaussian.b, -gaussian.a), (gaussian.a, gaussian.b))) * 2 * gaussian.sigma1
    scale = gaussian.sigma2
    assert np.allclose(noisy.mean, gaussian.mean + carry @ standard.mean, atol=1e-6 * scale + 1e-9)
    assert np.allclose(noisy.covariance(), carry @ standard.covariance() @ carry.T, atol=1e-6 * scale**2)
    assert 0.7 * gaussian.sigma1 * 0.999 < noisy.sigma1
    assert noisy.sigma2 < 1.4 * gaussian.sigma2


def test_perturbations_have_the_authors_amounts() -> None:
    """The authors' amounts: a tenth of σ for position and size, and up to 20° for a nearly round prompt."""
    rng = np.random.default_rng(0)
    gaussian = Gaussian.from_axes((50, 60), ((20, 0), (0, 10)))
    noisy = [gaussian.perturbed(rng) for _ in range(4000)]
    along, across = (np.array([g.mean for g in noisy]) - gaussian.mean).T
    assert np.std(along) == pytest.approx(2, rel=0.05)
    assert np.std(across) == pytest.approx(1, rel=0.05)
    turns = np.degrees([math.asin(g.a) for g in noisy])
    assert 9.5 < np.max(np.abs(turns)) <= 10 + 1e-9
    grown = 1 - math.exp(-1 / 36)
    diagonal = math.hypot(10, 20)
    assert np.mean([g.sigma1 for g in noisy]) == pytest.approx(10 + grown * (diagonal - 10), rel=0.01)
    assert np.mean([g.sigma2 for g in noisy]) == pytest.approx(20 + grown * (diagonal - 20), rel=0.01)
    assert np.std([g.sigma2 for g in noisy]) == pytest.approx(2, rel=0.05)


@given(st.integers(100, 9000), st.floats(60, 90), st.floats(20, 40), st.floats(0.1, 3))
def test_a_long_picture_counts_as_three_by_two(length: int, semi1: float, semi2: float, turn: float) -> None:
    """At the end of a strip, the mean does not change, and σ is that of an image of 3:2."""
    gaussian = Gaussian.from_ellipse(50.5, 50.5, semi1, semi2, math.degrees(turn))
    for size, cut in (((length, 100), (min(length, 150), 100)), ((100, length), (100, min(length, 150)))):
        numbers = gaussian.released(*size)
        assert numbers[2:] == pytest.approx(gaussian.released(*cut)[2:], rel=1e-5, abs=1e-6)
        assert numbers[:2] == pytest.approx(gaussian.released(*size, math.inf)[:2], rel=1e-6)


@pytest.mark.parametrize(
    "numbers",
    [(0, 0, 0, 1, 0, 1), (0, 0, 2, 1, 0, 1), (0, 0, 1, 1, 0, -1), (0, 0, 1, 1, 1, 1), (math.nan, 0, 1, 1, 0, 1)],
)
def test_invalid_numbers_are_an_error(numbers: tuple[float, ...]) -> None:
    with pytest.raises(GaussianError):
        Gaussian(*numbers)


def test_prompts_without_extent_are_an_error() -> None:
    with pytest.raises(GaussianError, match="no area"):
        Gaussian.from_box((3, 3, 3, 9))
    with pytest.raises(GaussianError, match="not positive definite"):
        Gaussian.from_moments((0, 0), ((1, 1), (1, 1)))
    with pytest.raises(GaussianError, match="semi-axes"):
        Gaussian.from_ellipse(0, 0, -1, 2, 0)
    with pytest.raises(MaskError, match="empty"):
        Gaussian.from_mask(RegionMask.empty(5, 5))
    for scale in (0, -3, math.nan):
        with pytest.raises(GaussianError, match="positive scale"):
            Gaussian.from_point(5, 5, scale)
