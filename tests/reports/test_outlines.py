"""Outlines: exact at pixel edges when magnified, and within half a panel pixel otherwise."""

from __future__ import annotations

import re

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from objascale.masks import RegionMask
from reports.outlines import MAX_GRID_SIDE, OUTLINE_TOLERANCE, grid_size, outline
from reports.pixels import MAX_CROP_SIDE


def polygons(path: str) -> list[np.ndarray]:
    """Return the polygons of an SVG path."""
    out = []
    for closed in path.split("z")[:-1]:
        at, points = np.zeros(2, int), []
        for letter, numbers in re.findall(r"([Mhvl])([-\d ]+)", closed):
            values = [int(v) for v in re.findall(r"-?\d+", numbers)]
            step = {"h": [*values, 0], "v": [0, *values]}.get(letter, values)
            at = at + step
            points.append(at)
        out.append(np.array(points))
    return out


def filled(path: str, width: int, height: int) -> np.ndarray:
    """Return the pixels whose centres are inside, by the even-odd rule."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    inside = np.zeros((height, width), bool)
    for polygon in polygons(path):
        for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            if ay != by:
                inside ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * (bx - ax) / (by - ay))
    return inside


@given(hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
@settings(max_examples=200)
def test_a_magnified_outline_encloses_exactly_the_mask(data: np.ndarray) -> None:
    height, width = data.shape
    path = outline(RegionMask.from_full(data), (0, 0, width, height))
    assert np.array_equal(filled(path, width, height), data)


def test_an_outline_has_the_coordinates_of_its_crop() -> None:
    mask = RegionMask(10, 20, np.ones((1, 3), bool), 100, 100)
    assert polygons(outline(mask, (8, 15, 28, 35)))[0].tolist() == [[2, 5], [2, 6], [5, 6], [5, 5]]


def test_a_mask_outside_the_crop_has_no_outline() -> None:
    mask = RegionMask(0, 0, np.ones((2, 2), bool), 100, 100)
    assert outline(mask, (50, 50, 70, 70)) == ""
    assert outline(RegionMask.empty(100, 100), (50, 50, 70, 70)) == ""


@pytest.mark.parametrize("side", [300, 900, 4000])
def test_a_large_outline_is_short_and_within_half_a_panel_pixel(side: int) -> None:
    rows, columns = np.mgrid[:side, :side] + 0.5
    angle = np.arctan2(rows - side / 2, columns - side / 2)
    data = np.hypot(rows - side / 2, columns - side / 2) < side * (0.3 + 0.05 * np.sin(7 * angle))
    box = (0, 0, side, side)
    path = outline(RegionMask.from_full(data), box)
    (polygon,) = polygons(path)
    scale = side / grid_size(box)[0]
    exact = cv2.findContours(data.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0][:, 0] + 0.5
    drawn = (polygon * scale).astype(np.float32)[:, None]
    off = [abs(cv2.pointPolygonTest(drawn, tuple(map(float, point)), True)) for point in exact]
    # the centres of border pixels are half a pixel from the edge
    assert max(off) * MAX_CROP_SIDE / side <= OUTLINE_TOLERANCE + 0.71 * MAX_CROP_SIDE / side
    assert len(path) < 3500


def test_a_crop_larger_than_the_grid_is_sampled_in_its_shape() -> None:
    assert grid_size((0, 0, 8000, 4000)) == (MAX_GRID_SIDE, MAX_GRID_SIDE // 2)
    assert grid_size((5, 5, 25, 20)) == (20, 15)
