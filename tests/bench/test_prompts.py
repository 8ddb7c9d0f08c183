"""Prompts from ground truth: each model its kind, and nothing but the box where that is asked for."""

from __future__ import annotations

import numpy as np
import pytest

from bench.prompts import PromptError, make_prompt
from flip.gaussian import Gaussian
from objascale.masks import RegionMask

DIAGONAL = RegionMask(3, 5, np.eye(20, dtype=bool), 64, 48)


def test_a_box_is_the_tight_box_in_pixel_edges():
    for source in ("matched", "box"):
        prompt = make_prompt(DIAGONAL, ("box", "gaussian"), source)
        assert (prompt.kind, prompt.box, prompt.gaussian) == ("box", (3, 5, 23, 25), None)


def test_a_matched_gaussian_is_the_masks_and_knows_its_tilt():
    prompt = make_prompt(DIAGONAL, ("gaussian", "box"), "matched")
    assert prompt.kind == "gaussian"
    assert prompt.gaussian == Gaussian.from_mask(DIAGONAL)
    assert prompt.gaussian.covariance()[0, 1] > 0


def test_a_gaussian_from_the_box_knows_nothing_else():
    other = RegionMask(3, 5, np.eye(20, dtype=bool)[::-1], 64, 48)
    prompts = [make_prompt(mask, ("gaussian",), "box").gaussian for mask in (DIAGONAL, other)]
    assert prompts[0] == prompts[1]
    assert prompts[0].sigma1 == prompts[0].sigma2 == pytest.approx(5)


def test_an_empty_mask_and_a_strange_kind_are_named():
    with pytest.raises(PromptError, match="empty"):
        make_prompt(RegionMask.empty(4, 4), ("box",), "matched")
    with pytest.raises(PromptError, match="point"):
        make_prompt(DIAGONAL, ("point",), "matched")
