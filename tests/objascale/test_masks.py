"""RegionMask compared with full-frame NumPy and with pycocotools."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco

from objascale.masks import MaskError, RegionMask

frames = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))
pairs = array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14).flatmap(
    lambda shape: st.tuples(arrays(bool, shape), arrays(bool, shape))
)


@given(frames)
def test_full_frame_round_trip(frame):
    mask = RegionMask.from_full(frame)
    assert (mask.full() == frame).all()
    assert mask.area == frame.sum()
    assert mask.fraction == frame.mean()


@given(frames)
def test_numpy_sees_the_full_frame(frame):
    mask = RegionMask.from_full(frame)
    assert np.asarray(mask).dtype == bool
    assert np.array_equal(mask, frame)
    assert np.asarray(mask, np.uint8).sum() == mask.area
    assert np.logical_and(mask, frame).sum() == mask.area


@given(frames)
def test_rle_equals_pycocotools(frame):
    theirs = coco.encode(np.asfortranarray(frame.astype(np.uint8)))
    ours = RegionMask.from_full(frame).rle()
    assert ours == {"size": list(theirs["size"]), "counts": theirs["counts"].decode()}


@given(frames)
def test_rle_round_trip(frame):
    mask = RegionMask.from_full(frame)
    back = RegionMask.from_rle(mask.rle())
    assert (back.full() == frame).all()
    assert back.box == mask.box
    runs = coco.frPyObjects(  # the uncompressed form, as annotation files hold it
        {"size": list(frame.shape), "counts": _runs(frame)}, *frame.shape
    )
    assert runs["counts"].decode() == mask.rle()["counts"]
    assert (RegionMask.from_rle({"size": list(frame.shape), "counts": _runs(frame)}).full() == frame).all()


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
def test_rle_of_long_and_short_runs_equals_pycocotools(share):
    frame = np.random.default_rng(0).random((1500, 700)) < share
    frame[200:1200, 100:600] ^= True
    theirs = coco.encode(np.asfortranarray(frame.astype(np.uint8)))["counts"].decode()
    mask = RegionMask.from_full(frame)
    assert mask.rle()["counts"] == theirs
    assert (RegionMask.from_rle({"size": [1500, 700], "counts": theirs}).full() == frame).all()


def _runs(frame):
    flat = np.concatenate(([False], frame.T.ravel()))
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate(([0], edges, [frame.size]))).tolist()


@given(frames)
def test_the_box_is_the_tightest_box_of_the_mask(frame):
    box = RegionMask.from_full(frame).box
    if box is None:
        assert not frame.any()
        return
    x0, y0, x1, y1 = box
    assert frame[y0:y1, x0:x1].sum() == frame.sum()
    assert frame[y0].any()
    assert frame[y1 - 1].any()
    assert frame[:, x0].any()
    assert frame[:, x1 - 1].any()


@given(pairs)
def test_iou_and_dice_equal_full_frame_numpy(pair):
    a, b = pair
    mask_a, mask_b = RegionMask.from_full(a), RegionMask.from_full(b)
    union, both = (a | b).sum(), (a & b).sum()
    assert mask_a.iou(mask_b) == pytest.approx(both / union if union else 0)
    assert mask_a.iou(mask_b) == mask_b.iou(mask_a)
    assert mask_a.dice(mask_b) == pytest.approx(2 * both / (a.sum() + b.sum()) if union else 0)


@given(frames, st.tuples(*[st.integers(-5, 20)] * 4))
def test_window_equals_slicing_a_padded_frame(frame, edges):
    x0, x1 = sorted(edges[:2])
    y0, y1 = sorted(edges[2:])
    padded = np.pad(frame, 30)
    expected = padded[y0 + 30 : y1 + 30, x0 + 30 : x1 + 30]
    assert (RegionMask.from_full(frame).window((x0, y0, x1, y1)) == expected).all()


@given(frames.filter(lambda frame: frame.any()))
def test_moments_integrate_over_pixel_areas(frame):
    """Compared with a mask of 16 × 16 points a pixel."""
    mean, covariance = RegionMask.from_full(frame).moments()
    rows, columns = np.nonzero(np.kron(frame, np.ones((16, 16), bool)))
    points = (np.stack((columns, rows)) + 0.5) / 16
    assert mean == pytest.approx(points.mean(1))
    assert mean.tolist() == RegionMask.from_full(frame).mean().tolist()
    assert covariance == pytest.approx(np.cov(points, bias=True), abs=1e-3)


@given(frames.filter(lambda frame: frame.any()))
def test_moments_are_rounded_once(frame):
    """Moments set the Gaussian prompt, so they must not depend on the order of additions."""
    _, covariance = RegionMask.from_full(frame).moments()
    rows, columns = ([int(i) for i in indices] for indices in np.nonzero(frame))
    n = len(rows)
    exact = Fraction(sum(r * c for r, c in zip(rows, columns, strict=True)), n) - Fraction(
        sum(rows) * sum(columns), n**2
    )
    assert covariance[0, 1] == covariance[1, 0] == float(exact)


def test_moments_of_a_large_mask_are_those_of_the_rectangle():
    mean, covariance = RegionMask(100, 200, np.ones((3000, 5000), bool), 8192, 8192).moments()
    assert mean.tolist() == [2600, 1700]
    assert covariance == pytest.approx(np.diag((5000**2, 3000**2)) / 12, rel=1e-15)


def test_one_pixel():
    frame = np.zeros((9, 9), bool)
    frame[5, 3] = True
    mask = RegionMask.from_full(frame)
    assert mask.box == (3, 5, 4, 6)
    mean, covariance = mask.moments()
    assert mean.tolist() == [3.5, 5.5]
    assert covariance == pytest.approx(np.eye(2) / 12)


def test_a_small_mask_in_a_huge_frame_uses_little_memory():
    mask = RegionMask(8000, 4000, np.ones((3, 5), bool), 8192, 8192)
    back = RegionMask.from_rle(mask.rle())
    assert back.data.shape == (3, 5)
    assert back.iou(mask) == 1


@pytest.mark.parametrize(
    "rle",
    [
        {"size": [2, 2], "counts": [1, 1]},
        {"size": [2, 2], "counts": [5, -1]},
        {"size": [2, 2], "counts": "\x01"},
        {"size": [2, 2], "counts": "P"},
        {"size": [2, 2], "counts": "oooooooooooooooo0"},
        {"size": [2, 2], "counts": ""},
    ],
)
def test_damaged_rle_is_refused(rle):
    with pytest.raises(MaskError):
        RegionMask.from_rle(rle)


def test_other_contradictions_are_refused():
    with pytest.raises(MaskError, match="leaves"):
        RegionMask(1, 0, np.ones((2, 2), bool), 2, 2)
    with pytest.raises(MaskError, match="different frames"):
        RegionMask.empty(2, 2).iou(RegionMask.empty(3, 2))
    with pytest.raises(MaskError, match="moments"):
        RegionMask.empty(2, 2).moments()
    with pytest.raises(MaskError, match="mean"):
        RegionMask.empty(2, 2).mean()
    with pytest.raises(MaskError, match="boolean"):
        RegionMask(0, 0, np.ones((2, 2), np.uint8), 2, 2)
