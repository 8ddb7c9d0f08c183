"""Camera, background, view transform and composition, without Blender."""

from __future__ import annotations

import io
import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from objascale.background import FILTER_WIDTH, filter_weights, lookups_per_pixel, render_rows
from objascale.camera import Camera, equirectangular
from objascale.color import to_display
from objascale.compose import Crop, compose, encode

cameras = st.builds(
    Camera,
    width=st.integers(64, 8192),
    height=st.integers(64, 8192),
    fov=st.floats(0.2, 2.0),
    azimuth=st.floats(0, 6.28),
    elevation=st.floats(-1.57, math.pi / 2),
)


@given(cameras, st.floats(0, 1), st.floats(0, 1), st.floats(1.5, 1e6))
def test_the_origin_is_projected_to_its_given_position(camera, u, v, distance):
    x, y = u * camera.width, v * camera.height
    placed = camera.looking_at_origin_through(x, y, distance)
    assert placed.project(np.zeros((1, 3)))[0] == pytest.approx((x, y), abs=1e-3)
    assert np.linalg.norm(placed.position) == pytest.approx(distance)


@given(cameras)
def test_axes_are_a_right_handed_frame_with_a_level_horizon(camera):
    assert camera.axes.T @ camera.axes == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(camera.axes) == pytest.approx(1)
    assert camera.axes[2, 0] == pytest.approx(0, abs=1e-12)


def test_points_behind_the_camera_are_not_projected():
    camera = Camera(100, 100, 1.0, 0.0, 0.0)
    seen = camera.project(np.array([[1.0, 0, 0], [-1.0, 0, 0]]))
    assert seen[0] == pytest.approx((50, 50))
    assert np.isnan(seen[1]).all()


def test_equirectangular_directions_of_known_points():
    directions = np.array([[1.0, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1]])
    u, v = equirectangular(directions).T
    assert u[:3] == pytest.approx((0.5, 0.75, 0.25))
    assert v == pytest.approx((0.5, 0.5, 0.5, 0, 1))


@given(st.integers(1, 40))
def test_filter_weights_are_symmetric_and_have_the_variance_of_the_window(lookups):
    weights = filter_weights(lookups).astype(float)
    offsets = (np.arange(len(weights)) - len(weights) // 2) / lookups
    assert weights == pytest.approx(weights[::-1])
    assert weights.sum() == pytest.approx(1, abs=1e-5)
    assert np.abs(offsets).max() < FILTER_WIDTH / 2
    if lookups > 1:
        t = np.linspace(-0.5, 0.5, 10001)
        window = 0.35875 + 0.48829 * np.cos(2 * np.pi * t) + 0.14128 * np.cos(4 * np.pi * t)
        window += 0.01168 * np.cos(6 * np.pi * t)
        assert weights @ offsets**2 == pytest.approx(FILTER_WIDTH**2 * np.average(t**2, weights=window), rel=2e-3)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(0, 60000, width=16), min_size=3, max_size=3), st.floats(0, 6.28), st.floats(-1.57, 1.57))
def test_a_constant_map_gives_a_constant_picture(light, azimuth, elevation):
    texels = np.full((32, 64, 3), light, np.float16)
    rows = render_rows(texels, Camera(40, 33, 1.2, azimuth, elevation), 0, 33)
    expected = np.broadcast_to(texels[0, 0].astype(np.float32), rows.shape)
    assert rows == pytest.approx(expected, rel=1e-5, abs=1e-9)


def bilinear(texels, directions):
    """Return the map in the given directions (n, 3), float64."""
    height, width = texels.shape[:2]
    u, v = equirectangular(directions).T
    s, t = u * width - 0.5, v * height - 0.5
    i, j = np.floor(s).astype(int), np.floor(t).astype(int)
    fs, ft = (s - i)[:, None], (t - j)[:, None]
    rows = np.clip(j, 0, height - 1), np.clip(j + 1, 0, height - 1)
    top, bottom = ((1 - fs) * texels[row, i % width].astype(float) + fs * texels[row, (i + 1) % width] for row in rows)
    return (1 - ft) * top + ft * bottom


def integrated(texels, camera, column, row, density):
    """Return the integral of the filter over the pixel, by the midpoint rule on a fine grid, in float64."""
    t = (np.arange(density) + 0.5) / density - 0.5
    window = (
        0.35875 + 0.48829 * np.cos(2 * np.pi * t) + 0.14128 * np.cos(4 * np.pi * t) + 0.01168 * np.cos(6 * np.pi * t)
    )
    x, y = np.meshgrid(column + 0.5 + FILTER_WIDTH * t, row + 0.5 + FILTER_WIDTH * t)
    local = np.stack([x - camera.width / 2, camera.height / 2 - y, np.full_like(x, -camera.focal)], axis=-1)
    values = bilinear(texels, local.reshape(-1, 3) @ camera.axes.T)
    return np.average(values, axis=0, weights=np.outer(window, window).ravel())


@pytest.mark.parametrize("elevation", [-1.5, 0.3, 1.2, math.pi / 2])
@pytest.mark.parametrize(
    ("pixels", "map_width"), [(96, 16), (2000, 64), (500, 1024), (2000, 4096), (64, 1024), (7, 256), (3, 64)]
)
def test_a_pixel_is_the_integral_of_the_filter(pixels, map_width, elevation):
    """Coarse and fine maps of noise, both poles, the seam and images of a few pixels, compared with float64."""
    rng = np.random.default_rng(map_width)
    texels = rng.random((map_width // 2, map_width, 3)).astype(np.float16)
    camera = Camera(pixels, pixels, 1.1, math.pi, elevation)
    for column, row in rng.integers(0, pixels, (6, 2)):
        expected = integrated(texels, camera, column, row, 200)
        got = render_rows(texels, camera, row, row + 1)[0, column]
        from_pole = math.hypot(*camera.ray(column + 0.5, row + 0.5)[:2]) * camera.focal
        grain_missed = map_width / (2 * math.pi * from_pole) > lookups_per_pixel(camera, map_width)
        assert got == pytest.approx(expected, abs=0.06 if grain_missed else 0.02), (column, row)


def test_bands_join_to_the_full_picture():
    environment = np.random.default_rng(0).random((64, 128, 3)).astype(np.float16)
    camera = Camera(70, 50, 1.0, 0.3, 1.4)
    whole = render_rows(environment, camera, 0, 50)
    parts = np.concatenate([render_rows(environment, camera, a, b) for a, b in ((0, 7), (7, 8), (8, 50))])
    assert (whole == parts).all()


def test_a_fine_map_is_antialiased():
    """Stripes much finer than a pixel become their mean; one lookup a pixel would alias to black and white."""
    environment = np.zeros((1024, 2048, 3), np.float16)
    environment[:, ::2] = 1
    camera = Camera(64, 64, 1.0, 0.0, 0.0)
    assert lookups_per_pixel(camera, 2048) >= 6
    picture = render_rows(environment, camera, 28, 36)
    assert picture == pytest.approx(np.full_like(picture, 0.5), abs=0.03)


def test_standard_view_is_the_srgb_curve():
    linear = np.linspace(0, 1, 50, dtype=np.float32)
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    shown = to_display(np.repeat(linear[:, None], 3, 1), "Standard")
    assert np.abs(shown[:, 0] - expected * 255).max() <= 1


@pytest.mark.parametrize("view", ["AgX", "Filmic", "Standard"])
def test_view_transforms_keep_grey_and_order(view):
    linear = np.geomspace(1e-4, 50, 60, dtype=np.float32)
    shown = to_display(np.repeat(linear[:, None], 3, 1), view).astype(int)
    assert (np.diff(shown[:, 0]) >= 0).all()
    assert np.ptp(shown, axis=1).max() <= 2
    assert shown[-1, 0] > 200 > 40 > shown[0, 0]


def test_compose_is_over_in_linear_light():
    environment = np.full((8, 16, 3), 0.2, np.float16)
    camera = Camera(40, 150, 1.0, 0.0, 0.0)
    crop = np.zeros((90, 5, 4), np.float32)
    crop[10:80, 1:4] = (0.3, 0.15, 0.05, 0.5)  # premultiplied, half covered; lies across bands
    picture = compose(environment, camera, [Crop(crop, 7, 50)], "Standard")
    half = to_display(np.float32([[0.4, 0.25, 0.15]]), "Standard")[0]
    behind = to_display(np.float32([[0.2, 0.2, 0.2]]), "Standard")[0]
    assert (picture[60:130, 8:11] == half).all()
    picture[60:130, 8:11] = behind
    assert (picture == behind).all()


def test_the_number_of_threads_does_not_change_the_picture():
    texels = np.random.default_rng(0).random((64, 128, 3)).astype(np.float16)
    camera = Camera(90, 300, 1.0, 0.3, 1.0)
    crop = np.full((150, 20, 4), 0.3, np.float32)
    one, three = (compose(texels, camera, [Crop(crop, 7, 50)], "AgX", threads) for threads in (1, 3))
    assert (one == three).all()


@pytest.mark.parametrize("height", [1, 2, 257])
@pytest.mark.parametrize("width", [1, 7, 300])
def test_png_is_lossless_in_two_decoders(height, width):
    noise = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    for picture in (noise, np.zeros_like(noise), noise[..., ::-1], noise[::-1, ::-1]):
        data = encode(picture, "png")
        assert (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1] == picture).all()
        with Image.open(io.BytesIO(data)) as image:
            assert (np.asarray(image) == picture).all()


def test_png_of_a_smooth_picture_is_small():
    ramp = np.linspace(0, 255, 1024).astype(np.uint8)
    picture = np.broadcast_to(ramp[:, None, None], (1024, 700, 3))
    assert len(encode(picture, "png")) < picture.size / 100


def test_jpeg_keeps_the_colour_of_a_line_of_one_pixel():
    thin = np.zeros((32, 32, 3), np.uint8)
    thin[:, 15] = (255, 0, 0)  # 4:2:0 would wash it out
    jpg = cv2.imdecode(np.frombuffer(encode(thin, "jpg"), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert jpg[16, 15, 0] > 200
    assert jpg[16, 15, 1] < 60
