"""Means of results tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.statistics import clustered_means


def frame(values: np.ndarray, clusters: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"series": "a", "iou": values, "cluster": clusters})


def test_a_mean_is_the_sample_mean_and_deviation() -> None:
    row = clustered_means(frame(np.array([0.1, 0.4, 0.7]), np.array([0, 1, 1])), ["series"]).loc["a"]
    assert row["mean"] == pytest.approx(0.4)
    assert row["std"] == pytest.approx(0.3)
    assert (row["n"], row["clusters"]) == (3, 2)


def test_groups_have_the_order_of_their_first_rows() -> None:
    values = np.random.default_rng(0).random((2, 20))
    rows = pd.concat([frame(each, np.arange(20)).assign(series=name) for each, name in zip(values, "ba", strict=True)])
    table = clustered_means(rows.assign(category=None).fillna({"category": "x"}), ["category", "series"])
    assert list(table.index) == [("x", "b"), ("x", "a")]
    for name, each in zip("ba", values, strict=True):
        alone = clustered_means(frame(each, np.arange(20)), ["series"]).loc["a"]
        assert table.loc[("x", name)].to_dict() == pytest.approx(alone.to_dict())
