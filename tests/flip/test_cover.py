from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flip.gaussian import Gaussian
from flip.paper.cover import Cover, cover

WIDTH, HEIGHT = 200, 150
gaussians = st.builds(
    Gaussian.from_ellipse,
    st.floats(0, WIDTH - 1),
    st.floats(0, HEIGHT - 1),
    st.floats(0.6, 60),
    st.floats(0.6, 60),
    st.floats(-230, 230),
)


def region(gaussian: Gaussian) -> np.ndarray:
    """Return G > 0.01 at pixel centres, from the paper's equations, or the pixel of the mean."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    x_rot = gaussian.a * (x - gaussian.x) - gaussian.b * (y - gaussian.y)
    y_rot = gaussian.b * (x - gaussian.x) + gaussian.a * (y - gaussian.y)
    g = np.exp(-0.5 * ((x_rot / gaussian.sigma1) ** 2 + (y_rot / gaussian.sigma2) ** 2))
    inside = g > 0.01
    inside[int(gaussian.y), int(gaussian.x)] |= not inside.any()
    return inside


def times_covered(patches: Cover) -> np.ndarray:
    out = np.zeros((HEIGHT + 512, WIDTH + 512), int)
    for size, corners in patches.corners.items():
        for x, y in corners:
            out[y : y + size * patches.unit, x : x + size * patches.unit] += 1
    return out[:HEIGHT, :WIDTH]


@settings(max_examples=60, deadline=None)
@given(gaussians, st.integers(4, 600))
def test_patches_are_disjoint_and_cover_the_region(gaussian: Gaussian, count: int) -> None:
    patches = cover(gaussian, WIDTH, HEIGHT, count)
    wanted = region(gaussian)
    covered = times_covered(patches)
    assert covered.max() == 1
    assert covered[wanted].all()
    assert len(patches) <= count
    assert len(patches) > min(count, wanted.sum()) - 3
    sizes = [size for size, corners in patches.corners.items() if len(corners)]
    assert len(sizes) <= 2
    assert max(sizes) <= 2 * min(sizes) <= 32
    for size, corners in patches.corners.items():
        side = size * patches.unit
        assert (corners % side == 0).all()
        assert all(wanted[y : y + side, x : x + side].any() for x, y in corners)


def test_the_number_of_patches_is_nearly_always_exact() -> None:
    rng, exact = np.random.default_rng(0), 0
    for _ in range(100):
        x, y, semi1, semi2, angle = rng.uniform((70, 60, 12, 12, 0), (130, 90, 30, 30, 3))
        gaussian = Gaussian.from_ellipse(x, y, semi1, semi2, math.degrees(angle))
        exact += len(cover(gaussian, WIDTH, HEIGHT, count := int(rng.integers(32, 256)))) == count
    assert exact >= 95


def test_small_patches_are_near_the_mean() -> None:
    patches = cover(Gaussian.from_ellipse(100, 75, 40, 40, 0), WIDTH, HEIGHT, 256)
    near, far = (np.hypot(*(corners + size / 2 - (100, 75)).T) for size, corners in patches.corners.items())
    assert np.median(near) < np.median(far)
    centres = np.concatenate(list(patches.centres().values()))
    assert centres.shape == (256, 2)
    assert np.allclose(centres.mean(0), (100, 75), atol=4)


def test_a_huge_object_gets_coarse_samples() -> None:
    patches = cover(Gaussian.from_ellipse(4096, 4096, 2000, 1500, 0), 8192, 8192, 512)
    assert len(patches) == 512
    assert tuple(patches.corners) == (8, 16)
    area = sum(len(corners) * (size * patches.unit) ** 2 for size, corners in patches.corners.items())
    assert 1 < area / (2 * math.pi * math.log(100) * 1000 * 750) < 1.3


def test_fewer_than_four_patches_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        cover(Gaussian.from_point(5, 5, 1), 10, 10, 3)
