"""Equivariance of the trained network under shifts, rotations and scales, and extreme prompts.

Equivariance holds up to the noise of random patches. Extreme prompts are one pixel, one line, the whole image and huge
strips.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from flip.gaussian import Gaussian
from flip.released.model import ReleasedFlip
from flip.released.predictor import FlipPredictor
from objascale.masks import RegionMask

SIDE = 400
CENTRE = np.array((200.0, 200.0))


def scene(plane: NDArray, width: int, height: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw a three-lobed, shaded object on soft hills, on a plane mapped by `plane` (2, 3). Return image and mask."""
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    inverse = np.linalg.inv(plane[:, :2])
    u, v = np.einsum("ij,jhw->ihw", inverse, np.stack((columns - plane[0, 2], rows - plane[1, 2])))
    x, y = u - CENTRE[0], v - CENTRE[1]
    depth = 18 * (1 + 0.25 * np.cos(3 * np.arctan2(y, x))) - np.hypot(x / 1.6, y)
    hills = (90 + 30 * np.sin(u / 37), 110 + 30 * np.sin(v / 29 + u / 50), 100 + 20 * np.cos(v / 41))
    shades = (200 + 30 * np.sin(v / 9), 70 + 20 * np.cos(u / 8), np.full_like(u, 60))
    share = 1 / (1 + np.exp(-np.clip(2 * depth, -50, 50)))[..., None]
    image = np.stack(hills, -1) * (1 - share) + np.stack(shades, -1) * share
    return image.round().astype(np.uint8), depth > 0


def about_the_centre(turn: float = 0.0, scale: float = 1.0, shift: tuple[float, float] = (0, 0)) -> NDArray:
    c, s = scale * math.cos(turn), scale * math.sin(turn)
    linear = np.array(((c, -s), (s, c)))
    return np.hstack((linear, (CENTRE + shift - linear @ CENTRE)[:, None]))


def brought_back(mask: RegionMask, plane: NDArray) -> NDArray[np.bool_]:
    """Map a mask back to the original plane. Pixel centres of OpenCV are at integers."""
    indices = plane.copy()
    indices[:, 2] += plane[:, :2] @ (0.5, 0.5) - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(mask.full().astype(np.float32), indices, (SIDE, SIDE), flags=flags) > 0.5


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.fixture(scope="module")
def still(tiny: ReleasedFlip) -> tuple[Gaussian, NDArray[np.bool_]]:
    """Return the prompt and the predicted mask in the original scene."""
    image, truth = scene(about_the_centre(), SIDE, SIDE)
    gaussian = Gaussian.from_mask(RegionMask.from_full(truth))
    predictor = FlipPredictor(tiny)
    predictor.set_image(image)
    found = predictor.predict(gaussian=gaussian).full()
    assert iou(found, truth) > 0.97
    return gaussian, found


@pytest.mark.parametrize(
    ("plane", "size"),
    [
        (about_the_centre(shift=(53, -31)), (400, 400)),
        (about_the_centre(shift=(13.37, -31.61)), (400, 400)),
        (about_the_centre(shift=(400, 300)), (900, 800)),
        (about_the_centre(shift=(200, 0)), (800, 400)),
        (about_the_centre(turn=math.pi / 2), (400, 400)),
        (about_the_centre(turn=math.pi / 6), (400, 400)),
        (about_the_centre(turn=2.4), (400, 400)),
        (about_the_centre(scale=4, shift=(600, 600)), (1600, 1600)),
        (about_the_centre(scale=2, shift=(200, 200)), (800, 800)),
        (about_the_centre(scale=0.7, turn=-1.1), (400, 400)),
        (about_the_centre(scale=0.5), (400, 400)),
    ],
    ids=["shift", "part of a pixel", "frame", "wide", "90°", "30°", "137°", "×4", "×2", "×0.7 and −63°", "×0.5"],
)
def test_the_mask_moves_with_image_and_prompt(
    plane: NDArray, size: tuple[int, int], still: tuple[Gaussian, NDArray[np.bool_]], tiny: ReleasedFlip
) -> None:
    """Two draws of patches of the same scene agree to 0.98. At half the size, half a pixel counts twice as much."""
    gaussian, before = still
    image, truth = scene(plane, *size)
    linear, offset = plane[:, :2], plane[:, 2]
    predictor = FlipPredictor(tiny)
    predictor.set_image(image)
    mask = predictor.predict(gaussian=Gaussian.from_axes(linear @ gaussian.mean + offset, linear @ gaussian.axes()))
    assert iou(brought_back(mask, plane), before) > 0.94
    assert iou(mask.full(), truth) > 0.96


# ---- extreme prompts


def found(tiny: ReleasedFlip, frame: tuple[int, int], box: tuple[int, int, int, int], prompt: str) -> float:
    """Return the IoU for a rectangle on a background of another colour, prompted by its mask or its box."""
    (width, height), (x0, y0, x1, y1) = frame, box
    image = np.full((height, width, 3), (70, 90, 110), np.uint8)
    image[y0:y1, x0:x1] = (230, 200, 60)
    truth = RegionMask(x0, y0, np.ones((y1 - y0, x1 - x0), bool), width, height)
    predictor = FlipPredictor(tiny)
    predictor.set_image(image)
    mask = predictor.predict(mask=truth) if prompt == "mask" else predictor.predict(box=box)
    assert (mask.width, mask.height) == frame
    return mask.iou(truth)


@pytest.mark.parametrize("prompt", ["mask", "box"])
@pytest.mark.parametrize(
    ("frame", "box"),
    [
        ((100, 80), (0, 30, 12, 42)),
        ((100, 80), (85, 65, 100, 80)),
        ((100, 80), (0, 0, 15, 15)),
        ((300, 200), (0, 0, 300, 1)),
        ((200, 150), (0, 0, 200, 150)),
        ((12, 9), (0, 0, 12, 9)),
        ((65_000, 40), (40_000, 10, 40_020, 30)),
        ((65_535, 60), (65_500, 10, 65_535, 50)),
        ((60, 65_535), (10, 65_500, 50, 65_535)),
    ],
    ids=[
        "border",
        "corner",
        "origin",
        "line along the edge",
        "whole",
        "whole tiny",
        "strip",
        "end of a strip",
        "foot of a strip",
    ],
)
def test_objects_of_extreme_shape_are_segmented(
    frame: tuple[int, int], box: tuple[int, int, int, int], prompt: str, tiny: ReleasedFlip
) -> None:
    assert found(tiny, frame, box, prompt) > 0.95


@pytest.mark.parametrize("box", [(40, 100, 260, 101), (150, 20, 151, 180)], ids=["lying", "upright"])
def test_a_line_of_one_pixel_is_segmented(box: tuple[int, int, int, int], tiny: ReleasedFlip) -> None:
    """The IoU is higher than that of a mask that is one pixel too thick on both sides."""
    assert found(tiny, (300, 200), box, "mask") > 0.4


@pytest.mark.parametrize("grey", [0, 90])
def test_a_single_pixel_gives_a_small_mask(tiny: ReleasedFlip, grey: int) -> None:
    """Its Gaussian gives a single patch, which shows little. The mask is not empty, and at most a pixel away."""
    image = np.full((80, 100, 3), grey, np.uint8)
    image[40, 50] = 255
    predictor = FlipPredictor(tiny)
    predictor.set_image(image)
    mask = predictor.predict(mask=RegionMask(50, 40, np.ones((1, 1), bool), 100, 80))
    assert 0 < mask.area <= 4
    assert mask.box is not None
    assert np.abs(np.array(mask.box) - (50, 40, 51, 41)).max() <= 1
