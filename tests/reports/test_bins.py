"""Bins that are equal in logarithms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.figures.bins import bin_index, log_edges


@given(st.lists(st.floats(1e-8, 1.0), min_size=1, max_size=50), st.integers(1, 60))
def test_log_bins_are_equal_and_contain_every_value(values: list[float], bins: int) -> None:
    edges = log_edges(np.array(values), bins)
    index = bin_index(np.array(values), edges)
    assert len(edges) == bins + 1
    assert np.diff(np.log10(edges)) == pytest.approx(np.log10(edges[-1] / edges[0]) / bins, abs=1e-9)
    assert index.min() >= 0
    assert index.max() <= bins - 1
    assert np.all(edges[index] <= np.array(values) * (1 + 1e-9))
    assert np.all(edges[index + 1] >= np.array(values) * (1 - 1e-9))
