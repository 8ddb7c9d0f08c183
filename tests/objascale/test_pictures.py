"""Decoding images: EXIF orientations, bit depths and colour models."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageOps

from objascale.pictures import DEPTHS, PictureError, decode, eight_bits, orientation, turned

LOSSLESS = {"PNG": {}, "WEBP": {"lossless": True}}


def encoded(picture: Image.Image, kind: str, exif: int | None = None, **settings) -> bytes:
    """Return the bytes of an image, with an EXIF orientation if one is given."""
    buffer = io.BytesIO()
    if exif is not None:
        settings["exif"] = Image.Exif()
        settings["exif"][0x0112] = exif
    picture.save(buffer, kind, **settings)
    return buffer.getvalue()


def noise(height: int = 5, width: int = 7) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("exif", range(1, 9))
def test_all_eight_orientations_turn_a_picture_as_viewers_do(kind, exif):
    content = encoded(noise(), kind, exif, **LOSSLESS.get(kind, {}))
    assert orientation(content) == exif
    stored = decode(content)
    assert stored.shape == (5, 7, 3)
    with Image.open(io.BytesIO(content)) as picture:
        shown = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(turned(stored, exif), shown)


def test_exif_after_the_pixels_of_a_png_is_read():
    content = encoded(noise(), "PNG", 6)
    start = content.index(b"eXIf") - 4
    chunk = content[start : start + 12 + int.from_bytes(content[start : start + 4], "big")]
    end = content.index(b"IEND") - 4
    moved = content[:start] + content[start + len(chunk) : end] + chunk + content[end:]
    assert orientation(moved) == 6


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_a_picture_without_a_valid_orientation_is_upright(kind):
    assert orientation(encoded(noise(), kind)) == 1
    assert orientation(encoded(noise(), kind, 9)) == 1
    content = encoded(noise(), kind, 6)
    start = content.index(b"MM\0*")  # of the EXIF block
    for damaged in (content[:start] + b"??" + content[start + 2 :], content[: start + 9]):
        assert orientation(damaged) == 1


@given(st.binary(max_size=60), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff\xe1"]))
def test_any_bytes_give_an_orientation_without_an_error(data, start):
    assert 1 <= orientation(start + data) <= 8


@given(
    arrays(np.uint8, (4, 5, 3)).filter(lambda pixels: pixels.max() >= 64),
    st.sampled_from(DEPTHS),
    st.sampled_from(["shifted", "rescaled"]),
)
def test_pixels_of_any_bit_depth_become_the_same_eight_bits(pixels, depth, how):
    """At least one pixel is brighter than a quarter of the range; darker images look like a lower bit depth."""
    wide = pixels.astype(np.uint16)
    deep = wide << (depth - 8) if how == "shifted" else np.rint(wide * ((2**depth - 1) / 255)).astype(np.uint16)
    assert np.array_equal(eight_bits(deep), pixels)


def test_eight_bits_stay_as_they_are():
    dark = np.full((2, 3, 3), 5, np.uint8)
    assert eight_bits(dark) is dark


@pytest.mark.parametrize("ending", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_12_bit_picture_in_a_16_bit_file_keeps_its_contrast(ending, channels):
    eight = np.asarray(noise(40, 50).convert("RGB" if channels > 1 else "L"))
    deep = eight.astype(np.uint16) << 4
    if channels == 4:
        deep = np.dstack((deep, np.full(deep.shape[:2], 65535, np.uint16)))
    bgr = deep if channels == 1 else cv2.cvtColor(deep, cv2.COLOR_RGB2BGR if channels == 3 else cv2.COLOR_RGBA2BGRA)
    pixels = decode(cv2.imencode(ending, bgr)[1].tobytes())
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, eight if channels > 1 else np.dstack([eight] * 3))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_every_colour_model_is_converted_to_rgb_as_by_pillow(mode):
    content = encoded(noise(16, 16).convert(mode), "PNG")
    with Image.open(io.BytesIO(content)) as picture:
        assert np.array_equal(decode(content), np.asarray(picture.convert("RGB")))


def test_a_cmyk_jpeg_keeps_its_colours():
    colour = (200, 40, 90)
    pixels = decode(encoded(Image.new("RGB", (16, 16), colour).convert("CMYK"), "JPEG"))
    assert np.abs(pixels.astype(int) - colour).max() <= 2


def test_other_bit_depths_than_8_and_16_are_refused():
    with pytest.raises(PictureError, match=r"float32 pixels.*8 or 16 bits"):
        decode(cv2.imencode(".hdr", np.ones((9, 9, 3), np.float32))[1].tobytes())
    for broken in (b"", b"words", encoded(noise(), "PNG")[:40]):
        with pytest.raises(PictureError, match="OpenCV can decode"):
            decode(broken)
