"""Intervals compared with closed forms and brute force. `test_coverage.py` has the coverage of intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from objascale.intervals import DIFFERENCE, SHARE, UNBOUNDED, Estimates, Support, holm, ratios


def mean_of(values: np.ndarray, clusters: np.ndarray, support: Support = SHARE) -> Estimates:
    return ratios(values, np.ones(len(values)), np.zeros(len(values), int), pd.factorize(clusters)[0], support)


def objects(least: float, clusters: int = 6) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Draw values from `least` to 1 in at least `clusters` clusters of unequal size."""
    some = st.lists(st.lists(st.floats(least, 1), min_size=1, max_size=5), min_size=clusters, max_size=12)
    return some.map(lambda each: (np.concatenate(each), np.repeat(np.arange(len(each)), [len(one) for one in each])))


@given(objects(0, clusters=2))
def test_the_standard_error_is_the_jackknife_over_clusters(sample: tuple[np.ndarray, np.ndarray]) -> None:
    values, clusters = sample
    without = [values[clusters != cluster].mean() for cluster in np.unique(clusters)]
    assert mean_of(values, clusters).error[0] == pytest.approx(np.sqrt(((without - values.mean()) ** 2).sum()))


def test_the_jackknife_of_a_ratio_leaves_out_both_terms() -> None:
    cells, clusters = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0])
    found = ratios(np.array([1.0, 1, 6, 5, 2]), np.array([1.0, 1, 2, 1, 4]), cells, clusters, UNBOUNDED)
    assert found.value.tolist() == pytest.approx([2, 7 / 5])
    assert found.error[0] == pytest.approx(np.hypot(3 - 2, 1 - 2))
    assert found.error[1] == pytest.approx(np.hypot(5 - 7 / 5, 1 / 2 - 7 / 5))


@pytest.mark.parametrize("n", [6, 30, 200])
def test_equal_clusters_give_the_t_interval(n: int) -> None:
    """The standard error is that of the jackknife, with n - 1 instead of n under the root."""
    values = np.random.default_rng(n).normal(0, 0.1, n)
    low, high = mean_of(values - values.mean(), np.arange(n), DIFFERENCE).interval()
    width = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n - 1)
    assert (low[0], high[0]) == pytest.approx((-width, width))


def test_a_further_cluster_without_difference_widens_a_large_interval() -> None:
    values = np.full(9, 0.8)
    low, high = mean_of(values, np.arange(9), DIFFERENCE).interval()
    width = stats.t.ppf(0.975, 8) * 0.08
    assert (low[0], high[0]) == pytest.approx((0.8 - width, 0.8 + width))


@pytest.mark.parametrize("hits", [0, 1, 6, 12])
def test_clusters_of_zeros_and_ones_have_a_binomial_interval(hits: int) -> None:
    """With equal clusters it is the Clopper-Pearson interval, otherwise it is wider."""
    values = (np.arange(12) < hits).astype(float)
    low, high = mean_of(values, np.arange(12)).interval()
    exact = stats.binomtest(hits, 12).proportion_ci()
    if hits in (0, 12):
        assert (low[0], high[0]) == pytest.approx((exact.low, exact.high))
    else:
        assert low[0] < exact.low < exact.high < high[0]


def test_a_share_of_many_clusters_has_the_normal_interval() -> None:
    values = np.random.default_rng(1).beta(4, 2, 20_000)
    low, high = mean_of(values, np.arange(20_000)).interval()
    width = 1.96 * values.std() / np.sqrt(20_000)
    assert (low[0], high[0]) == pytest.approx((values.mean() - width, values.mean() + width), abs=width / 50)


@given(objects(0))
def test_the_interval_of_a_share_contains_the_mean_and_stays_in_0_to_1(sample) -> None:
    found = mean_of(*sample)
    low, high = found.interval()
    assert 0 <= low[0] <= found.value[0] + 1e-9
    assert found.value[0] - 1e-9 <= high[0] <= 1


@given(objects(-1))
def test_swapping_the_sides_of_a_difference_mirrors_its_interval(sample) -> None:
    values, clusters = sample
    there, back = (mean_of(side * values, clusters, DIFFERENCE).interval() for side in (1, -1))
    assert np.ravel(there) == pytest.approx(-np.ravel(back)[::-1], nan_ok=True, abs=1e-12)
    assert np.nan_to_num(there).min() >= -1


@settings(max_examples=40)
@given(objects(0), st.floats(0.01, 0.99), st.sampled_from([SHARE, DIFFERENCE]))
def test_p_is_below_the_level_if_the_interval_excludes_the_bound(sample, bound: float, support: Support) -> None:
    found = mean_of(*sample, support)
    (low,), (high,), (p,) = *found.interval(), found.p(bound)
    if np.isnan(low):
        assert np.isnan(p)
    elif min(abs(low - bound), abs(high - bound)) > 1e-9:
        assert (p < 0.05) == (not low <= bound <= high)


def test_p_of_a_difference_is_that_of_the_t_test() -> None:
    values = np.random.default_rng(3).normal(0.1, 0.2, 20)
    found = mean_of(values, np.arange(20), DIFFERENCE)
    error = np.hypot(values.std(ddof=1) / np.sqrt(19), values.mean() / 21)
    assert found.p(0.0)[0] == pytest.approx(2 * stats.t.sf(values.mean() / error, 19))


def test_objects_of_one_asset_are_not_counted_as_independent() -> None:
    """Ten copies of each value add no information, so the interval must not shrink."""
    values = np.random.default_rng(4).beta(4, 2, 40)
    copies, clusters = np.repeat(values, 10), np.repeat(np.arange(40), 10)
    once, many, naive = (
        np.ravel(mean_of(*each).interval())
        for each in ((values, np.arange(40)), (copies, clusters), (copies, np.arange(400)))
    )
    assert many == pytest.approx(once)
    assert naive[1] - naive[0] < 0.5 * (many[1] - many[0])


def test_clusters_of_unequal_size_count_as_fewer() -> None:
    clusters = np.repeat(np.arange(10), [91, *[1] * 9])
    values = np.random.default_rng(5).random(100)
    assert mean_of(values, clusters).freedom[0] == pytest.approx(100**2 / (91**2 + 9) - 1)


@pytest.mark.parametrize("support", [SHARE, DIFFERENCE])
def test_fewer_than_six_clusters_have_no_interval_and_no_p(support: Support) -> None:
    values = np.random.default_rng(6).random(60)
    for clusters, known in ((1, False), (5, False), (6, True)):
        found = mean_of(values, np.arange(60) % clusters, support)
        assert np.isfinite([*np.ravel(found.interval()), found.p(0.1)[0]]).tolist() == [known] * 3


def test_differences_that_are_all_zero_have_no_interval() -> None:
    found = mean_of(np.zeros(20), np.arange(20), DIFFERENCE)
    assert np.isnan([*np.ravel(found.interval()), found.p(0.0)[0]]).all()


def test_holm_equals_a_calculation_by_hand() -> None:
    assert holm(np.array([0.04, 0.01, 0.03])).tolist() == pytest.approx([0.06, 0.03, 0.06])
    assert holm(np.array([0.9, 0.8])).tolist() == [1, 1]
    assert holm(np.array([0.02, np.nan, 0.04])).tolist() == pytest.approx([0.04, np.nan, 0.04], nan_ok=True)


@settings(max_examples=50)
@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=12))
def test_holm_is_between_p_and_bonferroni_and_keeps_the_order(values: list[float]) -> None:
    p = np.array(values)
    adjusted = holm(p)
    assert (adjusted >= p - 1e-12).all()
    assert (adjusted <= np.minimum(1, p * len(p)) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= -1e-12).all()
