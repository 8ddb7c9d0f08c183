"""The filled box and the filled ellipse of a prompt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.segmenter import Prompt
from baselines.trivial import BoxFill, EllipseFill, PromptOutside, box_pixels
from flip.gaussian import Gaussian
from objascale.masks import RegionMask

W, H = 23, 17
FRAME = np.zeros((H, W, 3), np.uint8)


def edges(size: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(0, size), st.integers(0, size)).map(sorted).filter(lambda e: e[0] < e[1]).map(tuple)


@given(edges(W), edges(H))
def test_a_box_of_whole_pixels_is_filled_exactly(xs, ys):
    model = BoxFill()
    model.set_image(FRAME)
    mask = model.predict(Prompt("box", box=(xs[0], ys[0], xs[1], ys[1])))
    assert (mask.box, mask.area) == ((xs[0], ys[0], xs[1], ys[1]), (xs[1] - xs[0]) * (ys[1] - ys[0]))


coordinate = st.floats(-40, 40, allow_nan=False)


@given(coordinate, coordinate, coordinate, coordinate)
def test_a_box_fills_the_pixels_whose_centres_it_contains(x0, y0, x1, y1):
    inside = x0 < x1 and y0 < y1 and x0 < W and y0 < H and x1 > 0 and y1 > 0
    if not inside:
        with pytest.raises(PromptOutside):
            box_pixels((x0, y0, x1, y1), W, H)
        return
    left, top, right, bottom = box_pixels((x0, y0, x1, y1), W, H)
    assert 0 <= left < right <= W
    assert 0 <= top < bottom <= H
    centres = np.arange(W) + 0.5
    held = np.flatnonzero((centres >= x0) & (centres < x1))
    if len(held):
        assert (left, right) == (held[0], held[-1] + 1)
    else:
        assert right - left == 1


def test_the_ellipse_of_a_disc_is_the_disc():
    ys, xs = np.mgrid[:200, :300] + 0.5
    disc = RegionMask.from_full((xs - 120.3) ** 2 + (ys - 90.8) ** 2 <= 40**2)
    model = EllipseFill()
    model.set_image(np.zeros((200, 300, 3), np.uint8))
    assert model.predict(Prompt("gaussian", gaussian=Gaussian.from_mask(disc))).iou(disc) > 0.99


@pytest.mark.parametrize("model", [BoxFill(), EllipseFill()])
def test_the_cards_declare_no_training_data(model):
    card = model.describe()
    assert card.parameters is None
    assert card.weights_sha256 is None
