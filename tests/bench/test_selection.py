"""Selecting from the command line, and shards that are the whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.selection import SelectionError, parse_selection
from objascale.datasets import Dataset, Sample, TruthObject


def truth(category: str = "chair", area: int = 100) -> TruthObject:
    return TruthObject("1", "a", category, area, (100, 200), "")


def test_each_condition_must_hold():
    chosen = parse_selection(["category=chair,cup", "area=50..100", "fraction=..5e-3"])
    assert chosen.wants(truth())
    assert chosen.wants(truth("cup", 50))
    assert not chosen.wants(truth("table"))
    assert not chosen.wants(truth(area=101))
    assert not chosen.wants(truth(area=49))
    assert not parse_selection(["fraction=5.1e-3.."]).wants(truth())
    assert parse_selection([]).wants(truth("anything", 0))


@pytest.mark.parametrize(
    "text", ["chair", "category=", "area=5", "area=9..5", "area=a..b", "size=1..2", "fraction=", "area=nan..3"]
)
def test_what_is_not_understood_is_said(text):
    with pytest.raises(SelectionError, match="cannot select by"):
        parse_selection([text])


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_shards_that_are_none(text):
    with pytest.raises(SelectionError, match="I/N"):
        parse_selection([], shard=text)


@given(st.integers(1, 9), st.none() | st.integers(1, 9))
def test_shards_are_the_whole(parts, limit):
    dataset = Dataset("any", Path(), [Sample(str(i), "", bytes, list) for i in range(7)])
    whole = parse_selection([], limit).samples(dataset)
    shards = [parse_selection([], limit, f"{i}/{parts}").samples(dataset) for i in range(1, parts + 1)]
    assert sorted(sample.image_id for shard in shards for sample in shard) == [sample.image_id for sample in whole]
