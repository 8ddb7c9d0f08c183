from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from flip.gaussian import Gaussian
from flip.sampler import MAX_SAMPLES_PER_SIDE, MIN_SIDE, PAPER, SHRUNK, NoPatches, Recipe, extract, place, sample

SIZES = (1, 2, 4, 8, 16)
gaussians = st.builds(
    Gaussian.from_ellipse,
    st.floats(20, 280),
    st.floats(20, 180),
    st.floats(2, 120),
    st.floats(2, 120),
    st.floats(-230, 230),
)
seeds = st.integers(0, 2**32)
PHOTO = np.random.default_rng(0).integers(0, 256, (203, 301, 3), dtype=np.uint8)


def overlap_per_cell(centres: dict[int, np.ndarray], cell: float) -> list[float]:
    """Return the overlap of each patch with earlier ones, relative to its area, from a grid of cells."""
    grid: dict[tuple[int, int], list[tuple[float, float, float, float]]] = defaultdict(list)
    shares = []
    for size, where in centres.items():
        for x, y in where:
            edges = (x - size / 2, y - size / 2, x + size / 2, y + size / 2)
            u0, v0, u1, v1 = (math.floor(edge / cell) for edge in edges)
            total = 0.0
            for key in [(u, v) for u in range(u0, u1 + 1) for v in range(v0, v1 + 1)]:
                for other in grid[key]:
                    w = min(edges[2], other[2]) - max(edges[0], other[0])
                    h = min(edges[3], other[3]) - max(edges[1], other[1])
                    if w > 1e-6 and h > 1e-6:
                        total += w * h
                grid[key].append(edges)
            shares.append(total / size**2)
    return shares


def true_overlap(centres: dict[int, np.ndarray]) -> float:
    """Return the largest area, in px², that two patches share."""
    corners = np.concatenate([np.hstack((c - p / 2, c + p / 2)) for p, c in centres.items()])
    low = np.maximum(corners[:, None, :2], corners[None, :, :2])
    high = np.minimum(corners[:, None, 2:], corners[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(-1)
    np.fill_diagonal(shared, 0)
    return float(shared.max())


@settings(max_examples=40, deadline=None)
@given(gaussians, seeds, st.integers(1, 700), st.floats(0, 4), st.floats(0.3, 2))
def test_patches_are_inside_the_image_and_within_the_limits(
    gaussian: Gaussian, seed: int, tokens: int, overlap: float, coverage: float
) -> None:
    recipe = Recipe(overlap=overlap, coverage=coverage)
    wanted = recipe.counts(gaussian, tokens)
    try:
        centres = place(300, 200, gaussian, tokens, seed, recipe)
    except NoPatches:
        assert wanted.sum() <= 3
        return
    assert tuple(centres) == SIZES
    for size, count in zip(SIZES, wanted, strict=True):
        where = centres[size]
        assert len(where) <= count
        if len(where):
            assert where.min() >= size / 2 + 0.5
            assert (where.max(0) < np.array((300, 200)) - size / 2 - 0.5).all()
    cell = SIZES[int(wanted.argmax())] / 2
    assert max(overlap_per_cell(centres, cell)) <= overlap + 1e-9
    again = place(300, 200, gaussian, tokens, np.random.default_rng(seed), recipe)
    assert all(np.array_equal(centres[p], again[p]) for p in SIZES)


@settings(max_examples=25, deadline=None)
@given(gaussians, seeds)
def test_no_overlap_allowed_means_disjoint(gaussian: Gaussian, seed: int) -> None:
    centres = place(300, 200, gaussian, 300, seed, Recipe(overlap=0))
    assert true_overlap(centres) < 1e-5


@settings(max_examples=40, deadline=None)
@given(gaussians, seeds, st.integers(1, 700))
def test_the_papers_patches_never_overlap(gaussian: Gaussian, seed: int, tokens: int) -> None:
    try:
        centres = place(300, 200, gaussian, tokens, seed, PAPER)
    except NoPatches:
        return
    assert sum(map(len, centres.values())) <= tokens
    assert true_overlap(centres) < 1e-5


def test_counts_follow_the_papers_formula() -> None:
    """Section 3.1 by hand: the inner 99 % of this Gaussian have the area 2π·ln(100)·5·12 = 1736.2 px²."""
    gaussian = Gaussian.from_ellipse(500, 500, 10, 24, 0)
    assert PAPER.counts(gaussian, 100_000).tolist() == [1736, 434, 108, 27, 6]
    assert PAPER.counts(gaussian, 200).tolist() == [0, 59, 108, 27, 6]


def test_the_papers_draws_follow_the_gaussian_itself() -> None:
    gaussian = Gaussian.from_ellipse(5000, 5000, 300, 90, math.degrees(0.6))
    points = place(10_000, 10_000, gaussian, 4000, 1, replace(PAPER, sizes=(1,)))[1]
    white = np.linalg.solve(np.linalg.cholesky(gaussian.covariance()), (points - gaussian.mean).T)
    # Few of 4000 single pixels on 195,000 px² are refused, so the radii are nearly those of the Gaussian.
    shares = [np.mean((white**2).sum(0) < -2 * math.log(1 - share)) for share in (0.25, 0.5, 0.75, 0.99)]
    assert np.allclose(shares, (0.25, 0.5, 0.75, 0.99), atol=0.03)


@given(gaussians, st.integers(1, 5000), st.floats(0.1, 2))
def test_counts_go_from_coarse_to_fine(gaussian: Gaussian, tokens: int, coverage: float) -> None:
    counts = Recipe(coverage=coverage).counts(gaussian, tokens)
    area = 2 * math.pi * (math.sqrt(2) * gaussian.sigma1) * (math.sqrt(2) * gaussian.sigma2)
    remaining = tokens
    for size, count in zip(reversed(SIZES), reversed(counts), strict=True):
        fits = math.floor(max(area, 16) * coverage / size**2 + 1e-9)
        assert count == min(remaining, fits) or count == min(remaining, fits - 1)
        remaining -= count


def test_counts_of_the_authors_sampler() -> None:
    """Of 284, 183 and 45 patches of 4, 8 and 16 px, the authors' sampler places 284, 183 and on average 20.8."""
    gaussian = Gaussian.from_ellipse(600, 600, 51, 51, 0)
    assert Recipe().counts(gaussian, 512).tolist() == [0, 0, 284, 183, 45]
    placed = np.array([[len(c) for c in place(1200, 1200, gaussian, 512, seed).values()] for seed in range(40)])
    assert (placed[:, 2:4] == (284, 183)).all()
    assert placed[:, 4].mean() == pytest.approx(20.8, abs=1)


def test_draws_follow_the_gaussian_of_twice_the_covariance() -> None:
    gaussian = Gaussian.from_ellipse(5000, 5000, 300, 90, math.degrees(0.6))
    recipe = Recipe(sizes=(1,), overlap=math.inf, coverage=1)
    points = place(10_000, 10_000, gaussian, 8000, 1, recipe)[1]
    assert len(points) == 8000
    white = np.linalg.solve(np.linalg.cholesky(2 * gaussian.covariance()), (points - gaussian.mean).T)
    radius = 1 - np.exp(-(white**2).sum(0) / 2)  # uniform in 0…1
    turn = np.arctan2(*white) / (2 * np.pi) + 0.5  # uniform, and independent of the radius
    observed, _, _ = np.histogram2d(radius, turn, bins=8, range=((0, 1), (0, 1)))
    chi_square = ((observed - 125) ** 2 / 125).sum()
    assert chi_square < 103.4  # 63 degrees of freedom, p = 0.001


def test_images_of_any_size_have_patches() -> None:
    gaussian = Gaussian.from_point(500_000, 500_000, 20)
    assert sum(map(len, place(1_000_000, 1_000_000, gaussian, 512, 0).values())) > 450


@pytest.mark.parametrize("corner", [(2.0, 2.0), (298.0, 2.0), (2.0, 198.0), (298.0, 198.0), (150.0, 0.0)])
def test_objects_at_the_edge_have_patches(corner: tuple[float, float]) -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    patches = sample(image, Gaussian.from_point(*corner, 6), 512, 3)
    assert 50 < len(patches) < 512


def test_tiny_images_and_objects_have_patches() -> None:
    image = np.full((4, 4, 3), 9, np.uint8)
    patches = sample(image, Gaussian.from_point(2, 2, 0.6), 512, 0)
    assert len(patches) >= 1
    assert all((pixels == 9).all() for pixels in patches.pixels.values())


@pytest.mark.parametrize(
    ("size", "gaussian"),
    [
        ((2, 2), Gaussian.from_point(1, 1, 1)),
        ((100, 100), Gaussian.from_point(-400, 50, 9)),
        ((2, 100), Gaussian.from_point(50, 1, 1)),
    ],
)
def test_a_prompt_without_patches_is_an_error(size: tuple[int, int], gaussian: Gaussian) -> None:
    with pytest.raises(NoPatches, match=r"no patch fits .* at least 3 px wide and high"):
        sample(np.zeros((*size, 3), np.uint8), gaussian, 512, 0)


# ---- small prompts


shapes = st.builds(
    Gaussian.from_ellipse, st.just(50), st.just(50), st.floats(1e-6, 60), st.floats(1e-6, 60), st.floats(-230, 230)
)


@given(shapes)
def test_small_prompts_are_enlarged_to_the_minimum_area(gaussian: Gaussian) -> None:
    recipe = Recipe(spread=1, min_area=16)
    sigma1, sigma2 = recipe.deviations(gaussian)
    area = 4 * math.pi * gaussian.sigma1 * gaussian.sigma2
    assert 4 * math.pi * sigma1 * sigma2 == pytest.approx(max(area, 16))
    assert sigma1 <= sigma2 * (1 + 1e-12)
    if sigma2 > gaussian.sigma2:  # longer only once it is round
        assert sigma1 == pytest.approx(sigma2)


@settings(max_examples=30, deadline=None)
@given(gaussians, seeds)
def test_prompts_above_the_minimum_area_have_the_authors_patches(gaussian: Gaussian, seed: int) -> None:
    if 4 * math.pi * gaussian.sigma1 * gaussian.sigma2 < 16:
        return
    ours, theirs = (place(300, 200, gaussian, 512, seed, recipe) for recipe in (Recipe(), Recipe(min_area=0)))
    assert all(np.array_equal(ours[size], theirs[size]) for size in SIZES)


@pytest.mark.parametrize("pixel", [(50, 50), (0, 0), (99, 0), (0, 99), (99, 99), (50, 0)])
def test_a_single_pixel_has_patches_anywhere(pixel: tuple[int, int]) -> None:
    x, y = pixel
    gaussian = Gaussian.from_box((x, y, x + 1, y + 1))
    assert min(sum(map(len, place(100, 100, gaussian, 512, seed).values())) for seed in range(20)) >= 8


def test_a_single_pixel_has_one_patch_in_the_authors_recipe() -> None:
    middle, corner = (Gaussian.from_box(box) for box in ((50, 50, 51, 51), (0, 0, 1, 1)))
    theirs = Recipe(min_area=0)
    assert theirs.counts(middle, 512).tolist() == [1, 0, 0, 0, 0]
    assert len(place(100, 100, middle, 512, 0, theirs)[1]) == 1
    with pytest.raises(NoPatches):
        place(100, 100, corner, 512, 0, theirs)


# ---- pictures smaller than some of the patches


@pytest.mark.parametrize("height", [3, 5, 9, 12, 17, 18])
def test_sizes_that_do_not_fit_leave_their_patches_to_smaller_ones(height: int) -> None:
    """A long object asks for patches of 16 px only, which do not fit into most of these images."""
    gaussian = Gaussian.from_ellipse(4000, height / 2, 3000, 2, 0)
    assert Recipe().counts(gaussian, 64).tolist() == [0, 0, 0, 0, 64]
    centres = place(8000, height, gaussian, 64, 0)
    coarsest = max(size for size in SIZES if size < height - 1)
    assert len(centres[coarsest]) > 20
    assert not any(len(where) for size, where in centres.items() if size > coarsest)


@pytest.mark.parametrize("frame", [(300, 12), (12, 300)])
def test_unused_sizes_do_not_change_the_patches(frame: tuple[int, int]) -> None:
    gaussian = Gaussian.from_point(6, 6, 2.5)
    wanted = Recipe().counts(gaussian, 512)
    assert wanted[-1] == 0
    room = min(frame) - 1
    assert np.array_equal(Recipe().counts(gaussian, 512, room), wanted)
    with_room, without = (place(*frame, gaussian, 512, 3, recipe) for recipe in (Recipe(), Recipe(sizes=SIZES[:-1])))
    assert all(np.array_equal(where, with_room[size]) for size, where in without.items())


# ---- large prompts, in an image that is shrunk


@given(shapes, st.integers(1, 3000), st.integers(1, 3000), st.floats(1, 5000))
def test_an_image_is_shrunk_as_little_as_necessary(gaussian: Gaussian, width: int, height: int, most: float) -> None:
    unit = Recipe(max_area=most).unit(gaussian, width, height)
    assert unit >= 1
    if unit > 1:  # by one less it would still be too large, and what is left has some width
        assert 4 * math.pi * gaussian.sigma1 * gaussian.sigma2 / (unit - 1) ** 2 > most * (1 - 1e-9)
        assert min(4 * gaussian.sigma1, width, height) / unit >= MIN_SIDE
    if 4 * math.pi * gaussian.sigma1 * gaussian.sigma2 / unit**2 > most * (1 + 1e-9):  # by one more it would not
        assert min(4 * gaussian.sigma1, width, height) / (unit + 1) < MIN_SIDE


def test_factors_by_hand() -> None:
    """With at most 250 px², 15×15 px are not shrunk, 16×16 and 31×31 px are halved, and a needle is never shrunk."""
    units = [
        SHRUNK.unit(Gaussian.from_point(500, 500, side / math.sqrt(4 * math.pi)), 1000, 1000)
        for side in (15, 16, 31, 32)
    ]
    assert units == [1, 2, 2, 3]
    assert SHRUNK.unit(Gaussian.from_ellipse(500, 500, 400, 3, 0), 1000, 1000) == 1
    assert SHRUNK.unit(Gaussian.from_point(500, 5, 100), 1000, 9) == 2
    assert SHRUNK.unit(Gaussian.from_point(500, 500, 1e308), 1000, 1200) == 250
    assert Recipe().unit(Gaussian.from_point(500, 500, 1e308), 1000, 1200) == 1
    assert all(recipe.unit(Gaussian.from_point(500, 500, 300), 1000, 1000) == 1 for recipe in (PAPER, Recipe()))


@settings(max_examples=40, deadline=None)
@given(gaussians, seeds, st.floats(180, 2000))
def test_patches_of_a_shrunk_image_are_those_of_a_small_image(gaussian: Gaussian, seed: int, most: float) -> None:
    """They equal the patches of an image and a prompt that are shrunk first."""
    recipe = Recipe(max_area=most)
    found = sample(PHOTO, gaussian, 100, seed, recipe)
    placed = place(301, 203, gaussian, 100, seed, recipe)
    assert all(np.array_equal(placed[size], found.centres[size]) for size in SIZES)
    unit = recipe.unit(gaussian, 301, 203)
    assert found.unit == unit <= MAX_SAMPLES_PER_SIDE
    width, height = 301 // unit, 203 // unit
    squares = PHOTO[: height * unit, : width * unit].reshape(height, unit, width, unit, 3)
    small = np.floor(squares.mean((1, 3)) + 0.5).astype(np.uint8)
    expected = sample(small, gaussian.shrunk(unit), 100, seed)
    for size in SIZES:
        np.testing.assert_array_equal(found.pixels[size], expected.pixels[size])
        np.testing.assert_array_equal(found.centres[size], expected.centres[size] * unit)


def test_an_error_of_a_shrunk_image_is_in_pixels_of_the_image() -> None:
    with pytest.raises(NoPatches, match=r"the 301×203 image around the prompt at \(1000, 100\) with σ 60 and 60 px"):
        sample(PHOTO, Gaussian.from_point(1000, 100, 60), 100, 0, SHRUNK)


def test_a_very_large_sample_averages_some_of_its_pixels() -> None:
    """Of 40×40 px, 16×16 are averaged. The mean is as close to that of all pixels as expected."""
    noise = np.random.default_rng(1).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    gaussian = Gaussian.from_point(800, 600, 40 * math.sqrt(250 / 4 / math.pi) - 1e-6)
    assert SHRUNK.unit(gaussian, 1600, 1200) == 40
    found = sample(noise, gaussian, 60, 0, SHRUNK).pixels[4].astype(float)
    assert abs(found - 127.5).max() < 6 * 74 / 16
    assert 0.5 * 74 / 16 < found.std() < 74 / 16
    flat = np.full((1200, 1600, 3), 200, np.uint8)
    assert all((pixels == 200).all() for pixels in sample(flat, gaussian, 60, 0, SHRUNK).pixels.values())


# ---- content


def bilinear(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """Return the colour at a point in pixels, centres at +½, from the definition."""
    column, row = math.floor(x - 0.5), math.floor(y - 0.5)
    fx, fy = x - 0.5 - column, y - 0.5 - row
    right, below = min(column + 1, image.shape[1] - 1), min(row + 1, image.shape[0] - 1)
    upper = image[row, column] * (1 - fx) + image[row, right] * fx
    lower = image[below, column] * (1 - fx) + image[below, right] * fx
    return np.asarray(upper * (1 - fy) + lower * fy)


@settings(deadline=None)
@given(st.sampled_from(SIZES), st.floats(0, 1), st.floats(0, 1), seeds)
@example(16, 0.5, 0.3, 0)  # has a sample of 155.5, or of a bit less
def test_patches_are_bilinear(size: int, along: float, down: float, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (24, 31, 3), dtype=np.uint8)
    margin = size / 2
    x, y = margin + along * (31 - 2 * margin), margin + down * (24 - 2 * margin)
    patch = extract(image, np.array(((x, y),)), size)[0]
    offsets = np.arange(size) - size / 2 + 0.5
    inside = np.array([[bilinear(image, x + dx, y + dy) for dx in offsets] for dy in offsets])
    assert abs(patch - inside).max() <= 0.5 + 1e-9


def test_halves_are_rounded_up() -> None:
    image = np.arange(20, dtype=np.uint8).reshape(1, 20, 1).repeat(8, 0).repeat(3, 2)
    patch = extract(image, np.array(((8.5, 4.0),)), 4)[0]
    assert np.array_equal(patch[..., 0], np.arange(7, 11)[None].repeat(4, 0))


def test_a_patch_on_whole_pixels_is_a_crop() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    assert np.array_equal(extract(image, np.array(((6.0, 11.0),)), 8)[0], image[7:15, 2:10])


@pytest.mark.parametrize("centre", [(3.9, 10.0), (10.0, 3.9), (16.1, 10.0), (10.0, 16.1)])
def test_a_patch_that_leaves_the_image_is_an_error(centre: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="leaves the 20×20 image"):
        extract(np.zeros((20, 20, 3), np.uint8), np.array((centre,)), 8)


def test_extraction_does_not_need_a_contiguous_image() -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    centres = np.array(((20.3, 19.1),))
    mirrored = extract(image[:, ::-1], np.array(((40 - 20.3, 19.1),)), 8)
    assert np.array_equal(mirrored[:, :, ::-1], extract(image, centres, 8))


@pytest.mark.parametrize("name", ["plate", "clip", "cat_eye"])
def test_patches_at_the_authors_centres_equal_theirs(name: str, golden: dict, shared: Path) -> None:
    prompt = golden[name]
    if name == "cat_eye":
        image, origin = prompt.arrays["crop"], prompt.arrays["crop_xy0"]
    else:
        image, origin = np.asarray(Image.open(shared / "assets/photos/flip-demo.png").convert("RGB")), (0, 0)
    patches = prompt.patches
    for size in SIZES:
        assert np.array_equal(extract(image, patches.centres[size] - origin, size), patches.pixels[size])


@pytest.mark.parametrize("name", ["plate", "clip", "cat_eye", "head", "rocket"])
def test_the_authors_counts_are_within_ours(name: str, golden: dict) -> None:
    """The counts of the authors' sampler are within those of 60 runs."""
    prompt = golden[name]
    theirs = np.array([len(c) for c in prompt.patches.centres.values()])
    ours = [
        [len(c) for c in place(prompt.width, prompt.height, prompt.gaussian, 512, seed).values()] for seed in range(60)
    ]
    assert (theirs <= np.max(ours, 0) + 1).all()
    assert (theirs >= np.min(ours, 0) - 1).all()
