"""Environment maps read from files, and the average of them that lights objects."""

from __future__ import annotations

import cv2
import numpy as np
import OpenEXR
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from objascale import maps
from objascale.maps import BRIGHTEST, EnvironmentMapError, load_map, write_exr


def solid_angles(height: int) -> np.ndarray:
    return np.sin(np.pi * (np.arange(height) + 0.5) / height)[:, None, None]


def energy(pixels: np.ndarray) -> np.ndarray:
    """Mean radiance over the sphere."""
    weights = np.broadcast_to(solid_angles(len(pixels)), (*pixels.shape[:2], 1))
    return (pixels.astype(float) * weights).sum((0, 1)) / weights.sum()


def written(path, pixels, compression=OpenEXR.ZIP_COMPRESSION):
    OpenEXR.File({"compression": compression, "type": OpenEXR.scanlineimage}, {"RGB": pixels}).write(str(path))
    return path


def read_rgb(path):
    with OpenEXR.File(str(path)) as file:
        return file.channels()["RGB"].pixels


def run_length_encodable(rng, height, width):
    """Light whose Radiance scanlines hold runs and literals."""
    return np.repeat(rng.random((height, -(-width // 5), 3), np.float32), 5, axis=1)[:, :width] + np.float32(0.01)


@pytest.mark.parametrize("width", [4, 7, 8, 130, 700])
def test_hdr_and_exr_give_what_opencv_reads(tmp_path, width):
    """Narrow files have plain scanlines, wide ones run-length encoded; 300 rows are more than a band."""
    cv2.imwrite(str(tmp_path / "a.hdr"), run_length_encodable(np.random.default_rng(width), 300, width))
    expected = cv2.imread(str(tmp_path / "a.hdr"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    written(tmp_path / "a.exr", np.ascontiguousarray(expected))
    for name in ("a.hdr", "a.exr"):
        assert (load_map(tmp_path / name, tmp_path).texels == expected.astype(np.float16)).all()


def test_old_run_lengths_and_plain_scanlines(tmp_path):
    """(1, 1, 1, n) repeats the texel before n times, and a second such one 256 n times."""
    row = bytes([10, 20, 30, 129, 1, 1, 1, 3, 1, 1, 1, 1, 40, 50, 60, 128])  # 1 + 3 + 256 + 1 texels
    (tmp_path / "old.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 261\n" + 2 * row)
    texels = load_map(tmp_path / "old.hdr", tmp_path).texels
    assert texels[1, :260] == pytest.approx(np.broadcast_to(np.array([10, 20, 30]) / 128, (260, 3)))
    assert texels[1, 260] == pytest.approx(np.array([40, 50, 60]) / 256)


def radiance(body: bytes, resolution: bytes = b"-Y 4 +X 8", form: bytes = b"32-bit_rle_rgbe") -> bytes:
    return b"#?RADIANCE\nFORMAT=" + form + b"\n\n" + resolution + b"\n" + body


BROKEN = {
    "text.exr": b"hello",
    "empty.exr": b"",
    "text.hdr": b"hello",
    "empty.hdr": b"",
    "zero.hdr": radiance(b"", b"-Y 4 +X 0"),
    "turned.hdr": radiance(bytes(128), b"+X 8 -Y 4"),
    "huge.hdr": radiance(b"", b"-Y 99999 +X 99999"),
    "xyze.hdr": radiance(bytes(128), form=b"32-bit_rle_xyze"),
    "short.hdr": radiance(bytes(100)),
    "overrun.hdr": radiance(bytes([2, 2, 0, 8, 128 + 9, 1]) + bytes(200)),
    "standstill.hdr": radiance(bytes([2, 2, 0, 8, 0, 0]) + bytes(200)),
    "other-width.hdr": radiance(bytes([2, 2, 0, 9]) + bytes(200)),
    "repeats-nothing.hdr": radiance(bytes([1, 1, 1, 3]) + bytes(200)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_maps_that_are_none_are_named(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    with pytest.raises(EnvironmentMapError, match=name) as caught:
        load_map(path, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["hdr", "exr"])
def test_truncated_missing_and_infinite_maps_are_named(tmp_path, ending):
    path = tmp_path / f"cut.{ending}"
    with pytest.raises(EnvironmentMapError, match="cut"):
        load_map(path, tmp_path)
    pixels = np.random.default_rng(0).random((600, 64, 3), np.float32)
    if ending == "hdr":
        cv2.imwrite(str(path), pixels)
    else:
        written(path, pixels)
    data = path.read_bytes()
    for length in (len(data) - 9, len(data) // 2, 70):
        path.write_bytes(data[:length])
        with pytest.raises(EnvironmentMapError, match="cut"):
            load_map(path, tmp_path)
    pixels[3, 3] = np.inf
    with pytest.raises(EnvironmentMapError, match="not finite"):
        load_map(written(tmp_path / "infinite.exr", pixels), tmp_path)


def test_half_floats_err_by_a_two_thousandth_and_suns_are_clamped(tmp_path):
    pixels = np.random.default_rng(0).lognormal(0, 2, (16, 32, 3)).astype(np.float32)
    pixels[3, 4] = 1e6
    loaded = load_map(written(tmp_path / "a.exr", pixels), tmp_path)
    assert loaded.light == tmp_path / "a.exr"
    assert loaded.texels == pytest.approx(np.minimum(pixels, BRIGHTEST), rel=2**-11, abs=2**-25)


def test_negative_light_counts_as_none_in_texels_and_light(tmp_path):
    pixels = np.random.default_rng(0).normal(0, 1, (16, 32, 3)).astype(np.float32)
    loaded = load_map(written(tmp_path / "a.exr", pixels), tmp_path)
    assert loaded.repaired
    assert loaded.texels.min() == 0
    assert read_rgb(loaded.light) == pytest.approx(np.maximum(pixels, 0), rel=1e-6)


@pytest.mark.parametrize("width", [64, 100, 130])
def test_the_light_of_a_wide_map_keeps_the_suns_energy(tmp_path, monkeypatch, width):
    """Widths that the average divides, and that it does not."""
    monkeypatch.setattr(maps, "LIGHT_WIDTH", 32)
    pixels = np.random.default_rng(0).random((width // 2, width, 3), np.float32)
    pixels[width // 8, 5] = 1e6
    loaded = load_map(written(tmp_path / "a.exr", pixels), tmp_path)
    light = read_rgb(loaded.light)
    assert light.shape == (16, 32, 3)
    assert energy(light) == pytest.approx(energy(pixels), rel=1e-5 if width == 64 else 0.02)


@settings(deadline=None, max_examples=20)
@given(st.integers(33, 90), st.integers(2, 60), st.floats(0.001, 1000))
def test_the_light_of_an_even_map_is_even(tmp_path_factory, width, height, radiance):
    folder = tmp_path_factory.mktemp("even")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maps, "LIGHT_WIDTH", 32)
        loaded = load_map(written(folder / "a.exr", np.full((height, width, 3), radiance, np.float32)), folder)
    light = read_rgb(loaded.light)
    assert light == pytest.approx(np.full_like(light, radiance), rel=1e-5)


def test_a_light_that_finds_no_room_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="light"):
        write_exr(tmp_path / "nowhere" / "light.exr", np.zeros((2, 4, 3), np.float32))


def test_real_maps_load(shared, tmp_path):
    for path in sorted((shared / "assets/hdris").glob("*.exr"))[:3]:
        environment = load_map(path, tmp_path)
        assert environment.texels.shape == (256, 512, 3)
        assert environment.texels.dtype == np.float16
        assert environment.texels.min() >= 0
