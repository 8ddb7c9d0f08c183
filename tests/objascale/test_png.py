"""PNGs made by bands are read back exactly by two other programs' decoders."""

from __future__ import annotations

import io
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from objascale.png import _joined, encode_png


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def decoded(data: bytes) -> list[np.ndarray]:
    """By libpng (OpenCV) and by Pillow, which check the checksums of chunks and stream."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        pillow = np.asarray(image)
    return [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1], pillow]


@pytest.mark.parametrize("height", [1, 2, 255, 256, 257, 513])
@pytest.mark.parametrize("width", [1, 7, 300])
def test_pictures_come_back_exactly(height, width):
    for picture in (noise(height, width), np.zeros((height, width, 3), np.uint8), noise(height, width)[..., ::-1]):
        data = encode_png(picture)
        assert data == encode_png(picture, threads=3)
        for found in decoded(data):
            assert (found == picture).all()


def test_smooth_pictures_become_small():
    ramp = np.linspace(0, 255, 1024).astype(np.uint8)
    picture = np.broadcast_to(ramp[:, None, None], (1024, 700, 3))
    assert len(encode_png(picture)) < picture.size / 100


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_checksums_are_joined(one, other):
    assert _joined(zlib.adler32(one), zlib.adler32(other), len(other)) == zlib.adler32(one + other)
