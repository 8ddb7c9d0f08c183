"""Laws of the dials: what each does to light, to edges, to masks and to files."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from objascale.background import render_rows
from objascale.camera import Camera
from objascale.color import to_display
from objascale.compose import Crop, compose, encode
from objascale.difficulty.camouflage import camouflage
from objascale.difficulty.compression import jpeg_quality
from objascale.difficulty.context import Shadow
from objascale.difficulty.contrast import AIRLIGHT, transmission
from objascale.difficulty.effects import Effects
from objascale.difficulty.exposure import MIDDLE_GREY, luminance, metered_gain, stops
from objascale.difficulty.motion import motion_length, moving
from objascale.difficulty.noise import READ_ELECTRONS, electrons, expose, normal_values
from objascale.difficulty.record import Difficulty, stream
from objascale.difficulty.sharpness import background_sigma, defocus_sigma, object_sigma
from objascale.difficulty.spread import Spread, line_kernel
from objascale.finish import finish
from objascale.masks import RegionMask
from objascale.pose import Pose
from objascale.records import VisibleObject
from objascale.spec import ObjectSpec, SceneSpec

SIDE = 192
CAMERA = Camera(SIDE, SIDE, math.radians(60), 0.3, 0.4)
AREA = 40 * 40
NORMAL = normal_values(np.random.default_rng(1))
strengths = st.floats(0, 5)
seeds = st.integers(0, 2**31 - 1)


@pytest.fixture(scope="module")
def texels() -> np.ndarray:
    """Return a map of coarse random colours, 128×64."""
    return np.random.default_rng(0).uniform(0.1, 2, (64, 128, 3)).astype(np.float16)


def square() -> tuple[Crop, VisibleObject]:
    """Return an opaque red square of 40 px in a box of 46 px, and its mask."""
    rgba = np.zeros((46, 46, 4), np.float32)
    rgba[3:43, 3:43] = (0.6, 0.1, 0.1, 1)
    mask = RegionMask(70, 80, rgba[..., 3] > 0, SIDE, SIDE).tight()
    return Crop(rgba, 70, 80), VisibleObject(
        mask, 1.0, (0.0, 0.0, 0.0), Pose(np.eye(3), np.zeros(3)), (0.0,) * 6, [], mask
    )


def spec_of(difficulty: Difficulty | None, seed: int = 5) -> SceneSpec:
    item = ObjectSpec("a/b", "a", "0" * 64, 0.1, 0.0, 0.5, 0.5)
    return SceneSpec(
        0, 0, "m", "1" * 64, SIDE, SIDE, CAMERA.fov, CAMERA.azimuth, CAMERA.elevation, seed, (item,), difficulty
    )


def finished(texels, difficulty, threads=1, seed=5) -> tuple[np.ndarray, RegionMask, RegionMask | None]:
    crop, shown = square()
    picture, (after,) = finish(spec_of(difficulty, seed), texels, CAMERA, [crop], [], [shown], "Standard", threads)
    return picture, after.mask, after.uncertain


def effects_of(texels, difficulty, seed=5) -> Effects:
    return Effects.of(difficulty, seed, CAMERA, texels, AREA)


# Spreads


@settings(max_examples=25)
@given(st.floats(0.1, 30), st.floats(0, math.pi))
def test_a_line_is_centred_and_has_its_length_and_direction(length, angle):
    kernel = line_kernel(length, angle).astype(float)
    ys, xs = np.mgrid[: len(kernel), : len(kernel)] - (len(kernel) - 1) / 2
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert (kernel * xs).sum() == pytest.approx(0, abs=1e-4)
    assert (kernel * ys).sum() == pytest.approx(0, abs=1e-4)
    along, across = xs * math.cos(angle) + ys * math.sin(angle), ys * math.cos(angle) - xs * math.sin(angle)
    assert (kernel * along**2).sum() == pytest.approx(length**2 / 12, abs=0.26)  # bilinear weights add up to 1/4
    assert (kernel * across**2).sum() <= 0.26


@settings(max_examples=25)
@given(st.floats(0, 6), st.floats(0, 12), st.floats(0, math.pi))
def test_a_spread_keeps_light_and_reaches_no_farther_than_it_says(sigma, length, angle):
    spread = Spread(sigma, length, angle)
    point = np.zeros((81, 81), np.float32)
    point[40, 40] = 1
    seen = spread.apply(point)
    assert seen.sum() == pytest.approx(1, abs=1e-4)
    seen[40 - spread.reach : 41 + spread.reach, 40 - spread.reach : 41 + spread.reach] = 0
    assert np.abs(seen).max() < 1e-6
    flat = np.full((9, 9, 3), 0.7, np.float32)
    np.testing.assert_allclose(spread.apply(flat), flat, rtol=1e-5)


@settings(max_examples=25)
@given(st.floats(0.5, 9), st.integers(30, 49), st.booleans())
def test_a_wide_gaussian_on_half_the_size_differs_from_the_exact_one_by_one_percent(sigma, edge, odd):
    step = np.zeros((80, 81 if odd else 80, 3), np.float32)
    step[edge - 7 :, edge:] = 1
    exact = cv2.GaussianBlur(step, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(Spread(sigma).apply(step), exact, atol=0.015)


@settings(max_examples=10)
@given(st.floats(0.1, 30), st.floats(0, math.pi), st.sampled_from([(20, 30), (20, 30, 3)]))
def test_a_line_is_a_convolution_with_its_kernel(length, angle, shape):
    image = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    expected = cv2.filter2D(image, cv2.CV_32F, line_kernel(length, angle), borderType=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(Spread(0, length, angle).apply(image), expected, atol=1e-5)


# Strengths to numbers


@settings(max_examples=25)
@given(strengths, strengths)
def test_a_higher_strength_is_never_easier(one, other):
    low, high = sorted((one, other))
    assert transmission(low) >= transmission(high) > 0
    assert jpeg_quality(low) >= jpeg_quality(high) >= 10
    assert defocus_sigma(low, CAMERA, AREA) <= defocus_sigma(high, CAMERA, AREA)
    assert motion_length(low, CAMERA, AREA) <= motion_length(high, CAMERA, AREA)
    if low > 0.01:
        assert electrons(low) >= electrons(high)


@settings(max_examples=25)
@given(strengths, st.integers(64, 8192), st.integers(1, 10**6))
def test_no_blur_dissolves_the_smallest_object(strength, side, area):
    camera = replace(CAMERA, width=side, height=side)
    assert defocus_sigma(strength, camera, area) <= math.sqrt(area) / 6
    assert object_sigma(camera, 512, area) <= math.sqrt(area) / 8
    assert motion_length(strength, camera, area) <= math.sqrt(area) / 2


def test_the_sharpest_edge_of_a_magnified_map_has_the_spread_that_objects_get():
    """A step between two texels, seen in the picture, has the standard deviation of `background_sigma`."""
    texels = np.zeros((256, 512, 3), np.float16)
    texels[:, :256] = 1
    camera = Camera(401, 401, math.radians(40), 0, 0)
    row = render_rows(texels, camera, 200, 201)[0, :, 0]
    density = np.abs(np.diff(row.astype(float)))
    x = np.arange(len(density))
    mean = (density * x).sum() / density.sum()
    measured = math.sqrt((density * (x - mean) ** 2).sum() / density.sum())
    filtered = math.hypot(background_sigma(camera, 512), 0.45)  # of the pixel filter
    assert measured == pytest.approx(filtered, rel=0.05)
    assert background_sigma(camera, 16384) == 0


@settings(max_examples=25)
@given(seeds, strengths)
def test_exposure_is_above_or_below_and_motion_moves_something(seed, strength):
    assert abs(stops(strength, stream("exposure", seed))) == strength
    assert any(moving(stream("motion", seed)))


# Light


@settings(max_examples=25)
@given(st.floats(0.001, 30))
def test_the_metered_median_is_middle_grey_at_any_brightness(brightness):
    noise = np.random.default_rng(1).uniform(0.5, 1.5, (64, 128, 3))
    texels = (noise * brightness).astype(np.float16)
    small = Camera(64, 64, CAMERA.fov, CAMERA.azimuth, CAMERA.elevation)
    light = render_rows(texels, small, 0, 64) * metered_gain(texels, small)
    assert np.median(luminance(light)) == pytest.approx(MIDDLE_GREY, rel=0.05)


def test_a_black_map_has_a_finite_gain():
    assert metered_gain(np.zeros((8, 16, 3), np.float16), CAMERA) == 2**12


@settings(max_examples=25)
@given(st.floats(0.2, 5), st.floats(0.01, 4))
def test_noise_has_the_variance_of_its_electrons_and_no_bias(strength, light):
    linear = np.full((128, 128, 3), light / 2, np.float32)
    expose(linear, 1.5, light / 4, strength, NORMAL, np.random.default_rng(0))
    noisy = linear.astype(float)
    variance = light / electrons(strength) + (READ_ELECTRONS / electrons(strength)) ** 2
    assert noisy.min() >= 0
    if light > 4 * math.sqrt(variance):  # else black clips it
        assert noisy.var() == pytest.approx(variance, rel=0.05)
        assert noisy.mean() == pytest.approx(light, abs=5 * math.sqrt(variance / noisy.size))


@settings(max_examples=25)
@given(strengths)
def test_haze_keeps_the_airlight_and_compresses_all_other_light(strength):
    texels = np.full((8, 16, 3), 1, np.float16)
    effects = effects_of(texels, Difficulty(contrast=strength))
    light = np.array([[[0.0] * 3, [1.0] * 3, [AIRLIGHT / MIDDLE_GREY] * 3]], np.float32)
    dark, _, airlight = effects.develop(light, 0, slice(0, 1))[0, :, 0]
    assert airlight == pytest.approx(AIRLIGHT, rel=1e-4)
    assert airlight - dark == pytest.approx(transmission(strength) * AIRLIGHT, rel=1e-3, abs=1e-6)


@settings(max_examples=25)
@given(strengths, seeds)
def test_camouflage_keeps_alpha_and_moves_colours_towards_the_background(strength, seed):
    rng = np.random.default_rng(seed)
    alpha = rng.uniform(0, 1, (12, 10, 1)).astype(np.float32)
    rgba = np.concatenate([alpha * np.float32([0.8, 0.2, 0.1]), alpha], 2)
    behind = np.broadcast_to(np.float32([0.1, 0.3, 0.9]), (12, 10, 3))
    seen = camouflage(rgba, behind, strength)
    assert np.array_equal(seen[..., 3], rgba[..., 3])
    share = 0.18 * strength
    expected = (1 - share) * rgba[..., :3] + share * alpha * behind  # a flat object has a shading of 1
    np.testing.assert_allclose(seen[..., :3], expected, atol=1e-4)


@settings(max_examples=25)
@given(strengths, st.integers(-20, 150), st.integers(-20, 150), st.integers(5, 90), st.integers(1, 191))
def test_a_shadow_darkens_its_square_alike_in_one_band_and_in_two(strength, x, y, side, cut):
    lost = np.random.default_rng(side).uniform(0, 1, (16, 16)).astype(np.float32)
    shadow = Shadow(lost, max(x, 0), max(y, 0), side)
    whole = np.ones((SIDE, SIDE, 3), np.float32)
    shadow.darken(whole, 0, strength)
    halves = np.ones((SIDE, SIDE, 3), np.float32)
    shadow.darken(halves[:cut], 0, strength)
    shadow.darken(halves[cut:], cut, strength)
    np.testing.assert_allclose(whole, halves, atol=0.02)  # OpenCV interpolates at 1/32 of a point
    inside = whole[shadow.y + 1 : shadow.y + side, shadow.x + 1 : shadow.x + side]
    assert whole.max() <= 1
    assert inside.min() >= 1 - strength / 5 - 1e-6
    untouched = np.ones((SIDE, SIDE), bool)
    untouched[shadow.y : shadow.y + side + 1, shadow.x : shadow.x + side + 1] = False
    assert (whole[untouched] == 1).all()


# Pictures, masks and files


def test_without_difficulty_the_picture_is_composed_as_before_dials_existed(texels):
    picture, mask, uncertain = finished(texels, None)
    crop, shown = square()
    light = render_rows(texels, CAMERA, 0, SIDE)
    box = light[80:126, 70:116]
    box[:] = box * (1 - crop.rgba[..., 3:]) + crop.rgba[..., :3]
    assert np.array_equal(picture, to_display(light, "Standard"))
    assert mask.rle() == shown.mask.rle()
    assert uncertain is None


CAMERA_DIALS = ("exposure", "sharpness", "motion", "noise", "contrast", "camouflage")


@pytest.mark.parametrize("dial", CAMERA_DIALS)
def test_each_dial_changes_the_picture_more_when_it_is_stronger_and_never_the_mask(texels, dial):
    none, mask, _ = finished(texels, Difficulty())
    before = mask.rle()
    changes = []
    for strength in (3.0, 5.0):
        picture, mask, _ = finished(texels, Difficulty(**{dial: strength}))
        assert mask.rle() == before
        changes.append(np.abs(picture.astype(int) - none).mean())
    assert 0 < changes[0] < changes[1]


@pytest.mark.parametrize("dial", ["noise", "sharpness", "motion"])
def test_a_picture_does_not_depend_on_the_number_of_threads_and_depends_on_its_seed(texels, dial):
    difficulty = Difficulty(**{dial: 3.0})
    one, _, _ = finished(texels, difficulty)
    assert np.array_equal(one, finished(texels, difficulty, threads=3)[0])
    if dial != "sharpness":
        assert not np.array_equal(one, finished(texels, difficulty, seed=6)[0])


@pytest.mark.parametrize("spread", [Spread(2.0, 7.0, 0.6), Spread(4.0, 13.0, 0.6)])
def test_bands_of_a_blurred_picture_join_without_a_seam(monkeypatch, texels, spread):
    """Blurring in bands with their neighbours' rows equals blurring the whole picture."""
    effects = replace(effects_of(texels, Difficulty()), everything=spread)
    crop, _ = square()
    whole = compose(texels, CAMERA, [crop], "Standard", effects=effects)
    monkeypatch.setattr("objascale.compose._ROWS_PER_BLURRED_BAND", 50)
    difference = cv2.absdiff(compose(texels, CAMERA, [crop], "Standard", effects=effects), whole)
    assert difference.max() <= 1  # the sums of a convolution are rounded differently


def test_effects_on_the_objects_alone_leave_the_background_as_it_is(texels):
    still = finished(texels, Difficulty())[0]
    seed = next(seed for seed in range(50) if moving(stream("motion", seed)) == (True, False))
    moved = finished(texels, Difficulty(motion=5, camouflage=5), seed=seed)[0]
    changed = (still != moved).any(2)
    reach = effects_of(texels, Difficulty(motion=5), seed).objects.reach
    changed[80 - reach : 126 + reach, 70 - reach : 116 + reach] = False
    assert not changed.any()


def test_the_uncertain_band_lies_around_the_outline_and_widens_with_blur(texels):
    shares = []
    for strength in (0.5, 5):
        _, mask, uncertain = finished(texels, Difficulty(sharpness=strength))
        assert uncertain is not None
        inside, outside = mask.full(), ~mask.full()
        band = uncertain.full()
        assert (band & inside).any()
        assert (band & outside).any()
        reach = effects_of(texels, Difficulty(sharpness=strength))
        size = 2 * (reach.objects.reach + reach.everything.reach) + 1
        near = cv2.dilate(mask.full().astype(np.uint8), np.ones((size, size), np.uint8)) > 0
        assert not (band & ~near).any()
        shares.append(band.sum())
    assert shares[0] < shares[1]


def test_without_blur_no_pixel_is_uncertain():
    fine = np.ones((1024, 2048, 3), np.float16)  # texels smaller than pixels
    _, _, uncertain = finished(fine, Difficulty(noise=5, contrast=5, exposure=5, camouflage=5))
    assert uncertain is not None
    assert uncertain.area == 0


@settings(max_examples=25)
@given(strengths)
def test_the_file_has_the_quality_of_the_dial(strength):
    ramp = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encode(ramp, "jpg", jpeg_quality(strength))
    with Image.open(io.BytesIO(data)) as image:
        tables = image.quantization
    expected = io.BytesIO()
    Image.fromarray(ramp).save(expected, "JPEG", quality=jpeg_quality(strength))
    with Image.open(expected) as image:
        assert tables[0] == image.quantization[0]
