"""Statistics against closed forms and laws."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.statistics import clustered_interval, clustered_means
from objascale.sizes import PIXEL_LABELS, SIZE_LABELS, pixel_bin, size_bin


def frame(values: np.ndarray, clusters: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame({"series": "a", "iou": values, "cluster": clusters})


def test_a_mean_is_the_sample_mean_and_deviation() -> None:
    table = clustered_means(frame(np.array([0.1, 0.4, 0.7]), np.array([0, 1, 1])), ["series"], np.random.default_rng(0))
    row = table.loc["a"]
    assert row["mean"] == pytest.approx(0.4)
    assert row["std"] == pytest.approx(0.3)
    assert (row["n"], row["clusters"]) == (3, 2)


@given(st.floats(0, 1), st.lists(st.integers(0, 4), min_size=2, max_size=30).filter(lambda c: len(set(c)) > 1))
def test_an_interval_of_equal_values_has_no_width(value: float, clusters: list[int]) -> None:
    table = clustered_means(
        frame(np.full(len(clusters), value), np.array(clusters)), ["series"], np.random.default_rng(0)
    )
    assert table["low"].item() == pytest.approx(value)
    assert table["high"].item() == pytest.approx(value)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6)), min_size=2, max_size=40).filter(
        lambda rows: len({cluster for _, cluster in rows}) > 1
    )
)
@settings(max_examples=50)
def test_bounds_lie_between_the_means_of_the_clusters(rows: list[tuple[float, int]]) -> None:
    """A mean over drawn clusters is a weighted mean of theirs, so no draw can leave their range."""
    values, clusters = np.array([v for v, _ in rows]), np.array([c for _, c in rows])
    means = pd.Series(values).groupby(clusters).mean()
    low, high = clustered_interval(
        values, np.zeros(len(rows), int), pd.factorize(clusters)[0], np.random.default_rng(1)
    )
    assert means.min() - 1e-9 <= low[0] <= high[0] <= means.max() + 1e-9


def test_with_one_object_per_cluster_it_is_the_ordinary_bootstrap() -> None:
    rng = np.random.default_rng(2)
    values = rng.beta(4, 2, 200)
    draws = rng.choice(values, (4000, 200)).mean(1)
    low, high = clustered_interval(
        values, np.zeros(200, int), np.arange(200), np.random.default_rng(3), replicates=4000
    )
    assert (low[0], high[0]) == pytest.approx(np.quantile(draws, (0.025, 0.975)), abs=0.003)


def test_objects_of_one_asset_are_not_counted_as_independent() -> None:
    """Ten copies of each value carry no more than the values: the interval must not shrink."""
    values = np.random.default_rng(4).beta(4, 2, 40)
    copies, clusters = np.repeat(values, 10), np.repeat(np.arange(40), 10)
    once = clustered_interval(values, np.zeros(40, int), np.arange(40), np.random.default_rng(5))
    many = clustered_interval(copies, np.zeros(400, int), clusters, np.random.default_rng(5))
    naive = clustered_interval(copies, np.zeros(400, int), np.arange(400), np.random.default_rng(5))
    assert np.ravel(many) == pytest.approx(np.ravel(once))
    assert naive[1][0] - naive[0][0] < 0.5 * (many[1][0] - many[0][0])


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(6)
    hits = 0
    for _ in range(300):
        clusters = np.repeat(np.arange(40), 4)
        values = 0.5 + np.repeat(rng.normal(0, 0.2, 40), 4) + rng.normal(0, 0.1, 160)
        low, high = clustered_interval(values, np.zeros(160, int), clusters, rng, replicates=300)
        hits += low[0] <= 0.5 <= high[0]
    assert 0.89 <= hits / 300 <= 0.98


def test_cells_share_their_draws_so_equal_cells_have_equal_bounds() -> None:
    values = np.random.default_rng(7).random(30)
    low, high = clustered_interval(
        np.tile(values, 2), np.repeat([0, 1], 30), np.tile(np.arange(30), 2), np.random.default_rng(8)
    )
    assert (low[0], high[0]) == pytest.approx((low[1], high[1]))


def test_objects_of_a_single_cluster_have_no_interval() -> None:
    low, high = clustered_interval(
        np.array([0.2, 0.8, 0.5, 0.6]), np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]), np.random.default_rng(0)
    )
    assert np.isnan(low[0])
    assert np.isnan(high[0])
    assert low[1] < high[1]


def test_the_seed_decides_the_interval() -> None:
    rows = frame(np.random.default_rng(9).random(50), np.arange(50) // 2)
    first, again, other = (clustered_means(rows, ["series"], np.random.default_rng(seed)) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert first["low"].item() != other["low"].item()


def test_ten_models_on_the_full_dataset_take_seconds() -> None:
    rng = np.random.default_rng(10)
    rows = pd.DataFrame(
        {
            "series": np.repeat([f"m{i}" for i in range(10)], 10_200),
            "bin": np.tile(rng.integers(0, 5, 10_200), 10),
            "iou": rng.random(102_000),
            "cluster": np.tile(np.arange(10_200) // 3, 10),
        }
    )
    start = time.perf_counter()
    assert len(clustered_means(rows, ["series", "bin"], rng)) == 50
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("fraction", "label"),
    [(3e-7, 0), (1e-5, 0), (1.1e-5, 1), (1e-4, 1), (5e-4, 2), (1e-2, 3), (0.011, 4), (0.3, 4)],
)
def test_size_bins(fraction: float, label: int) -> None:
    assert SIZE_LABELS[size_bin(np.array([fraction]))[0]] == SIZE_LABELS[label]


@pytest.mark.parametrize(("area", "label"), [(1, 0), (29, 0), (30, 1), (99, 1), (100, 2), (9999, 3), (10_000, 4)])
def test_pixel_bins(area: int, label: int) -> None:
    assert PIXEL_LABELS[pixel_bin(np.array([area]))[0]] == PIXEL_LABELS[label]
