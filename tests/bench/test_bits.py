"""Masks with 64 pixels per word."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import minimum_filter

from bench.bits import BitMask
from objascale.masks import RegionMask

SIDE = 220  # of the frame: three words and a part of a fourth


@st.composite
def masks(draw):
    """Masks at any column, of blocks of pixels, so that erosions leave something."""
    height, width = draw(st.integers(0, 70)), draw(st.integers(0, 150))
    block = draw(st.integers(1, 40))
    coarse = draw(hnp.arrays(bool, (height // block + 1, width // block + 1)))
    data = coarse.repeat(block, 0).repeat(block, 1)[:height, :width]
    return RegionMask(
        draw(st.integers(0, SIDE - width)), draw(st.integers(0, SIDE - height)), np.ascontiguousarray(data), SIDE, SIDE
    )


def full(mask: BitMask) -> np.ndarray:
    rows = np.unpackbits(mask.words.view(np.uint8), axis=1, bitorder="little").astype(bool)
    frame = np.zeros((SIDE, mask.x + rows.shape[1] + SIDE), bool)
    frame[mask.y : mask.y + len(rows), mask.x : mask.x + rows.shape[1]] = rows
    assert not frame[:, SIDE:].any()
    return frame[:, :SIDE]


@given(masks())
def test_packing_keeps_every_pixel(mask):
    packed = BitMask.of(mask)
    assert (full(packed) == mask.full()).all()
    assert packed.area == mask.area


@given(masks(), masks())
def test_the_intersection_is_that_of_the_frames(one, other):
    assert BitMask.of(one).intersection(BitMask.of(other)) == one.intersection(other)


@given(masks(), st.integers(0, 90))
def test_an_erosion_is_the_minimum_over_a_square(mask, radius):
    eroded = BitMask.of(mask).eroded(radius)
    inner = minimum_filter(mask.full(), 2 * radius + 1, mode="constant", cval=0)
    assert (full(eroded) == inner).all()
    assert (full(BitMask.of(mask).without(eroded)) == (mask.full() & ~inner)).all()


@given(masks(), st.integers(0, 20), st.integers(0, 20))
def test_two_erosions_are_one_of_both_radii(mask, one, other):
    packed = BitMask.of(mask)
    assert (packed.eroded(one).eroded(other).words == packed.eroded(one + other).words).all()
