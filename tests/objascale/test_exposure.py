"""Dark pictures and their brightened copies."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from objascale.exposure import MIN_VISIBLE, is_dark, stretched

pictures = arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)))


def night(lamps: int) -> np.ndarray:
    """Return a noisy night scene of 20×20 px, of which `lamps` pixels are bright."""
    picture = np.random.default_rng(0).integers(10, 30, (20, 20, 3)).astype(np.uint8)
    picture.reshape(-1, 3)[:lamps] = 255
    return picture


def test_a_few_lamps_do_not_make_a_night_picture_bright():
    assert is_dark(night(0))
    assert is_dark(night(39))
    assert not is_dark(night(40))


def test_one_bright_channel_makes_a_picture_bright():
    blue = np.zeros((4, 4, 3), np.uint8)
    blue[..., 2] = MIN_VISIBLE
    assert not is_dark(blue)
    assert is_dark(blue - np.uint8(1) * (blue > 0))


def test_a_stretched_night_picture_is_no_longer_dark():
    for lamps in (0, 39):
        bright = stretched(night(lamps))
        assert not is_dark(bright)
        assert bright.std() > 3 * night(0).std()


@given(pictures)
def test_stretching_keeps_the_shape_and_the_order_of_brightness(picture):
    bright = stretched(picture)
    assert bright.shape == picture.shape
    assert bright.dtype == np.uint8
    order = np.argsort(picture.ravel(), kind="stable")
    assert (np.diff(bright.ravel()[order].astype(int)) >= 0).all()


def test_a_picture_of_one_colour_can_be_stretched():
    assert (stretched(np.full((3, 3, 3), 20, np.uint8)) == 0).all()
