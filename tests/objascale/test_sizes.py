"""Bins of mask sizes."""

from __future__ import annotations

import numpy as np
import pytest

from objascale.sizes import PIXEL_LABELS, SIZE_LABELS, pixel_bin, size_bin


@pytest.mark.parametrize(
    ("fraction", "label"),
    [(3e-7, 0), (1e-5, 0), (1.1e-5, 1), (1e-4, 1), (5e-4, 2), (1e-2, 3), (0.011, 4), (0.3, 4)],
)
def test_size_bins_have_the_edges_of_the_documentation(fraction: float, label: int) -> None:
    assert SIZE_LABELS[size_bin(np.array([fraction]))[0]] == SIZE_LABELS[label]


@pytest.mark.parametrize(("area", "label"), [(1, 0), (29, 0), (30, 1), (99, 1), (100, 2), (9999, 3), (10_000, 4)])
def test_pixel_bins_have_the_edges_of_the_documentation(area: int, label: int) -> None:
    assert PIXEL_LABELS[pixel_bin(np.array([area]))[0]] == PIXEL_LABELS[label]
