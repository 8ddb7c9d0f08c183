"""Environment maps read from files, and the downscaled copies that light objects."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import OpenEXR
import PyOpenColorIO as ocio
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from objascale import maps
from objascale.color import blender_datafiles
from objascale.maps import BRIGHTEST, EnvironmentMapError, load_map, write_exr


def solid_angles(height: int) -> np.ndarray:
    return np.sin(np.pi * (np.arange(height) + 0.5) / height)[:, None, None]


def energy(pixels: np.ndarray) -> np.ndarray:
    """Return the mean radiance over the sphere."""
    weights = np.broadcast_to(solid_angles(len(pixels)), (*pixels.shape[:2], 1))
    return (pixels.astype(float) * weights).sum((0, 1)) / weights.sum()


def written(path, pixels, compression=OpenEXR.ZIP_COMPRESSION):
    OpenEXR.File({"compression": compression, "type": OpenEXR.scanlineimage}, {"RGB": pixels}).write(str(path))
    return path


def read_rgb(path):
    with OpenEXR.File(str(path)) as file:
        return file.channels()["RGB"].pixels


def run_length_encodable(rng, height, width):
    """Return light whose Radiance scanlines hold runs and literals."""
    return np.repeat(rng.random((height, -(-width // 5), 3), np.float32), 5, axis=1)[:, :width] + np.float32(0.01)


@pytest.mark.parametrize("width", [4, 7, 8, 130, 700])
def test_hdr_and_exr_equal_opencv(tmp_path, width):
    """Narrow files have plain scanlines, wide ones are run-length encoded; 300 rows are more than one band."""
    cv2.imwrite(str(tmp_path / "a.hdr"), run_length_encodable(np.random.default_rng(width), 300, width))
    expected = cv2.imread(str(tmp_path / "a.hdr"), cv2.IMREAD_UNCHANGED)[..., ::-1]
    written(tmp_path / "a.exr", np.ascontiguousarray(expected))
    for name in ("a.hdr", "a.exr"):
        assert (load_map(tmp_path / name, tmp_path).texels == expected.astype(np.float16)).all()


def test_old_run_lengths_and_plain_scanlines_are_decoded(tmp_path):
    """(1, 1, 1, n) repeats the previous texel n times, and a second such code 256 n times."""
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
    "same-axis.hdr": radiance(bytes(128), b"+X 8 -X 4"),
    "cube-face.hdr": radiance(bytes(256), b"-Y 8 +X 8"),
    "huge.hdr": radiance(b"", b"-Y 99999 +X 99999"),
    "luv.hdr": radiance(bytes(128), form=b"24-bit_luv"),
    "short.hdr": radiance(bytes(100)),
    "overrun.hdr": radiance(bytes([2, 2, 0, 8, 128 + 9, 1]) + bytes(200)),
    "standstill.hdr": radiance(bytes([2, 2, 0, 8, 0, 0]) + bytes(200)),
    "other-width.hdr": radiance(bytes([2, 2, 0, 9]) + bytes(200)),
    "repeats-nothing.hdr": radiance(bytes([1, 1, 1, 3]) + bytes(200)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_errors_name_files_that_are_no_map(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(BROKEN[name])
    with pytest.raises(EnvironmentMapError, match=name) as caught:
        load_map(path, tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["hdr", "exr"])
def test_errors_name_truncated_missing_and_infinite_maps(tmp_path, ending):
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


def test_half_floats_are_exact_to_a_two_thousandth_and_suns_are_clamped(tmp_path):
    pixels = np.random.default_rng(0).lognormal(0, 2, (16, 32, 3)).astype(np.float32)
    pixels[3, 4] = 1e6
    loaded = load_map(written(tmp_path / "a.exr", pixels), tmp_path)
    assert loaded.light == tmp_path / "a.exr"
    assert loaded.texels == pytest.approx(np.minimum(pixels, BRIGHTEST), rel=2**-11, abs=2**-25)


def test_negative_light_is_black_in_texels_and_light(tmp_path):
    pixels = np.random.default_rng(0).normal(0, 1, (16, 32, 3)).astype(np.float32)
    loaded = load_map(written(tmp_path / "a.exr", pixels), tmp_path)
    assert not loaded.plain
    assert loaded.texels.min() == 0
    assert read_rgb(loaded.light) == pytest.approx(np.maximum(pixels, 0), rel=1e-6)


@pytest.mark.parametrize("width", [64, 100, 130])
def test_the_light_of_a_wide_map_keeps_the_suns_energy(tmp_path, monkeypatch, width):
    """Widths that are multiples of the width of the light, and others."""
    monkeypatch.setattr(maps, "LIGHT_WIDTH", 32)
    pixels = np.random.default_rng(0).random((width // 2, width, 3), np.float32)
    pixels[width // 8, 5] = 1e6
    loaded = load_map(written(tmp_path / "a.exr", pixels), tmp_path)
    light = read_rgb(loaded.light)
    assert light.shape == (16, 32, 3)
    assert energy(light) == pytest.approx(energy(pixels), rel=1e-5 if width == 64 else 0.02)


@settings(deadline=None, max_examples=20)
@given(st.integers(33, 90), st.integers(2, 24), st.floats(0.001, 1000))
def test_a_uniform_map_gives_uniform_light(tmp_path_factory, width, height, radiance):
    assume(width != height and 3 * width != 4 * height and width != 6 * height)  # the shapes of cube maps
    folder = tmp_path_factory.mktemp("even")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maps, "LIGHT_WIDTH", 32)
        loaded = load_map(written(folder / "a.exr", np.full((height, width, 3), radiance, np.float32)), folder)
    light = read_rgb(loaded.light)
    assert light == pytest.approx(np.full_like(light, radiance), rel=1e-5)


def test_a_light_that_cannot_be_written_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="light"):
        write_exr(tmp_path / "nowhere" / "light.exr", np.zeros((2, 4, 3), np.float32))


def test_real_maps_load(shared, tmp_path):
    for path in sorted((shared / "assets/hdris").glob("*.exr"))[:3]:
        environment = load_map(path, tmp_path)
        assert environment.texels.shape == (256, 512, 3)
        assert environment.texels.dtype == np.float16
        assert environment.texels.min() >= 0


def converted(pixels, source: str) -> np.ndarray:
    """Return Blender's conversion of a colour space to linear Rec. 709."""
    config = ocio.Config.CreateFromFile(str(blender_datafiles() / "colormanagement" / "config.ocio"))
    out = np.ascontiguousarray(pixels, np.float32).copy()
    config.getProcessor(source, "Linear Rec.709").getDefaultCPUProcessor().applyRGB(out)
    return out


@pytest.mark.parametrize(
    ("chromaticities", "space", "tolerance"),
    [
        ((0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767), "ACEScg", 2e-3),
        ((0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329), "Linear Rec.2020", 2e-3),
    ],
)
def test_other_primaries_are_converted_as_blender_converts_them(tmp_path, chromaticities, space, tolerance):
    pixels = np.random.default_rng(0).uniform(0.4, 0.6, (16, 32, 3)).astype(np.float32)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, "chromaticities": chromaticities}
    OpenEXR.File(header, {"RGB": pixels}).write(str(tmp_path / "a.exr"))
    loaded = load_map(tmp_path / "a.exr", tmp_path)
    assert read_rgb(loaded.light) == pytest.approx(converted(pixels, space), abs=tolerance)


def test_an_exr_of_xyz_is_converted_without_adaptation(tmp_path):
    rgb = np.random.default_rng(0).uniform(0.2, 1, (16, 32, 3)).astype(np.float32)
    xyz = rgb @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    header = {"type": OpenEXR.scanlineimage, "chromaticities": (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3)}
    OpenEXR.File(header, {"RGB": xyz.astype(np.float32)}).write(str(tmp_path / "a.exr"))
    assert load_map(tmp_path / "a.exr", tmp_path).texels == pytest.approx(rgb, abs=2e-3)


def test_radiance_of_every_orientation_gives_the_same_map(tmp_path):
    upright = np.random.default_rng(0).integers(1, 255, (8, 20, 4), np.uint8)
    upright[..., 3] = 129
    expected = upright[..., :3] / np.float32(128)
    for vertical in "+-":
        for horizontal in "+-":
            stored = upright[:: 1 if vertical == "-" else -1, :: 1 if horizontal == "+" else -1]
            for body, resolution in (
                (stored, f"{vertical}Y 8 {horizontal}X 20"),
                (stored.swapaxes(0, 1), f"{horizontal}X 20 {vertical}Y 8"),
            ):
                (tmp_path / "a.hdr").write_bytes(radiance(bytes(np.ascontiguousarray(body)), resolution.encode()))
                loaded = maps._read(tmp_path / "a.hdr", tmp_path)
                assert (loaded.texels == expected.astype(np.float16)).all(), resolution


def test_radiance_of_xyz_and_with_crlf_lines_is_read(tmp_path):
    white = bytes([122, 128, 139, 128]) * 32
    (tmp_path / "a.hdr").write_bytes(radiance(white, form=b"32-bit_rle_xyze").replace(b"\n", b"\r\n"))
    loaded = load_map(tmp_path / "a.hdr", tmp_path)
    assert not loaded.plain
    assert loaded.texels == pytest.approx(np.full((4, 8, 3), 0.5), abs=0.01)


def test_a_panorama_of_eight_bits_is_linearised(tmp_path):
    values = np.arange(4 * 8 * 3, dtype=np.uint8).reshape(4, 8, 3)
    cv2.imwrite(str(tmp_path / "a.png"), values[..., ::-1])
    expected = converted(values / np.float32(255), "sRGB")
    assert load_map(tmp_path / "a.png", tmp_path).texels == pytest.approx(expected, abs=1e-3)
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(EnvironmentMapError, match="twice as wide as high"):
        load_map(tmp_path / "photo.png", tmp_path)


@pytest.mark.parametrize("name", ["a.hdr", "a.png"])
def test_the_content_of_a_map_wins_over_its_suffix(tmp_path, name):
    """Radiance in .exr, EXR in .hdr and .png, PNG in .jpg and .hdr."""
    cv2.imwrite(str(tmp_path / name), run_length_encodable(np.random.default_rng(0), 8, 16) * 200)
    written(tmp_path / "b.exr", np.full((8, 16, 3), 3, np.float32))
    expected = load_map(tmp_path / name, tmp_path).texels
    for wrong in ("a.exr", "c.hdr", "a.jpg"):
        shutil.copy(tmp_path / name, tmp_path / wrong)
        assert (load_map(tmp_path / wrong, tmp_path).texels == expected).all()
    for wrong in ("b.hdr", "b.png"):
        shutil.copy(tmp_path / "b.exr", tmp_path / wrong)
        assert (load_map(tmp_path / wrong, tmp_path).texels == 3).all()


def test_exr_layers_and_parts_are_read_or_reported(tmp_path):
    rgb = np.random.default_rng(0).random((8, 16, 3), np.float32)
    red, green, blue = (np.ascontiguousarray(rgb[..., c]) for c in range(3))
    scanlines = {"type": OpenEXR.scanlineimage}
    parts = [
        OpenEXR.Part({**scanlines, "name": "depth"}, {"Z": red}),
        OpenEXR.Part({**scanlines, "name": "light"}, {"RGB": rgb}),
    ]
    OpenEXR.File(parts).write(str(tmp_path / "parts.exr"))
    layer = {"sky.R": red, "sky.G": green, "sky.B": blue}
    OpenEXR.File(scanlines, layer).write(str(tmp_path / "layer.exr"))
    for name in ("parts.exr", "layer.exr"):
        loaded = load_map(tmp_path / name, tmp_path)
        assert not loaded.plain
        assert (loaded.texels == rgb.astype(np.float16)).all()
    OpenEXR.File(scanlines, {**layer, "sun.R": red, "sun.G": green, "sun.B": blue}).write(str(tmp_path / "two.exr"))
    with pytest.raises(EnvironmentMapError, match="several RGB layers, sky, sun"):
        load_map(tmp_path / "two.exr", tmp_path)


@pytest.mark.parametrize("name", ["with_preview.exr", "sp_layers.exr", "noformat.hdr"])
def test_maps_that_blender_or_openexr_cannot_read_are_read(shared, tmp_path, name):
    loaded = load_map(shared / "faults/models/exr" / name, tmp_path)
    assert loaded.texels.max() > 0
    assert not loaded.plain  # the one with a preview holds negative light
