"""Every score on regions equals the same score on full frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.ndimage import minimum_filter

from bench.bits import BitMask
from bench.metrics import _boundaries, boundary_iou, object_boundary_width, score
from objascale.masks import MaskError, RegionMask


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw two frames of one size, each a noisy rectangle or noise."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))
    frames = []
    for _ in range(2):
        frame = draw(hnp.arrays(bool, shape, elements=st.booleans(), fill=st.just(False)))
        y0, x0 = (draw(st.integers(0, n - 1)) for n in shape)
        frame[y0 : y0 + draw(st.integers(0, 30)), x0 : x0 + draw(st.integers(0, 30))] ^= True
        frames.append(frame)
    return frames[0], frames[1]


def full_boundary(mask: np.ndarray, width: int) -> np.ndarray:
    """Return the mask pixels with a Chebyshev distance of at most `width` to a pixel outside, by definition."""
    padded = np.pad(mask, width)
    shifts = range(2 * width + 1)
    windows = [padded[dy : dy + mask.shape[0], dx : dx + mask.shape[1]] for dy in shifts for dx in shifts]
    return mask & ~np.logical_and.reduce(windows)


def ratio(part: np.ndarray, whole: np.ndarray) -> float:
    return part.sum() / whole.sum() if whole.any() else 0.0


@given(pairs())
def test_scores_equal_the_full_frame(frames):
    a, b = frames
    predicted, truth = RegionMask.from_full(a), RegionMask.from_full(b)
    scores = score(predicted, truth)
    assert scores.iou == pytest.approx(ratio(a & b, a | b))
    total = a.sum() + b.sum()
    assert scores.dice == pytest.approx(2 * (a & b).sum() / total if total else 0.0)
    width = object_boundary_width(truth)
    inner_a, inner_b = full_boundary(a, width), full_boundary(b, width)
    expected = ratio(inner_a & inner_b, inner_a | inner_b) if a.any() and b.any() else 0.0
    assert scores.boundary_iou == pytest.approx(expected)


@given(pairs())
def test_the_same_mask_scores_one_unless_it_is_empty(frames):
    mask = RegionMask.from_full(frames[0])
    scores = score(mask, mask)
    assert (scores.iou, scores.dice, scores.boundary_iou) == ((1, 1, 1) if mask.area else (0, 0, 0))


def test_the_boundary_grows_with_the_object_and_not_with_the_image():
    small, large = np.ones((3, 3), bool), np.ones((300, 400), bool)
    assert (
        object_boundary_width(RegionMask(0, 0, small, 10, 10))
        == object_boundary_width(RegionMask(0, 0, small, 8192, 8192))
        == 1
    )
    assert object_boundary_width(RegionMask(0, 0, large, 8192, 8192)) == 10


@given(
    st.tuples(st.integers(1, 99), st.integers(1, 99)),
    st.lists(st.integers(0, 98**2), max_size=3),
    st.lists(st.integers(1, 40), min_size=1, max_size=3).map(sorted),
)
def test_boundaries_of_any_widths_hold_the_pixels_near_a_pixel_outside(shape, holes, widths):
    data = np.ones(shape, bool)
    data.reshape(-1)[[hole % data.size for hole in holes]] = False
    mask = RegionMask(3, 2, data, shape[1] + 5, shape[0] + 4)
    everything = BitMask.of(RegionMask.from_full(np.ones((mask.height, mask.width), bool)))
    for width, boundary in zip(widths, _boundaries(BitMask.of(mask), widths), strict=True):
        near = data & ~minimum_filter(data, 2 * width + 1, mode="constant", cval=0)
        expected = BitMask.of(RegionMask(3, 2, near, mask.width, mask.height))
        assert boundary.area == expected.area == boundary.intersection(expected) == boundary.intersection(everything)


def test_boundary_iou_is_more_sensitive_than_iou():
    large = np.ones((400, 400), bool)
    eaten = large.copy()
    eaten[:4] = eaten[-4:] = eaten[:, :4] = eaten[:, -4:] = False
    truth, predicted = RegionMask(0, 0, large, 400, 400), RegionMask(0, 0, eaten, 400, 400)
    assert predicted.iou(truth) > 0.95
    assert boundary_iou(predicted, truth, object_boundary_width(truth)) < 0.6


def test_masks_of_different_frames_are_an_error():
    with pytest.raises(MaskError, match="different frames"):
        score(RegionMask.empty(4, 4), RegionMask.empty(4, 5))


@given(pairs(), st.data())
def test_ignored_pixels_are_left_out_of_every_score(frames, data):
    predicted, truth = frames
    ignored = data.draw(hnp.arrays(bool, truth.shape))
    found = score(*(RegionMask.from_full(frame) for frame in (predicted, truth, ignored)))
    changed = score(*(RegionMask.from_full(frame) for frame in (predicted | ignored, truth & ~ignored, ignored)))
    expected = score(RegionMask.from_full(predicted & ~ignored), RegionMask.from_full(truth & ~ignored))
    assert found == changed == expected


def published_boundary(mask: np.ndarray) -> np.ndarray:
    """Return the boundary by the arithmetic of github.com/bowenc0221/boundary-iou-api: repeated 3×3 erosion."""
    height, width = mask.shape
    steps = max(round(0.02 * float(np.sqrt(height**2 + width**2))), 1)
    padded = np.pad(mask.astype(np.uint8), 1)
    return mask & ~cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=steps)[1:-1, 1:-1].astype(bool)


@pytest.mark.parametrize("seed", range(4))
def test_the_standard_boundary_iou_equals_the_published_arithmetic(seed):
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:240, :320]
    frames = []
    for _ in range(2):
        x, y, radius = rng.uniform(60, 260), rng.uniform(40, 200), rng.uniform(5, 90)  # some leave the frame
        frame = (columns - x) ** 2 + 2 * (rows - y) ** 2 < radius**2
        frames.append(frame | (rng.random(frame.shape) < 0.0005))
    a, b = (published_boundary(frame) for frame in frames)
    found = score(*(RegionMask.from_full(frame) for frame in frames))
    assert found.standard_boundary_iou == pytest.approx((a & b).sum() / (a | b).sum())


def test_the_standard_boundary_covers_a_small_object_of_a_large_image():
    truth = RegionMask(4000, 4000, np.ones((300, 400), bool), 8192, 8192)
    predicted = RegionMask(4001, 4000, np.ones((300, 400), bool), 8192, 8192)
    scores = score(predicted, truth)
    assert scores.standard_boundary_iou == scores.iou > scores.boundary_iou
