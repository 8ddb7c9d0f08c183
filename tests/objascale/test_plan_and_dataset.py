"""Plans are pure functions of their seed; the journal survives anything."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from objascale.dataset import Dataset, DatasetError, differences, mask_columns, mask_of, read_annotations, read_journal
from objascale.masks import RegionMask
from objascale.plan import Plan, PlanSettings, RenderSettings, samples_for, spec_id
from objascale.sources import Asset


def assets(*counts: int) -> list[Asset]:
    return [
        Asset(f"c{category}/o{i}", f"c{category}", Path("x.glb"), "0" * 64)
        for category, count in enumerate(counts)
        for i in range(count)
    ]


MAPS = [Asset(f"m{i}", "", Path("x.exr"), "1" * 64) for i in range(5)]


@given(
    st.integers(0, 2**31),
    st.integers(64, 4096),
    st.floats(1, 8),
    st.floats(1e-7, 1e-3),
    st.floats(1, 200),
    st.integers(1, 50),
)
def test_draws_keep_their_ranges(seed, min_px, spread, min_fraction, wide, min_area):
    max_px, max_fraction = min(int(min_px * spread), 16384), min(min_fraction * wide, 0.5)
    if max_fraction * max_px**2 < min_area:
        return
    settings = PlanSettings(
        seed=seed, min_px=min_px, max_px=max_px, min_fraction=min_fraction, max_fraction=max_fraction, min_area=min_area
    )
    spec = Plan(assets(2), MAPS, settings).draw(0)
    assert min_px <= spec.width <= max_px
    assert spec.width == spec.height
    assert min_fraction * 0.999 <= spec.target_fraction <= max_fraction * 1.001
    assert spec.target_fraction * spec.width**2 >= min_area * 0.97


def test_size_is_log_uniform_where_nothing_is_cut_off():
    """Four octaves and four decades, every mask large enough: quarters are hit equally (chi-square, p > 0.001)."""
    settings = PlanSettings(min_px=512, max_px=8192, min_fraction=1e-4, max_fraction=0.25)
    plan = Plan(assets(1), MAPS, settings)
    specs = [plan.draw(slot) for slot in range(2000)]
    for values, low, high in (
        ([spec.width for spec in specs], 512, 8192),
        ([spec.target_fraction for spec in specs], 1e-4, 0.25),
    ):
        bins = np.floor(4 * np.log(np.array(values) / low) / math.log(high / low)).clip(0, 3).astype(int)
        counts = np.bincount(bins, minlength=4)
        assert ((counts - 500) ** 2 / 500).sum() < 16.3, counts


def test_categories_and_objects_come_evenly():
    plan = Plan(assets(3, 1, 7), MAPS, PlanSettings())
    specs = [plan.draw(slot) for slot in range(63)]
    assert set(Counter(spec.category for spec in specs).values()) == {21}
    of_seven = Counter(spec.object_id for spec in specs if spec.category == "c2")
    assert set(of_seven.values()) == {3}


def test_a_draw_depends_on_seed_slot_and_attempt_alone():
    plan = Plan(assets(3, 4), MAPS, PlanSettings(seed=5))
    forwards = [plan.draw(slot) for slot in range(10)]
    assert [Plan(assets(3, 4), MAPS, PlanSettings(seed=5)).draw(slot) for slot in reversed(range(10))][::-1] == forwards
    assert plan.draw(3, 1) != plan.draw(3)
    assert Plan(assets(3, 4), MAPS, PlanSettings(seed=6)).draw(3) != plan.draw(3)


def test_second_attempts_stay_in_the_category_and_then_leave_it():
    plan = Plan(assets(3, 4), MAPS, PlanSettings())
    category = plan.draw(0).category
    size = 3 if category == "c0" else 4
    tried = [plan.draw(0, attempt) for attempt in range(size)]
    assert {spec.category for spec in tried} == {category}
    assert len({spec.object_id for spec in tried}) == size
    assert {plan.draw(0, attempt).category for attempt in range(2 * size + 2, 2 * size + 40)} == {"c0", "c1"}


def test_spec_id_changes_with_whatever_changes_pixels():
    plan = Plan(assets(1), MAPS, PlanSettings())
    spec, settings = plan.draw(0), RenderSettings()
    assert spec_id(spec, settings) == spec_id(plan.draw(0), RenderSettings())
    assert spec_id(spec, settings) != spec_id(plan.draw(1), settings)
    assert spec_id(spec, settings) != spec_id(spec, RenderSettings(samples=32))


def test_large_objects_share_a_budget_of_paths():
    settings = RenderSettings(samples=64, paths=1000)
    assert [samples_for(pixels, settings) for pixels in (1, 10, 20, 1000)] == [64, 64, 50, 8]
    assert samples_for(1000, RenderSettings(samples=4, paths=1)) == 4


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"min_px": 900, "max_px": 800}, "above --max-px"),
        ({"min_fraction": 0.2, "max_fraction": 0.1}, "above --max-fraction"),
        ({"max_px": 512, "max_fraction": 1e-6}, "no mask of 4 px"),
    ],
)
def test_impossible_ranges_are_refused(values, words):
    with pytest.raises(ValidationError, match=words):
        PlanSettings(**values)


# ---- the dataset on disk


def description(**plan):
    return {"fingerprint": {"plan": plan, "objects": {"a/b": "12"}}}


def test_other_settings_are_refused_and_named(tmp_path):
    Dataset(tmp_path / "d").open(description(seed=1, min_px=512))
    Dataset(tmp_path / "d").open(description(seed=1, min_px=512))
    with pytest.raises(DatasetError, match=r"plan.seed: 1 → 2.*--out"):
        Dataset(tmp_path / "d").open(description(seed=2, min_px=512))


def test_two_writers_are_kept_apart(tmp_path):
    first = Dataset(tmp_path)
    first.open(description())
    with pytest.raises(DatasetError, match="another objascale render"):
        Dataset(tmp_path).open(description())


@given(st.integers(0, 200))
def test_a_torn_last_line_is_dropped_and_nothing_else(tmp_path_factory, cut):
    tmp_path = tmp_path_factory.mktemp("journal")
    dataset = Dataset(tmp_path)
    dataset.open(description())
    for slot in range(5):
        dataset.append({"slot": slot, "status": "failed", "text": "é" * slot})
    data = dataset.journal.read_bytes()
    dataset.journal.write_bytes(data[: max(len(data) - cut, 0)])
    whole = data[: max(len(data) - cut, 0)].count(b"\n")
    del dataset
    again = Dataset(tmp_path)
    again.open(description())
    assert [record["slot"] for record in again.records()] == list(range(whole))
    again.append({"slot": 9, "status": "failed"})
    assert again.records()[-1]["slot"] == 9


def test_a_damaged_line_in_the_middle_is_named(tmp_path):
    (tmp_path / "journal.jsonl").write_text('{"slot": 1}\n{"slo\n{"slot": 3}\n')
    with pytest.raises(DatasetError, match="line 2"):
        read_journal(tmp_path)


def test_reading_what_is_no_dataset(tmp_path):
    with pytest.raises(DatasetError, match=r"no dataset\.json"):
        read_annotations(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_annotations(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"schema": 99}))
    with pytest.raises(DatasetError, match="schema 99"):
        read_annotations(tmp_path)
    (tmp_path / "dataset.json").write_text(json.dumps({"schema": 1}))
    with pytest.raises(DatasetError, match=r"annotations\.parquet"):
        read_annotations(tmp_path)
    (tmp_path / "annotations.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_annotations(tmp_path)


def test_masks_come_back_from_annotations(tmp_path):
    frame = np.zeros((20, 30), bool)
    frame[4:9, 11:13] = True
    mask = RegionMask.from_full(frame)
    dataset = Dataset(tmp_path)
    dataset.open(description())
    annotation = {"image_id": 0, **mask_columns(mask)}
    dataset.append({"slot": 0, "status": "done", "annotation": annotation})
    assert dataset.write_annotations() == 1
    row = read_annotations(tmp_path).iloc[0]
    assert (mask_of(row).full() == frame).all()
    assert list(row["box"]) == [11, 4, 13, 9]
    assert (row["width"], row["height"]) == (30, 20)


def test_differences_are_named_by_their_path():
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == ["a.c: 2 → 3", "d: None → 4"]
