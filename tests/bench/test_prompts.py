"""Prompts from ground truth: each model its kind, or all models the same knowledge; and noise that is fair."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.segmenter import Prompt
from bench.prompts import PromptError, PromptSettings, inner_point, make_prompt
from flip.gaussian import Gaussian
from objascale.masks import RegionMask

DIAGONAL = RegionMask(3, 5, np.eye(20, dtype=bool), 64, 48)


def ask(mask: RegionMask, kind: str, source: str = "matched", noise: float = 0.0, object_id: str = "1") -> Prompt:
    return make_prompt(mask, (kind,), PromptSettings(source, noise), object_id)


def test_a_box_is_the_tight_box_in_pixel_edges():
    for source in ("matched", "box"):
        assert ask(DIAGONAL, "box", source) == Prompt("box", box=(3, 5, 23, 25))


def test_a_matched_gaussian_is_the_masks_to_the_last_digit():
    assert ask(DIAGONAL, "gaussian").gaussian == Gaussian.from_mask(DIAGONAL)
    assert ask(DIAGONAL, "gaussian", "gaussian").gaussian == Gaussian.from_mask(DIAGONAL)


def test_a_gaussian_from_the_box_knows_nothing_else():
    other = RegionMask(3, 5, np.eye(20, dtype=bool)[::-1], 64, 48)
    prompts = [ask(mask, "gaussian", "box").gaussian for mask in (DIAGONAL, other)]
    assert prompts[0] == prompts[1]
    assert prompts[0].sigma1 == prompts[0].sigma2 == pytest.approx(5)


def test_a_box_from_the_gaussian_is_that_of_its_ellipse():
    ellipse = Gaussian.from_ellipse(30, 20, 12, 5, math.degrees(0.6)).ellipse_mask(64, 48)
    assert ask(ellipse, "box", "gaussian").box == pytest.approx(ellipse.box, abs=1)


def test_a_point_lies_deep_in_the_object_even_where_the_mean_does_not():
    ring = np.zeros((40, 40), bool)
    ring[2:38, 2:38] = True
    ring[6:34, 8:36] = False  # open nowhere, thickest on the left
    mask = RegionMask.from_full(ring)
    x, y = inner_point(mask)
    assert ring[int(y), int(x)]
    assert x < 8
    point = ask(mask, "point", "point").point
    gaussian = ask(mask, "gaussian", "point").gaussian
    box = ask(mask, "box", "point").box
    assert point == (x, y) == (gaussian.x, gaussian.y)
    assert gaussian.sigma1 == gaussian.sigma2
    assert gaussian.ellipse_mask(400, 400).area <= mask.area
    assert 4 * np.pi * gaussian.sigma1**2 == pytest.approx(mask.area)
    reach = 2 * gaussian.sigma1
    assert box == pytest.approx((0, max(y - reach, 0), x + reach, y + reach))


def test_a_full_frame_and_a_single_pixel_have_an_inner_point():
    assert inner_point(RegionMask(0, 0, np.ones((3, 5), bool), 5, 3))[1] == 1.5
    assert inner_point(RegionMask(4, 2, np.ones((1, 1), bool), 5, 3)) == (4.5, 2.5)


def test_an_empty_mask_is_named():
    with pytest.raises(PromptError, match="empty"):
        ask(RegionMask.empty(4, 4), "box")


@given(st.integers(0, 10**6).map(str), st.floats(0.01, 0.3))
def test_noise_is_wrong_by_the_same_for_every_kind(object_id, noise):
    """A filled box and its Gaussian are displaced and stretched alike."""
    mask = RegionMask(400, 500, np.ones((40, 80), bool), 1000, 1000)
    box = ask(mask, "box", noise=noise, object_id=object_id).box
    gaussian = ask(mask, "gaussian", noise=noise, object_id=object_id).gaussian
    sides = 12 * np.diag(gaussian.covariance())  # a rectangle's variance is side²/12
    assert np.sqrt(sides) == pytest.approx((box[2] - box[0], box[3] - box[1]), rel=1e-9)
    assert gaussian.mean == pytest.approx(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2))
    told = ask(mask, "gaussian", "box", noise, object_id).gaussian
    assert told.mean == pytest.approx(gaussian.mean)


def test_noise_displaces_edges_by_so_many_sides():
    mask = RegionMask(4000, 5000, np.ones((400, 800), bool), 10000, 10000)
    for noise in (0.05, 0.1):
        boxes = np.array([ask(mask, "box", noise=noise, object_id=str(i)).box for i in range(1500)])
        errors = (boxes - (4000, 5000, 4800, 5400)) / (800, 400, 800, 400)
        assert errors.std(0) == pytest.approx(noise, rel=0.1)
        assert errors.mean(0) == pytest.approx(0, abs=0.01)
        assert abs(np.corrcoef(errors.T)[np.triu_indices(4, 1)]).max() < 0.15


def test_noise_is_seeded_and_the_same_for_all_models():
    settings = [PromptSettings("matched", 0.1, seed) for seed in (0, 0, 1)]
    boxes = [make_prompt(DIAGONAL, ("box",), each, "7").box for each in settings]
    assert boxes[0] == boxes[1] != boxes[2]
    assert ask(DIAGONAL, "box", noise=0.1, object_id="8").box != boxes[0]
