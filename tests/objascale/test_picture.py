"""Camera, background, view transform and composition, without Blender."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objascale.background import (
    FILTER_WIDTH,
    EnvironmentMapError,
    block_side,
    filter_quantiles,
    load_map,
    quantiles_per_side,
    render_rows,
)
from objascale.camera import Camera, equirectangular
from objascale.color import to_display
from objascale.compose import compose, encode

cameras = st.builds(
    Camera,
    width=st.integers(64, 8192),
    height=st.integers(64, 8192),
    fov=st.floats(0.2, 2.0),
    azimuth=st.floats(0, 6.28),
    elevation=st.floats(-1.57, math.pi / 2),
)


@given(cameras, st.floats(0, 1), st.floats(0, 1), st.floats(1.5, 1e6))
def test_the_origin_is_seen_where_it_was_asked_for(camera, u, v, distance):
    x, y = u * camera.width, v * camera.height
    placed = camera.looking_at_origin_through(x, y, distance)
    assert placed.project(np.zeros((1, 3)))[0] == pytest.approx((x, y), abs=1e-3)
    assert np.linalg.norm(placed.position) == pytest.approx(distance)


@given(cameras)
def test_axes_are_a_right_handed_frame_with_a_level_horizon(camera):
    assert camera.axes.T @ camera.axes == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(camera.axes) == pytest.approx(1)
    assert camera.axes[2, 0] == pytest.approx(0, abs=1e-12)


def test_what_is_behind_the_camera_has_no_place_in_the_picture():
    camera = Camera(100, 100, 1.0, 0.0, 0.0)
    seen = camera.project(np.array([[1.0, 0, 0], [-1.0, 0, 0]]))
    assert seen[0] == pytest.approx((50, 50))
    assert np.isnan(seen[1]).all()


def test_equirectangular_landmarks():
    directions = np.array([[1.0, 0, 0], [0, -1, 0], [0, 1, 0], [0, 0, 1], [0, 0, -1]])
    u, v = equirectangular(directions).T
    assert u[:3] == pytest.approx((0.5, 0.75, 0.25))
    assert v == pytest.approx((0.5, 0.5, 0.5, 0, 1))


@given(st.integers(1, 24))
def test_filter_quantiles_are_symmetric_and_inside_the_filter(count):
    offsets = filter_quantiles(count)
    assert offsets == pytest.approx(-offsets[::-1], abs=1e-5)
    assert np.abs(offsets).max() < FILTER_WIDTH / 2
    assert (np.diff(offsets) > 0).all()


def test_a_constant_map_gives_a_constant_picture():
    environment = np.full((32, 64, 3), (0.1, 0.2, 0.3), np.float32)
    rows = render_rows(environment, Camera(64, 64, 1.2, 1.0, 1.5), 0, 64)
    assert rows == pytest.approx(np.broadcast_to(np.float32((0.1, 0.2, 0.3)), rows.shape), abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(0, 6.28), st.floats(-1.5, 1.5))
def test_the_lookup_is_the_bilinear_value_in_the_pixels_direction(seed, azimuth, elevation):
    """A map so coarse that one lookup a pixel is taken, against plain NumPy."""
    environment = np.random.default_rng(seed).random((8, 16, 3), np.float32)
    camera = Camera(96, 96, 0.4, azimuth, elevation)
    assert quantiles_per_side(camera, 16) == 1
    picture = render_rows(environment, camera, 0, 96)
    for column, row in ((0, 0), (95, 3), (40, 77)):
        u, v = equirectangular(camera.ray(column + 0.5, row + 0.5)[None])[0]
        s, t = u * 16 - 0.5, v * 8 - 0.5
        i, j = math.floor(s), math.floor(t)
        columns, rows = np.array([i, i + 1]) % 16, np.clip([j, j + 1], 0, 7)
        top, bottom = environment[rows][:, columns]
        expected = (1 - t + j) * ((1 - s + i) * top[0] + (s - i) * top[1]) + (t - j) * (
            (1 - s + i) * bottom[0] + (s - i) * bottom[1]
        )
        assert picture[row, column] == pytest.approx(expected, abs=0.004)  # of a texel, as block_side promises


@pytest.mark.parametrize("elevation", [-1.5, 0.3, 1.2, math.pi / 2])
def test_interpolated_map_coordinates_change_no_more_than_a_rounding(monkeypatch, elevation):
    """Poles, the seam and the horizon, on a map of sharp edges: at most 1 of 255, and hardly anywhere."""
    rng = np.random.default_rng(1)
    environment = np.kron(rng.random((32, 64, 3), np.float32), np.ones((16, 16, 1), np.float32))
    camera = Camera(1024, 1024, 1.1, math.pi, elevation)
    assert block_side(camera, 1024) > 1
    quick = to_display(render_rows(environment, camera, 0, 1024), "AgX").astype(int)
    monkeypatch.setattr("objascale.background.block_side", lambda *_: 1)
    exact = to_display(render_rows(environment, camera, 0, 1024), "AgX").astype(int)
    assert np.abs(quick - exact).max() <= 1
    assert (quick != exact).mean() < 0.01


def test_bands_join_to_the_whole_picture():
    environment = np.random.default_rng(0).random((16, 32, 3), np.float32)
    camera = Camera(70, 50, 1.0, 0.3, 0.4)
    whole = render_rows(environment, camera, 0, 50)
    parts = np.concatenate([render_rows(environment, camera, a, b) for a, b in ((0, 7), (7, 8), (8, 50))])
    assert (whole == parts).all()


def test_a_fine_map_is_antialiased():
    """Stripes far finer than a pixel become their mean; a single lookup a pixel would alias to black and white."""
    environment = np.zeros((1024, 2048, 3), np.float32)
    environment[:, ::2] = 1
    camera = Camera(64, 64, 1.0, 0.0, 0.0)
    assert quantiles_per_side(camera, 2048) > 8
    picture = render_rows(environment, camera, 28, 36)
    assert picture == pytest.approx(np.full_like(picture, 0.5), abs=0.1)


def test_standard_view_is_the_srgb_curve():
    linear = np.linspace(0, 1, 50, dtype=np.float32)
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    shown = to_display(np.repeat(linear[:, None], 3, 1), "Standard")
    assert np.abs(shown[:, 0] - expected * 255).max() <= 1


@pytest.mark.parametrize("view", ["AgX", "Filmic", "Standard"])
def test_views_keep_grey_grey_and_order(view):
    linear = np.geomspace(1e-4, 50, 60, dtype=np.float32)
    shown = to_display(np.repeat(linear[:, None], 3, 1), view).astype(int)
    assert (np.diff(shown[:, 0]) >= 0).all()
    assert np.ptp(shown, axis=1).max() <= 2
    assert shown[-1, 0] > 200 > 40 > shown[0, 0]


def test_compose_is_over_in_linear_light():
    environment = np.full((8, 16, 3), 0.2, np.float32)
    camera = Camera(40, 150, 1.0, 0.0, 0.0)
    crop = np.zeros((90, 5, 4), np.float32)
    crop[10:80, 1:4] = (0.3, 0.15, 0.05, 0.5)  # premultiplied, half covered; lies across bands
    picture = compose(environment, camera, crop, 7, 50, "Standard")
    half = to_display(np.float32([[0.4, 0.25, 0.15]]), "Standard")[0]
    behind = to_display(np.float32([[0.2, 0.2, 0.2]]), "Standard")[0]
    assert (picture[60:130, 8:11] == half).all()
    picture[60:130, 8:11] = behind
    assert (picture == behind).all()


def test_encodings():
    import cv2

    picture = np.random.default_rng(0).integers(0, 255, (33, 47, 3), np.uint8)
    png = cv2.imdecode(np.frombuffer(encode(picture, "png"), np.uint8), cv2.IMREAD_COLOR)
    assert (png[..., ::-1] == picture).all()
    thin = np.zeros((32, 32, 3), np.uint8)
    thin[:, 15] = (255, 0, 0)  # a red line of one pixel loses its colour to 4:2:0
    jpg = cv2.imdecode(np.frombuffer(encode(thin, "jpg"), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert jpg[16, 15, 0] > 200
    assert jpg[16, 15, 1] < 60


def test_maps_that_are_none_are_named(tmp_path):
    for name, data in (("text.exr", b"hello"), ("empty.exr", b""), ("text.hdr", b"hello")):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(EnvironmentMapError, match=name):
            load_map(path)


def test_real_maps_load(shared):
    for path in sorted((shared / "assets/hdris").glob("*.exr"))[:3]:
        environment = load_map(path)
        assert environment.pixels.shape == (256, 512, 3)
        assert environment.pixels.dtype == np.float32
        assert environment.pixels.min() >= 0
